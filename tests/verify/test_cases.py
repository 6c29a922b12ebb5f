"""What happens to real packets in clusters with one thing done to them, and the one verdict that is right about it.

``lost`` names the pairs that lose packets; all others have to get every one. Where it cannot be known from tables it says so.
"""

from typing import NamedTuple

import pytest

from podroutes.host import TablesError
from podroutes.model.address import parse_prefix
from verify.field import APART, BESIDE, MIXED, SAME, THREE, TWO, Field, Shape, cidr, verdict

DOCKER = (
    "link add docker0 type bridge forward_delay 0",
    "link set docker0 up",
    "link add dv0 type veth peer name dv1",
    "link set dv0 master docker0 up",
    "link set dv1 up",
)


class Case(NamedTuple):
    """CHANGES to a healthy cluster; ``says`` has the verdict of each pair that is not to be proven, with its cause."""

    version: int
    shape: Shape
    changes: tuple[str, ...]
    lost: tuple[str, ...]
    says: dict[str, str]


def on(name: str, *lines: str) -> tuple[str, ...]:
    return tuple(f"{name}: {line}" for line in lines)


FALSE_PROOFS = {
    "a local route swallows the pod CIDR at its owner": Case(
        4,
        TWO,
        on("n1", "route add local 10.200.1.0/24 dev lo"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "unreachable taken-locally", "n1 n0": "unreachable taken-locally"},
    ),
    "an address with a prefix on lo swallows half of the pod CIDR": Case(
        4,
        TWO,
        on("n1", "addr add 10.200.1.9/25 dev lo"),
        ("n0 n1",),
        {"n0 n1": "unreachable taken-locally", "n1 n0": "cannot-tell martian-source"},  # a pod with 10.200.1.9, if any
    ),
    "a second bridge has the same pod CIDR, and its route decides": Case(
        4,
        TWO,
        on("n1", *DOCKER, "addr del 10.200.1.1/24 dev cni0")
        + on("n1", "addr add 10.200.1.1/24 dev docker0", "addr add 10.200.1.1/24 dev cni0"),
        ("n0 n1",),
        {"n0 n1": "unreachable wrong-pod-device"},
    ),
    "the owner has half of its pods on another bridge": Case(
        4,
        TWO,
        on("n1", *DOCKER, "route add 10.200.1.128/25 dev docker0"),
        ("n0 n1",),
        {"n0 n1": "unreachable stolen-part"},
    ),
    "the owner has half of its pods on a device without carrier": Case(
        4,
        TWO,
        on("n1", "link add dv0 type veth peer name dv1", "link set dv0 up", "route add 10.200.1.128/25 dev dv0"),
        ("n0 n1",),
        {"n0 n1": "unreachable stolen-part"},
    ),
    "the bridge of the pods has no port": Case(
        4,
        TWO,
        on(
            "n1",
            "link set pod0 nomaster",
            "link add br9 type bridge",
            "link set br9 up",
            "addr del 10.200.1.1/24 dev cni0",
        )
        + on("n1", "addr add 10.200.1.1/24 dev br9"),
        ("n0 n1",),
        {"n0 n1": "cannot-tell no-pod-device", "n1 n0": "cannot-tell no-pod-device"},
    ),
    "the address stays on a device that became a port of a bridge": Case(
        4,
        TWO,
        on("n1", "link add br9 type bridge forward_delay 0", "link set br9 up", "link set eth0 master br9"),
        ("n1 n0",),
        {"n1 n0": "unreachable bridge-port"},
    ),
    "the sysctls of a node that does not forward were not collected": Case(
        4,
        TWO,
        ("n1: sysctl ipv4/ip_forward 0", "sysctls of n0 not collected", "sysctls of n1 not collected"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "cannot-tell sysctls-not-seen", "n1 n0": "cannot-tell sysctls-not-seen"},
    ),
    "the tables of an owner that does not forward were not collected": Case(
        4,
        THREE,
        ("n1: sysctl ipv4/ip_forward 0", "tables of n1 not collected"),
        ("n0 n1", "n2 n1", "n1 n0", "n1 n2"),
        dict.fromkeys(("n0 n1", "n2 n1", "n1 n0", "n1 n2"), "cannot-tell tables-not-seen"),
    ),
    "the InternalIP is on lo, where nobody on the wire finds it": Case(
        6,
        TWO,
        on("n0", "addr del fd00:8::14/64 dev eth0", "addr add fd00:8::14/128 dev lo nodad"),
        ("n1 n0",),
        {"n1 n0": "unreachable no-neighbour"},
    ),
    "the pod CIDR is routed to the owner's second network": Case(
        4,
        Shape({"n0": (8, 9), "n1": (8, 9)}),
        on("n0", "addr del 10.200.0.1/24 dev cni0", "route add 10.200.0.0/24 dev eth1"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "cannot-tell cannot-tell", "n1 n0": "cannot-tell cannot-tell"},
    ),
    "the uplink is a port of the pods' bridge, and the sender's pods are multicast to it": Case(
        4,
        TWO,
        on("n1", "link set eth0 master cni0", "route prepend multicast 10.200.0.0/24 dev eth0"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "cannot-tell cannot-tell", "n1 n0": "cannot-tell cannot-tell"},
    ),
    "table local is empty": Case(
        6,
        TWO,
        on("n0", "route flush table local"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "unreachable no-neighbour", "n1 n0": "unreachable no-neighbour"},
    ),
    "a neighbour entry names another machine": Case(
        4,
        THREE,
        (
            "n2: link set eth0 address 02:00:00:00:00:77",
            "n2: sysctl ipv4/ip_forward 0",
            "n0: neigh add 192.168.8.21 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
        ),
        ("n0 n1", "n0 n2", "n1 n2", "n2 n0", "n2 n1"),
        {
            "n0 n1": "unreachable wrong-next-hop",
            **dict.fromkeys(("n0 n2", "n1 n2", "n2 n0", "n2 n1"), "unreachable forwarding-off"),
        },
    ),
    "a bridge has the CIDR of pods with routes of their own": Case(
        4,
        Shape({"n0": (8,), "n1": (8,)}, routed=frozenset({"n0"})),
        on(
            "n0",
            "link add br9 type bridge forward_delay 0 mcast_snooping 0",
            "link set br9 up",
            "link set eth0 master br9",
            "route add 10.200.0.0/24 dev br9",
        ),
        ("n0 n1",),
        {"n0 n1": "unreachable bridge-port", "n1 n0": "cannot-tell wrong-pod-device"},
    ),
    "a neighbour entry without a state names nobody": Case(
        4,
        TWO,
        on("n0", "neigh add 192.168.8.21 lladdr 02:00:00:00:00:99 dev eth0 nud noarp"),
        ("n0 n1",),
        {"n0 n1": "cannot-tell cannot-tell"},
    ),
    "a port of the pods' bridge answers for others": Case(
        6,
        TWO,
        on("n1", "link set pod0 type bridge_slave neigh_suppress on proxy_arp on"),
        ("n0 n1",),
        {"n0 n1": "cannot-tell cannot-tell", "n1 n0": "cannot-tell cannot-tell"},
    ),
    "a neighbour entry names nobody": Case(
        6,
        TWO,
        on("n0", "neigh add fd00:8::15 lladdr 02:00:00:00:00:99 dev eth0 nud permanent"),
        ("n0 n1",),
        {"n0 n1": "cannot-tell cannot-tell"},
    ),
    "the InternalIP is on lo with its network, and eth0 does not forward": Case(
        4,
        TWO,
        on(
            "n1",
            "addr del 192.168.8.21/24 dev eth0",
            "addr add 192.168.8.121/24 dev eth0",
            "route add 10.200.0.0/24 via 192.168.8.20 proto 107",
            "addr add 192.168.8.21/24 dev lo",
            "sysctl ipv4/conf/eth0/forwarding 0",
        ),
        ("n0 n1",),
        {"n0 n1": "unreachable forwarding-off"},
    ),
    "strict reverse path filtering drops what some pods of the source send": Case(
        4,
        BESIDE,
        on("n1", "route add 10.200.0.130/32 via 192.168.9.1", "sysctl ipv4/conf/eth0/rp_filter 1"),
        ("n0 n1",),
        {"n0 n1": "cannot-tell reverse-path"},
    ),
    "a machine on the way has the address of one of the source's pods": Case(
        4,
        TWO,
        on("n1", "addr add 10.200.0.130/32 dev lo"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "cannot-tell martian-source", "n1 n0": "unreachable stolen-part"},
    ),
    "a rule that hides the pods' device from the machine itself, and one that refuses what comes in by it": Case(
        4,
        TWO,
        on(
            "n1",
            "route add 10.200.1.0/24 via 192.168.8.20 table 100",
            "rule add pref 90 iif lo to 10.200.1.0/24 lookup 100",
            "rule add pref 100 iif cni0 to 10.200.0.0/24 blackhole",
        ),
        ("n1 n0",),
        {"n1 n0": "unreachable route-refuses"},
    ),
    "the bridge of the source's pods is down": Case(
        4,
        THREE,
        on("n1", "link set cni0 down"),
        ("n0 n1", "n2 n1", "n1 n0", "n1 n2"),
        {
            "n0 n1": "unreachable no-pod-device",
            "n2 n1": "unreachable no-pod-device",
            "n1 n0": "unreachable link-down",
            "n1 n2": "unreachable link-down",
        },
    ),
    "table local stands behind main, so that nobody answers a neighbour solicitation": Case(
        6,
        TWO,
        on("n0", "-6 rule add pref 40000 lookup local", "-6 rule del pref 0"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "unreachable no-neighbour", "n1 n0": "cannot-tell cannot-tell"},
    ),
    "the sender has the next hop's address itself": Case(
        6,
        TWO,
        on("n0", "addr add fd00:8::15/128 dev eth0 nodad"),
        ("n0 n1",),
        {"n0 n1": "unreachable no-neighbour"},
    ),
    "a VXLAN device is not the wire that its addresses look like": Case(
        4,
        TWO,
        on(
            "n0",
            "link add vx0 type vxlan id 7 dstport 4789 local 192.168.8.20 remote 192.168.8.77 dev eth0",
            "link set vx0 up",
            "addr add 10.99.0.1/24 dev vx0",
        )
        + on(
            "n1",
            "link add vx0 type vxlan id 7 dstport 4789 local 192.168.8.21 remote 192.168.8.20 dev eth0",
            "link set vx0 up",
            "addr add 10.99.0.2/24 dev vx0",
        )
        + on("n0", "route replace 10.200.1.0/24 via 10.99.0.2"),
        ("n0 n1",),
        {"n0 n1": "cannot-tell cannot-tell"},
    ),
    "a tunnel chooses its peer by itself": Case(
        4,
        TWO,
        on("n0", "link add wg0 type vxlan external gpe dstport 4790 nolearning", "link set wg0 up")
        + on("n0", "addr add 10.99.0.1/24 dev wg0", "route replace 10.200.1.0/24 via 10.99.0.2")
        + on("n1", "link add wg0 type vxlan external gpe dstport 4790 nolearning", "link set wg0 up")
        + on("n1", "addr add 10.99.0.2/24 dev wg0"),
        ("n0 n1",),
        {"n0 n1": "cannot-tell cannot-tell"},
    ),
    "a device without ARP does not find its next hop": Case(
        4,
        TWO,
        on("n0", "link set eth0 arp off"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "cannot-tell cannot-tell", "n1 n0": "cannot-tell cannot-tell"},
    ),
    "the bridge of the source's pods does without ARP": Case(
        4,
        TWO,
        on("n0", "link set cni0 arp off"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "cannot-tell cannot-tell", "n1 n0": "cannot-tell cannot-tell"},
    ),
    "the InternalIP moves to the bridge of the pods without its network": Case(
        6,
        TWO,
        on(
            "n1",
            "addr add fd00:8::79/64 dev eth0 nodad",
            "addr del fd00:8::15/64 dev eth0",
            "addr add fd00:8::15/128 dev cni0 nodad",
            "route replace fd00:200::/64 via fd00:8::14 proto 107",
        ),
        ("n0 n1",),
        {"n0 n1": "unreachable no-neighbour"},
    ),
    "the owner has the asker's address and looks up every source": Case(
        4,
        TWO,
        on("n1", "addr add 192.168.8.20/32 dev lo", "rule add from 10.200.1.0/24 pref 50 blackhole"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "cannot-tell cannot-tell", "n1 n0": "unreachable route-refuses"},
    ),
    "the way leads over a bridge that nothing is attached to": Case(
        4,
        TWO,
        on(
            "n0",
            "link add br9 type bridge forward_delay 0",
            "link set br9 up",
            "addr add 192.168.8.120/25 dev br9",
            "route replace 10.200.1.0/24 via 192.168.8.21 dev br9",
        ),
        ("n0 n1",),
        {"n0 n1": "unreachable no-neighbour"},
    ),
    "a broadcast route to the machine's own network": Case(
        4,
        TWO,
        on("n0", "route add broadcast 192.168.8.0/25 dev eth0"),
        ("n0 n1",),
        {"n0 n1": "cannot-tell cannot-tell", "n1 n0": "cannot-tell cannot-tell"},
    ),
    "the pods are attached to a bridge that does not have their gateway": Case(
        6,
        TWO,
        on(
            "n1",
            "link add br9 type bridge forward_delay 0 mcast_snooping 0",
            "link set br9 up",
            "link set pod0 master br9",
            "addr add fd00:200:1::9/48 dev br9 nodad",
        ),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "unreachable link-down", "n1 n0": "cannot-tell no-neighbour"},
    ),
    "the pod CIDR is on a pair of devices that leads nowhere": Case(
        4,
        TWO,
        on(
            "n1",
            "link add dv0 type veth peer name dv1",
            "link set dv0 up",
            "link set dv1 up",
            "addr add 10.200.1.3/24 dev dv0",
            "addr del 10.200.1.1/24 dev cni0",
        ),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "cannot-tell no-pod-device", "n1 n0": "cannot-tell no-pod-device"},
    ),
    "a table that is looked up before main has a wider route": Case(
        4,
        TWO,
        on("n0", "rule add pref 100 lookup 100", "route add blackhole 10.200.0.0/15 table 100"),
        ("n0 n1", "n1 n0"),
        {"n0 n1": "unreachable rule-takes-pods", "n1 n0": "unreachable rule-takes-pods"},
    ),
    "table local has a wider route": Case(
        6,
        THREE,
        on("n1", "route add local fd00:200:2::/47 dev eth0"),
        ("n1 n2",),
        {"n1 n2": "unreachable no-route"},
    ),
}
FALSE_ALARMS = {
    "a rule that looks at sources that are no pods": Case(
        4, THREE, on("n1", "rule add pref 100 from 172.16.0.0/12 lookup 100"), (), {}
    ),
    "a rule for the pods' own sources": Case(
        4, TWO, on("n1", "rule add pref 100 from 10.200.1.0/24 lookup main"), (), {}
    ),
    "a rule for what comes in by a device": Case(4, THREE, on("n1", "rule add pref 100 iif eth0 lookup main"), (), {}),
    "packets go by the default route to a router that was not collected": Case(
        4,
        SAME,
        (*on("n0", "route del 10.200.1.0/24"), "tables of r0 not collected"),
        (),
        {"n0 n1": "cannot-tell no-route"},
    ),
    "packets into another network go by the default route to a router that was not collected": Case(
        4,
        APART,
        (*on("n0", "route del 10.200.1.0/24"), "tables of r0 not collected"),
        (),
        {"n0 n1": "cannot-tell no-route", "n1 n0": "cannot-tell unknown-gateway"},
    ),
    "a detour by another node, from where the next hop has two devices": Case(
        6,
        MIXED,
        on("n0", "route replace fd00:200:1::/64 via fd00:9::16 dev eth1 onlink")
        + on("n1", "link add eth1 type veth peer name w1", "link set w1 up", "link set eth1 up")
        + on("n1", "addr add fd00:8::15/64 dev eth1 nodad"),
        (),
        {},
    ),
    "force_forwarding forwards although conf.all does not": Case(
        6,
        TWO,
        on(
            "n0",
            "sysctl ipv6/conf/all/forwarding 0",
            "sysctl ipv6/conf/eth0/force_forwarding 1",
            "sysctl ipv6/conf/cni0/force_forwarding 1",
        ),
        (),
        {},
    ),
    "the IPv6 rule of table main is deleted, which has no effect until another one is added": Case(
        6,
        TWO,
        on("n0", "-6 rule del pref 32766"),
        (),
        {"n0 n1": "cannot-tell cannot-tell", "n1 n0": "cannot-tell cannot-tell"},
    ),
    "proxy ARP answers for the pods": Case(
        4,
        TWO,
        on("n0", "route replace 10.200.1.0/24 dev eth0") + on("n1", "sysctl ipv4/conf/eth0/proxy_arp 1"),
        (),
        {},
    ),
    "what a machine itself sends has a rule of its own": Case(
        4, TWO, on("n1", "rule add pref 100 iif lo unreachable"), (), {}
    ),
    "machines with /32 addresses and host routes": Case(
        4,
        TWO,
        on(
            "n0",
            "addr add 192.168.8.120/32 dev eth0",
            "addr del 192.168.8.20/24 dev eth0",
            "addr add 192.168.8.20/32 dev eth0",
            "addr del 192.168.8.120/32 dev eth0",
            "route add 192.168.8.21/32 dev eth0 scope link",
            "route replace 10.200.1.0/24 via 192.168.8.21 dev eth0 proto 107",
        )
        + on(
            "n1",
            "addr add 192.168.8.121/32 dev eth0",
            "addr del 192.168.8.21/24 dev eth0",
            "addr add 192.168.8.21/32 dev eth0",
            "addr del 192.168.8.121/32 dev eth0",
            "route add 192.168.8.20/32 dev eth0 scope link",
            "route replace 10.200.0.0/24 via 192.168.8.20 dev eth0 proto 107",
        ),
        (),
        {},
    ),
    "a route for a traffic class that ip(8) prints by name": Case(
        4, TWO, on("n1", "route add 10.201.0.0/24 tos 0x28 via 192.168.8.20"), (), {}
    ),
    "a host route for every pod, and a blackhole for the addresses of none": Case(
        4,
        TWO,
        on(
            "n1",
            "link set pod0 nomaster",
            "link del cni0",
            "addr add 10.200.1.1/32 dev pod0",
            "route add 10.200.1.2/32 dev pod0",
            "route add 10.200.1.130/32 dev pod0",
            "route add blackhole 10.200.1.0/24",
        ),
        (),
        {},
    ),
    "the sender has the next hop's IPv4 address itself": Case(
        4, TWO, on("n0", "addr add 192.168.8.21/32 dev lo"), (), {}
    ),
    "a next hop that answers nobody is known after it asked": Case(
        4, TWO, on("n1", "sysctl ipv4/conf/eth0/arp_ignore 8"), (), {"n0 n1": "cannot-tell cannot-tell"}
    ),
    "the owner leads a part of its pods to one of them": Case(
        4, TWO, on("n1", "route add 10.200.1.2/32 via 10.200.1.2 dev cni0"), (), {"n0 n1": "cannot-tell stolen-part"}
    ),
    "pods with routes of their own beside a bridge with their pod CIDR that nothing is attached to": Case(
        4,
        Shape({"n0": (8,), "n1": (8,)}, routed=frozenset({"n1"})),
        on("n1", "link add br9 type bridge", "link set br9 up", "route add 10.200.1.0/24 dev br9"),
        (),
        {},
    ),
    "a pod that comes in by another bridge than the one with its gateway": Case(
        4,
        TWO,
        on("n1", "link add br9 type bridge forward_delay 0", "link set br9 up", "link set pod0 master br9"),
        ("n0 n1",),
        {"n0 n1": "unreachable link-down", "n1 n0": "cannot-tell link-down"},
    ),
}


