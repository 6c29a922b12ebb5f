"""What `./dev build` makes: what is in the wheel and in the .debs, and that the program in them runs."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.conftest import EPOCH
from deploy.manifests import ROOT
from podroutes import __version__
from podroutes.cli.completion import SHELLS
from podroutes.cli.completion.grammar import grammar
from podroutes.cli.parser import build_parser


@pytest.fixture(scope="module")
def deb():
    """Return the module that builds .debs; skips where this system cannot."""
    spec = importlib.util.spec_from_file_location("deb", ROOT / "packaging/deb.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.COMPRESSION = ("-Zgzip", "-z1")  # quick
    try:
        module.check_system()
    except module.UnfitError as why:
        pytest.skip(str(why))
    return module


@pytest.fixture(scope="module")
def debs(deb, wheel, tmp_path_factory) -> dict[str, Path]:
    """Build both packages; return them by name."""
    directory = tmp_path_factory.mktemp("debs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", EPOCH)
        deb.main(wheel, directory)
    return {path.name.partition("_")[0]: path for path in directory.glob("*.deb")}


def field(package: Path, name: str) -> str:
    command = ["dpkg-deb", "-f", package, name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def unpack(package: Path, target: Path) -> Path:
    subprocess.run(["dpkg-deb", "-R", package, target], check=True)
    return target


def test_the_wheel_has_what_a_system_wants_beside_the_program(wheel):
    with zipfile.ZipFile(wheel) as archive:
        data = f"podroutes-{__version__}.data/data"

        def text(name: str) -> str:
            return archive.read(name).decode()

        assert text(f"{data}/share/man/man1/podroutes.1") == (ROOT / "docs/man/podroutes.1").read_text()
        unit = "podroutes-agent.service"
        assert text(f"{data}/lib/systemd/system/{unit}") == (ROOT / "deploy/systemd" / unit).read_text()
        assert "107 podroutes\n" in text(f"{data}/share/podroutes/rt_protos.d/podroutes.conf")
        assert "podroutes/py.typed" in archive.namelist()
        commands = grammar(build_parser())
        for shell, name in {
            "bash": "bash-completion/completions/podroutes",
            "zsh": "zsh/site-functions/_podroutes",
            "fish": "fish/vendor_completions.d/podroutes.fish",
        }.items():
            assert text(f"{data}/share/{name}") == SHELLS[shell](commands)
        assert f"podroutes-{__version__}.data/scripts/kubectl_complete-podroutes" in archive.namelist()


def test_the_debs_say_which_python_and_machine_they_are_for(debs):
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    machine = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    for package in debs.values():
        assert field(package, "Version") == f"{__version__}+py{minor}"
        assert field(package, "Architecture") == machine
        assert f"python3 (>= {minor}), python3 (<< 3.{sys.version_info.minor + 1})" in field(package, "Depends")
    assert "iproute2" in field(debs["podroutes"], "Depends")
    assert field(debs["podroutes-push"], "Depends").startswith(f"podroutes (= {__version__}+py{minor})")


def test_the_same_input_gives_the_same_bytes(deb, wheel, debs, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    mask = os.umask(0o077)
    try:
        deb.main(wheel, tmp_path)
    finally:
        os.umask(mask)
    for package in debs.values():
        assert (tmp_path / package.name).read_bytes() == package.read_bytes()


def test_what_is_in_etc_is_the_administrators(debs, tmp_path):
    tree = unpack(debs["podroutes"], tmp_path / "tree")
    inside = {f"/{path.relative_to(tree)}" for path in tree.glob("etc/**/*") if path.is_file()}
    assert set((tree / "DEBIAN/conffiles").read_text().splitlines()) == inside
    defaults = (tree / "etc/default/podroutes").read_text().splitlines()
    assert [line for line in defaults if not line.startswith("#")] == [], "nothing is set without the administrator"


def test_everything_belongs_to_root_and_nothing_can_be_written_by_others(debs):
    for package in debs.values():
        listed = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
        modes = {tuple(line.split()[:2]) for line in listed.splitlines()}
        assert modes <= {
            ("drwxr-xr-x", "root/root"),
            ("-rw-r--r--", "root/root"),
            ("-rwxr-xr-x", "root/root"),
            ("lrwxrwxrwx", "root/root"),
        }


def test_the_program_in_the_debs_runs_with_nothing_but_what_is_in_them(debs, tmp_path):
    tree = tmp_path / "tree"
    for name in ("podroutes", "podroutes-push"):
        subprocess.run(["dpkg-deb", "-x", debs[name], tree], check=True)
    python = tree / "usr/lib/podroutes/bin/python3"
    python.unlink()  # it is a link to ../../../bin/python3, below / once installed
    python.symlink_to("/usr/bin/python3")
    program = tree / "usr/lib/podroutes/bin/podroutes"
    assert program.read_text().startswith("#!/usr/lib/podroutes/bin/python3 -I\n")
    plan = [python, "-I", program, "plan", "--all", "-i", ROOT / "examples/inventories/machines.txt"]
    done = subprocess.run(plan, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    look = "import asyncssh, msgspec, podroutes, urllib3, yaml; print(asyncssh.__file__, msgspec.__file__, podroutes.__file__)"
    done = subprocess.run([python, "-I", "-c", look], capture_output=True, text=True, check=True)
    assert all(each.startswith(str(tree)) for each in done.stdout.split())
    assert (tree / "usr/bin/podroutes").readlink() == Path("../lib/podroutes/bin/podroutes")


def test_every_link_of_the_installed_documentation_leads_to_a_file(debs, tmp_path):
    documentation = unpack(debs["podroutes"], tmp_path / "tree") / "usr/share/doc/podroutes"
    links = 0
    for page in documentation.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"
            links += 1
    assert links > 50


def test_the_unit_is_installed_and_nothing_enables_or_starts_it(debs, tmp_path):
    tree = unpack(debs["podroutes"], tmp_path / "tree")
    assert (tree / "usr/lib/systemd/system/podroutes-agent.service").is_file()
    scripts = "".join((tree / "DEBIAN" / name).read_text() for name in ("postinst", "prerm", "postrm"))
    assert "enable" not in scripts
    assert "invoke start" not in scripts
    assert "invoke restart" not in scripts


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("iproute2-6.1.0", "etc/iproute2/rt_protos.d/podroutes-deb.conf"),
        ("iproute2-6.15.0", "usr/share/iproute2/rt_protos.d/podroutes.conf"),
        ("iproute2-7.0.0", "usr/share/iproute2/rt_protos.d/podroutes.conf"),
    ],
)
def test_the_name_of_the_protocol_is_where_this_iproute2_reads_it(deb, version, path, tmp_path, monkeypatch):
    (tmp_path / "ip").write_text(f"#!/bin/sh\necho ip utility, {version}, libbpf 1.1.2\n")
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert deb.rt_protos() == path


def test_where_there_is_no_dpkg_one_line_says_so(deb, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(deb.UnfitError, match="no dpkg-deb"):
        deb.check_system()


@pytest.mark.parametrize("script", sorted((ROOT / "packaging/deb").glob("*.p*")), ids=lambda path: path.name)
def test_the_shell_reads_the_maintainer_scripts(script):
    done = subprocess.run(["sh", "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
