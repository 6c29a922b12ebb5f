"""What a command does not use is not loaded: modules are counted, as each costs a start a part of a millisecond."""

import subprocess
import sys

import pytest

# Each of these loads others, or takes a millisecond by itself. What brings one of them back ought to know it.
SLOW = {
    "asyncio", "concurrent", "ctypes", "dataclasses", "datetime", "difflib", "email", "fnmatch", "hashlib", "http", "inspect",
    "ipaddress", "json", "locale", "logging", "msgspec", "pathlib", "selectors", "shutil", "socket", "ssl", "subprocess", "tempfile",
    "textwrap", "threading", "unicodedata", "urllib", "urllib3", "yaml",
}  # fmt: skip
if sys.version_info >= (3, 14):
    SLOW -= {"dataclasses", "inspect"}  # argparse loads them itself, for its colours
MACHINES = "".join(f"192.168.8.2{n} worker-{n}.k worker-{n} 10.200.{n}.0/24\n" for n in range(3))


def loaded(*words):
    """Return exit status and the modules that a command loads beyond those of a bare interpreter."""
    bare, run = (_modules(*each) for each in (("-c", "pass"), ("-m", "podroutes", *words)))
    return run[0], run[1] - bare[1]


def _modules(*words):
    done = subprocess.run([sys.executable, "-X", "importtime", *words], capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert lines
    return done.returncode, {line.rpartition("|")[2].strip() for line in lines}


@pytest.fixture
def machines(tmp_path):
    path = tmp_path / "machines.txt"
    path.write_text(MACHINES)
    return ("-i", str(path), "--node", "worker-0", "--state-dir", str(tmp_path / "state"))


@pytest.mark.parametrize(
    ("command", "status", "most"),
    [("plan", 2, 95), ("show", 2, 112)],
)
def test_a_command_that_reads_loads_no_more_than_it_uses(worker, machines, command, status, most):
    """Beside it: nothing that decides disputes, writes, or records what others write meanwhile."""
    found = loaded(command, *machines)
    ours = {each for each in found[1] if each.startswith("podroutes")}
    assert found[0] == status
    slow = SLOW - (
        {"fnmatch", "pathlib", "urllib", "ipaddress"} if command == "show" else set()
    )  # it reads others' files
    assert {each.partition(".")[0] for each in found[1] - ours} & slow == set()
    assert len(ours) <= most, sorted(ours)
    unused = {
        "plan.disputed",
        "plan.conflicting_claims",
        "plan.incumbents",
        "kernel.replacing",
        "kernel.meanwhile",
        "verify.deciding",
    }
    assert ours & {f"podroutes.{each}" for each in unused} == set()


def test_yaml_of_the_usual_shape_needs_no_yaml_parser(worker, machines, tmp_path):
    path = tmp_path / "cluster.yaml"
    entries = (f"  - {{name: worker-{n}, internalIP: 192.168.8.2{n}, podCIDR: 10.200.{n}.0/24}}\n" for n in range(3))
    path.write_text("nodes:\n" + "".join(entries))
    status, found = loaded("plan", "-i", str(path), *machines[2:])
    assert status == 2
    assert {"yaml", "podroutes.inventory.native", "podroutes.inventory.events"} & found == set()


def test_status_loads_nothing_that_plans(worker):
    status, found = loaded("status")
    ours = {each for each in found if each.startswith("podroutes")}
    assert status == 1, "no agent answers"
    assert {each.partition(".")[0] for each in found - ours} & SLOW == set()
    assert len(ours) <= 36, sorted(ours)
    assert {
        each for each in ours if each.startswith(("podroutes.plan", "podroutes.kernel", "podroutes.persist"))
    } == set()


def test_a_run_ends_with_its_exit_status_and_all_of_its_output(worker, machines):
    """Although it does not take apart what it has loaded."""
    done = subprocess.run(
        [sys.executable, "-m", "podroutes", "plan", *machines, "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout.endswith("}\n")
    assert '"10.200.2.0/24"' in done.stdout
