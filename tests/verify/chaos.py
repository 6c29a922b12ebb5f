"""Random routes and rules, as lines for ``ip -batch``: right ones, and every way of being wrong."""

from random import Random

from verify.world import LANS, NODES, ROUTER, cidr, lan, pod

_OTHER = {4: ["10.200.0.0/16", "10.0.0.0/8", "default"], 6: ["fd00:200::/32", "fd00::/8", "default"]}


def part(random: Random, index: int, version: int) -> str:
    """Return a part of a pod CIDR."""
    if version == 4:
        return random.choice(
            [
                f"10.200.{index}.0/25",
                f"10.200.{index}.128/25",
                f"10.200.{index}.64/26",
                f"10.200.{index}.77/32",
                f"10.200.{index}.2/32",
            ]
        )
    return random.choice(
        [
            f"fd00:200:{index}::/65",
            f"fd00:200:{index}:0:8000::/65",
            f"fd00:200:{index}::77/128",
            f"fd00:200:{index}::2/128",
        ]
    )


def prefix(random: Random, version: int) -> str:
    index = random.randrange(NODES)
    return random.choice(
        [cidr(index, version), cidr(index, version), part(random, index, version), random.choice(_OTHER[version])]
    )


def gateway(random: Random, own: int, version: int) -> str:
    """Return ``via ADDRESS dev DEVICE`` towards a neighbour that may or may not be right, or exist."""
    number = random.choice((1, 2) if own == NODES else LANS[own])
    others = [20 + index for index in range(NODES) if number in LANS[index] and index != own]
    host = random.choice([*others, *others, *([1] if own != NODES else []), 99])
    return f"via {lan(number, host, version)} dev e{number}"


def straight(own: int, version: int) -> list[str]:
    """Return the right routes of one machine: to its neighbours' pods directly, to all others' through the router."""
    lines = []
    mine = (1, 2) if own == NODES else LANS[own]
    for index in range(NODES):
        if index != own:
            shared = [number for number in mine if number in LANS[index]]
            number = shared[0] if shared else mine[0]
            host = 20 + index if shared else 1
            lines.append(f"route add {cidr(index, version)} via {lan(number, host, version)} dev e{number} proto 107")
    return lines


def oddities(random: Random, own: int, version: int) -> list[str]:
    """Return routes that one machine should not have."""
    lines = []
    for _ in range(random.randint(0, 4)):
        table = random.choice(["main", "main", "main", "100", "101"])
        verb = random.choice(["add", "replace", "append", "prepend"])
        metric = random.choice(["", "", "metric 5", "metric 1024"])
        if version == 4 and random.random() < 0.15:
            metric += " tos 0x10"
        dst = prefix(random, version)
        kind = random.choice(["via"] * 6 + ["multipath"] * 2 + ["dev", "blackhole", "unreachable", "prohibit", "throw"])
        if kind == "via":
            lines.append(f"route {verb} {dst} {gateway(random, own, version)} table {table} proto 107 {metric}")
        elif kind == "multipath":
            ways = " ".join(f"nexthop {gateway(random, own, version)} weight {random.randint(1, 3)}" for _ in range(2))
            lines.append(f"route {verb} {dst} table {table} proto 107 {metric} {ways}")
        elif kind == "dev":
            number = random.choice((1, 2) if own == NODES else LANS[own])
            lines.append(f"route {verb} {dst} dev e{number} table {table} proto 107 {metric}")
        else:
            lines.append(f"route {verb} {kind} {dst} table {table} proto 107 {metric}")
    return lines


def missing(random: Random, own: int, version: int) -> list[str]:
    """Return what takes some of the right routes away."""
    others = [index for index in range(NODES) if index != own]
    gone = [index for index in others if random.random() < 0.15]
    return [f"route del {cidr(index, version)} proto 107" for index in gone]


def rules(random: Random, version: int) -> list[str]:
    """Return policy rules."""
    lines = []
    for _ in range(random.choice([0, 0, 0, 1, 2, 3])):
        index = random.randrange(NODES)
        words = ["not"] if random.random() < 0.1 else []
        words += (
            [f"from {random.choice([cidr(index, version), pod(index, 2, version)])}"] if random.random() < 0.5 else []
        )
        words += (
            [f"to {random.choice([cidr(index, version), part(random, index, version)])}"]
            if random.random() < 0.4
            else []
        )
        words += [f"iif {random.choice(['cni0', 'e1', 'e2', 'lo'])}"] if random.random() < 0.3 else []
        words += [f"fwmark {random.choice(['0x1', '0x1/0xff', '0x0/0x1'])}"] if random.random() < 0.1 else []
        words += ["tos 0x10"] if random.random() < 0.1 else []
        words += ["from all"] if words in ([], ["not"]) else []
        action = random.choice(
            ["lookup 100"] * 4
            + [
                "lookup 101",
                "lookup main suppress_prefixlength 16",
                "blackhole",
                "unreachable",
                "prohibit",
                "goto 32766",
                "nop",
            ]
        )
        lines.append(f"rule add {' '.join(words)} pref {random.randint(1, 30000)} {action}")
    return lines


def clear(version: int) -> list[str]:
    """Return what takes everything of ours away, and gives the rules of a fresh machine."""
    lines = ["route flush table all proto 107", "rule flush", "rule add pref 32766 from all lookup main"]
    return [*lines, *(["rule add pref 32767 from all lookup default"] if version == 4 else [])]


def own_number(name: str) -> int:
    return NODES if name == ROUTER else int(name[1:])
