"""Every test runs in network namespaces of its own: the session leaves the machine's namespace before the first one."""

import itertools
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest
from hypothesis import settings

from podroutes.lab import syscalls
from podroutes.lab.forbidden import reason, setting
from podroutes.lab.paths import search_path
from support import users
from support.namespaces import SHUT_OUT, become_root, enter
from support.unpacked import packages_or_skip, unpack

HERE = Path(__file__).parent
# What takes labs or daemons, processes that are killed again and again, or a browser.
SLOW = (
    "agent/test_agent.py",
    "agent/test_faults.py",
    "agent/test_kubernetes.py",
    "bench/",
    "cli/test_completion.py",
    "deploy/",
    "examples/test_examples.py::test_collect_tables",
    "lab/test_",
    "page/test_looks.py",
    "persist/test_configured_machines.py",
    "persist/test_dhcp.py",
    "persist/test_events.py",
    "persist/test_kill.py",
    "persist/test_lifecycle.py",
    "persist/test_traffic.py",
    "push/test_",
    "verify/test_clusters.py",
    "verify/test_commands.py",
    "verify/test_truth.py",
)
# Fixtures with programs that are not fetched for --fast.
UNPACKED = {"chromium", "filters", "machine", "plugins", "tree", "unpacked"}
# What else takes seconds or unpacks programs: hundreds of random examples, thousands of nodes or clients.
LONG = (
    "agent/test_day.py",
    "agent/test_endpoint.py::test_a_thousand_slow_clients",
    "agent/test_guard.py::test_4900_deleted_events",
    "agent/test_many_foreign_routes.py",
    "cli/test_golden_sessions.py::test_a_session_looks_like_this[200-columns]",
    "cli/test_golden_sessions.py::test_a_session_looks_like_this[60-columns]",
    "cli/test_golden_sessions.py::test_a_session_looks_like_this[locale-c]",
    "cli/test_documents.py::test_any_document_is_the_same_in_yaml",
    "cli/test_not_linux.py::test_every_command_explains_itself",
    "cli/test_not_linux.py::test_only_modules_that_need_linux",
    "cli/test_routers.py::test_bird",
    "cli/test_routers.py::test_frr",
    "doctor/test_cures.py::test_it_is_found_and_cured_by_what_it_says[filter-drops]",
    "doctor/test_cures.py::test_it_is_found_and_cured_by_what_it_says[forward-chain-drops]",
    "doctor/test_cures.py::test_it_is_found_and_cured_by_what_it_says[masquerade-missing]",
    "doctor/test_cures.py::test_it_is_found_and_cured_by_what_it_says[pod-traffic-redirected]",
    "doctor/test_cures.py::test_it_is_found_and_cured_by_what_it_says[pods-masqueraded]",
    "examples/test_examples.py::test_the_chart_takes",
    "examples/test_examples.py::test_kustomize",
    "inventory/test_formats.py::test_known_keys_with_any_values",
    "inventory/test_formats.py::test_mutated_documents",
    "page/test_page.py::test_pages_stay_small",
    "persist/test_admin_edit.py::test_what_is_left_of_any_netplan_file",
    "persist/test_machine_plan.py::test_wherever_a_run_is_interrupted",
    "plan/test_corruption.py",
    "plan/test_plan.py::test_the_rules_hold_for_any_inventory",
    "repo/test_dev.py",
    "verify/test_lookup.py::test_a_look_up_is_what_the_kernel_looks_up",
    "verify/test_proof.py::test_proving_by_classes_is_following_every_packet",
)
_SHUT_OUT = "TESTS_SHUT_OUT"  # tells workers of the session why
LIMIT = float(os.environ.get("TESTS_LIMIT", "300"))  # seconds; what works takes a tenth of it; 0: none

os.environ["PATH"] = search_path()  # a user's has no ip(8) and sysctl(8) on Debian

# Tests do not depend on how busy the machine is. The profile of CI has no deadline anyway.
settings.register_profile("default", settings.get_profile("default"), deadline=None)
if settings.default and settings.default.deadline:
    settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `./dev test` passes on."""
    parser.addoption("--fast", action="store_true", help="leave out what takes labs, daemons, downloads or seconds")
    parser.addoption("--no-skips", action="store_true", help="fail when a test was skipped: every reason is one line")


def pytest_configure(config: pytest.Config) -> None:
    """Leave the machine's namespaces; where workers run the tests each of them does, and the session itself stays."""
    worker = hasattr(config, "workerinput")
    config.stash[SHUT_OUT] = os.environ.pop(_SHUT_OUT, "") if worker else ""
    config.addinivalue_line("markers", "xdist_group(name): tests that share a worker")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as cron and a shell's & leave it for all that tests start
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if config.getoption("numprocesses", None) and not worker:
            become_root()  # workers are born there; they have threads, which may not leave a user namespace
        elif not config.stash[SHUT_OUT]:
            enter()
    except (OSError, subprocess.CalledProcessError) as error:
        why = reason(error, setting) if isinstance(error, OSError) else "ip(8) may not set up a namespace of ours"
        config.stash[SHUT_OUT] = os.environ[_SHUT_OUT] = why


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out whole files with --fast before they are imported, which takes seconds."""
    left_out = tuple(name for name in (*SLOW, *LONG) if "::" not in name)
    if not config.getoption("--fast") or collection_path.suffix != ".py" or not collection_path.is_relative_to(HERE):
        return None
    return str(collection_path.relative_to(HERE)).startswith(left_out) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what shares a costly fixture on one worker, and begin with it: whatever begins last ends last."""
    if config.getoption("--fast"):
        slow = [
            item
            for item in items
            if _named(item).startswith((*SLOW, *LONG)) or UNPACKED.intersection(getattr(item, "fixturenames", ()))
        ]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in set(slow)]
    if why := config.stash[SHUT_OUT]:
        for item in items:
            if _named(item).startswith(SLOW):
                item.add_marker(pytest.mark.skip(reason=why))
    for item in items:
        if group := _group(item):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: not _group(item))  # stable: the order is otherwise that of the files


