"""Every finding of the doctor: made, found, cured by what it says, and gone.

A row makes one fault on a healthy worker-0. Commands that a finding advises are typed as they are printed. Where a finding advises
no command, or one that changes the whole machine, the row does by hand what its advice says, and why is told in one word.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from podroutes.model.address import parse_prefix
from podroutes.model.finding import FINDINGS
from podroutes.model.masquerade import masquerade
from podroutes.persist import masquerade_table
from podroutes.persist.file_format import HEADER
from support.waiting import until

NETWORK = "/run/systemd/network/10-netplan-ens18.network"
DROP_IN = "/etc/systemd/network/10-netplan-ens18.network.d/50-podroutes.conf"
KUBELET = "/var/lib/kubelet/config.yaml"
CNI = "/etc/cni/net.d"
BRIDGE = {"cniVersion": "1.0.0", "name": "b", "type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local"}}
SUBNET = {**BRIDGE, "ipam": {"type": "host-local", "subnet": "10.200.9.0/24"}}
NAT = (
    "nft 'add table ip nat'; nft 'add chain ip nat {} {{ type nat hook {} priority {}; }}'; nft 'add rule ip nat {} {}'"
)


class Bench:
    """worker-0, and what a row does to it."""

    def __init__(self, machine: Any, worker: Any) -> None:
        self.machine, self.worker = machine, worker

    def ip(self, *commands: str) -> None:
        """Run ip(8) on worker-0."""
        self.worker.ip(*commands)

    def sh(self, *commands: str) -> None:
        """Run shell commands on worker-0."""
        self.machine.run(*commands)

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file of worker-0."""
        self.machine.write(name, text, mode)

    def process(self, comm: str, pid: int = 42) -> None:
        """Let a process called COMM run in the network of worker-0."""
        self.write(f"/proc/{pid}/comm", f"{comm}\n")
        (self.machine.root / f"proc/{pid}/ns").mkdir(exist_ok=True)
        net = self.machine.root / f"proc/{pid}/ns/net"
        net.unlink(missing_ok=True)
        net.symlink_to("/proc/self/ns/net")

    def inventory(self, old: str, new: str) -> None:
        """Replace OLD by NEW in the inventory."""
        path = self.machine.inventory
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    def networkd(self) -> None:
        """Let systemd-networkd manage ens18, our routes in a file of its."""
        self.process("systemd-network")
        self.write(
            f"/run/systemd/netif/links/{self.worker.index('ens18')}",
            f"ADMIN_STATE=configured\nNETWORK_FILE={NETWORK}\n",
        )
        self.write(NETWORK, "[Match]\nName=ens18\n", 0o640)
        self.write(DROP_IN, "".join(f"[Route]\nDestination={dst}\n" for dst in ROUTED))


LOCAL = {**BRIDGE, "ipam": {"type": "host-local", "subnet": "10.200.0.0/24"}}
LEASES = "/var/lib/cni/networks/b"
TABLE = masquerade(
    [4], [parse_prefix("10.200.0.0/24")], [parse_prefix("10.200.0.0/16"), parse_prefix("192.168.8.0/24")]
)
ROUTED = ("10.200.1.0/24", "10.200.2.0/24", "fd01:0:0:1::/64", "fd01:0:0:2::/64")
Step = Callable[[Bench], None]


class Row(NamedTuple):
    """MAKE makes the fault; its commands cure it, or HAND does what the advice says, or AFTER what is left to others then."""

    make: Step
    hand: Step | None = None
    after: Step | None = None
    beside: tuple[str, ...] = ()  # what the fault is also found by


def ip(*commands: str) -> Step:
    return lambda bench: bench.ip(*commands)


def sh(*commands: str) -> Step:
    return lambda bench: bench.sh(*commands)


def inventory(old: str, new: str) -> Step:
    return lambda bench: bench.inventory(old, new)


def write(name: str, text: str, mode: int = 0o644) -> Step:
    return lambda bench: bench.write(name, text, mode)


def both(*steps: Step) -> Step:
    def do(bench: Bench) -> None:
        for step in steps:
            step(bench)

    return do


def on(number: int, *commands: str) -> Step:
    """Run ip(8) on machine NUMBER of the segment: 0 is the switch, 1 and 2 are worker-1 and worker-2."""
    return lambda bench: bench.machine.segment.machines[number].ip(*commands)


def process(comm: str, pid: int = 42) -> Step:
    return lambda bench: bench.process(comm, pid)


def duplicate(bench: Bench) -> None:
    bench.ip("addr add fd00::22/64 dev ens18")
    until(lambda: "dadfailed" in "".join(bench.worker.show("-6 addr show dev ens18")))


