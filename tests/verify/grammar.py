"""Random ip(8) commands and settings, composed from the grammar of ip-route(8), ip-rule(8), ip-address(8), ip-link(8) and ip-nexthop(8).

It knows which words there are and which addresses and devices a cluster has. It does not know what is right, wrong or modelled:
what the kernel refuses is not done, and what becomes of packets is seen afterwards.
"""

from collections.abc import Callable, Sequence
from random import Random

from verify.field import ROUTER, Shape, cidr, gateway, lan, pods

_TABLES = ["main"] * 8 + ["100", "100", "101", "local", "default"]
_KINDS = ["unicast"] * 12 + [
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "local",
    "local",
    "broadcast",
    "anycast",
    "multicast",
]
_SETTINGS = [
    ("ipv4/ip_forward", (0, 1)),
    ("ipv4/conf/{}/forwarding", (0, 1)),
    ("ipv4/conf/{}/rp_filter", (0, 1, 2)),
    ("ipv4/conf/{}/rp_filter", (1, 2)),
    ("ipv4/conf/{}/accept_local", (0, 1)),
    ("ipv4/conf/{}/arp_ignore", (0, 1, 2, 3, 8)),
    ("ipv4/conf/{}/arp_announce", (0, 1, 2)),
    ("ipv4/conf/{}/arp_filter", (0, 1)),
    ("ipv4/conf/{}/arp_accept", (0, 1)),
    ("ipv4/conf/{}/proxy_arp", (0, 1, 1)),
    ("ipv4/conf/{}/proxy_arp_pvlan", (0, 1)),
    ("ipv4/conf/{}/medium_id", (-1, 0, 1, 2)),
    ("ipv4/conf/{}/route_localnet", (0, 1)),
    ("ipv4/conf/{}/ignore_routes_with_linkdown", (0, 1)),
    ("ipv4/conf/{}/src_valid_mark", (0, 1)),
    ("ipv4/conf/{}/send_redirects", (0, 1)),
    ("ipv4/conf/{}/accept_redirects", (0, 1)),
    ("ipv4/conf/{}/bc_forwarding", (0, 1)),
    ("ipv4/conf/{}/drop_gratuitous_arp", (0, 1)),
    ("ipv4/conf/{}/drop_unicast_in_l2_multicast", (0, 1)),
    ("ipv4/conf/{}/promote_secondaries", (0, 1)),
    ("ipv4/conf/{}/arp_notify", (0, 1)),
    ("ipv4/fib_multipath_use_neigh", (0, 1)),
    ("ipv4/icmp_ratelimit", (0, 1000)),
    ("ipv4/ip_forward_use_pmtu", (0, 1)),
    ("ipv4/ip_default_ttl", (1, 64)),
    ("ipv6/conf/{}/hop_limit", (1, 64)),
    ("ipv6/conf/{}/accept_ra", (0, 2)),
    ("ipv6/conf/{}/keep_addr_on_down", (0, 1)),
    ("ipv6/conf/{}/drop_unicast_in_l2_multicast", (0, 1)),
    ("ipv6/conf/{}/ndisc_notify", (0, 1)),
    ("ipv6/conf/{}/accept_source_route", (0, 1)),
    ("ipv6/conf/{}/use_tempaddr", (0, 2)),
    ("ipv6/conf/{}/mtu", (1280, 1500)),
    ("ipv6/fib_multipath_hash_policy", (0, 1)),
    ("ipv4/fib_multipath_hash_policy", (0, 1)),
    ("ipv4/nexthop_compat_mode", (0, 1)),
    ("ipv6/conf/all/forwarding", (0, 1)),
    ("ipv6/conf/{}/forwarding", (0, 1)),
    ("ipv6/conf/{}/force_forwarding", (0, 1)),
    ("ipv6/conf/{}/proxy_ndp", (0, 1)),
    ("ipv6/conf/{}/disable_ipv6", (0, 1)),
    ("ipv6/conf/{}/ignore_routes_with_linkdown", (0, 1)),
    ("ipv6/conf/{}/addr_gen_mode", (0, 1)),
]


