"""The one plan of kernel and files, with a kernel in memory and a directory for a machine: ownership, interruption, refusals."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podroutes.apply.machine_plan import PlanRequest, plan_machine
from podroutes.cli.apply import say_later
from podroutes.errors import PersistError
from podroutes.host.atomic_write import write_whole
from podroutes.host.files import HostFiles
from podroutes.kernel.memory import MemoryKernel
from podroutes.model.plan import FileResult, Outcome
from podroutes.persist import BACKENDS, apply_files
from podroutes.persist.owned import find
from podroutes.plan.claims import examine
from podroutes.plan.ownership import back, ours
from support.notation import SEED, address, cluster, link, route, shown

EVERYBODY = {  # by what each manager says that it has ens18
    "/etc/netplan/01.yaml": "network: {version: 2, ethernets: {ens18: {addresses: [192.168.8.20/24]}}}\n",
    "/etc/network/interfaces": "auto ens18\niface ens18 inet static\n",
    "/run/systemd/netif/links/2": "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-ens18.network\n",
    "/run/NetworkManager/devices/2": "[device]\nmanaged=true\n",
    "/run/dhcpcd/pid": "1\n",
}
_NETWORKD, _NM, _DHCPCD = "/run/systemd/netif/links/2", "/run/NetworkManager/devices/2", "/run/dhcpcd/pid"
MOVED = cluster(
    "worker-0 192.168.8.20 10.200.0.0/24",
    "worker-1 192.168.8.21 10.200.1.0/24",
    "worker-2 192.168.8.99 10.200.2.0/24",
    "worker-3 192.168.8.23 10.200.3.0/24",
)
SHRUNK = cluster("worker-0 192.168.8.20 10.200.0.0/24", "worker-1 192.168.8.21 10.200.1.0/24")
ALONE = cluster("worker-0 192.168.8.20 10.200.0.0/24")


def failures(root, files):
    """Bring FILES to their end, and return why some could not be."""
    return [result.failure for result in apply_files.after(root, files) if result.failure is not None]


class Worker:
    """worker-0 in memory, known to every manager."""

    def __init__(self, directory: Path) -> None:
        self.root = HostFiles(directory)
        self.kernel = MemoryKernel([link("lo", 1), link("ens18", 2)], [address("192.168.8.20/24 dev ens18")])
        for name, text in EVERYBODY.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        """Write a file of the machine."""
        path = self.root.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def plan(self, nodes=SEED, backend="", **request):
        """Return the plan as the commands make it."""
        asked = PlanRequest(lambda: ("podroutes", "apply"), backend, **request)
        return plan_machine(examine(nodes), nodes.nodes[0], self.kernel.snapshot(), self.root, asked)

    def apply(self, nodes=SEED, backend="", stop=99, **request):
        """Carry the plan out as `apply` does, until before step STOP: each write and each message to the kernel is one."""
        plan = self.plan(nodes, backend, **request).planned.plan
        steps = [lambda each=each: apply_files.before(self.root, [each]) for each in plan.files or ()]
        steps += [lambda each=each: self.kernel.apply([each]) for each in plan.changes]
        steps += [lambda each=each: failures(self.root, [each]) for each in plan.files or ()]
        for step in steps[:stop]:
            assert not step()
        return len(steps)

    def table(self):
        """Return every route with a gateway."""
        return sorted(f"{each.dst} via {each.via} proto {each.protocol}" for each in self.kernel.routes if each.via)


@pytest.fixture
def worker(tmp_path):
    return Worker(tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_live_is_what_is_written_and_remove_finds_both(worker, backend):
    worker.apply(backend=backend)
    number = 4 if backend == "netplan" else 107
    assert worker.table() == [f"10.200.{n}.0/24 via 192.168.8.2{n} proto {number}" for n in (1, 2)]
    found = find(worker.root)
    assert found.backends == (backend,)
    live = {(each.dst, each.via, each.metric) for each in ours(worker.kernel.snapshot(), found.owned(""))}
    assert (found.owned("").written or dict.fromkeys(live, "ens18")) == dict.fromkeys(live, "ens18")
    assert len(live) == 2
    assert not worker.plan().planned.plan.pending


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_place_outlives_the_last_node(worker, backend):
    """The files stay, without routes, so that a node that comes back is written down again."""
    worker.apply(backend=backend)
    worker.apply(ALONE)
    assert worker.table() == []
    assert find(worker.root).backends == (backend,)
    worker.apply(SEED)
    assert len(worker.table()) == 2
    written = find(worker.root).owned("").written
    assert written is None or set(written) == {(each.dst, each.via, 0) for each in self_routes()}


def self_routes():
    return [route("10.200.1.0/24 via 192.168.8.21 dev ens18"), route("10.200.2.0/24 via 192.168.8.22 dev ens18")]


WAYS = [("", ""), *((one, other) for one in BACKENDS for other in ("", "none", *BACKENDS) if one != other)]


@settings(deadline=None)
@given(
    st.sampled_from(WAYS),
    st.sampled_from([SEED, MOVED, SHRUNK]),
    st.sampled_from([SEED, MOVED, SHRUNK]),
    st.integers(0, 12),
)
def test_wherever_a_run_is_interrupted_the_next_one_ends_well(tmp_path_factory, way, first, second, stop):
    """No route is ever left that nobody claims, no file that nobody owns, and nobody else's route is touched."""
    worker = Worker(tmp_path_factory.mktemp("worker"))
    worker.kernel.routes.append(route("10.99.0.0/24 via 192.168.8.9 dev ens18 proto static"))
    worker.apply(first, way[0])
    worker.apply(second, way[1], stop=stop)
    worker.apply(second, way[1] or way[0])
    assert not worker.plan(second).planned.plan.pending
    chosen = way[1] or way[0]
    number = 4 if chosen == "netplan" else 107
    expected = [f"{node.pod_cidrs[0]} via {node.internal_ips[0]} proto {number}" for node in second.nodes[1:]]
    assert worker.table() == sorted(["10.99.0.0/24 via 192.168.8.9 proto 4", *expected])
    assert find(worker.root).backends == (() if chosen in ("", "none") else (chosen,))