def tentative(bench: Bench) -> None:
    bench.ip("addr del fd00::20/64 dev ens18")
    on(0, "link set wire down")(bench)
    bench.ip("addr add fd00::20/64 dev ens18")


def carrier_back(bench: Bench) -> None:
    on(0, "link set wire up")(bench)
    until(lambda: "tentative" not in "".join(bench.worker.show("-6 addr show dev ens18")))


def second_card(bench: Bench) -> None:
    one, switch = bench.machine.segment.machines[1], bench.machine.segment.switch
    switch.ip(
        f"link add second type veth peer name eth1 netns {one.process.pid}",
        "link set second master sw",
        "link set second up",
    )
    one.ip("link set eth1 addrgenmode none", "link set eth1 up", "addr add 192.168.8.121/24 dev eth1")


def arp_ignore(bench: Bench) -> None:
    one = bench.machine.segment.machines[1]
    one.run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")


def proxy(bench: Bench) -> None:
    for number in (1, 2):
        on(number, "link set eth0 down")(bench)
    router = bench.machine.segment.join("192.168.8.1/24")
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.eth0.proxy_arp=1")
    router.ip("link add away type veth peer name far", "link set away up", "link set far up")
    router.ip("route add 192.168.8.21/32 dev away", "route add 192.168.8.22/32 dev away")


def no_proxy(bench: Bench) -> None:
    bench.machine.segment.machines[3].run("sysctl", "-qw", "net.ipv4.conf.eth0.proxy_arp=0")
    for number in (1, 2):
        on(number, "link set eth0 up", f"addr add fd00::2{number}/64 dev eth0 nodad")(bench)


def in_a_pod(bench: Bench) -> None:
    bench.ip("link set cni0 name was-cni0", "addr flush dev ens18", "addr add 10.200.0.7/24 dev ens18")


def on_the_machine(bench: Bench) -> None:
    bench.ip(
        "addr flush dev ens18",
        "link set was-cni0 name cni0",
        "addr add 192.168.8.20/24 dev ens18",
        "addr add fd00::20/64 dev ens18 nodad",
    )
    bench.sh(f"podroutes apply -i {bench.machine.inventory} --node worker-0")


def bridge_anew(bench: Bench) -> None:
    """Do what the CNI plugin does with the next pod."""
    bench.ip(
        "link add cni0 type bridge",
        "link set cni0 addrgenmode none up",
        "addr add 10.200.0.1/24 dev cni0",
        "addr add fd01::1/64 dev cni0 nodad",
    )
    bench.sh("sysctl -qw net.ipv4.conf.cni0.rp_filter=0")


def strict(bench: Bench) -> None:
    bench.sh("sysctl -qw net.ipv4.conf.ens18.rp_filter=1")
    bench.ip("link add ens19 type veth peer name wire19", "link set ens19 up", "link set wire19 up")
    bench.ip("route add 192.168.8.21/32 dev ens19 scope link")


def full(bench: Bench) -> None:
    for host in range(2, 255):
        bench.write(f"{LEASES}/10.200.0.{host}", "")


def free(bench: Bench) -> None:
    (bench.machine.root / f"{LEASES[1:]}/10.200.0.7").unlink()


def unmanaged(bench: Bench) -> None:
    bench.process("NetworkManager")


def managed(bench: Bench) -> None:
    bench.write(f"/run/NetworkManager/devices/{bench.worker.index('ens18')}", "[device]\nmanaged=true\n")


def temporary(bench: Bench) -> None:
    bench.sh("sysctl -qw net.ipv6.conf.ens18.use_tempaddr=2")
    bench.ip("addr add fd00::5:20/64 dev ens18 mngtmpaddr nodad preferred_lft 3600 valid_lft 7200")
    line = next(line for line in bench.worker.show("-6 addr show dev ens18 temporary") if "inet6" in line)
    bench.inventory('"fd00::20"', f'"{line.split()[1].partition("/")[0]}"')


def stable(bench: Bench) -> None:
    line = next(line for line in bench.worker.show("-6 addr show dev ens18 temporary") if "inet6" in line)
    bench.inventory(f'"{line.split()[1].partition("/")[0]}"', '"fd00::20"')


def large(bench: Bench) -> None:
    small = bench.machine.inventory.read_text()
    nodes = (
        f"- {{name: large-{number}, internalIP: 10.9.{number >> 8}.{number & 255}}}\n" for number in range(1, 1200)
    )
    bench.machine.inventory.write_text(small + "".join(nodes))


def small(bench: Bench) -> None:
    lines = bench.machine.inventory.read_text().splitlines(keepends=True)
    bench.machine.inventory.write_text("".join(line for line in lines if "large-" not in line))


