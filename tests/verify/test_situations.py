"""One thing is changed in a healthy cluster, packets are sent, and the verdict is held to what became of them.

A pair that loses every packet is never proven; one whose packets arrive is never unreachable. What the tables cannot show is *cannot tell*.
"""

from typing import NamedTuple

import pytest

from podroutes.host import TablesError
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.proof import Proof
from podroutes.plan.claims import examine
from podroutes.verify.network import Network
from podroutes.verify.proof import prove
from podroutes.verify.trace import trace
from verify.field import Field, Shape, cidr, pods

HALF = "link add docker0 type bridge forward_delay 0; n1: link set docker0 up; n1: link add dv0 type veth peer name dv1; n1: link set dv0 master docker0 up; n1: link set dv1 up"


class Situation(NamedTuple):
    """What is changed, whether the packets of pods on n0 to the pod on n1 still arrive, and which tables are not collected."""

    change: str
    arrives: bool
    version: int = 4
    subnets: tuple[int, ...] = (8, 8, 8)
    left_out: tuple[str, ...] = ()
    source: int = 0
    target: int = 1


SITUATIONS = {
    # Nothing arrives.
    "the owner has a local route to its own pod CIDR": Situation(
        "n1: route add local 10.200.1.0/24 dev lo", arrives=False
    ),
    "the owner has an address with a prefix on lo": Situation("n1: addr add 10.200.1.9/25 dev lo", arrives=False),
    "two bridges have the owner's pod CIDR": Situation(
        f"n1: {HALF}; n1: addr del 10.200.1.1/24 dev cni0; n1: addr add 10.200.1.1/24 dev docker0; n1: addr add 10.200.1.1/24 dev cni0",
        arrives=False,
    ),
    "half of the pod CIDR leaves by another device": Situation(
        f"n1: {HALF}; n1: route add 10.200.1.0/25 dev docker0", arrives=False
    ),
    "the owner's own address is on a bridge port": Situation(
        "n1: link add br9 type bridge forward_delay 0; n1: link set br9 up; n1: link set eth0 master br9", arrives=False
    ),
    "a part of the sources goes back another way under strict reverse path": Situation(
        "n1: route add 10.200.0.2/32 via 192.168.8.1; n1: sysctl ipv4/conf/eth0/rp_filter 1; r0: route del 10.200.0.0/24",
        arrives=False,
    ),
    "the source's bridge is down": Situation("n1: link set cni0 down", arrives=False, source=1, target=0),
    "the rule of table local comes behind that of main": Situation(
        "n0: -6 rule add pref 40000 lookup local; n0: -6 rule del pref 0", arrives=False, version=6
    ),
    "equal subnets on two wires": Situation("sw: link set n1eth0 master br1", arrives=False),
    "the owner does not forward and was not collected": Situation(
        "n1: sysctl ipv4/ip_forward 0", arrives=False, left_out=("n1",)
    ),
    "the owner does not forward": Situation("n1: sysctl ipv4/ip_forward 0", arrives=False),
    "a blackhole at the owner": Situation(
        "n1: route replace blackhole 10.200.0.0/24; n1: sysctl ipv4/conf/eth0/rp_filter 2", arrives=False
    ),
    "the next hop is an address of a tunnel whose other end is gone": Situation(
        "n0: link add vx0 type vxlan id 7 dstport 4789 local 192.168.8.20 remote 192.168.8.77 dev eth0; n0: link set vx0 up; "
        "n0: addr add 10.99.0.1/24 dev vx0; n1: link add vx0 type vxlan id 7 dstport 4789 local 192.168.8.21 remote 192.168.8.20 dev eth0; "
        "n1: link set vx0 up; n1: addr add 10.99.0.2/24 dev vx0; n0: route replace 10.200.1.0/24 via 10.99.0.2",
        arrives=False,
    ),
    "the InternalIP is on lo and the uplink does not forward": Situation(
        "n0: addr del fd00:8::14/64 dev eth0; n0: addr add fd00:8::99/64 dev eth0 nodad; n0: addr add fd00:8::14/128 dev lo nodad; "
        "n0: sysctl ipv6/conf/all/forwarding 0",
        arrives=False,
        version=6,
    ),
    # Everything arrives.
    "nothing is changed": Situation("", arrives=True),
    "nothing is changed in IPv6": Situation("", arrives=True, version=6),
    "a rule is for other sources": Situation("n1: rule add pref 100 from 172.16.0.0/12 lookup 100", arrives=True),
    "a rule is for the own pods": Situation("n1: rule add pref 100 from 10.200.1.0/24 lookup main", arrives=True),
    "a rule is for the uplink": Situation("n1: rule add pref 100 iif eth0 lookup main", arrives=True),
    "the default route leads to a router that was not collected": Situation(
        "n0: route del 10.200.1.0/24", arrives=True
    ),
    "the node is in another subnet behind a router that was not collected": Situation("", arrives=True, subnets=(8, 9)),
    "a detour by another node": Situation("n0: route replace 10.200.1.0/24 via 192.168.8.22", arrives=True),
    "the next hop's address is also on the sender's lo": Situation("n0: addr add 192.168.8.21/32 dev lo", arrives=True),
    "a route of other traffic class": Situation("n1: route add 10.201.0.0/24 tos 0x28 via 192.168.8.20", arrives=True),
    "devices forward without the machine doing so": Situation(
        "n0: sysctl ipv6/conf/all/forwarding 0; n0: sysctl ipv6/conf/eth0/force_forwarding 1; n0: sysctl ipv6/conf/cni0/force_forwarding 1",
        arrives=True,
        version=6,
    ),
    "the rule of table main is deleted in IPv6": Situation("n0: -6 rule del pref 32766", arrives=True, version=6),
}
WRONG_TODAY = {
    "equal subnets on two wires": "machines with equal subnets are taken to be on one wire, which tables cannot show",
}


