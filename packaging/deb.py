"""Build the .debs for the release of Debian or Ubuntu that this runs on: ``python packaging/deb.py WHEEL DIRECTORY``.

podroutes_*.deb has podroutes and the packages that it needs, in a virtual environment of its own, /usr/lib/podroutes, whose Python is
the system's. podroutes-push_*.deb adds what `podroutes push` needs. The packages are those that this Python has installed, whose versions
requirements-dev.txt pins and the tests ran with: Debian has some of them too old, and others not at all. They hold code for one
minor version of Python and one architecture, and so do the .debs. The same input gives the same bytes, given SOURCE_DATE_EPOCH.
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from importlib.metadata import Distribution, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from packaging.requirements import Requirement

HERE = Path(__file__).parent
CHECKOUT = HERE.parent
SYSTEM_PYTHON = Path("/usr/bin/python3")
HOME = "usr/lib/podroutes"
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
NEXT_MINOR = f"{sys.version_info.major}.{sys.version_info.minor + 1}"
SITE = f"{HOME}/lib/python{MINOR}/site-packages"
COMPRESSION = ("-Zxz",)  # the default of Debian; zstd, that of Ubuntu, is unknown to Debian's older dpkg
DOCUMENTATION = "usr/share/doc/podroutes"
MAINTAINER = "The podroutes authors <podroutes@localhost>"
# Where the wheel's data files go. Each is a file, or a directory with all that is in it.
PLACES = {
    "share/man/man1/podroutes.1": "usr/share/man/man1/podroutes.1",
    "share/bash-completion": "usr/share/bash-completion",
    "share/zsh/site-functions": "usr/share/zsh/vendor-completions",
    "share/fish": "usr/share/fish",
    "share/podroutes/systemd": "usr/share/podroutes/systemd",
    "lib/systemd/system": "usr/lib/systemd/system",
}
ENTRY = """\
#!/{home}/bin/python3 -I
import sys

from {module} import {function}

sys.exit({function}())
"""
CONTROL = """\
Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: {depends}
Section: net
Priority: optional
Description: {description}
"""
DESCRIPTION = """\
pod network routes of Kubernetes nodes
 podroutes plans the routes from each Kubernetes node to the pod CIDRs of the
 others, applies them to the kernel, makes them last, heals them when the
 kernel or the cluster changes, and proves that every pod can reach every
 other. The nodes come from a file or from the Kubernetes API.
 .
 The agent's systemd unit is installed and not enabled.
"""
PUSH_DESCRIPTION = """\
lets podroutes change the nodes of a cluster over SSH
 With this package on a workstation, "podroutes push" plans, applies, verifies
 and removes the pod network routes of every node over SSH. It is not needed
 on the nodes.
"""


class UnfitError(Exception):
    """No .deb can be built on this system; the message says why."""


class Package(NamedTuple):
    """A .deb to be: its files are below ``tree``, as they are to be below /."""

    name: str
    version: str
    depends: str
    description: str
    tree: Path


def main(wheel: Path, target: Path) -> None:
    """Build both packages from WHEEL into TARGET; raises UnfitError where the system is not fit for it."""
    check_system()
    version = f"{wheel.name.split('-')[1].replace('.dev', '~dev')}+py{MINOR}"
    python = f"python3 (>= {MINOR}), python3 (<< {NEXT_MINOR})"
    with TemporaryDirectory(prefix="podroutes-deb-") as directory:
        trees = {name: Path(directory, name) for name in ("podroutes", "podroutes-push")}
        needed, pushing = requirements(wheel)
        fill(trees["podroutes"], wheel, needed)
        vendor(trees["podroutes-push"], pushing)
        for package in (
            Package("podroutes", version, f"{python}, {iproute2()}, libc6", DESCRIPTION, trees["podroutes"]),
            Package(
                "podroutes-push",
                version,
                f"podroutes (= {version}), {python}, libc6",
                PUSH_DESCRIPTION,
                trees["podroutes-push"],
            ),
        ):
            complete(package, needed if package.name == "podroutes" else pushing)
            pack(package, target)


def check_system() -> None:
    """Raise UnfitError unless this is a system with dpkg-deb, and this Python the one of its package python3."""
    if not shutil.which("dpkg-deb"):
        raise UnfitError("there is no dpkg-deb here")
    base = Path(sys.base_prefix, "bin", f"python{MINOR}").resolve()
    if not SYSTEM_PYTHON.exists() or SYSTEM_PYTHON.resolve() != base:
        raise UnfitError(f"the packages for Python {MINOR} are here, and {SYSTEM_PYTHON} is another Python")


def iproute2() -> str:
    """Return the dependency on iproute2: a version that reads our file where it is on this system."""
    return "iproute2 (>= 6.7)" if rt_protos().startswith("usr/") else "iproute2"


def rt_protos() -> str:
    """Return the path of the file that names our protocol; iproute2 reads /usr/share/iproute2 as well since 6.7."""
    version = subprocess.run(["ip", "-V"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"iproute2-(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) >= (6, 7):
        return "usr/share/iproute2/rt_protos.d/podroutes.conf"
    return "etc/iproute2/rt_protos.d/podroutes-deb.conf"  # podroutes.conf is what `apply --persist` writes there


def requirements(wheel: Path) -> tuple[list[Distribution], list[Distribution]]:
    """Return what podroutes needs, and what ``push`` needs on top, both with all that these need."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().partition("\n\n")[0].splitlines()
    asked = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    needed = closure(asked, "")
    names = {each.name for each in needed}
    return needed, [each for each in closure(asked, "push") if each.name not in names]