def vpn(bench: Bench) -> None:
    bench.ip("link add vpn0 type veth peer name vpn-wire", "link set vpn0 up", "link set vpn-wire up")
    bench.ip(
        "route add default dev vpn0 table 52", "route add throw 192.168.8.0/24 table 52", "rule add pref 5270 lookup 52"
    )


def left_behind(bench: Bench) -> None:
    bench.ip("addr add 192.168.7.20/24 dev ens18", "route add 10.200.3.0/24 via 192.168.7.23 proto 107")
    bench.ip("addr del 192.168.7.20/24 dev ens18")


def advertised(bench: Bench) -> None:
    bench.sh("sysctl -qw net.ipv6.conf.ens18.accept_ra=1")
    bench.ip("route add default via fd00::1 dev ens18 proto ra")


def filters(chain: str, hook: str, priority: int, rule: str) -> Step:
    return sh(
        *NAT.format(chain, hook, priority, chain, rule).split("; nft")[:1],
        *(f"nft{part}" for part in NAT.format(chain, hook, priority, chain, rule).split("; nft")[1:]),
    )


def guard(hook: str, rule: str) -> Step:
    return sh(
        "nft 'add table inet guard'",
        f"nft 'add chain inet guard g {{ type filter hook {hook} priority 0; }}'",
        f"nft 'add rule inet guard g {rule}'",
    )