@pytest.fixture
def site(bare):
    """Make clusters with a router that nobody collects the tables of; they go with the test."""
    made = []

    def make(situation: Situation) -> Field:
        lans = {f"n{index}": (subnet,) for index, subnet in enumerate(situation.subnets)}
        field = Field(Shape(lans, router=True), situation.version)
        made.append(field)
        field.hidden.add("r0")
        field.do(filter(None, map(str.strip, situation.change.split(";"))))
        return field

    yield make
    for each in made:
        each.__exit__()


def arrives(field: Field, source: int, target: int) -> bool:
    """Whether packets of a pod get to the other pod, and back."""
    found = field.packets(tries=6)

    def came(one: int, other: int) -> bool:
        sent = found[f"n{one}", parse_prefix(cidr(other, field.version))]
        ends = parse_address(pods(one, field.version)[0]), parse_address(pods(other, field.version)[0])
        return any(arrived for src, dst, arrived in sent if (src, dst) == ends)

    return came(source, target) and came(target, source)


def proof_of(field: Field, *left_out: str) -> Proof:
    field.hidden.update(left_out)
    return field.prove()


def severities(verdict: Proof, source: str, target: str) -> set[str]:
    """Return how bad the findings about one pair are."""
    return {
        finding.cause.severity
        for finding in verdict.findings
        for block in finding.blocks
        if source in block.sources and target in map(str, block.destinations)
    }


def marked(name: str) -> object:
    mark = pytest.mark.xfail(strict=True, raises=(AssertionError, TablesError), reason=WRONG_TODAY.get(name, ""))
    return pytest.param(name, marks=[mark] if name in WRONG_TODAY else [])


@pytest.mark.parametrize("name", list(SITUATIONS))
def test_packets_do_what_the_situation_says(site, name):
    situation = SITUATIONS[name]
    assert arrives(site(situation), situation.source, situation.target) is situation.arrives


@pytest.mark.parametrize("name", list(map(marked, SITUATIONS)))
def test_the_verdict_is_what_packets_do(site, name):
    situation = SITUATIONS[name]
    made = site(situation)
    verdict = proof_of(made, *situation.left_out)
    target = str(made.inventory.nodes[situation.target].pod_cidrs[0])
    bad = severities(verdict, f"n{situation.source}", target)
    if situation.arrives:
        assert "unreachable" not in bad
    else:
        back = severities(verdict, f"n{situation.target}", str(made.inventory.nodes[situation.source].pod_cidrs[0]))
        assert (bad | back) & {"unreachable", "cannot-tell"}, "an answer takes both directions"
        assert not verdict.proven


def test_without_sysctls_forwarding_cannot_be_told(site):
    made = site(Situation("", arrives=True))
    hosts = [host._replace(sysctls={}) for host in made.read()]
    assert not prove(Network(hosts, made.inventory), examine(made.inventory)).proven


def test_one_fault_is_one_finding(site):
    made = site(SITUATIONS["a blackhole at the owner"])
    codes = [finding.cause.code for finding in proof_of(made).findings]
    assert codes == ["route-refuses"]


def test_trace_and_verify_agree_about_a_detour(site):
    made = site(SITUATIONS["a detour by another node"])
    network = Network(made.read(), made.inventory)
    found = trace(network, examine(made.inventory), pods(0, 4)[0], pods(1, 4)[0])
    assert found.cause is not None
    assert (found.cause.code, found.cause.severity) == ("detour", "warning")
