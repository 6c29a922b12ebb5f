"""Proving by classes finds exactly what following every packet of every pair finds."""

from collections import Counter
from random import Random

from podroutes.model.address import Prefix
from podroutes.model.forwarding_path import Flow
from podroutes.model.host import DEFAULT_RULES, Rule
from podroutes.model.proof import Cause
from podroutes.plan.claims import examine
from podroutes.verify.causes import Judge
from podroutes.verify.neighbours import Neighbours
from podroutes.verify.network import Network
from podroutes.verify.pods import Pods, pods_of
from podroutes.verify.proof import prove
from podroutes.verify.table_diff import TableDiffs, differences
from podroutes.verify.targets import parts, targets
from podroutes.verify.walk import follow
from support.notation import cluster, route
from verify.paper import ROUTER, paper

COUNT = 9
NODES = cluster("server 192.168.8.10", *(f"worker-{n} 192.168.8.{20 + n} 10.200.{n}.0/24" for n in range(COUNT)))


def fault(random):
    """Return one change to one node, wrong or harmless."""
    n = random.randrange(COUNT)
    via = random.choice([f"192.168.8.{20 + random.randrange(COUNT)}", "192.168.8.1", "192.168.8.99"])
    part = random.choice(
        [f"10.200.{n}.64/26", f"10.200.{n}.77/32", f"10.200.{n}.128/25", "10.200.0.0/16", "10.0.0.0/8"]
    )
    return random.choice(
        [
            [f"-10.200.{n}.0/24"],
            [f"-10.200.{n}.0/24", f"10.200.{n}.0/24 via {via} dev ens18"],
            [f"10.200.{n}.0/24 via {via} dev ens18 metric {random.choice([1, 0])}"],
            [f"{part} via {via} dev ens18"],
            [f"{random.choice(['blackhole', 'unreachable', 'throw'])} {part}"],
            [f"{part} dev cni0"],
            ["-0.0.0.0/0"],
            ["!cni0"],
            ["?ens18"],
            ["net.ipv4.ip_forward=0"],
            [
                "net.ipv4.ip_forward=1",
                "net.ipv4.conf.all.rp_filter=1",
                "net.ipv4.conf.ens18.rp_filter=0",
                "net.ipv4.conf.cni0.rp_filter=0",
            ],
            ["+ens19 192.168.8.121/24", f"-10.200.{n}.0/24", f"10.200.{n}.0/24 via 192.168.8.{20 + n} dev ens19"],
        ]
    )


def ruled(random, host):
    """Give a machine policy rules, some of which look at the source."""
    n = random.randrange(COUNT)
    selector = random.choice(
        [
            {"src": host.routes[0].dst},
            {"iif": "cni0"},
            {"dst": NODES.nodes[1 + n].pod_cidrs[0]},
            {"mark": 1, "mask": 1},
            {},
        ]
    )
    rule = Rule(random.randint(1, 30000), random.choice(["lookup", "blackhole", "nop"]), 100, **selector)
    return host._replace(rules={**DEFAULT_RULES, 4: (DEFAULT_RULES[4][0], rule, *DEFAULT_RULES[4][1:])})


def interned(hosts):
    """Return HOSTS with equal routes as one object, as they are when one reader has read them all."""
    known = {}
    return [host._replace(routes=tuple(known.setdefault(route, route) for route in host.routes)) for host in hosts]


def possible(network, target):
    """Return the parts of a pod CIDR that any machine tells apart, each with an address that a pod may have."""
    owner = network.hosts[target.owner]
    pods = pods_of(owner, target, network.nodes[target.owner].internal_ips, owner.routes) if target.pods else Pods()
    inside = {route.dst for host in network.hosts.values() for route in host.routes if target.prefix.covers(route.dst)}
    inside |= {
        each
        for host in network.hosts.values()
        for rule in host.rules[4]
        if (each := rule.src) and target.prefix.covers(each)
    }
    alone = {Prefix(4, each.value, 32) for each in pods.reserved}
    found = parts(target.prefix, (inside | alone) - {target.prefix})
    return pods, [each for each in found if each[1] not in pods.reserved]


def one_by_one(network, claims):
    """Follow a packet from every part of every node's pods to every part of every target: {(source, target): severity}."""
    found, neighbours = {}, Neighbours(network)
    judge = Judge(neighbours)
    everything = targets(claims, network, 4)
    mine = {target.owner: target for target in everything}
    split = {target: possible(network, target) for target in everything}
    for source in network.nodes:
        pods, sources = split[mine[source]]
        entries = pods.entries if mine[source].pods else ("lo",)
        for target in everything:
            worst = set()
            for part, dst in split[target][1] if target.owner != source else ():
                severities = set()
                for _, src in sources:
                    for iif in entries:
                        cause = None
                        if iif != "lo" and not network.hosts[source].works(iif):
                            cause = Cause("unreachable", "link-down", source)
                        cause = cause or judge.judge(
                            follow(neighbours, network.look, source, Flow(dst, src, iif)),
                            target,
                            split[target][0],
                            part,
                        )
                        severities.add(cause.severity if cause and cause.severity != "warning" else "")
                if severities != {""}:
                    worst.add("unreachable" if severities <= {"unreachable"} else "cannot-tell")
            if worst:
                found[source, target.prefix] = max(worst)
    return found


