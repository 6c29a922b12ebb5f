"""A minimal Debian of a release as a tree: made once by debootstrap(8), kept as an archive, unpacked for every use."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fresh.host import Host

RELEASES = ("bookworm", "trixie", "forky")
_SCRIPT = "sid"  # how every release since buster is made; an older debootstrap does not know the names of newer ones


class UnavailableError(Exception):
    """No such tree can be made here, and why."""


def ours() -> str:
    """Return this system's release where it is one of RELEASES, else the oldest of them."""
    name = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    return name if name in RELEASES else RELEASES[0]


def unpack(release: str, tree: Path, cache: Path, host: Host) -> None:
    """Make TREE a minimal system of RELEASE; what is downloaded or made for it is kept in CACHE."""
    archive = cache / f"{release}.tar"
    if not archive.exists():
        sys.stderr.write(f"dev: debootstrap {release} (once; about a minute)\n")
        with tempfile.TemporaryDirectory(dir=cache) as directory:
            made = Path(directory, "tree")
            _bootstrap(release, made, cache, host)
            part = archive.with_suffix(".part")
            _run("tar", "--numeric-owner", "--one-file-system", "-C", str(made), "-cf", str(part), ".")
            part.replace(archive)
    tree.mkdir(parents=True)
    _run("tar", "--numeric-owner", "-xpf", str(archive), "-C", str(tree))


def _bootstrap(release: str, tree: Path, cache: Path, host: Host) -> None:
    program, scripts = _debootstrap(cache)
    words = [program, "--variant=minbase", release, str(tree), host.mirror, str(scripts / _SCRIPT)]
    # A namespace of its own for what debootstrap mounts; no power over this machine's network for what packages do.
    _run("unshare", "--mount", "setpriv", "--bounding-set=-net_admin", *words, DEBOOTSTRAP_DIR=str(scripts.parent))
    (tree / "etc/apt/sources.list").write_text(f"deb {host.mirror} {release} main\n")
    shutil.rmtree(tree / "var/cache/apt/archives", ignore_errors=True)
    (tree / "var/cache/apt/archives/partial").mkdir(parents=True)


def _debootstrap(cache: Path) -> tuple[str, Path]:
    """Return debootstrap and the directory of its scripts: this system's, or else unpacked into CACHE, not installed."""
    installed = shutil.which("debootstrap", path=f"{os.environ['PATH']}:/usr/sbin")
    if installed:
        return installed, Path("/usr/share/debootstrap/scripts")
    place = cache / "debootstrap"
    program = place / "usr/sbin/debootstrap"
    if not program.exists():
        if platform.freedesktop_os_release().get("ID") not in ("debian", "ubuntu"):
            raise UnavailableError("debootstrap is missing")
        place.mkdir(exist_ok=True)
        _run("apt-get", "-qq", "download", "debootstrap", cwd=place)
        (package,) = place.glob("debootstrap_*.deb")
        _run("dpkg-deb", "-x", str(package), str(place))
    return str(program), place / "usr/share/debootstrap/scripts"


def _run(*words: str, cwd: Path | None = None, **environment: str) -> None:
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UnavailableError(f"{words[0]}: {(done.stderr.strip() or done.stdout.strip())[-600:]}")
