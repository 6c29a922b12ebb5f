"""Every cause of the proof: made on real machines, found, cured by the fix as it is printed, verified again, and packets arrive.

A row makes one fault in a healthy cluster. The commands of the finding's fix are typed on the machine that it names, ``podroutes apply``
with its inventory. Where a fix has words alone, the row does by hand what they say.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from podroutes.model.address import parse_prefix
from podroutes.model.proof import CAUSES, Finding, Proof
from podroutes.plan.claims import examine
from podroutes.verify.network import Network
from podroutes.verify.proof import prove
from verify.field import Field, Shape, cidr

DOCKER = "n1: link add docker0 type bridge forward_delay 0; n1: link set docker0 up; n1: link add dv0 type veth peer name dv1; n1: link set dv0 master docker0 up; n1: link set dv1 up"


SECOND = "sw: link add n1eth1 master br0 up type veth peer name eth1 netns {n1}; n1: link set eth1 up; n1: addr add 192.168.8.121/24 dev eth1"


class Row(NamedTuple):
    """CHANGE makes the fault; HAND is what the words of the fix say, "" where its commands are typed; AFTER what is left to others.

    What is HIDDEN (sysctls) or LEFT_OUT (machines) was not collected at first: to collect it is the cure.
    """

    change: str
    hand: str = ""
    after: str = ""
    version: int = 4
    subnets: tuple[int, ...] = (8, 8, 8)
    left_out: tuple[str, ...] = ()
    read: tuple[str, ...] = ()  # machines that are no nodes, whose tables are collected
    hidden: str = ""


ROWS: dict[str, list[Row]] = {
    "asymmetric-path": [
        Row(f"{SECOND}; n1: route replace 10.200.0.0/24 via 192.168.8.20 dev eth1", hidden="rp_filter")
    ],
    "bridge-port": [
        Row(
            "n1: link add br9 type bridge forward_delay 0 mcast_snooping 0; n1: link set br9 up; n1: link set eth0 master br9"
        ),
    ],
    "cannot-tell": [
        Row(
            "n0: rule add pref 100 ipproto tcp lookup 100; n0: route add blackhole default table 100",
            "n0: rule del pref 100",
        ),
    ],
    "detour": [
        Row("n0: route replace 10.200.1.0/24 via 192.168.8.22 proto 107"),
        Row("n0: route del 10.200.1.0/24; n0: route add 10.200.1.0/24 via 192.168.8.22 proto static"),
        Row("n0: route add 10.200.1.0/25 via 192.168.8.22 proto static"),
        Row(
            "n1: addr del 192.168.8.21/24 dev eth0; n1: addr add 192.168.8.31/24 dev eth0; n2: addr add 192.168.8.21/24 dev eth0; "
            "n2: route replace 10.200.1.0/24 via 192.168.8.31; n1: route add 10.200.0.0/24 via 192.168.8.20; n1: route add 10.200.2.0/24 via 192.168.8.22",
            "n2: addr del 192.168.8.21/24 dev eth0; n1: addr add 192.168.8.21/24 dev eth0; n2: route replace 10.200.1.0/24 via 192.168.8.21; "
            "n0: neigh flush dev eth0",
        ),
    ],
    "forwarding-off": [
        Row("n1: sysctl ipv4/ip_forward 0"),
        Row("n1: sysctl ipv4/conf/eth0/forwarding 0"),
        Row("n1: sysctl ipv6/conf/all/forwarding 0", version=6),
    ],
    "link-down": [Row("n1: link set cni0 down"), Row("sw: link set n1eth0 down", hand="sw: link set n1eth0 up")],
    "martian-source": [Row("n1: addr add 10.200.0.130/32 dev cni0")],
    "no-neighbour": [
        Row("n0: -6 rule add pref 40000 lookup local; n0: -6 rule del pref 0", version=6),
        Row("n1: sysctl ipv4/conf/all/arp_ignore 8", hand="n1: sysctl ipv4/conf/all/arp_ignore 0"),
    ],
    "no-pod-device": [
        Row(
            "n1: link del cni0",
            "n1: link add cni0 type bridge mcast_snooping 0; n1: link set cni0 up; n1: addr add 10.200.1.1/24 dev cni0; n1: link set pod0 master cni0",
        ),
    ],
    "no-route": [
        Row("n0: route del 10.200.1.0/24; n0: route del default"),
        Row("n0: route del 10.200.1.0/24; n0: route del default; n0: route add unreachable 10.0.0.0/8"),
        Row(
            "n0: sysctl ipv6/conf/eth0/disable_ipv6 1",
            after="n0: -6 addr add fd00:8::14/64 dev eth0 nodad; n0: apply",
            version=6,
        ),
        Row(
            "n0: route del 10.200.1.0/24; n0: route del default; n1: route del 10.200.0.0/24; n1: route del default",
            hand="n0: route add default via 192.168.8.1; n1: route add default via 192.168.9.1",
            subnets=(8, 9),
            read=("r0",),
        ),
        Row(
            "r0: route del 10.200.1.0/24",
            subnets=(8, 9),
            read=("r0",),
        ),
    ],
    "reverse-path": [
        Row(
            f"{SECOND}; n1: route replace 10.200.0.0/24 via 192.168.8.20 dev eth1; n1: sysctl ipv4/conf/eth0/rp_filter 1"
        ),
    ],
    "route-refuses": [
        Row("n0: route del 10.200.1.0/24; n0: route add blackhole 10.200.1.0/24"),
        Row("n0: route del 10.200.1.0/24; n0: route add prohibit 10.200.1.0/24 proto static metric 9"),
        Row(
            "n1: addr del 10.200.1.1/24 dev cni0; n1: route add blackhole 10.200.1.0/24 proto static; n1: addr add 10.200.1.1/24 dev cni0"
        ),
        Row("n0: rule add pref 100 to 10.200.1.0/24 unreachable"),
    ],
    "routing-loop": [
        Row(
            "r0: route replace 10.200.1.0/24 via 192.168.8.20",
            "r0: route replace 10.200.1.0/24 via 192.168.9.21",
            subnets=(8, 9),
            read=("r0",),
        ),
    ],
    "rule-takes-pods": [
        Row(
            "n0: link add vpn0 type veth peer name vpn1; n0: link set vpn0 up; n0: link set vpn1 up; n0: addr add 100.64.0.19/32 dev vpn0; "
            "n0: route add default dev vpn0 table 52; n0: route add throw 192.168.8.0/24 table 52; n0: rule add pref 5270 lookup 52"
        ),
        Row("n0: route add unreachable default table 100; n0: rule add pref 100 from 10.200.0.0/24 lookup 100"),
        Row("n0: -6 route add unreachable default table 100; n0: -6 rule add pref 100 iif cni0 lookup 100", version=6),
    ],
    "stolen-part": [
        Row("n0: route add unreachable 10.200.1.5/32"),
        Row("n1: route add blackhole 10.200.1.0/25 proto static"),
        Row("n0: -6 route add blackhole fd00:200:1::/96", version=6),
    ],
    "sysctls-not-seen": [Row("", hidden="forward")],
    "tables-not-seen": [Row("", left_out=("n1",))],
    "taken-locally": [
        Row("n1: route add local 10.200.1.0/24 dev lo"),
        Row("n1: addr add 10.200.1.9/25 dev lo"),
    ],
    "unknown-gateway": [
        Row("n0: route replace 10.200.1.0/24 via 192.168.8.1 proto static", left_out=("r0",), read=("r0",))
    ],
    "wrong-next-hop": [
        Row(
            "n0: route del 10.200.1.0/24; n0: route add 10.200.1.0/24 via 192.168.8.1 proto static; r0: route del 10.200.1.0/24",
            read=("r0",),
        ),
        Row("n0: route replace 10.200.1.0/24 via 192.168.8.1 proto 107; r0: route del 10.200.1.0/24", read=("r0",)),
    ],
    "wrong-node": [
        Row("n0: addr add 10.200.1.77/24 dev cni0; n0: route del 10.200.1.0/24 proto 107"),
        Row("n0: route del 10.200.1.0/24; n0: route add 10.200.1.0/24 dev cni0"),
    ],
    "wrong-pod-device": [
        Row(
            f"{DOCKER}; n1: addr del 10.200.1.1/24 dev cni0; n1: route add 10.200.1.0/24 dev docker0; n1: addr add 10.200.1.1/24 dev cni0"
        ),
    ],
}


class Bench:
    """A cluster in namespaces, and what a row does to it."""

    def __init__(self, row: Row, inventory: Path) -> None:
        self.row = row
        lans = {f"n{index}": (subnet,) for index, subnet in enumerate(row.subnets)}
        self.field = Field(Shape(lans, router=True), row.version)
        self._inventory = inventory
        nodes = self.field.inventory.nodes
        lines = [
            f"- {{name: {each.name}, internalIP: '{each.internal_ips[0]}', podCIDR: '{each.pod_cidrs[0]}'}}"
            for each in nodes
        ]
        inventory.write_text("nodes:\n" + "\n".join(lines) + "\n", encoding="utf-8")

    def change(self, text: str) -> None:
        """Carry out a row's text."""
        for part in filter(None, map(str.strip, text.split(";"))):
            name, _, command = part.partition(": ")
            if command == "apply":
                self.type(name, "podroutes apply")
            else:
                self.field.do([f"{name}: {command.format(n1=self.field.file('n1'))}"])
        self.field.settle()

    def type(self, name: str, command: str) -> None:
        """Type COMMAND, as a fix prints it, on the machine NAME."""
        program = f'"{sys.executable}" -m podroutes'
        words = command.replace("podroutes apply", f"{program} apply -i {self._inventory} --node {name}")
        with self.field.inside(name):
            done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "podroutes apply" in command, (command, done.stderr)

    def prove(self, *, whole: bool) -> Proof:
        """Return the verdict; the first time without what was not collected."""
        row, field = self.row, self.field
        field.hidden = set() if "r0" in row.read else {"r0"}
        if not whole:
            field.hidden |= set(row.left_out)
        hosts = field.read()
        if row.hidden and not whole:
            hosts = [
                host._replace(sysctls={key: value for key, value in host.sysctls.items() if row.hidden not in key})
                for host in hosts
            ]
        return prove(Network(hosts, field.inventory), examine(field.inventory))

    def packets(self) -> bool:
        """Whether all packets between the pods of n0 and n1 arrive."""
        found = self.field.packets(tries=6)
        ends = (("n0", 1), ("n1", 0))
        pairs = [found[source, parse_prefix(cidr(target, self.row.version))] for source, target in ends]
        return all(arrived for sent in pairs for _, _, arrived in sent)


