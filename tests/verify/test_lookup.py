"""One machine's look-ups against ``ip route get``: every kind of route and rule, TOS, marks, preferences, dead links."""

import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from random import Random

from podroutes.host.iproute_json import Reader
from podroutes.host.local_tables import read_here
from podroutes.lab import syscalls
from podroutes.model.address import parse_address
from podroutes.model.forwarding_path import Flow
from podroutes.model.host import LOOPBACK
from podroutes.verify.lookup import Tables
from podroutes.verify.reverse_path import source_verdict
from verify.kernel import ask

ROUNDS = int(os.environ.get("PODROUTES_TRUTH_ROUNDS", "40"))
SEED = int(os.environ.get("PODROUTES_TRUTH_SEED", "1"))
PREFIXES = {
    4: "10.200.1.0/24 10.200.1.128/25 10.200.1.64/26 10.200.2.0/24 10.200.0.0/16 10.0.0.0/8 default 10.200.1.77/32 10.200.0.0/25".split(),
    6: "fd00:200:1::/64 fd00:200:1::/65 fd00:200:1::5/128 fd00:200:2::/64 fd00:200::/32 fd00::/8 default fd00:200::/66".split(),
}
DESTINATIONS = {
    4: "10.200.1.1 10.200.1.65 10.200.1.77 10.200.1.129 10.200.1.255 10.200.2.9 10.200.0.5 10.200.0.1 10.200.3.1 8.8.8.8 "
    "192.168.1.21 192.168.1.255 192.168.2.20 10.200.0.255".split(),
    6: "fd00:200:1::1 fd00:200:1:0:8000::9 fd00:200:1::5 fd00:200:2::1 fd00:200:0:0:5::1 fd00:200::1 fd00:300::1 2001:db8::1 "
    "fd00:1::21 fd00:2::20 fd00:200::".split(),
}
SOURCES = {
    4: [
        ("10.200.0.5", "cni0"),
        ("10.200.0.77", "cni0"),
        ("192.168.1.20", LOOPBACK),
        ("172.16.0.9", "e1"),
        (None, LOOPBACK),
    ],
    6: [("fd00:200::5", "cni0"), ("fd00:1::20", LOOPBACK), ("fd00:9::9", "e1"), (None, LOOPBACK)],
}
MACHINE = [
    "link set lo up",
    *(
        line
        for n in (1, 2, 3)
        for line in (
            f"link add e{n} type veth peer name w{n}",
            f"link set w{n} up",
            f"link set e{n} up",
            f"addr add 192.168.{n}.20/24 dev e{n}",
            f"addr add fd00:{n}::20/64 dev e{n} nodad",
        )
    ),
    "link add cni0 type bridge",
    "link set cni0 up",
    "addr add 10.200.0.1/24 dev cni0",
    "addr add fd00:200::1/64 dev cni0 nodad",
]
ADDRESSES = {"fd00:1::20", "fd00:2::20", "fd00:3::20", "fd00:200::1"}


def ip(lines, *options):
    """Run ip(8); what the kernel does not take is not there afterwards."""
    subprocess.run(
        ["ip", *options, "-force", "-batch", "-"],
        input="\n".join(lines) + "\n",
        text=True,
        check=False,
        capture_output=True,
    )


def route(random, version):
    n, m = random.randint(1, 3), random.randint(1, 3)
    to = [
        f"192.168.{k}.{random.randint(21, 24)}" if version == 4 else f"fd00:{k}::{random.randint(21, 24)}"
        for k in (n, m)
    ]
    table = random.choice(["main"] * 5 + ["100", "100", "101", "local", "default"])
    head = f"{random.choice(PREFIXES[version])} table {table} {random.choice(['', '', 'metric 5', 'metric 7', 'metric 1024'])}"
    head += f" tos {random.choice(['0x10', '0x08', '0x04'])}" if version == 4 and random.random() < 0.2 else ""
    preference = f" pref {random.choice(['high', 'low'])}" if version == 6 and random.random() < 0.3 else ""
    words = {
        "via": f"{head} via {to[0]} dev e{n}",
        "dev": f"{head}{preference} dev e{n}",
        "multipath": f"{head} nexthop via {to[0]} dev e{n} nexthop via {to[1]} dev e{m} weight 3",
        "local": f"local {head} dev lo",
    }
    kind = random.choice(
        ["via"] * 6
        + ["dev", "multipath", "multipath", "local", "blackhole", "unreachable", "prohibit", "throw", "throw"]
    )
    if version == 6 and kind not in words:
        # A refusing route between ECMP siblings is left out of the kernel's own dump, and so are their preferences.
        head = f"{head.partition(' metric')[0]} metric 3"
    return f"route {random.choice(['add', 'append', 'prepend'])} {words.get(kind, f'{kind} {head}')}"


