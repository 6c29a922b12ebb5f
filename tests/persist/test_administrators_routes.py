"""Machines on which the administrator has written the routes down already: never two of one route, and what stands where is said."""

import pytest

from persist.test_configured import SEED as TYPED
from persist.test_machine_plan import Worker, failures, self_routes
from podroutes.apply.machine_plan import configured_overlap
from podroutes.errors import PersistError
from podroutes.model.persisted import OwnedRoutes
from podroutes.model.plan import Change
from podroutes.persist import apply_files
from podroutes.persist.configured import configured_routes
from podroutes.persist.owned import find
from podroutes.plan.configured import left_behind
from podroutes.plan.route_states import survey
from support.notation import cluster, route

ONE = "network: {ethernets: {ens18: {routes: [{to: 10.200.1.0/24, via: %s}]}}}\n"
STATIC = [route(f"10.200.{n}.0/24 via 192.168.8.2{n} dev ens18 proto static") for n in (1, 2)]
FILE = "/etc/netplan/00-installer-config.yaml"
NETPLAN_NETWORKD = "/etc/systemd/network/10-netplan-ens18.network.d/50-podroutes.conf"


@pytest.fixture
def worker(tmp_path):
    """worker-0, whose interface networkd has; netplan gave it that."""
    made = Worker(tmp_path)
    for name in ("/etc/network/interfaces", "/run/NetworkManager/devices/2", "/run/dhcpcd/pid"):
        made.root.path(name).unlink()
    return made


def told(worker, *arguments, **request):
    """Return the problems of a plan as ``severity code: fix``."""
    plan = worker.plan(*arguments, **request).planned.plan
    return [f"{each.severity} {each.code} {each.dst}: {each.advice}" for each in plan.problems]


def written(worker):
    """Return which destinations files of ours keep."""
    return sorted(str(dst) for dst, _, _ in find(worker.root).owned("").written)


def test_a_route_that_a_file_keeps_already_is_left_to_it(worker):
    worker.write(FILE, ONE % "192.168.8.21")
    worker.apply(backend="networkd")
    assert written(worker) == ["10.200.2.0/24"]
    (problem,) = worker.plan(backend="networkd").planned.plan.problems
    assert (problem.severity, problem.code) == ("warning", "also-configured")
    assert problem.message == (
        f'node "worker-1": {FILE}:1 makes 10.200.1.0/24 via 192.168.8.21 dev ens18 at every boot, too; podroutes leaves it there'
    )


def test_a_file_of_ours_gives_up_what_the_administrator_writes_down_later(worker):
    worker.apply(backend="networkd")
    assert written(worker) == ["10.200.1.0/24", "10.200.2.0/24"]
    worker.write(FILE, ONE % "192.168.8.21")
    worker.apply()
    assert written(worker) == ["10.200.2.0/24"]
    assert not worker.plan().planned.plan.pending
    worker.root.path(FILE).unlink()
    worker.apply()
    assert written(worker) == ["10.200.1.0/24", "10.200.2.0/24"]


def test_another_next_hop_in_the_administrators_file_is_an_error_that_names_the_line(worker):
    worker.write(FILE, ONE % "192.168.8.99")
    worker.apply(backend="networkd")
    assert written(worker) == ["10.200.2.0/24"], "the other routes are kept"
    assert told(worker, backend="networkd") == [
        f"error configured-differently 10.200.1.0/24: take that line out of {FILE}:1, then run it again"
    ]
    assert len(worker.table()) == 2, "and both stand in the kernel"


def test_two_lines_for_one_destination_are_wrong_when_one_of_them_is(worker):
    both = "network: {ethernets: {ens18: {routes: [{to: 10.200.1.0/24, via: 192.168.8.21}, {to: 10.200.1.0/24, via: 192.168.8.9}]}}}\n"
    worker.write(FILE, both)
    assert [line.split(":")[0] for line in told(worker, backend="networkd")] == [
        "error configured-differently 10.200.1.0/24"
    ]


def test_the_tutorials_machine_is_left_as_it_is_and_nobody_is_sent_to_adopt(worker):
    worker.write(FILE, TYPED.replace("        metric: 50\n", ""))
    worker.kernel.routes += STATIC
    for request in ({}, {"adopt": True}, {"backend": "auto"}, {"backend": "auto", "adopt": True}):
        machine_plan = worker.plan(**request)
        assert not machine_plan.planned.plan.pending, request
        fixes = [each.advice for each in machine_plan.planned.plan.problems if each.code == "foreign-route"]
        assert all("makes this route at every boot" in fix for fix in fixes), request
    assert (
        worker.plan(backend="auto").why == f"{FILE} keeps every route that is wanted, so that there is nothing to write"
    )


def test_routes_that_were_typed_by_hand_are_taken_over_and_kept(worker):
    worker.kernel.routes += STATIC
    with pytest.raises(PersistError, match=r"2 wanted are somebody else's; `podroutes apply --adopt --persist auto`"):
        worker.plan(backend="auto")
    worker.apply(backend="auto", adopt=True)
    assert written(worker) == ["10.200.1.0/24", "10.200.2.0/24"]
    assert all("proto 107" in line for line in worker.table())