def test_the_metric_that_a_route_has_is_the_one_written_down(worker):
    worker.kernel.routes.append(route("10.200.1.0/24 via 192.168.8.21 dev ens18 metric 50"))
    worker.apply(backend="networkd")
    (text,) = (file.text for file in find(worker.root).files["networkd"].values())
    assert "Destination=10.200.1.0/24\nGateway=192.168.8.21\nProtocol=107\nMetric=50\n" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_link_that_is_down_does_not_empty_the_file(worker, backend):
    worker.apply(backend=backend)
    before = {name: dict(files) for name, files in find(worker.root).files.items()}
    worker.kernel.set_link("ens18", up=False)
    plan = worker.plan().planned.plan
    assert {problem.code for problem in plan.problems} == {"link-down"}
    assert plan.files == ()
    worker.apply()
    assert find(worker.root).files == before


@pytest.mark.parametrize("backend", BACKENDS)
def test_neither_does_one_that_has_lost_its_addresses(worker, backend):
    """Managers take the addresses away with the carrier; with other addresses there is nothing to wait for."""
    worker.apply(backend=backend)
    before = {name: dict(files) for name, files in find(worker.root).files.items()}
    worker.kernel.set_link("ens18", up=False)
    worker.kernel.set_link("ens18")
    worker.kernel.addresses = (address("fe80::1/64 dev ens18"),)
    plan = worker.plan().planned.plan
    assert ({problem.code for problem in plan.problems}, plan.files) == ({"next-hop-off-link"}, ())
    worker.apply()
    assert find(worker.root).files == before
    worker.apply(SHRUNK)
    written = find(worker.root).owned("").written
    assert written is None or set(written) == {(self_routes()[0].dst, self_routes()[0].via, 0)}, "who leaves, leaves"
    worker.kernel.addresses = (address("10.0.0.20/24 dev ens18"),)
    worker.apply()
    assert not find(worker.root).owned("").written