class Grammar:
    """Composes commands for the machines of one shape."""

    def __init__(
        self, random: Random, shape: Shape, version: int, machines: Sequence[str], *, warm: bool = False
    ) -> None:
        self.warm = warm  # there were packets before
        self.random, self.shape, self.version, self.machines = random, shape, version, machines
        self.name = machines[0]
        self.indexes = [int(name[1:]) for name in shape.nodes]

    def changes(self) -> list[str]:
        """Return up to eight commands, each with the machine that it is for; many are about one machine."""
        random, found = self.random, list[str]()
        productions: list[tuple[int, Callable[[], list[str]]]] = [
            (30, self._route),
            (10, self._route_del),
            (14, self._rule),
            (3, self._rule_del),
            (8, self._addr),
            (4, self._addr_del),
            (4, self._moved_address),
            (6, self._link),
            (5, self._new_link),
            (3, self._cable),
            (5, self._nexthop),
            (14, self._sysctl),
            (2, self._neighbour),
            (3, self._host_routes),
            (3, self._flush),
            (3, self._bridge),
            (2, self._entry),
            (2, self._default_route),
            (2, self._lifetime),
            (1, self._renamed),
        ]  # fmt: skip
        weights, makers = zip(*productions, strict=True)
        for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3, 4, 6, 8])):
            if random.random() < 0.6 or not found:
                self.name = random.choice(self.machines)
            maker = random.choices(makers, weights)[0]
            found += [line if ": " in line else f"{self.name}: {line}" for line in maker()]
        return found

    def hidden(self, changes: Sequence[str]) -> list[str]:
        """Return what was not collected: mostly nothing. A router that took addresses of others unseen would be no fault of the proof."""
        random = self.random
        if random.random() < 0.85:
            return []
        name, what = random.choice(self.machines), random.choice(["tables", "sysctls"])
        if name == ROUTER and what == "tables" and any(change.startswith(f"{ROUTER}:") for change in changes):
            return []
        return [f"{what} of {name} not collected"]

    # what there is

    def _lans(self, name: str) -> Sequence[int]:
        return (8, 9) if name == "r0" else self.shape.nodes[name]

    def _devices(self) -> list[str]:
        ports = [f"eth{number}" for number in range(len(self._lans(self.name)))]
        inner = [] if self.name == "r0" or self.name in self.shape.podless else ["cni0", "pod0"]
        return [*ports, *ports, *inner, "lo", self.random.choice(["br9", "dv0", "vx0", "pp0"])]

    def _dev(self) -> str:
        return self.random.choice(self._devices())

    def _neighbour_address(self) -> str:
        """Return an address on one of the machine's networks: of a machine, mostly."""
        random = self.random
        number = random.choice(self._lans(self.name))
        hosts = [20 + int(name[1:]) for name, lans in self.shape.nodes.items() if number in lans] + [1]
        return lan(number, random.choice([*hosts, *hosts, *hosts, 99]), self.version)

    def _address(self) -> str:
        random, index = self.random, self.random.choice(self.indexes)
        number = random.choice([8, 8, 9])
        loop = "127.0.0.1" if self.version == 4 else "::1"
        return random.choice(
            [
                self._neighbour_address(), self._neighbour_address(),
                lan(number, 20 + index, self.version), lan(number, 120 + index, self.version),
                random.choice(pods(index, self.version)), random.choice(pods(index, self.version)),
                gateway(index, self.version), self._odd_pod(index), f"10.99.0.{index + 1}" if self.version == 4 else f"fd00:99::{index + 1}", loop,
            ]
        )  # fmt: skip

    def _odd_pod(self, index: int) -> str:
        return f"10.200.{index}.9" if self.version == 4 else f"fd00:200:{index}::9"

    def _prefix(self) -> str:
        random, index = self.random, self.random.choice(self.indexes)
        full = 32 if self.version == 4 else 128
        if self.version == 4:
            parts = [
                f"10.200.{index}.0/25",
                f"10.200.{index}.128/25",
                f"10.200.{index}.0/30",
                f"10.200.{index}.128/26",
                f"10.200.{index}.64/26",
            ]
            wider = [
                f"10.200.{index & 2}.0/23",
                "10.200.0.0/22",
                "10.200.0.0/16",
                "10.0.0.0/8",
                "0.0.0.0/0",
                "0.0.0.0/1",
            ]
        else:
            parts = [f"fd00:200:{index}::/65", f"fd00:200:{index}:0:8000::/65", f"fd00:200:{index}::/120"]
            wider = [f"fd00:200:{index & 2}::/47", "fd00:200::/32", "fd00::/8", "::/0"]
        number = random.choice([8, 8, 9])
        own = cidr(index, self.version)
        return random.choice(
            [own, own, own, own, random.choice(parts), random.choice(parts), random.choice(wider), random.choice(wider),
             f"{random.choice(pods(index, self.version))}/{full}", f"{self._address()}/{full}",
             lan(number, 0, self.version) + ("/24" if self.version == 4 else "/64")]
        )  # fmt: skip

    # ip route

    def _hop(self) -> str:
        random = self.random
        if random.random() < 0.14:
            return f"dev {self._dev()}"
        via = self._neighbour_address() if random.random() < 0.85 else self._address()
        words = [f"via {via}"]
        if random.random() < 0.3:
            words.append(f"dev {self._dev()}")
        if random.random() < 0.12:
            words.append("onlink")
        return " ".join(words)

    def _route(self) -> list[str]:
        random = self.random
        kind = random.choice(_KINDS)
        words = ["route", random.choice(["add", "add", "replace", "replace", "append", "prepend", "change"])]
        words += [kind] if kind != "unicast" or random.random() < 0.1 else []
        words.append(self._prefix())
        if kind == "unicast":
            form = random.random()
            if form < 0.78:
                words.append(self._hop())
            elif form < 0.9:
                words += [
                    f"nexthop {self._hop()} weight {random.randint(1, 4)}" for _ in range(random.choice([2, 2, 3]))
                ]
            else:
                words.append(f"nhid {random.choice([1, 2, 3, 10])}")
        elif kind in ("local", "broadcast", "anycast", "multicast"):
            words.append(f"dev {self._dev()}")
        words.insert(3 if words[2] != kind else 4, "")
        words += [f"table {random.choice(_TABLES)}"] if random.random() < 0.35 else []
        words += [f"metric {random.choice([0, 1, 5, 50, 1024, 4096])}"] if random.random() < 0.25 else []
        words += [f"proto {random.choice(['107', 'kernel', 'boot', 'static', '17'])}"] if random.random() < 0.5 else []
        words += [f"src {self._address()}"] if random.random() < 0.08 else []
        words += [f"scope {random.choice(['link', 'host', 'global'])}"] if random.random() < 0.08 else []
        words += [f"mtu {random.choice(['1400', 'lock 1300'])}"] if random.random() < 0.04 else []
        if self.version == 4:
            words += [f"tos {random.choice(['0x10', '0x28', '0x08'])}"] if random.random() < 0.05 else []
        else:
            words += [f"pref {random.choice(['low', 'medium', 'high'])}"] if random.random() < 0.08 else []
            words += [f"from {self._prefix()}"] if random.random() < 0.03 else []
            words += ["expires 3000"] if random.random() < 0.03 else []
        return [" ".join(filter(None, words))]

    def _route_del(self) -> list[str]:
        prefix = self._prefix()
        pod = prefix.partition("/")[0] in {each for index in self.indexes for each in pods(index, self.version)}
        if pod and not self.warm:
            return []  # a routed pod without its route is known by what it has sent alone
        return [f"route del {prefix}" + (" table local" if self.random.random() < 0.1 else "")]

    def _host_routes(self) -> list[str]:
        """Make a machine one with a host address, which knows its network by its routes alone."""
        random = self.random
        if self.name == "r0":
            return []
        own = lan(self._lans(self.name)[0], 20 + int(self.name[1:]), self.version)
        length = (24, 32) if self.version == 4 else (64, 128)
        lines = [f"addr del {own}/{length[0]} dev eth0", f"addr add {own}/{length[1]} dev eth0{self._nodad()}"]
        mates = [20 + index for index in self.indexes] + [1]
        number = self._lans(self.name)[0]
        if random.random() < 0.7:
            lines += [
                f"route add {lan(number, host, self.version)}/{length[1]} dev eth0 scope link"
                for host in mates
                if random.random() < 0.9
            ]
        else:
            router = lan(number, 1, self.version)
            lines += [f"route add {router}/{length[1]} dev eth0", f"route add default via {router} dev eth0"]
        for index in self.indexes:
            if f"n{index}" != self.name and random.random() < 0.9:
                via = lan(number, 20 + index, self.version) if random.random() < 0.8 else lan(number, 1, self.version)
                onlink = random.choice(["", "", " dev eth0 onlink"])
                lines.append(f"route replace {cidr(index, self.version)} via {via}{onlink} proto 107")
        return lines

    def _nexthop(self) -> list[str]:
        random = self.random
        version = f"-{self.version} "
        lines = [f"{version}nexthop add id {number} {self._hop()}" for number in (1, 2)]
        third = random.random()
        if third < 0.5:
            lines.append("nexthop add id 10 group 1,3/2,1" if third < 0.25 else "nexthop add id 10 group 1/2")
        elif third < 0.7:
            lines.append(f"{version}nexthop add id 3 blackhole")
        lines += [
            f"route {random.choice(['add', 'replace'])} {self._prefix()} nhid {random.choice([1, 1, 2, 3, 10])}"
            for _ in range(random.choice([1, 2]))
        ]
        if random.random() < 0.2:
            lines.append(f"{version}nexthop replace id 1 {self._hop()}")
        if random.random() < 0.1:
            lines.append("nexthop del id 2")
        return lines

    # ip rule

    def _rule(self) -> list[str]:
        random = self.random
        words = ["rule", "add"]
        words += ["not"] if random.random() < 0.08 else []
        words += (
            [f"from {random.choice([self._prefix(), self._address()])}"] if random.random() < 0.45 else ["from all"]
        )
        words += [f"to {self._prefix()}"] if random.random() < 0.35 else []
        words += [f"iif {self._dev()}"] if random.random() < 0.25 else []
        words += [f"oif {self._dev()}"] if random.random() < 0.07 else []
        words += [f"fwmark {random.choice(['0x1', '0x1/0xff', '0x0/0x1', '0'])}"] if random.random() < 0.1 else []
        words += [f"tos {random.choice(['0x10', '0x08'])}"] if random.random() < 0.05 else []
        words += (
            [
                random.choice(
                    ["ipproto tcp", "ipproto icmp", "dport 80", "sport 53", "uidrange 0-0", "uidrange 1000-2000"]
                )
            ]
            if random.random() < 0.05
            else []
        )
        words.append(f"pref {random.choice([0, 1, 50, 100, 200, 5000, 32765, 32766, 32767, 40000])}")
        action = random.choices(
            ["lookup 100", "lookup 101", "lookup main", "lookup local", "lookup default", "blackhole", "unreachable", "prohibit", "goto 32766", "nop"],
            [8, 2, 5, 2, 1, 1, 1, 1, 1, 1],
        )[0]  # fmt: skip
        words.append(action)
        if action.startswith("lookup") and random.random() < 0.12:
            words.append(f"suppress_prefixlength {random.choice([0, 16, 24, 64])}")
        words += [random.choice(["suppress_ifgroup 5", "suppress_ifgroup default"])] if random.random() < 0.02 else []
        words += ["protocol 107"] if random.random() < 0.03 else []
        lines = [" ".join(words)]
        if "100" in action and random.random() < 0.75:
            lines += [f"route add {self._prefix()} {self._hop()} table 100" for _ in range(random.choice([1, 2, 3]))]
        return lines

    def _rule_del(self) -> list[str]:
        pref = self.random.choice([0, 32766, 32766, 32767])
        again = {0: "local", 32766: "main", 32767: "default"}[pref]
        if self.random.random() < 0.5:
            return [f"rule add pref {self.random.choice([10, 40000, 31000])} lookup {again}", f"rule del pref {pref}"]
        return [f"rule del pref {pref}"]

    # ip address, ip link

    def _nodad(self) -> str:
        return " nodad" if self.version == 6 else ""

    def _length(self) -> int:
        return self.random.choice([24, 24, 25, 32, 32, 16, 31] if self.version == 4 else [64, 64, 128, 128, 65, 48])

    def _addr(self) -> list[str]:
        dev = self.random.choice(["lo", self._dev(), self._dev()])
        address, length = self._address(), self._length()
        if dev != "lo" and length < (32 if self.version == 4 else 128) and self._is_elsewhere(address, dev):
            return []
        if self.random.random() < 0.1:
            peer = self._address()
            return [f"addr add {self._address()} peer {peer} dev {dev}{self._nodad()}"]
        extra = " noprefixroute" if self.random.random() < 0.08 else ""
        return [f"addr add {address}/{length} dev {dev}{self._nodad()}{extra}"]

    def _is_elsewhere(self, address: str, dev: str) -> bool:
        """Whether ADDRESS is of a network that DEV is not connected to: equal subnets on two wires, which tables cannot show.

        They can where the machine has both.
        """
        for number in (8, 9):
            if address.startswith(f"192.168.{number}." if self.version == 4 else f"fd00:{number}::"):
                lans = self._lans(self.name)
                return number not in lans or (dev != f"eth{lans.index(number)}" and not dev.startswith("eth"))
        return False

    def _addr_del(self) -> list[str]:
        length = 24 if self.version == 4 else 64
        if self.name == "r0" or self.random.random() < 0.5:
            number = self.random.choice(self._lans(self.name))
            place = self._lans(self.name).index(number)
            host = 1 if self.name == "r0" else 20 + int(self.name[1:])
            return [f"addr del {lan(number, host, self.version)}/{length} dev eth{place}"]
        return [f"addr del {gateway(int(self.name[1:]), self.version)}/{length} dev cni0"]

    def _moved_address(self) -> list[str]:
        """Move the InternalIP to another device, and give the uplink another address."""
        if self.name == "r0":
            return []
        length, full = (24, 32) if self.version == 4 else (64, 128)
        number, index = self._lans(self.name)[0], int(self.name[1:])
        own = lan(number, 20 + index, self.version)
        lines = [
            f"addr add {lan(number, 120 + index, self.version)}/{length} dev eth0{self._nodad()}",
            f"addr del {own}/{length} dev eth0",
            f"addr add {own}/{self.random.choice([full, full, length])} dev {self.random.choice(['lo', 'lo', 'cni0'])}{self._nodad()}",
        ]
        for other in self.indexes:  # which went with the address
            if other != index:
                via = lan(number, 20 + other, self.version)
                lines.append(f"route replace {cidr(other, self.version)} via {via} proto 107")
        return lines

    def _link(self) -> list[str]:
        random = self.random
        dev = self._dev()
        if dev == "lo" and random.random() < 0.8:
            dev = "eth0"
        change = random.choice(
            ["down", "down", "up", "arp off", "arp on", "nomaster", "master br9", "master cni0", "mtu 1400", "promisc on", "down", "address 02:00:00:00:00:77",
             "mtu 1200", "multicast off", "allmulticast on", "addrgenmode none", "carrier off", "group 5", "alias x", "txqueuelen 0"]
        )  # fmt: skip
        lines = [f"link set {dev} {change}"]
        if self.warm and change.startswith("address") and not dev.startswith("eth"):
            return []  # pods remember the former one for some seconds, and their tables are nobody's
        if change == "down" and random.random() < 0.3:
            lines.append(f"link set {dev} up")
        if change == "nomaster" and random.random() < 0.4:
            lines += ["link set pod0 nomaster", "link del cni0"]
        return lines

    def _new_link(self) -> list[str]:
        random = self.random
        kind = random.choice(["bridge", "bridge", "veth", "vxlan", "dark", "ifb"])
        if kind == "bridge":
            lines = ["link add br9 type bridge forward_delay 0 mcast_snooping 0", "link set br9 up"]
            if random.random() < 0.6:
                lines.append(f"link set {random.choice(['eth0', 'pod0', 'dv0', 'eth1'])} master br9")
            dev = "br9"
        elif kind == "veth":
            lines = ["link add dv0 type veth peer name dv1", "link set dv0 up", "link set dv1 up"]
            dev = "dv0"
        elif kind == "ifb":
            lines = ["link add dv0 type ifb", "link set dv0 up"]
            dev = "dv0"
        elif kind == "dark":
            lines = ["link add dv0 type veth peer name dv1", "link set dv0 up"]
            dev = "dv0"
        else:
            own = lan(self._lans(self.name)[0], 20 + int(self.name[1:]) if self.name != "r0" else 1, self.version)
            lines = [
                f"link add vx0 type vxlan id 7 dstport 4789 local {own} remote {self._neighbour_address()} dev eth0"
            ]
            lines.append("link set vx0 up")
            dev = "vx0"
        address = self._address()
        if random.random() < 0.6 and not self._is_elsewhere(address, dev):
            lines.append(f"addr add {address}/{self._length()} dev {dev}{self._nodad()}")
        if random.random() < 0.5:
            lines.append(f"route {random.choice(['add', 'replace'])} {self._prefix()} dev {dev}")
        return lines

    def _cable(self) -> list[str]:
        """Connect two machines by a cable of their own, as a point-to-point link."""
        random = self.random
        if len(self.machines) < 2:
            return []
        other = random.choice([name for name in self.machines if name != self.name])
        lines = [f"{self.name}: cable {other} pp0"]
        ends = ("10.98.0.1", "10.98.0.2") if self.version == 4 else ("fd00:98::1", "fd00:98::2")
        length = random.choice([24, 31, 30]) if self.version == 4 else 64
        if length == 31:
            ends = ("10.98.0.0", "10.98.0.1")
        full = 32 if self.version == 4 else 128
        for name, own, far in ((self.name, ends[0], ends[1]), (other, ends[1], ends[0])):
            style = random.random()
            lines.append(f"{name}: link set pp0 up" if random.random() < 0.93 else f"{name}: link set pp0 down")
            if style < 0.6:
                lines.append(f"{name}: addr add {own}/{length} dev pp0{self._nodad()}")
            elif style < 0.8:
                lines.append(f"{name}: addr add {own} peer {far} dev pp0{self._nodad()}")
            else:
                lines += [
                    f"{name}: addr add {own}/{full} dev pp0{self._nodad()}",
                    f"{name}: route add {far}/{full} dev pp0",
                ]
            target = other if name == self.name else self.name
            if target != "r0" and random.random() < 0.7:
                lines.append(f"{name}: route replace {cidr(int(target[1:]), self.version)} via {far} dev pp0")
            elif target != "r0":
                lines.append(f"{name}: route replace {cidr(int(target[1:]), self.version)} dev pp0")
        return lines

    # the rest

    def _sysctl(self) -> list[str]:
        mine = [each for each in _SETTINGS if each[0].startswith(f"ipv{self.version}")]
        path, values = self.random.choice(mine)
        dev = self.random.choice(["all", "default", "lo", "eth0", "eth0", "eth1", "cni0"])
        return [f"sysctl {path.format(dev)} {self.random.choice(values)}"]

    def _neighbour(self) -> list[str]:
        if self.version == 6:
            return [f"neigh add proxy {self._neighbour_address()} dev eth0", "sysctl ipv6/conf/eth0/proxy_ndp 1"]
        return [f"neigh add proxy {self._neighbour_address()} dev eth0"]

    def _entry(self) -> list[str]:
        """Write down a neighbour, or forget it."""
        random = self.random
        dev = random.choice(["eth0", "eth0", "eth1", "cni0", "pod0"])
        address = self._neighbour_address() if dev.startswith("eth") else self._address()
        mac = random.choice(["02:00:00:00:00:77", "02:00:00:00:00:99", "ff:ff:ff:ff:ff:ff"])
        state = random.choice(["permanent", "permanent", "permanent", "noarp", "stale", "reachable", "failed"])
        lines = [f"neigh replace {address} lladdr {mac} dev {dev} nud {state}"]
        return random.choice([lines, lines, [f"neigh flush dev {dev}"], [f"neigh del {address} dev {dev}"]])

    def _flush(self) -> list[str]:
        """Take away many things at once."""
        random = self.random
        return [
            random.choice(
                ["route flush proto 107", f"route flush dev {self._dev()}", f"route flush root {self._prefix()}",
                 f"route flush exact {self._prefix()}", "route flush table 100", "route flush table local", "route flush table main",
                 "rule flush", f"addr flush dev {self._dev()}", f"addr flush dev {self._dev()} scope global"]
            )
        ]  # fmt: skip

    def _bridge(self) -> list[str]:
        """Change a bridge or one of its ports."""
        random = self.random
        port = random.choice(["pod0", "pod0", "eth0"])
        change = random.choice(
            ["state 0", "state 4", "learning off", "flood off", "bcast_flood off", "mcast_flood off", "isolated on", "hairpin on", "guard on",
             "fastleave on", "neigh_suppress on", "locked on", "proxy_arp on"]
        )  # fmt: skip
        whole = random.choice(
            [
                "vlan_filtering 1",
                "stp_state 1",
                "ageing_time 0",
                "mcast_snooping 1",
                "vlan_default_pvid 0",
                "nf_call_iptables 1",
            ]
        )
        bridge = random.choice(["cni0", "cni0", "br9"])
        return random.choice(
            [
                [f"link set {port} type bridge_slave {change}"],
                [f"link set {port} type bridge_slave {change}"],
                [f"link set {bridge} type bridge {whole}"],
                [f"link set {bridge} type bridge vlan_filtering 1 vlan_default_pvid 7"],
                [f"link del {bridge}"],
            ]
        )

    def _default_route(self) -> list[str]:
        random = self.random
        hop = self._neighbour_address()
        words = random.choice(
            [f"via {hop}", f"via {hop} metric 50", f"dev {self._dev()}", f"via {hop} src {self._address()}", f"via {hop} dev {self._dev()} onlink",
             f"via {hop} table 100", f"nexthop via {hop} nexthop via {self._neighbour_address()} weight 5"]
        )  # fmt: skip
        return [f"route {random.choice(['add', 'replace', 'append', 'del'])} default {words}"]

    def _lifetime(self) -> list[str]:
        """Add an address with rare properties."""
        random = self.random
        more = random.choice(
            ["scope link", "scope host", "valid_lft 3000 preferred_lft 0", "metric 5", "metric 5000", "broadcast +", f"broadcast {self._address()}",
             "label eth0:1", "home", "autojoin", "mngtmpaddr"]
        )  # fmt: skip
        dev = self._dev()
        address, length = self._address(), self._length()
        full = 32 if self.version == 4 else 128
        if dev != "lo" and length < full and self._is_elsewhere(address, dev):
            length = full
        return [f"addr {random.choice(['add', 'replace'])} {address}/{length} dev {dev}{self._nodad()} {more}"]

    def _renamed(self) -> list[str]:
        """Rename a device, which has to be down for that with old kernels, or take it away."""
        dev = self.random.choice(["eth0", "eth1", "cni0", "pod0"])
        lines = [f"link set {dev} name ren0"]
        return self.random.choice([lines, [f"link set {dev} down", *lines, "link set ren0 up"], [f"link del {dev}"]])
