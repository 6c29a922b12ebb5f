"""A backend is registered in one place, and --persist, push and doctor know its network manager."""

import pytest

from persist.test_machine_plan import SEED, Worker
from podroutes.apply.executor import Executor
from podroutes.apply.removal import plan_removal
from podroutes.cli.parser import build_parser
from podroutes.model.host import Host
from podroutes.model.machine_facts import Device
from podroutes.model.rule import DEFAULT_RULES
from podroutes.persist import BACKENDS
from podroutes.persist.managers import read_managers
from podroutes.persist.owned import find
from podroutes.plan.claims import examine
from podroutes.push import planning, scripts
from podroutes.push.responses import Remote, Seen
from support.toy_backend import MANAGER, PATH, SECRETS

STATE = "/run/toy/links/2"


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """Register it."""
    monkeypatch.setitem(BACKENDS, "toy", "support.toy_backend")


@pytest.fixture
def worker(tmp_path):
    worker = Worker(tmp_path)
    for path in ("/run/systemd/netif/links/2", "/run/NetworkManager/devices/2", "/run/dhcpcd/pid"):
        worker.root.path(path).unlink()
    worker.write(STATE, "up\n")
    return worker


def execute(worker, plan):
    assert Executor(worker.kernel, worker.root).carry_out(plan).complete


def test_it_keeps_routes_and_lets_them_go(worker):
    planned = worker.plan(backend="auto")
    assert (planned.backend, planned.why) == ("toy", f"{STATE} is there")
    execute(worker, planned.planned.plan)
    assert find(worker.root).backends == ("toy",)
    assert worker.root.read(PATH).count("\nto 10.200.") == 2
    assert not worker.plan().planned.plan.pending
    kernel = worker.kernel
    execute(worker, plan_removal("worker-0", kernel.ours(), kernel.snapshot, worker.root))
    assert (worker.table(), find(worker.root).backends) == ([], ())


def test_the_command_line_offers_it():
    assert build_parser().parse_args(["apply", "-i", "x", "--persist", "toy"]).persist == "toy"
    assert build_parser().parse_args(["render", "toy", "-i", "x"]).format == "toy"


def test_push_reads_its_files_and_finds_it(worker):
    words = scripts.read_script().split()
    assert {PATH, STATE.replace("/2", "/*"), *SECRETS} <= set(words)
    assert scripts.is_needed(PATH)
    assert not scripts.is_needed(STATE)
    snapshot = worker.kernel.snapshot()
    links = {link.name: link for link in snapshot.links}
    host = Host("worker-0", links, {}, snapshot.addresses, DEFAULT_RULES, snapshot.others, {}, {}, {})
    files = (Remote(STATE, 0o644, b"up\n"),)
    request = planning.PushRequest(SEED, examine(SEED), backend="auto")
    made = planning.plan(request, SEED.nodes[0], Seen(0, host, files))
    assert [change.file.path for change in made.plan.files if change.backend == "toy"] == [PATH]


def test_doctor_finds_its_process_and_its_devices(worker):
    device = Device("ens18", 2, 1500)
    assert read_managers(worker.root, [device]).running == ()
    worker.write("/proc/77/comm", "toyd\n")
    worker.root.path("/proc/77/ns").mkdir()
    worker.root.path("/proc/77/ns/net").symlink_to("/proc/self/ns/net")
    managers = read_managers(worker.root, [device])
    assert managers.running == (MANAGER,)
    assert (MANAGER, f"{STATE} is there") in managers.claims["ens18"]