ROWS: dict[str, Row] = {
    "address-duplicate": Row(duplicate),
    "address-tentative": Row(tentative, carrier_back, beside=("route-without-carrier",)),
    "bridge-filter-off": Row(
        both(write("/proc/modules", "nf_conntrack 1 0 - Live 0x0\n"), process("kube-proxy")),
        write("/proc/modules", "br_netfilter 1 0 - Live 0x0\n"),  # modprobe(8) loads it for the whole machine
    ),
    "cloud-source-check": Row(
        write("/sys/class/dmi/id/sys_vendor", "Hetzner\n"), write("/sys/class/dmi/id/sys_vendor", "QEMU\n")
    ),
    "cni-masquerade": Row(write(f"{CNI}/10-bridge.conf", json.dumps({**BRIDGE, "ipMasq": True}))),
    "cni-missing": Row(
        both(write(KUBELET, ""), process("kube-proxy")), write(f"{CNI}/10-bridge.conf", json.dumps(BRIDGE))
    ),
    "cni-plugin-missing": Row(
        both(write(f"{CNI}/10-bridge.conf", json.dumps(BRIDGE)), write("/opt/cni/bin/bridge", "")),
        write("/opt/cni/bin/host-local", ""),
    ),
    "cni-range-full": Row(both(write(f"{CNI}/10-bridge.conf", json.dumps(LOCAL)), full), free),
    "cni-several": Row(
        both(
            write(f"{CNI}/10-bridge.conf", json.dumps(BRIDGE)),
            write(f"{CNI}/05-other.conf", json.dumps({**BRIDGE, "bridge": "other0"})),
        )
    ),
    "cni-subnet-mismatch": Row(write(f"{CNI}/10-bridge.conf", json.dumps(SUBNET))),
    "duplicate-route": Row(ip("route add 10.200.1.0/24 via 192.168.8.21 metric 50 proto static")),
    "filter-drops": Row(guard("prerouting", "ip saddr 10.200.0.0/16 drop")),
    "forward-chain-drops": Row(guard("forward", "iifname ens18 ip saddr 10.200.0.0/16 drop")),
    "interface-managed-twice": Row(
        both(Bench.networkd, write("/etc/network/interfaces", "iface ens18 inet static\n  address 192.168.8.20/24\n")),
        write("/etc/network/interfaces", "iface ens18 inet manual\n"),
    ),
    "interface-unmanaged": Row(unmanaged, managed),
    "internal-ip-not-here": Row(inventory("192.168.8.20", "192.168.8.98"), ip("addr add 192.168.8.98/24 dev ens18")),
    "internal-ip-shared": Row(
        both(ip("addr add 192.168.8.100/32 dev ens18"), inventory("[192.168.8.20,", "[192.168.8.100, 192.168.8.20,")),
        inventory("[192.168.8.100, 192.168.8.20,", "[192.168.8.20,"),
    ),
    "internal-ip-temporary": Row(temporary, stable),
    "ipv4-forwarding-off": Row(
        sh("sysctl -qw net.ipv4.ip_forward=0"), after=sh("sysctl -qw net.ipv4.conf.all.rp_filter=0")
    ),
    "ipv6-disabled": Row(
        sh("sysctl -qw net.ipv6.conf.ens18.disable_ipv6=1"),
        after=lambda bench: (
            bench.ip("addr add fd00::20/64 dev ens18 nodad"),  # a network manager does it
            bench.sh(f"podroutes apply -i {bench.machine.inventory} --node worker-0"),
        ),
        beside=("internal-ip-not-here",),
    ),
    "ipv6-forwarding-off": Row(sh("sysctl -qw net.ipv6.conf.all.forwarding=0")),
    "kube-proxy-absent": Row(
        both(write(KUBELET, ""), write(f"{CNI}/10-bridge.conf", json.dumps(BRIDGE))), process("kube-proxy")
    ),
    "mtu-mismatch": Row(ip("link set ens18 mtu 1400")),
    "neighbour-table-small": Row(large, small),  # the first network namespace alone can set the thresholds
    "networkd-deletes-routes": Row(
        both(Bench.networkd, write(DROP_IN, "")),
        write(DROP_IN, "".join(f"[Route]\nDestination={dst}\n" for dst in ROUTED)),  # podroutes has another root here
    ),
    "networkd-file-unreadable": Row(
        both(Bench.networkd, write("/etc/systemd/network/20-x.network", "[Match]\n", 0o600))
    ),
    "next-hop-arp-flux": Row(second_card, arp_ignore),
    "next-hop-off-link": Row(left_behind),
    "next-hop-silent": Row(
        on(2, "link set eth0 down"), on(2, "link set eth0 up", "addr add fd00::22/64 dev eth0 nodad")
    ),
    "next-hop-two-macs": Row(lambda bench: bench.machine.segment.join("192.168.8.21/24"), on(3, "addr flush dev eth0")),
    "next-hops-one-mac": Row(proxy, no_proxy, beside=("next-hop-silent",)),
    "not-the-machines-network": Row(in_a_pod, on_the_machine),
    "pod-bridge-too-wide": Row(ip("addr del 10.200.0.1/24 dev cni0", "addr add 10.200.0.1/16 dev cni0")),
    "pod-bridge-wrong-cidr": Row(
        ip("addr del 10.200.0.1/24 dev cni0", "addr add 10.200.9.1/24 dev cni0"), after=bridge_anew
    ),
    "pod-cidr-connected-twice": Row(
        ip("link add docker0 type bridge", "link set docker0 up", "addr add 10.200.0.9/24 dev docker0")
    ),
    "pod-traffic-redirected": Row(filters("pre", "prerouting", -100, "ip daddr 10.200.0.0/16 dnat to 10.9.9.9")),
    "pods-masqueraded": Row(filters("post", "postrouting", 100, "oifname ens18 masquerade")),
    "protocol-unnamed": Row(write("/etc/iproute2/rt_protos.d/podroutes.conf", "")),
    "ra-default-route-at-risk": Row(advertised),
    "rival-routes": Row(ip("route del 10.200.1.0/24 proto 107", "route add 10.200.1.0/24 via 192.168.8.21 proto bird")),
    "route-split": Row(ip("route append fd01:0:0:1::/64 via fd00::22 dev ens18 proto 107")),
    "route-without-carrier": Row(on(0, "link set wire down"), on(0, "link set wire up")),
    "masquerade-missing": Row(write("/etc/podroutes/masquerade.nft", masquerade_table.script(TABLE))),
    "routes-not-restored": Row(
        both(
            write("/etc/network/interfaces", "auto ens18\niface ens18 inet manual\n"),
            write("/etc/network/if-up.d/podroutes", f"#!/bin/sh\n{HEADER}", 0o644),
        ),
        write("/etc/network/if-up.d/podroutes", f"#!/bin/sh\n{HEADER}", 0o755),
    ),
    "routes-missing": Row(sh("ip route flush proto 107", "ip -6 route flush proto 107")),
    "rule-takes-pods": Row(vpn),
    "stray-route": Row(ip("route add 10.200.1.128/25 via 192.168.8.22 proto static")),
    "strict-reverse-path": Row(strict),
}
FILTERED = {"filter-drops", "forward-chain-drops", "masquerade-missing", "pod-traffic-redirected", "pods-masqueraded"}


def test_every_code_has_a_row():
    assert ROWS.keys() == FINDINGS.keys()


@pytest.mark.parametrize("code", sorted(FINDINGS))
def test_it_is_found_and_cured_by_what_it_says(code, healthy, worker, request):
    if code in FILTERED:
        request.getfixturevalue("filters")
    row, bench = ROWS[code], Bench(healthy, worker)
    assert healthy.examine().codes == []
    row.make(bench)
    report = healthy.examine()
    assert sorted(report.codes) == sorted([code, *row.beside]), report.document["findings"]
    finding = next(each for each in report.document["findings"] if each["code"] == code)
    assert finding["evidence"], "a finding tells how it is known"
    if row.hand:
        row.hand(bench)
    else:
        assert finding["fix"], "there is something to type"
        healthy.run(*finding["fix"])
        (row.after or (lambda _: None))(bench)
    assert healthy.examine().codes == []