def _named(item: pytest.Item) -> str:
    """Return ITEM as SLOW and LONG name it: ``plan/test_plan.py::test_adopt``."""
    return f"{item.path.relative_to(HERE)}::{item.name}"


def _group(item: pytest.Item) -> str:
    """Return with which tests ITEM has to share a worker: those of its module, or those that unpack the same files."""
    fixtures = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
    if any(definitions[-1].scope == "module" for definitions in fixtures):
        return item.nodeid.partition("::")[0]
    if "chromium" in getattr(item, "fixturenames", ()):
        return "browser"
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return "trixie" if parameters.get("machine") == "trixie" else ""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Fail a test that has not come to its end, fixtures included, after LIMIT: nothing waits for ever."""

    def give_up(_signum: int, _frame: FrameType | None) -> NoReturn:
        pytest.fail(f"not done after {LIMIT:.0f} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say why the session fails although every test that ran has passed."""
    if config.getoption("--no-skips") and (count := len(terminalreporter.getreports("skipped"))):
        terminalreporter.write_line(f"{count} tests could not run here (above); --allow-skips accepts that", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail what would look green although something was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and not exitstatus and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _state_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let commands remember what they deleted for one test, and nowhere but in its own directory."""
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)  # the options of the user who runs the tests are not theirs
    monkeypatch.setenv("PODROUTES_STATE_DIR", str(tmp_path_factory.getbasetemp() / f"state-{next(_states)}"))


_states = itertools.count()


@pytest.fixture(scope="session")
def readable() -> Iterator[Path]:
    """Return a directory of everything podroutes imports that every user can read: a checkout may be below /root."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        users.install(Path(path))
        yield Path(path)


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the CNI plugins, which are unpacked and installed nowhere."""
    tree = tmp_path_factory.mktemp("plugins")
    unpack(packages_or_skip("cni"), tree)
    return tree / "usr/lib/cni"


@pytest.fixture(scope="session")
def python() -> str:
    """Return an interpreter of our version that every user can run."""
    return users.interpreter() or pytest.skip("no Python of this version that an unprivileged user can run")


class Namespace:
    """A network namespace that the calling thread is in."""

    def ip(self, *commands: str) -> None:
        """Run ip(8) with each of COMMANDS."""
        subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)

    def flush(self, words: str) -> None:
        """Delete the routes that WORDS select, where an agent deletes some at the same time: ip(8) gives up at the first that has gone."""
        while (
            b"No such process"
            in subprocess.run(["ip", "route", "flush", *words.split()], stderr=subprocess.PIPE, check=False).stderr
        ):
            pass

    def show(self, words: str = "route show") -> list[str]:
        """Return the lines that ``ip WORDS`` prints."""
        shown = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=True).stdout
        return [line.rstrip() for line in shown.splitlines()]

    def index(self, name: str) -> int:
        """Return the interface index of NAME."""
        return socket.if_nametoindex(name)


@pytest.fixture
def bare(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """Put the test into an empty network namespace."""
    if request.config.stash[SHUT_OUT]:
        pytest.skip(request.config.stash[SHUT_OUT])
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        syscalls.unshare(syscalls.NEWNET)
        yield Namespace()
    finally:
        with suppress(OSError):
            syscalls.setns(home, syscalls.NEWNET)
        os.close(home)


@pytest.fixture
def worker(bare: Namespace) -> Namespace:
    """Put the test onto worker-0: ens18 has 192.168.8.20/24 and fd00::20/64, cni0 is the pods' bridge."""
    bare.ip(
        "link set lo up",
        "link add ens18 type veth peer name wire",
        "link set ens18 addrgenmode none",  # or its link-local address comes and goes in the middle of a test
        "link set wire addrgenmode none",
        "link set wire up",
        "link set ens18 up",
        "addr add 192.168.8.20/24 dev ens18",
        "addr add fd00::20/64 dev ens18 nodad",
    )
    return bare
