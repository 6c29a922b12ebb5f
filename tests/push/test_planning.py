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


def persisted(*files: Remote, backend: str = "auto", adopt: bool = False, there: tuple[str, ...] = ()):
    """Return the plan of worker-0 whose routes shall last, with these FILES and the routes THERE."""
    nodes = cluster(*WORKERS)
    host = paper(nodes, {"worker_0": [*(f"-{node.pod_cidrs[0]}" for node in nodes.nodes[1:]), *there]})[0]
    request = PushRequest(nodes, examine(nodes), backend=backend, adopt=adopt, at=NOW)
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


def file(path: str, text: str, mode: int = 0o644) -> Remote:
    return Remote(path, mode, text.encode())


ROUTE = "10.200.1.0/24 via 192.168.8.21"
FOREIGN = f"{ROUTE} dev ens18 proto static"
LINK = file("/run/systemd/netif/links/2", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/20-lan.network\n")
DROP_IN = "/etc/systemd/network/20-lan.network.d/50-podroutes.conf"
YAML = "network:\n  ethernets:\n    ens18:\n      addresses: [192.168.8.20/24]\n"
LINES = {  # what an administrator wrote, for every reader
    "netplan": ("/etc/netplan/00-installer-config.yaml", YAML + "      routes:\n      - {to: 10.200.1.0/24, via: 192.168.8.21}\n"),
    "networkd": ("/etc/systemd/network/20-lan.network", "[Match]\nName=ens18\n[Route]\nDestination=10.200.1.0/24\nGateway=192.168.8.21\n"),
    "drop-in": ("/run/systemd/network/20-lan.network.d/a.conf", "[Route]\nDestination=10.200.1.0/24\nGateway=192.168.8.21\n"),
    "keyfile": ("/etc/NetworkManager/system-connections/lan.nmconnection", "[connection]\ninterface-name=ens18\n[ipv4]\nroute1=10.200.1.0/24,192.168.8.21\n"),
    "red hat": ("/etc/sysconfig/network-scripts/route-ens18", f"{ROUTE}\n"),
    "suse": ("/etc/sysconfig/network/ifroute-ens18", "10.200.1.0/24 192.168.8.21 - -\n"),
    "dhcpcd": ("/etc/dhcpcd.conf", "interface ens18\nstatic routes=10.200.1.0/24 192.168.8.21\n"),
    "unit": ("/etc/systemd/system/pods.service", f"[Service]\nExecStart=/sbin/ip route add {ROUTE}\n"),
    "cron": ("/etc/cron.d/pods", f"@reboot root ip route add {ROUTE}\n"),
    "rc.local": ("/etc/rc.local", f"#!/bin/sh\nip route add {ROUTE}\n"),
    "hook": ("/etc/dhcp/dhclient-exit-hooks.d/pods", f"ip route add {ROUTE}\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("adopt", [False, True])
def test_a_route_of_the_machines_administrator_is_not_made_twice(kind, adopt):
    path, text = LINES[kind]
    made = persisted(LINK, file(path, text, 0o755), adopt=adopt, there=(FOREIGN,))
    assert not made.changes
    assert not [each for each in made.files or () if "10.200.1.0" in each.file.text]


@pytest.mark.parametrize("kind", LINES)
def test_another_route_of_the_machines_administrator_is_named_and_ours_is_not_written_beside_it(kind):
    path, text = LINES[kind]
    stale = text.replace("192.168.8.21", "192.168.8.99")
    with pytest.raises(PersistError, match=f"{path}:[0-9]+ makes a route to 10.200.1.0/24 that is not as wanted"):
        persisted(LINK, file(path, stale, 0o755))


def test_a_script_that_a_unit_of_the_machine_calls_counts():
    unit = file("/etc/systemd/system/pods.service", "[Service]\nExecStart=/usr/local/sbin/pods\n")
    script = file("/usr/local/sbin/pods", f"#!/bin/sh\nip route add {ROUTE}\n", 0o755)
    assert not persisted(LINK, unit, script, there=(FOREIGN,)).files


def test_a_network_file_for_two_cards_of_the_machine_gets_nothing_of_ours():
    other = file("/run/systemd/netif/links/3", LINK.data.decode())
    with pytest.raises(PersistError, match=r"20-lan\.network is for .cni0. as well as for ens18"):
        persisted(LINK, other)


def test_a_netplan_id_for_two_cards_of_the_machine_gets_nothing_of_ours():
    text = 'network:\n  ethernets:\n    all:\n      match: {name: "[ec]n*"}\n      dhcp4: true\n'
    with pytest.raises(PersistError, match=r"netplan's ethernets\.all is for .cni0. as well as for .ens18."):
        persisted(file("/etc/netplan/01.yaml", text), backend="netplan")


def test_a_netplan_id_that_cloud_init_may_rename_on_the_machine_is_refused():
    yaml = file("/etc/netplan/50-cloud-init.yaml", YAML)
    with pytest.raises(
        PersistError, match=r"cloud-init writes /etc/netplan/50-cloud-init.yaml and may give ethernets.ens18 another"
    ):
        persisted(yaml, backend="netplan")
    disabled = file("/etc/cloud/cloud.cfg.d/99-network.cfg", "network: {config: disabled}\n")
    assert [each.file.path for each in persisted(yaml, disabled, backend="netplan").files or ()][:1] == [
        "/etc/netplan/90-podroutes.yaml"
    ]


def test_a_route_that_somebody_typed_on_the_machine_is_taken_over_and_written_down():
    with pytest.raises(PersistError, match=r"--adopt --persist auto"):
        persisted(LINK, there=(FOREIGN,))
    made = persisted(LINK, adopt=True, there=(FOREIGN,))
    assert [(change.action, str(change.route.dst)) for change in made.changes] == [("replace", "10.200.1.0/24")]
    assert [each.file.path for each in made.files or () if "10.200.1.0" in each.file.text] == [DROP_IN]
