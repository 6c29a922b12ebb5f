"""Reports to make pages of: clusters on paper with a few faults, and proofs that no cluster has to be made for."""

from podroutes.model.address import Address, Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.model.proof import Block, Cause, Finding, Proof, Target
from podroutes.model.route import NextHop, Route
from podroutes.plan.claims import examine
from podroutes.verify.network import Network
from podroutes.verify.proof import prove
from podroutes.views.html import Report
from verify.paper import changed, host

LAN, PODS = Address(4, 0x0A090000), Prefix(4, 0x0AC80000, 16)  # 10.9.0.0, 10.200.0.0/16


def nodes(count, name="worker-{}".format):
    """Return a cluster of COUNT nodes on one LAN."""
    return Cluster(
        tuple(
            Node(name(n), (LAN._replace(value=LAN.value + 2 + n),), (Prefix(4, PODS.value + (n << 8), 24),))
            for n in range(count)
        ),
        source="cluster.yaml",
    )


def report(cluster, faults=(), seen=None):
    """Return the report on CLUSTER, whose routes are right but for FAULTS: ``{2: ["-10.200.1.0/24"]}``."""
    ways = [Route(each.pod_cidrs[0], (NextHop(each.internal_ips[0], "ens18"),)) for each in cluster.nodes]
    hosts = []
    for place, each in enumerate(cluster.nodes[:seen]):
        pods = each.pod_cidrs[0]
        addresses = {"ens18": f"{each.internal_ips[0]}/16", "cni0": f"{Address(4, pods.value + 1)}/24"}
        machine = host(each.name, addresses, [*ways[:place], *ways[place + 1 :]])
        hosts.append(changed(machine, dict(faults).get(place, ())))
    claims, network = examine(cluster), Network(hosts, cluster)
    return made(cluster, prove(network, claims), network.hosts, claims.problems)


def made(cluster, proof, hosts=(), problems=()):
    """Return the report on a proof."""
    targets = tuple(Target(cidr, each.name) for each in cluster.nodes for cidr in each.pod_cidrs)
    return Report(
        proof, cluster, targets, dict(hosts), tuple(problems), "files in tables/", "2025-03-01 12:00:00 UTC", "1.2.3"
    )


def claimed(cluster, failing):
    """Return a proof that says that FAILING fails: ``(cause, [places of sources], [places of destinations])``."""
    names = [each.name for each in cluster.nodes]
    cidrs = [each.pod_cidrs[0] for each in cluster.nodes]
    findings = tuple(
        Finding(cause, (Block(tuple(names[at] for at in sources), tuple(cidrs[at] for at in targets)),))
        for cause, sources, targets in failing
    )
    return Proof(tuple(names), len(cidrs), len(names) * (len(names) - 1), findings, (), 0)


def no_route(node, **more):
    """Return why NODE has no route."""
    return Cause(more.get("severity", "unreachable"), more.get("code", "no-route"), node)
