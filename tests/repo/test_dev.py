"""./dev in a checkout: where it looks for files, and what becomes of its .venv."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MACHINES = """\
192.168.8.20 worker-0.kubernetes.local worker-0 10.200.0.0/24
192.168.8.21 worker-1.kubernetes.local worker-1 10.200.1.0/24
"""


def dev(checkout: Path, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Type ./dev WORDS where pip has no index; what podroutes needs of others is this session's."""
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PYTHONPATH": sysconfig.get_path("purelib")}
    return subprocess.run(
        [checkout / "dev", *words],
        cwd=cwd or checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout that pins nothing, with the .venv that ./dev has made there."""
    checkout: Path = tmp_path_factory.mktemp("made") / "checkout"
    checkout.mkdir()
    shutil.copy(ROOT / "dev", checkout)
    shutil.copytree(ROOT / "src", checkout / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.txt", "requirements-dev.txt"):
        (checkout / name).touch()
    made = dev(checkout, "setup", "run")
    assert made.returncode == 0, made.stderr
    return checkout


@pytest.fixture
def moved(original: Path) -> Iterator[Path]:
    """Return the checkout in another place; a file in its .venv tells whether that is still the same one."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory, "moved")
        shutil.copytree(original, place, symlinks=True)
        (place / ".venv/same").touch()
        yield place


def test_run_looks_for_files_where_it_is_typed(original: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(MACHINES)
    done = dev(original, "run", "plan", "--all", "-i", "mine.txt", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "")
    assert "10.200.1.0/24 via 192.168.8.21" in done.stdout


def test_a_moved_checkout_keeps_its_venv_without_a_network(original: Path, moved: Path) -> None:
    done = dev(moved, "run", "version")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"dev: changing the paths in .venv, which was made in {original}\n"
    assert (moved / ".venv/same").exists()
    asked = [moved / ".venv/bin/python", "-c", "import podroutes; print(podroutes.__file__)"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert Path(found.strip()).is_relative_to(moved)
    scripts = [path for path in (moved / ".venv").glob("bin/*") if not path.is_symlink()]
    assert [path for path in scripts if str(original) in path.read_text()] == []
    assert dev(moved, "run", "version").stderr == ""
    assert dev(original, "run", "version").stderr == ""


def test_a_venv_that_cannot_be_made_anew_is_kept(moved: Path) -> None:
    (moved / "requirements.txt").write_text(f"podroutes-needs-this==1 --hash=sha256:{0:064}\n")
    (moved / "requirements-dev.txt").write_text(f"podroutes-needs-this==2 --hash=sha256:{0:064}\n")
    done = dev(moved, "run", "version")
    assert done.returncode == 1
    assert "dev: the old .venv is kept\ndev: could not set up .venv\n" in done.stderr
    assert (moved / ".venv/same").exists()
    assert not (moved / ".venv.old").exists()


@pytest.mark.usefixtures("bare")  # or that test is skipped, too
def test_tests_end_where_sigint_is_ignored() -> None:
    """As cron and a shell's & leave it for what they start: a test that interrupts a program does not wait for ever."""
    words = [sys.executable, "-m", "pytest", "-q", "tests/cli/test_mistakes.py", "-k", "interrupt"]
    done = subprocess.run(
        words,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"[1-9] passed", done.stdout)
