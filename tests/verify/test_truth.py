"""The kernel is right: what the model says of a packet is what the kernel says at each hop, and what the packet does.

Every round gives six machines other tables. ``PODROUTES_TRUTH_ROUNDS`` makes it run longer, ``PODROUTES_TRUTH_SEED`` elsewhere.
"""

import os
from collections import Counter
from random import Random

import pytest

from podroutes.model.address import parse_address
from podroutes.model.forwarding_path import Flow, ForwardingPath
from podroutes.verify.neighbours import Neighbours
from podroutes.verify.network import Network
from podroutes.verify.walk import follow
from verify import chaos
from verify.kernel import ask
from verify.spaces import Packet
from verify.world import NODES, World, inventory, node, pod

ROUNDS = int(os.environ.get("PODROUTES_TRUTH_ROUNDS", "16"))
SEED = int(os.environ.get("PODROUTES_TRUTH_SEED", "1"))
HOSTS = {4: (1, 2, 77, 130, 255), 6: (1, 2, 0x77)}


def shuffle(world: World, random: Random, version: int) -> str:
    """Give every machine other tables; return what was done, for when the kernel disagrees."""
    done = []
    strict = random.random() < 0.5
    for name in world.machines:
        own = chaos.own_number(name)
        lines = [*chaos.clear(version), *chaos.straight(own, version)]
        if random.random() < 0.8:
            lines += (
                chaos.missing(random, own, version)
                + chaos.oddities(random, own, version)
                + chaos.rules(random, version)
            )
        world.ip(name, lines, version)
        if version == 4:
            for dev in ("e1", "e2", "cni0"):
                mode = random.choice([0, 0, 1, 2]) if strict else 0
                if (dev[1:] in map(str, (1, 2) if name == "router" else chaos.LANS[own])) or (
                    dev == "cni0" and name != "router"
                ):
                    world.sysctl(name, f"ipv4/conf/{dev}/rp_filter", mode)
                    lines.append(f"# {dev} rp_filter {mode}")
        done.append("\n".join([f"== {name}", *lines]))
    return "\n".join(done)


def journeys(network: Network, version: int) -> list[tuple[int, Flow, ForwardingPath]]:
    """Follow a packet from every pod to some addresses of every other node's pod CIDR."""
    found, neighbours = [], Neighbours(network)
    for source in range(NODES):
        for index in range(NODES):
            for host in HOSTS[version] if index != source else ():
                flow = Flow(parse_address(pod(index, host, version)), parse_address(pod(source, 2, version)), "cni0")
                found.append((source, flow, follow(neighbours, network.look, node(source), flow)))
    return found


def agrees(forwarding_path: ForwardingPath, place: int, said: object, version: int) -> bool | None:
    """Whether the kernel's answer at one hop is the model's; None where the model gives none."""
    hop = forwarding_path.hops[place]
    decision = hop.decision
    fates = {end.fate for end in forwarding_path.ends if end.hop == place}
    if decision.kind == "unknown":
        return None
    if "reverse-path" in fates:
        return said in ("reverse-path", "blackhole")  # EXDEV, or EINVAL where the way back is no unicast route
    if "martian-source" in fates:
        return said == "blackhole"
    if isinstance(said, str):
        refused = (
            decision.kind == "unreachable" and decision.route is None
        )  # a rule answers ENETUNREACH, a route EHOSTUNREACH
        return said == ("no-route" if refused else decision.kind)
    assert isinstance(said, dict)
    via = said.get("gateway") or said.get("via", {}).get("host")
    ways = {(hop.via and str(hop.via), hop.dev) for hop in decision.hops}
    kind = said.get("type", "unicast")
    return kind == decision.kind and (kind != "unicast" or (via, said["dev"]) in ways)


def held_against_the_kernel(world: World, found: list[tuple[int, Flow, ForwardingPath]], version: int) -> Counter[str]:
    """Compare every decision with ``ip route get`` on its machine."""
    questions: dict[str, dict[str, list[tuple[ForwardingPath, int]]]] = {}
    for _, flow, forwarding_path in found:
        for place, hop in enumerate(forwarding_path.hops):
            question = f"{flow.dst} from {flow.src} iif {hop.iif}"
            questions.setdefault(hop.host, {}).setdefault(question, []).append((forwarding_path, place))
    counts: Counter[str] = Counter()
    for name, asked in questions.items():
        with world.inside(name):
            answers = ask(list(asked), version)
        for (question, places), said in zip(asked.items(), answers, strict=True):
            for forwarding_path, place in places:
                verdict = agrees(forwarding_path, place, said, version)
                assert verdict is not False, (
                    f"{name}: {question}: the kernel says {said}, the model {forwarding_path.hops[place]} {forwarding_path.ends}"
                )
                counts["not modelled" if verdict is None else "decisions"] += 1
                counts[forwarding_path.hops[place].decision.kind] += 1
    return counts


def places(flow: Flow, forwarding_path: ForwardingPath) -> set[str] | None:
    """Return every namespace that the packet may come out at, an empty name for nowhere; None where that is not known."""
    found = set()
    for end in forwarding_path.ends:
        host = forwarding_path.hops[end.hop].host
        if end.fate == "unknown":
            return None
        if end.fate == "local":
            found.add(host)
        elif (
            end.fate == "on-link"
            and host != "router"
            and flow.dst == parse_address(pod(int(host[1:]), 2, flow.dst.version))
            and end.detail == "cni0"
        ):
            found.add(f"p{host[1:]}")
        else:
            found.add("")
    return found


def held_against_packets(world: World, found: list[tuple[int, Flow, ForwardingPath]], version: int) -> Counter[str]:
    """Compare every journey with a real packet."""
    broadcast = 0xFF if version == 4 else None
    flows = [
        (source, flow, forwarding_path)
        for source, flow, forwarding_path in found
        if broadcast is None or flow.dst.value & 0xFF != broadcast
    ]
    came = world.arrivals(version, [Packet(f"p{source}", str(flow.dst)) for source, flow, _ in flows])
    counts: Counter[str] = Counter()
    for (source, flow, forwarding_path), where in zip(flows, came, strict=True):
        wanted = places(flow, forwarding_path)
        if wanted is None:
            continue
        assert len(where) <= 1, f"p{source} to {flow.dst} came out at {where}"
        assert (where or {""}) <= wanted, (
            f"p{source} to {flow.dst}: came out at {where or 'nowhere'}, the model says {wanted}: {forwarding_path}"
        )
        counts["packets"] += 1
        counts["arrived" if where else "lost"] += 1
    return counts


@pytest.mark.usefixtures("bare")
def test_the_model_agrees_with_the_kernel_and_with_real_packets() -> None:
    cluster, counts = inventory(), Counter[str]()
    with World() as world:
        for number in range(SEED, SEED + ROUNDS):
            random = Random(number)
            version = random.choice([4, 4, 6])
            tables = shuffle(world, random, version)
            network = Network(world.read(), cluster)
            found = journeys(network, version)
            try:
                counts += held_against_the_kernel(world, found, version)
                counts += held_against_packets(world, found, version)
            except AssertionError as error:
                raise AssertionError(f"seed {number}, IPv{version}: {error}\n{tables}") from None
    assert counts["decisions"] >= 150 * ROUNDS
    assert counts["packets"] >= 40 * ROUNDS
    assert counts["arrived"] >= 10 * ROUNDS
    assert counts["lost"] >= 4 * ROUNDS
    assert counts["not modelled"] <= counts["decisions"] // 50