def rule(random, version):
    sources, destinations, iifs = (
        (
            ["10.200.0.0/24", "10.200.0.64/26", "192.168.1.20", "10.0.0.0/8"],
            ["10.200.1.0/25", "10.200.1.0/24", "10.200.2.0/24"],
        )
        if version == 4
        else (["fd00:200::/64", "fd00:1::20", "fd00::/8"], ["fd00:200:1::/65", "fd00:200:2::/64"])
    ) + (["cni0", "e1", "lo", "nosuch"],)
    words = ["not"] if random.random() < 0.1 else []
    words += [f"from {random.choice(sources)}" if random.random() < 0.4 else "from all"]
    words += [f"to {random.choice(destinations)}"] if random.random() < 0.4 else []
    words += [f"iif {random.choice(iifs)}"] if random.random() < 0.2 else []
    words += ["oif e1"] if random.random() < 0.1 else []
    words += [f"fwmark {random.choice(['0x1', '0x1/0xff', '0x0/0x1'])}"] if random.random() < 0.2 else []
    words += [f"tos {random.choice(['0x10', '0x08'])}"] if random.random() < 0.2 else []
    action = random.choice(
        "lookup 100|lookup 100|lookup 101|lookup main|lookup 102|blackhole|unreachable|prohibit|goto 20000|goto 15000|nop|"
        "lookup main suppress_prefixlength 0|lookup main suppress_prefixlength 16|lookup 100 suppress_prefixlength 24".split(
            "|"
        )
    )
    return f"rule add {' '.join(words)} pref {random.randint(1, 14999)} {action}"


def chaos(random, version):
    lines = [route(random, version) for _ in range(random.randint(3, 18))]
    if random.random() < 0.7:
        lines += [rule(random, version) for _ in range(random.randint(1, 5))]
        lines += ["rule add pref 15000 from all lookup 101"] if random.random() < 0.5 else []
        lines += ["rule add pref 20000 from all lookup main"] if random.random() < 0.5 else []
    lines += [f"link set w{random.randint(1, 3)} down"] if random.random() < 0.2 else []
    return [*lines, *([f"link set e{random.randint(1, 3)} down"] if random.random() < 0.1 else [])]


def question(flow):
    words = [str(flow.dst), f"from {flow.src}" if flow.src else "", f"iif {flow.iif}" if flow.iif != LOOPBACK else ""]
    return " ".join([*words, f"tos {flow.tos:#x}" if flow.tos else "", f"mark {flow.mark}" if flow.mark else ""])


def settle():
    """Wait until the IPv6 addresses have their local routes: a worker of the kernel makes these, addrconf_dad_work()."""
    for _ in range(500):
        said = subprocess.run("ip -j -6 route show table local".split(), check=True, capture_output=True).stdout
        if {each["dst"] for each in json.loads(said)} >= ADDRESSES:
            return
        time.sleep(0.01)
    raise AssertionError("the addresses have no local routes")


def agrees(tables, flow, said):
    """Whether the kernel's answer is the model's; None where the model gives none."""
    decision = tables.decide(flow)
    if decision.kind == "unknown":
        return None
    if said in ("reverse-path", "blackhole") and flow.iif != LOOPBACK and tables.version == 4 and decision.hops:
        out = decision.hops[0].dev if decision.kind == "unicast" else LOOPBACK
        back = Flow(flow.src, flow.dst if decision.kind != "broadcast" else None, out)
        verdict = source_verdict(tables, flow, back)
        return None if verdict == "unknown" else verdict in ("martian-source", "reverse-path")
    if isinstance(said, str):  # a rule answers ENETUNREACH where a route answers EHOSTUNREACH
        return said == ("no-route" if decision.kind == "unreachable" and decision.route is None else decision.kind)
    via = said.get("gateway") or said.get("via", {}).get("host")
    ways = {(hop.via and str(hop.via), hop.dev) for hop in decision.hops}
    return said.get("type", "unicast") == decision.kind and (decision.kind != "unicast" or (via, said["dev"]) in ways)


def test_a_look_up_is_what_the_kernel_looks_up(bare):
    counts = Counter()
    for seed in range(SEED, SEED + ROUNDS):
        random = Random(seed)
        version = random.choice([4, 6])
        syscalls.unshare(syscalls.NEWNET)  # the one before is gone with everything in it
        ip(MACHINE)
        settle()
        settings = {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1}
        settings |= {f"ipv4/conf/{dev}/rp_filter": 0 for dev in ("all", "lo", "e1", "e2", "e3", "cni0")}
        settings |= {
            f"ipv{version}/conf/e{random.randint(1, 3)}/ignore_routes_with_linkdown": int(random.random() < 0.2)
        }
        for path, value in settings.items():
            Path(f"/proc/sys/net/{path}").write_text(str(value), encoding="ascii")
        lines = chaos(random, version)
        ip(lines, f"-{version}")
        tables = Tables(read_here("here", Reader()), version)
        flows = [
            Flow(
                parse_address(dst),
                src and parse_address(src),
                iif,
                random.choice([0, 0, 0x10, 0x08, random.randrange(64) << 2]),
                random.choice([0, 0, 1, 0x101]),
            )
            for dst in DESTINATIONS[version]
            for src, iif in SOURCES[version]
        ]
        for flow, said in zip(flows, ask(list(map(question, flows)), version), strict=True):
            verdict = agrees(tables, flow, said)
            assert verdict is not False, (
                f"seed {seed}: {question(flow)}: the kernel says {said}, the model {tables.decide(flow)}\n"
                + "\n".join(lines)
            )
            counts["not modelled" if verdict is None else "compared"] += 1
            counts[version, tables.decide(flow).kind] += 1
    assert counts["compared"] >= 45 * ROUNDS
    assert counts["not modelled"] <= counts["compared"] // 10
    kinds = ("unicast", "local", "blackhole", "unreachable", "prohibit", "no-route")
    assert {(version, kind) for version in (4, 6) for kind in kinds} <= counts.keys()