def by_classes(network, claims):
    """Return the same as ``prove`` has it."""
    found = {}
    for finding in prove(network, claims).findings:
        for block in finding.blocks if finding.cause.severity != "warning" else ():
            for source in block.sources:
                for destination in block.destinations:
                    known = found.get((source, destination), "")
                    found[source, destination] = max(known, finding.cause.severity)
    return found


def test_proving_by_classes_is_following_every_packet():
    claims, counts = examine(NODES), Counter()
    for seed in range(250):
        random = Random(seed)
        changes = {
            f"worker_{random.randrange(COUNT)}": fault(random) for _ in range(random.choice([0, 1, 1, 2, 4, 12]))
        }
        hosts = paper(NODES, changes)
        if random.random() < 0.2:
            place = random.randrange(1, COUNT + 1)
            hosts[place] = ruled(random, hosts[place])
        if random.random() < 0.3:
            hosts.append(ROUTER)
        random.shuffle(hosts)
        if random.random() < 0.7:
            hosts = interned(hosts)
        network = Network(hosts, NODES)
        expected = one_by_one(network, claims)
        assert by_classes(network, claims) == expected, f"seed {seed}: {changes}"
        counts.update(expected.values())
    assert counts["unreachable"] > 1000
    assert counts["cannot-tell"] > 50


def test_a_healthy_cluster_of_any_size_needs_no_pair_to_be_followed():
    for count in (20, 200):
        nodes = cluster(*(f"n{n} 192.168.8.{n + 10} 10.200.{n}.0/24" for n in range(count)))
        proof = prove(Network(paper(nodes, {}), nodes), examine(nodes))
        assert (proof.proven, proof.pairs, proof.followed) == (True, count * (count - 1), count)


def test_what_all_nodes_send_through_a_router_is_followed_once_a_network():
    near = [f"n{n} 192.168.8.{n + 10} 10.200.{n}.0/24" for n in range(20)]
    far = [f"f{n} 192.168.9.{n + 10} 10.200.{100 + n}.0/24" for n in range(30)]
    nodes = cluster(*near, *far)
    hosts = paper(nodes, {})
    router = ROUTER._replace(
        routes=(
            *(each for each in ROUTER.routes if each.via is None),
            *(
                route(f"{node.pod_cidrs[0]} via {node.internal_ips[0]} dev lan{8 if node.name[0] == 'n' else 9}")
                for node in nodes.nodes
            ),
        )
    )
    proof = prove(Network(interned([*hosts, router]), nodes), examine(nodes))
    assert (proof.proven, proof.pairs, proof.followed) == (True, 50 * 49, 50 + 20 + 30)


def test_tables_that_differ_in_a_few_routes_are_told_apart_and_others_are_not():
    every = tuple(route(f"10.{n >> 8}.{n & 255}.0/24 via 192.168.8.1 dev ens18") for n in range(1000))
    alone = route("10.99.0.0/24 via 192.168.8.9 dev ens18")
    assert differences(every, every) == ((), ())
    assert differences(every, (*every[:500], alone, *every[501:])) == (every[500:501], (alone,))
    assert differences(every, (alone, *every[:999])) == (every[999:], (alone,))
    moved = (*every[:10], every[20], *every[10:20], *every[21:])
    gone, new = differences(every, moved)
    assert set(gone) == set(new)
    assert len(new) <= 10
    assert differences(every, every[::-1]) is None
    assert differences(every, every[:900]) is None
    assert differences(every, tuple(each for n, each in enumerate(every) if n % 10)) is None


def test_every_machine_is_known_by_what_sets_it_apart_from_its_model():
    random, counts = Random(7), Counter()
    every = tuple(route(f"10.{n >> 8}.{n & 255}.0/24 via 192.168.8.1 dev ens18") for n in range(300))
    for _ in range(300):
        one = list(every)
        for _ in range(random.choice([0, 1, 5, 30])):
            place = random.randrange(len(one))
            change = random.choice(["drop", "add", "move", "twice"])
            taken = one.pop(place) if change in ("drop", "move") else one[place]
            if change == "add":
                taken = route(f"10.50.{random.randrange(256)}.0/24 via 192.168.8.2 dev ens18")
            if change != "drop":
                one.insert(random.randrange(len(one)), taken)
        known, machine = TableDiffs(), paper(NODES, {})[0]
        hosts = [machine._replace(name=name, routes=tuple(routes)) for name, routes in (("a", every), ("b", one))]
        (_, _, _), (_, unseen, ids) = known.compare(hosts)
        whole = frozenset(map(id, one))
        if ids is None:
            likeness = known.found["b"]
            assert (known.ids["a"] - likeness.gone) | likeness.new == whole
            assert likeness.gone <= known.ids["a"]
            assert likeness.gone.isdisjoint(whole)
        else:
            assert ids == whole
        assert set(map(id, unseen)) == whole - known.ids["a"]
        counts[ids is None] += 1
    assert min(counts[True], counts[False]) >= 1