def test_adopted_routes_are_written_down_and_then_ours(worker):
    worker.kernel.routes.append(route("10.200.1.0/24 via 192.168.8.21 dev ens18 proto static"))
    worker.apply(backend="netplan", adopt=True)
    assert not worker.plan().planned.plan.pending
    assert find(worker.root).owned("").static == {(each.dst, each.via, 0) for each in self_routes()}


def test_files_in_two_places_are_a_problem_with_a_fix_and_the_kernel_goes_ahead(worker):
    worker.apply(backend="networkd")
    worker.write("/etc/network/if-up.d/podroutes", "#!/bin/sh\n# Written by podroutes\n")
    worker.kernel.routes.clear()
    worker.kernel = MemoryKernel(worker.kernel.links.values(), worker.kernel.addresses)
    plan = worker.plan().planned.plan
    assert [shown(change) for change in plan.changes] == [
        "add 10.200.1.0/24 via 192.168.8.21 dev ens18",
        "add 10.200.2.0/24 via 192.168.8.22 dev ens18",
    ]
    assert [problem.code for problem in plan.problems] == ["not-persistent"]
    assert "apply --persist BACKEND" in plan.problems[0].advice
    worker.apply(backend="networkd")
    assert find(worker.root).backends == ("networkd",)


def test_auto_refuses_to_guess_between_two(worker):
    with pytest.raises(PersistError, match=r"ens18.*claimed by networkd .* and networkmanager"):
        worker.plan(backend="auto")


@pytest.mark.parametrize(
    ("gone", "backend", "why"),
    [
        ([_NM, _DHCPCD], "networkd", "/run/systemd/netif/links/2 names"),
        ([_NETWORKD, _DHCPCD], "networkmanager", "says managed"),
        ([_NETWORKD, _NM], "dhcpcd", "/run/dhcpcd/pid is there"),
        ([_NETWORKD, _NM, _DHCPCD, "/etc/netplan/01.yaml"], "ifupdown", "a stanza"),
        ([_NETWORKD, _NM, _DHCPCD, "/etc/network/interfaces"], "netplan", "ethernets.ens18"),
    ],
)
def test_auto_asks_running_daemons_first_and_then_files(worker, gone, backend, why):
    for name in gone:
        worker.root.path(name).unlink()
    machine_plan = worker.plan(backend="auto")
    assert (machine_plan.backend, why in machine_plan.why) == (backend, True)


@pytest.mark.parametrize("text", ["denyinterfaces ens*\n", "allowinterfaces wlan0\n"])
def test_an_interface_that_dhcpcd_leaves_alone_is_not_its_own(worker, text):
    worker.write("/etc/dhcpcd.conf", text)
    with pytest.raises(PersistError, match="dhcpcd does not manage ens18"):
        worker.plan(backend="dhcpcd")


def test_auto_without_a_manager_is_a_unit_where_systemd_runs(worker, tmp_path):
    for name in EVERYBODY:
        worker.root.path(name).unlink()
    with pytest.raises(PersistError, match="no network manager knows"):
        worker.plan(backend="auto")
    (tmp_path / "run/systemd/system").mkdir()
    assert worker.plan(backend="auto").backend == "systemd"