def closure(asked: Sequence[str], extra: str) -> list[Distribution]:
    """Return the installed distributions that ASKED, with EXTRA, come to, sorted by name."""
    found: dict[str, Distribution] = {}
    waiting = [(text, extra) for text in asked]
    while waiting:
        text, extra_of_it = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra_of_it}):
            continue
        one = distribution(requirement.name)
        if one.name not in found:
            found[one.name] = one
            waiting += [(each, "") for each in one.requires or ()]
    return [found[name] for name in sorted(found)]


def fill(tree: Path, wheel: Path, needed: Sequence[Distribution]) -> None:
    """Lay out the files of the package podroutes below TREE."""
    home = tree / HOME
    (home / "bin").mkdir(parents=True)
    (home / "bin/python3").symlink_to("../../../bin/python3")
    (home / "pyvenv.cfg").write_text(
        f"home = {SYSTEM_PYTHON.parent}\ninclude-system-site-packages = false\nversion = {MINOR}\n"
    )
    vendor(tree, needed)
    unpack(tree, wheel)
    (tree / "usr/bin").mkdir()
    for program in (home / "bin").iterdir():
        if not program.is_symlink():
            program.chmod(0o755)
            (tree / "usr/bin" / program.name).symlink_to(f"../lib/podroutes/bin/{program.name}")
    place(tree, HERE / "rt_protos.conf", rt_protos())
    place(tree, HERE / "deb/default", "etc/default/podroutes")
    (tree / "etc/podroutes").mkdir()
    document(tree)
    compress(tree / "usr/share/man/man1/podroutes.1")
    (tree / "usr/share/man/man1/kubectl-podroutes.1.gz").symlink_to("podroutes.1.gz")


def document(tree: Path) -> None:
    """Copy the documentation and the examples, laid out as in the checkout, so that their links lead to each other."""
    pages = [CHECKOUT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md")]
    pages += [path for path in sorted((CHECKOUT / "docs").rglob("*")) if path.suffix in (".md", ".png", ".svg")]
    for page in pages:
        place(tree, page, f"{DOCUMENTATION}/{page.relative_to(CHECKOUT)}")
    place(tree, CHECKOUT / "examples", f"{DOCUMENTATION}/examples")


def unpack(tree: Path, wheel: Path) -> None:
    """Unpack WHEEL below TREE, its data files where the system looks for them, with its programs."""
    with TemporaryDirectory(prefix="podroutes-wheel-") as directory, zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
        (data,) = Path(directory).glob("*.data")
        (info,) = Path(directory).glob("*.dist-info")
        for source, target in PLACES.items():
            place(tree, data / "data" / source, target)
        place(tree, data / "scripts", f"{HOME}/bin")
        for line in (info / "entry_points.txt").read_text().splitlines():
            if "=" in line:
                program, module, function = re.split(r"\s*[=:]\s*", line)
                (tree / HOME / "bin" / program).write_text(ENTRY.format(home=HOME, module=module, function=function))
        shutil.rmtree(data)
        place(tree, Path(directory), SITE)


def vendor(tree: Path, distributions: Sequence[Distribution]) -> None:
    """Copy the files of DISTRIBUTIONS below TREE, except what their installation made."""
    for each in distributions:
        for file in each.files or ():
            if (
                "__pycache__" not in file.parts
                and ".." not in file.parts
                and file.name not in ("INSTALLER", "REQUESTED", "direct_url.json")
            ):
                place(tree, Path(str(file.locate())), f"{SITE}/{file}")


def place(tree: Path, source: Path, target: str) -> None:
    """Copy the file or directory SOURCE to TARGET below TREE."""
    path = tree / target
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, path, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, path)


