"""The plan of another machine knows what that machine remembers and what it depends on, as podroutes there would."""

import pytest

from podroutes.errors import PersistError
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.saved_route import SavedRoute
from podroutes.persist import saved_routes
from podroutes.plan.claims import examine
from podroutes.push.planning import PushRequest, plan
from podroutes.push.responses import Remote, Seen
from support.notation import cluster
from verify.paper import paper

NOW = 1_790_000_000.0
WORKERS = ("worker-0 192.168.8.20 10.200.0.0/24", "worker-1 192.168.8.21 10.200.1.0/24")
RIVAL = "rival 192.168.8.29 10.200.1.0/24"
STATE = "/var/lib/podroutes/routes.json"


def planned(nodes, *files: Remote, session: str = ""):
    """Return the additions on worker-0, which has lost its routes, and the codes of the problems."""
    host = paper(nodes, {"worker_0": [f"-{node.pod_cidrs[0]}" for node in nodes.nodes[1:]]})[0]
    request = PushRequest(nodes, examine(nodes), at=NOW)
    made = plan(request, nodes.nodes[0], Seen(0, host, files, session)).plan
    return [f"{change.route.dst} via {change.route.via}" for change in made.changes], [
        each.code for each in made.problems
    ]


def saved(tmp_path) -> Remote:
    """Return the file in which worker-0 remembers that 10.200.1.0/24 was worker-1's."""
    route = SavedRoute(parse_prefix("10.200.1.0/24"), parse_address("192.168.8.21"), "ens18", "worker-1", seen=NOW)
    saved_routes.save(tmp_path, "worker-0", [route], NOW)
    return Remote(STATE, 0o644, (tmp_path / saved_routes.NAME).read_bytes())


def test_of_two_claims_in_a_file_neither_is_routed_where_nothing_was_in_place():
    added, codes = planned(cluster(*WORKERS, RIVAL))
    assert (added, "duplicate-pod-cidr" in codes) == ([], True)


def test_what_was_saved_on_the_machine_decides_there(tmp_path):
    added, _ = planned(cluster(*WORKERS, RIVAL), saved(tmp_path))
    assert added == ["10.200.1.0/24 via 192.168.8.21"]


def test_the_address_that_the_machine_is_reached_from_is_not_routed_away():
    nodes = cluster(WORKERS[0], "worker-1 192.168.8.21 203.0.113.0/24")
    assert planned(nodes)[0] == ["203.0.113.0/24 via 192.168.8.21"]
    added, codes = planned(nodes, session="203.0.113.7 50022 192.168.8.20 22")
    assert (added, "pod-cidr-covers-dependency" in codes) == ([], True)


def test_a_name_server_of_the_machine_is_not_routed_away():
    nodes = cluster(WORKERS[0], "worker-1 192.168.8.21 203.0.113.0/24")
    added, codes = planned(nodes, Remote("/etc/resolv.conf", 0o644, b"nameserver 203.0.113.53\n"))
    assert (added, "pod-cidr-covers-dependency" in codes) == ([], True)


STANZA = b"iface ens18 inet static\n  address 192.168.8.20/24\n"
IFSTATE = Remote("/run/network/ifstate", 0o644, b"ens18=ens18\n")


def persisted(*files: Remote):
    """Return the plan of worker-0 whose routes shall last, with these FILES there."""
    nodes = cluster(*WORKERS)
    host = paper(nodes, {"worker_0": [f"-{node.pod_cidrs[0]}" for node in nodes.nodes[1:]]})[0]
    request = PushRequest(nodes, examine(nodes), backend="auto", at=NOW)
    return plan(request, nodes.nodes[0], Seen(0, host, files)).plan


def interfaces(text: bytes) -> Remote:
    return Remote("/etc/network/interfaces", 0o644, text)


def test_what_a_boot_of_the_machine_would_not_carry_out_is_said():
    made = persisted(IFSTATE, interfaces(b"auto ens18\n" + STANZA))
    assert [change.file.path for change in made.files or ()][:1] == ["/etc/network/if-up.d/podroutes"]
    assert "not-persistent" not in [each.code for each in made.problems]
    said = [each.message for each in persisted(IFSTATE, interfaces(STANZA)).problems if each.code == "not-persistent"]
    assert len(said) == 1
    assert "no `auto ens18`" in said[0]


def test_a_script_of_the_machine_that_may_make_the_routes_is_named():
    loop = b"for i in 1 2; do ip route add 10.200.$i.0/24 via 192.168.8.2$i; done\n"
    script = Remote("/etc/network/if-up.d/pods", 0o755, b"#!/bin/sh\n" + loop)
    with pytest.raises(PersistError, match=r"^/etc/network/if-up\.d/pods:2 may make these routes as well"):
        persisted(IFSTATE, interfaces(b"auto ens18\n" + STANZA), script)


def test_lines_of_the_machines_administrator_keep_the_route_whatever_their_stanza():
    line = b"auto lo\niface lo inet loopback\n  up ip route add 10.200.1.0/24 via 192.168.8.21\n"
    made = persisted(IFSTATE, interfaces(b"auto ens18\n" + STANZA + line))
    assert [change for change in made.files or () if "10.200.1.0" in change.file.text] == []