@pytest.mark.parametrize("backend", ["networkd", "networkmanager", "ifupdown", "netplan", "dhcpcd"])
def test_a_manager_that_does_not_know_the_interface_is_refused(worker, backend):
    for name in EVERYBODY:
        worker.root.path(name).unlink()
    with pytest.raises(PersistError, match="ens18"):
        worker.plan(backend=backend)
    assert find(worker.root).backends == ()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("network: {bonds: {ens18: {}}}", "bonds.ens18"),
        ("network: {bridges: {ens18: {}}}", "bridges.ens18"),
        ("network: {vlans: {ens18: {id: 7, link: eth0}}, ethernets: {eth0: {}}}", "vlans.ens18"),
        ("network: {ethernets: {lan: {match: {macaddress: '52:54:00:AB:cd:ef'}, set-name: ens18}}}", "ethernets.lan"),
        ("network: {ethernets: {lan: {match: {macaddress: '52:54:00:AB:cd:ef'}}}}", "ethernets.lan"),
        ("network: {ethernets: {lan: {match: {name: ens1*}}}}", "ethernets.lan"),
    ],
)
def test_netplan_routes_go_under_the_right_section_and_id(worker, text, place):
    worker.write("/etc/netplan/01.yaml", text)
    worker.write("/sys/class/net/ens18/address", "52:54:00:ab:cd:ef\n")
    worker.apply(backend="netplan")
    section, _, name = place.partition(".")
    written = worker.root.path("/etc/netplan/90-podroutes.yaml")
    lines = [line.strip().replace('"', "") for line in written.read_text().splitlines()]
    assert lines[4:6] == [f"{section}:", f"{name}:"]
    assert written.stat().st_mode & 0o777 == 0o600


def test_netplan_is_refused_where_it_leaves_the_device_to_networkmanager(worker):
    """It makes the metric 100 of none, and drops IPv6 routes where the interface has no IPv6 address."""
    worker.root.path("/run/systemd/netif/links/2").unlink()
    with pytest.raises(PersistError, match="use --persist networkmanager"):
        worker.plan(backend="netplan")


def test_an_id_that_set_name_calls_otherwise_is_not_ours(worker):
    worker.write("/etc/netplan/01.yaml", "network: {ethernets: {ens18: {match: {name: ens18}, set-name: lan0}}}")
    with pytest.raises(PersistError, match="netplan does not manage it"):
        worker.plan(backend="netplan")


def test_a_file_that_cannot_be_written_is_told_and_what_netplan_needs_first_stops_everything(worker, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(apply_files, "write_whole", full)
    files = worker.plan(backend="networkd").planned.plan.files
    assert failures(worker.root, files) == ["No space left on device"] * 2
    with pytest.raises(PersistError, match=r"90-podroutes\.yaml: No space left on device; nothing was changed"):
        worker.apply(backend="netplan")
    assert worker.table() == []


def test_only_what_was_written_is_news_to_a_manager(worker, capsys):
    plan = worker.plan(backend="networkd").planned.plan
    failed, written = (FileResult(plan.files[0], why) for why in ("Read-only file system", None))
    say_later(Outcome(plan, (), (failed,)))
    assert capsys.readouterr().err == ""
    say_later(Outcome(plan, (), (written,)))
    assert capsys.readouterr().err.endswith(
        "networkd applies this at the next boot; to apply it now: networkctl reload\n"
    )


@pytest.mark.parametrize("kind", ["fifo", "socket", "directory"])
def test_what_stands_at_the_name_of_the_temporary_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / "file"
    temporary = tmp_path / f".file.{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as other:
        if kind == "fifo":
            os.mkfifo(temporary)
        elif kind == "socket":
            other.bind(str(temporary))
        else:
            temporary.mkdir()
        if kind == "fifo":
            write_whole(path, "new")
            assert [each.name for each in tmp_path.iterdir()] == ["file"]
            return
        with pytest.raises(FileExistsError):
            write_whole(path, "new")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, "old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output error"):
        write_whole(path, "new")
    assert (path.read_text(), [each.name for each in tmp_path.iterdir()]) == ("old", ["file"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_done_can_be_undone(worker, backend):
    worker.apply(MOVED, "ifupdown")
    then, found, table = worker.kernel.snapshot(), find(worker.root), worker.table()
    files = worker.plan(SHRUNK, backend).planned.plan.files
    worker.apply(SHRUNK, backend)
    after = find(worker.root).owned("")
    apply_files.undo(worker.root, files, found.files)
    worker.kernel.apply(back(then, found.owned(""), worker.kernel.snapshot(), after))
    assert (worker.table(), find(worker.root)) == (table, found)