def compress(path: Path) -> None:
    """Replace a file by a compressed one, as Debian has manual pages and changelogs."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()


def complete(package: Package, distributions: Sequence[Distribution]) -> None:
    """Add what every package has: copyright, changelog, and DEBIAN with its control files."""
    documentation = package.tree / "usr/share/doc" / package.name
    documentation.mkdir(parents=True, exist_ok=True)
    (documentation / "copyright").write_text("".join(licences(distributions)))
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    changelog = documentation / "changelog"
    date = formatdate(epoch).replace("-0000", "+0000")  # UTC, as Debian writes it
    changelog.write_text(
        f"{package.name} ({package.version}) unstable; urgency=medium\n\n  * What changed is in CHANGELOG.md of the package podroutes.\n\n"
        f" -- {MAINTAINER}  {date}\n"
    )
    compress(changelog)
    debian = package.tree / "DEBIAN"
    debian.mkdir()
    size = sum(path.lstat().st_size for path in package.tree.rglob("*")) // 1024
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout
    (debian / "control").write_text(
        CONTROL.format(
            **package._asdict() | {"description": package.description.rstrip()},
            architecture=architecture.strip(),
            maintainer=MAINTAINER,
            size=size,
        )
    )
    for script in ("postinst", "prerm", "postrm"):
        source = HERE / "deb" / f"{package.name}.{script}"
        if source.exists():
            shutil.copyfile(source, debian / script)
            (debian / script).chmod(0o755)
    files = [
        path
        for path in sorted(package.tree.rglob("*"))
        if path.is_file() and not path.is_symlink() and debian not in path.parents
    ]
    names = {path: str(path.relative_to(package.tree)) for path in files}
    settings = [name for name in names.values() if name.startswith("etc/")]
    if settings:
        (debian / "conffiles").write_text("".join(f"/{name}\n" for name in settings))
    sums = (
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {name}\n" for path, name in names.items()
    )
    (debian / "md5sums").write_text("".join(sums))


def licences(distributions: Sequence[Distribution]) -> Iterator[str]:
    """Yield the file copyright: our licence, and those of the packages below /usr/lib/podroutes."""
    yield "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: podroutes\n\n"
    yield "Files: *\nCopyright: the podroutes authors\nLicense: Apache-2.0\n On Debian systems it is in /usr/share/common-licenses/Apache-2.0.\n"
    for each in distributions:
        (licence, *_) = each.metadata.get_all("License-Expression") or each.metadata.get_all("License") or [""]
        texts = [str(file) for file in each.files or () if "licenses" in file.parts]
        tops = sorted({file.parts[0] for file in each.files or ()} - {"..", "__pycache__"})
        yield f"\nFiles: {' '.join(f'{SITE}/{top}*' for top in tops)}\nComment: {each.name} {each.version}\nCopyright: the authors of {each.name}\nLicense: {licence.replace(' OR ', ' or ')}\n"
        yield "".join(f" Its text is in /{SITE}/{text}.\n" for text in sorted(texts))


def pack(package: Package, target: Path) -> None:
    """Make the .deb in TARGET; owners, modes and times do not depend on who builds it, or when."""
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in [package.tree, *package.tree.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or (path.stat().st_mode & 0o100 and path.suffix != ".so") else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    command = ["dpkg-deb", "--root-owner-group", *COMPRESSION, "--build", str(package.tree), str(target)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:]))
    except UnfitError as why:
        sys.stderr.write(f"dev: no .deb is built: {why}\n")