def test_a_foreign_route_that_leads_elsewhere_is_traced_to_its_line(worker):
    worker.write(FILE, ONE % "192.168.8.99")
    worker.kernel.routes.append(route("10.200.1.0/24 via 192.168.8.99 dev ens18 proto static"))
    assert told(worker) == [
        f"error foreign-route 10.200.1.0/24: take 10.200.1.0/24 via 192.168.8.99 dev ens18 out of {FILE}:1, and delete the route"
    ]


def test_a_node_that_moves_is_not_kept_by_the_old_line(worker):
    """The kernel follows the inventory; the file is named, since it brings the old next hop back at the next boot."""
    worker.write(FILE, ONE % "192.168.8.21")
    worker.apply(backend="networkd")
    moved = cluster(
        "worker-0 192.168.8.20 10.200.0.0/24",
        "worker-1 192.168.8.31 10.200.1.0/24",
        "worker-2 192.168.8.22 10.200.2.0/24",
    )
    worker.apply(moved, backend="networkd")
    assert "10.200.1.0/24 via 192.168.8.31 proto 107" in worker.table()
    assert [line.split(":")[0] for line in told(worker, moved, backend="networkd")] == [
        "error configured-differently 10.200.1.0/24"
    ]


def test_remove_says_what_the_administrators_file_will_make_again(worker):
    worker.write(FILE, ONE % "192.168.8.21")
    gone = [Change("delete", each) for each in self_routes()]
    lines = configured_routes(worker.root, (each.route.dst for each in gone)).routes
    (problem,) = left_behind(gone, lines)
    assert problem.message == (
        f"{FILE}:1 makes 10.200.1.0/24 via 192.168.8.21 dev ens18: it is gone until the network manager reads its files again"
    )


def test_show_knows_that_a_line_of_the_administrator_brings_a_route_back(worker):
    worker.apply()
    worker.write(FILE, ONE % "192.168.8.21")
    planned = worker.plan().planned
    entries = survey(planned, worker.kernel.snapshot(), OwnedRoutes(), configured_overlap(worker.root, planned).same)
    assert [(str(each.route.dst), each.state, each.lasts) for each in entries] == [
        ("10.200.1.0/24", "ok", True),
        ("10.200.2.0/24", "ok", False),
    ]


def test_moving_over_takes_the_lines_out_and_keeps_a_copy(worker):
    text = TYPED.replace("        metric: 50\n", "")
    worker.write(FILE, text)
    worker.kernel.routes += STATIC
    offered = worker.plan(backend="networkd", adopt=True).offered
    plan = worker.plan(backend="networkd", adopt=True, edit=True).planned.plan
    assert [(each.action, each.file.path) for each in plan.files][-1] == ("edit", FILE)
    assert offered == plan.files[-1:], "what is offered is what would be done"
    worker.apply(backend="networkd", adopt=True, edit=True)
    assert written(worker) == ["10.200.1.0/24", "10.200.2.0/24"]
    assert all("proto 107" in line for line in worker.table())
    assert "10.200." not in worker.root.read(FILE).replace("to: 10.200.1.0/24, via: 192.168.8.99, table: 100", "")
    assert worker.root.read("/etc/netplan/.00-installer-config.yaml.before-podroutes") == text
    assert not worker.plan().planned.plan.pending
    assert not worker.plan().planned.plan.problems


def test_a_file_that_changes_while_it_is_edited_is_left_alone(worker):
    worker.write(FILE, ONE % "192.168.8.21")
    plan = worker.plan(backend="networkd", adopt=True, edit=True).planned.plan
    worker.write(FILE, ONE % "192.168.8.22")
    assert "was changed meanwhile; run it again" in failures(worker.root, plan.files)
    assert worker.root.read(FILE) == ONE % "192.168.8.22"


def test_an_edit_is_taken_back_whole(worker):
    worker.write(FILE, ONE % "192.168.8.21")
    plan = worker.plan(backend="networkd", adopt=True, edit=True).planned.plan
    assert not failures(worker.root, plan.files)
    apply_files.undo(worker.root, plan.files, {})
    assert worker.root.read(FILE) == ONE % "192.168.8.21"
    assert find(worker.root).backends == ()


def test_where_our_file_cannot_be_written_the_lines_stay(worker):
    worker.write(FILE, ONE % "192.168.8.21")
    plan = worker.plan(backend="networkd", adopt=True, edit=True).planned.plan
    ours = next(change.file.path for change in plan.files if change.backend == "networkd")
    worker.write(ours.rpartition("/")[0], "a file in the place of the directory\n")
    assert len(failures(worker.root, plan.files)) == len(plan.files)
    assert worker.root.read(FILE) == ONE % "192.168.8.21"


def test_where_a_line_cannot_be_taken_out_nothing_of_ours_stays_beside_it(worker):
    worker.write(FILE, ONE % "192.168.8.21")
    plan = worker.plan(backend="networkd", adopt=True, edit=True).planned.plan
    worker.write(FILE, (ONE % "192.168.8.21") + "# edited meanwhile\n")
    assert "was changed meanwhile; run it again" in failures(worker.root, plan.files)
    assert find(worker.root).backends == ()