def cases(found: dict[str, Case]) -> list[object]:
    return [pytest.param(case, id=name) for name, case in found.items()]


def said(field: Field, pair: str) -> str:
    """Return the verdict about a pair with its first cause: ``unreachable no-route``, or ``proven``."""
    source, target = pair.split()
    found = verdict(field.prove().findings, source, parse_prefix(cidr(int(target[1:]), field.version)))
    worst = min(found, key=lambda finding: finding.cause.severity != "unreachable", default=None)
    return f"{worst.cause.severity} {worst.cause.code}" if worst else "proven"


def losing(field: Field, tries: int = 3) -> set[str]:
    """Return the pairs that lose packets, of which those that do not arrive are sent TRIES times."""
    return {
        f"{source} n{index}"
        for (source, target), sent in field.packets(tries).items()
        for index in range(len(field.shape.nodes))
        if target == parse_prefix(cidr(index, field.version)) and not all(came for _, _, came in sent)
    }


def held(case: Case) -> None:
    """Make the case, see that packets do what it says, and compare the verdicts."""
    with Field(case.shape, case.version) as field:
        field.do(case.changes)
        lost = losing(field)
        if lost - set(case.lost):  # the machine may be busy
            lost = losing(field, tries=12)
        if lost != set(case.lost):
            raise RuntimeError(f"packets are lost between {sorted(lost)}")
        pairs = [f"{one} {other}" for one in case.shape.nodes for other in case.shape.nodes if one != other]
        try:
            verdicts = {pair: answer for pair in pairs if (answer := said(field, pair)) != "proven"}
        except TablesError as error:
            raise AssertionError(str(error)) from None
    assert verdicts == case.says


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("case", cases(FALSE_PROOFS))
def test_what_loses_packets_is_never_proven(case: Case) -> None:
    held(case)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("case", cases(FALSE_ALARMS))
def test_what_works_is_never_unreachable(case: Case) -> None:
    held(case)