def typed(finding: Finding) -> list[tuple[str, str]]:
    """Return machine and command of all that a finding's fix says to type, out of its printed words."""
    found = re.match(r"on (\S+): ((?:`[^`]+`(?:, then )?)+)", finding.fix)
    return [(found[1], command) for command in re.findall(r"`([^`]+)`", found[2])] if found else []


@pytest.fixture
def bench(bare, tmp_path):
    made = []

    def make(row: Row) -> Bench:
        made.append(Bench(row, tmp_path / "nodes.yaml"))
        return made[-1]

    yield make
    for each in made:
        each.field.__exit__()


def test_every_cause_has_a_row():
    assert ROWS.keys() == CAUSES.keys()


@pytest.mark.parametrize(("code", "row"), [(code, row) for code, rows in sorted(ROWS.items()) for row in rows])
def test_it_is_found_and_cured_by_its_fix(code, row, bench):
    made = bench(row)
    made.change(row.change)
    verdict = made.prove(whole=False)
    found = [finding for finding in verdict.findings if finding.cause.code == code]
    assert found, [(each.cause.code, each.cause.node, each.fix) for each in verdict.findings]
    if row.hand:
        assert not any(map(typed, found)), "its fix has commands"
        made.change(row.hand)
    elif not (row.hidden or row.left_out):
        commands = [each for finding in found for each in typed(finding)]
        assert commands, found[0].fix
        for name, command in dict.fromkeys(commands):
            made.type(name, command)
        made.change(row.after)
    then = made.prove(whole=True)
    assert then.proven, [(each.cause, each.fix) for each in then.findings]
    assert [each for each in then.findings if each.cause.code == code] == []
    assert made.packets()
