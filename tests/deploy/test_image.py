"""The Dockerfile: no engine builds it here, but its own commands make the environment that the image would hold."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from deploy.manifests import ROOT, agent, plain
from podroutes import __version__
from podroutes.cli.parser import build_parser

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
# Stands for pip where there is no network: what would be downloaded is what the tests run with, and is asked for with hashes.
PIP = """\
#!/bin/sh
case "$*" in *--require-hashes*) for last; do :; done; cp "$last" "$ASKED"; exit ;; esac
exec {python} -m pip "$@" --no-deps
"""


def lines(instruction: str) -> list[str]:
    """Return the arguments of each INSTRUCTION of the Dockerfile."""
    return [line.removeprefix(instruction).strip() for line in LINES if line.startswith(f"{instruction} ")]


def copied() -> list[str]:
    """Return what is taken from the checkout."""
    sources = [each.split()[:-1] for each in lines("COPY") if not each.startswith("--from")]
    return [name for names in sources for name in names]


@pytest.fixture
def built(tmp_path, wheel):
    """Run the Dockerfile's commands among copies of what it copies, its places being below TMP_PATH."""
    work, asked = tmp_path / "src", tmp_path / "asked"
    work.mkdir()
    asked.mkdir()
    for name in copied():
        source = wheel if fnmatchcase(f"dist/{wheel.name}", name) else ROOT / name
        shutil.copy(source, work)
    pip = tmp_path / "pip"
    pip.write_text(PIP.format(python=sys.executable))
    pip.chmod(0o755)
    (tmp_path / "apt-get").write_text('#!/bin/sh\necho "$*" >>"$ASKED/apt-get"\n')  # nothing is installed here
    (tmp_path / "apt-get").chmod(0o755)
    path = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    given = dict(each.split("=", 1) for each in lines("ARG"))
    environment = os.environ | {name: value.strip('"') for name, value in given.items()}
    environment |= {"PATH": path, "ASKED": str(asked), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for command in lines("RUN"):
        placed = command.replace("/opt/podroutes", f"{tmp_path}/opt")
        done = subprocess.run(
            ["sh", "-c", placed], cwd=work, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return tmp_path


def test_its_commands_make_an_environment_that_runs(built):
    alone = {"PYTHONPATH": sysconfig.get_path("purelib")}  # the dependencies, which were not downloaded
    said = subprocess.run([built / "opt/bin/podroutes", "--version"], env=alone, capture_output=True, check=True).stdout
    assert said.decode() == f"podroutes {__version__}\n"
    python = [built / "opt/bin/python", "-c", "import podroutes.kubernetes as found; print(found.__file__)"]
    where = subprocess.run(python, env=alone, capture_output=True, check=True).stdout
    assert where.decode().startswith(str(built / "opt"))


def test_what_runs_it_is_what_the_project_depends_on_pinned_with_hashes(built):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(pins(built / "asked/runs.txt")) == {
        re.split("[<>=]", each)[0].lower() for each in project["dependencies"]
    }


def test_it_has_what_masquerading_runs(built):
    asked = (built / "asked/apt-get").read_text().splitlines()
    assert [words for words in asked if words.startswith("install")] == ["install -y --no-install-recommends nftables"]


def pins(path: Path) -> list[str]:
    """Return the packages of the requirements at PATH, each of which has a version and hashes."""
    packages = path.read_text().replace("\\\n", "").splitlines()
    found = [line for line in packages if line.strip() and not line.lstrip().startswith("#")]
    assert [line for line in found if not re.match(r"[a-z0-9-]+==\S+ +--hash=sha256:", line)] == []
    return [line.partition("==")[0] for line in found]


def test_what_it_copies_is_in_the_checkout_and_not_kept_from_it():
    let_in = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert set(copied()) == let_in
    assert [name for name in copied() if not name.startswith("dist/") and not (ROOT / name).exists()] == []


def test_it_starts_what_the_manifests_start():
    assert lines("ENTRYPOINT") == ['["podroutes"]']
    assert lines("CMD") == ['["agent", "--kubernetes"]']
    assert vars(build_parser().parse_args(["agent", "--kubernetes"]))["kubernetes"] is True
    assert "command" not in agent(plain())


def test_both_stages_have_one_python():
    """An environment holds the path and the version of the Python that it was made with."""
    first, second = (each.split()[0] for each in lines("FROM"))
    assert first == second
