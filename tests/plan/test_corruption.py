"""Whatever is corrupted or added: no route of an untouched node is lost, in any order, across flaps and restarts."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from podroutes.kernel.memory import MemoryKernel
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node, Unread
from podroutes.model.persisted import OwnedRoutes, written
from podroutes.model.plan import Outcome
from podroutes.model.route import Route
from podroutes.model.saved_route import Saved, SavedRoute
from podroutes.plan.claims import examine
from podroutes.plan.ownership import standing
from podroutes.plan.planning import plan_here
from podroutes.plan.refusals import results
from podroutes.plan.remember import not_standing, remembered
from podroutes.plan.settle import Context
from support.notation import address, link

COUNT = 6
MOVED = {f"192.168.8.{20 + n}": f"192.168.8.{120 + n}" for n in range(COUNT)}


def good(number: int, *, aged: bool) -> Node:
    return Node(
        f"worker-{number}",
        (parse_address(f"192.168.8.{20 + number}"),),
        (parse_prefix(f"10.200.{number}.0/24"),),
        created=f"2026-01-01T00:00:0{number}Z" if aged else "",
        uid=f"uid-{number}" if aged else "",
    )


def corrupted(node: Node, how: str) -> Node:
    unread = {
        "podCIDR": Unread("podCIDR", "x", "invalid-pod-cidr"),
        "internalIP": Unread("internalIP", "y", "unknown-key"),
    }
    match how:
        case "podCIDR":
            return node._replace(pod_cidrs=(), unread=(unread["podCIDR"],))
        case "internalIP":
            return node._replace(internal_ips=(), unread=(unread["internalIP"],))
        case "both":
            return node._replace(pod_cidrs=(), internal_ips=(), unread=tuple(unread.values()))
        case _:
            moved = MOVED[str(node.internal_ips[0])]
            return node._replace(internal_ips=(parse_address(moved),))


addresses = st.sampled_from(
    [f"10.200.{n}.9" for n in range(1, COUNT)]
    + [f"192.168.8.{20 + n}" for n in range(COUNT)]
    + ["192.168.8.66", "192.168.8.67"]
)
cidrs = st.sampled_from(
    [f"10.200.{n}.0/24" for n in range(COUNT)]
    + [f"10.200.{n}.128/25" for n in range(COUNT)]
    + [f"192.168.8.{20 + n}/32" for n in range(COUNT)]
    + ["10.200.0.0/16", "10.200.2.0/23", "192.168.8.0/24", "192.168.0.0/16", "192.168.8.1/32", "10.200.77.0/24"]
)
hostile = st.builds(
    lambda number, ips, pods: Node(
        f"evil-{number}",
        tuple(map(parse_address, ips)),
        tuple(map(parse_prefix, pods)),
        created="2026-06-01T00:00:00Z",
        uid=f"evil-{number}",
    ),
    st.integers(0, 3),
    st.lists(addresses, max_size=3, unique=True),
    st.lists(cidrs, max_size=3, unique=True),
)
changes = st.dictionaries(
    st.integers(1, COUNT - 1), st.sampled_from(["podCIDR", "internalIP", "both", "moved"]), max_size=COUNT - 1
)
steps = st.lists(st.sampled_from(["plan", "flap", "boot"]), min_size=1, max_size=5)


@dataclass
class Machine:
    """worker-0: its kernel, and what it remembers. PERSISTENT: a file of ours restores the routes at boot, as ``--persist`` writes it."""

    kernel: MemoryKernel = field(
        default_factory=lambda: MemoryKernel([link("ens18")], [address("192.168.8.20/24 dev ens18")])
    )
    saved: tuple[SavedRoute, ...] = ()
    persistent: bool = False
    file: tuple[Route, ...] = ()

    def applies(self, cluster: Cluster):
        """Apply CLUSTER and remember what stands."""
        planned, fib, owned = self._planned(cluster)
        assert self.kernel.apply(planned.plan.changes) == {}
        missing = not_standing(Outcome(planned.plan, results(planned.plan.changes, {})))
        self.saved = remembered(planned.desired, missing, cluster, self.saved, 0.0)
        if self.persistent:
            self.file = tuple(each.route for each in standing(planned.plan, planned.desired, fib, owned))
        assert self._planned(cluster)[0].plan.changes == (), "one run settles"
        return planned.plan

    def _planned(self, cluster: Cluster):
        own = next(node for node in cluster.nodes if node.name == "worker-0")
        fib, owned = self.kernel.snapshot(), OwnedRoutes(written={written(each): each.dev for each in self.file})
        context = Context(lambda: Saved(self.saved))
        return plan_here(examine(cluster), own, fib, owned=owned, context=context), fib, owned

    def loses_everything(self, step="flap"):
        """Let a link flap or a boot take the routes of ours. At a boot the file of ours brings back what it has."""
        self.kernel.routes[:] = [each for each in self.kernel.routes if not each.ours]
        if step == "boot":
            self.kernel.routes += self.file

    def routes(self):
        """Return gateways by destination."""
        return {str(each.dst): str(each.via) for each in self.kernel.ours()}


@given(
    st.booleans(),
    st.booleans(),
    changes,
    st.lists(hostile, max_size=4, unique_by=lambda node: node.name),
    steps,
    st.randoms(),
)
@settings(max_examples=300, deadline=None)
def test_no_route_of_an_untouched_node_is_lost_and_no_old_next_hop_is_used(aged, persistent, touched, more, todo, dice):
    nodes = [good(number, aged=aged) for number in range(COUNT)]
    machine = Machine(persistent=persistent)
    machine.applies(Cluster(tuple(nodes)))
    before = machine.routes()
    assert len(before) == COUNT - 1
    after = [corrupted(node, touched[n]) if n in touched else node for n, node in enumerate(nodes)] + more
    for step in todo:
        if step != "plan":
            machine.loses_everything(step)
        dice.shuffle(after)
        machine.applies(Cluster(tuple(after)))
        routes = machine.routes()
        for number in range(1, COUNT):
            dst, via = f"10.200.{number}.0/24", f"192.168.8.{20 + number}"
            if number not in touched:
                assert routes.get(dst) == via, (number, routes)
            elif touched[number] == "moved":
                assert routes.get(dst) != via, "the old next hop of a node that moved away"
    fixed = machine.applies(Cluster(tuple(nodes)))
    assert machine.routes() == before
    assert fixed.kept == ()


@given(
    st.booleans(),
    st.booleans(),
    changes.map(lambda found: {n: how for n, how in found.items() if how != "moved"}),
    st.booleans(),
    steps,
)
@settings(max_examples=200, deadline=None)
def test_what_cannot_be_read_of_a_node_costs_it_no_route(aged, persistent, touched, forgets, todo):
    """As long as nobody else speaks of it: not even when nothing of it can be read."""
    nodes = [good(number, aged=aged) for number in range(COUNT)]
    machine = Machine(persistent=persistent)
    machine.applies(Cluster(tuple(nodes)))
    before = machine.routes()
    after = Cluster(tuple(corrupted(node, touched[n]) if n in touched else node for n, node in enumerate(nodes)))
    for step in todo:
        if step == "boot" and persistent and forgets:
            machine.saved = ()  # a state directory in memory: the file is all that is left
        if step != "plan":
            machine.loses_everything(step)
        plan = machine.applies(after)
        assert machine.routes() == before
        kept = {each.node for each in plan.kept}
        assert kept <= {f"worker-{number}" for number in touched}
        forgot = forgets and persistent  # then nothing tells whose the route of an unread node is
        assert forgot or len(kept) == len(touched)


@given(st.booleans(), changes, st.lists(hostile, max_size=4, unique_by=lambda node: node.name), st.randoms())
@settings(max_examples=200, deadline=None)
def test_equal_records_give_equal_decisions_in_any_order_of_nodes(aged, touched, more, dice):
    nodes = [good(number, aged=aged) for number in range(COUNT)]
    after = [corrupted(node, touched[n]) if n in touched else node for n, node in enumerate(nodes)] + more
    decisions = set()
    for _ in range(3):
        dice.shuffle(after)
        machine = Machine()
        machine.applies(Cluster(tuple(nodes)))
        plan = machine.applies(Cluster(tuple(after)))
        found = examine(Cluster(tuple(after)))
        decisions.add(
            (
                tuple(plan.changes),
                tuple(plan.kept),
                tuple((claim.dst, claim.node.name, claim.vias) for claim in found.honoured),
                tuple(sorted(problem.code for problem in plan.problems)),
            )
        )
    assert len(decisions) == 1


own_mistakes = st.builds(
    lambda pods, ips, unread: {"pods": pods, "ips": ips, "unread": unread},
    st.lists(cidrs, max_size=2, unique=True),
    st.one_of(st.none(), st.lists(addresses, min_size=1, max_size=2, unique=True)),
    st.booleans(),
)


@given(st.booleans(), own_mistakes, steps, st.randoms())
@settings(max_examples=300, deadline=None)
def test_whatever_is_corrupted_of_the_own_entry_costs_no_other_node_its_route(aged, mistake, todo, dice):
    """A netmask too short, another node's podCIDR, the nodes' own network: what is in place, or saved, stays."""
    nodes = [good(number, aged=aged) for number in range(COUNT)]
    machine = Machine()
    machine.applies(Cluster(tuple(nodes)))
    before = machine.routes()
    own = nodes[0]._replace(pod_cidrs=tuple(map(parse_prefix, mistake["pods"])))
    if mistake["ips"] is not None:
        own = own._replace(internal_ips=tuple(map(parse_address, mistake["ips"])))
    if mistake["unread"]:
        own = own._replace(unread=(Unread("podCIDR", "x", "invalid-pod-cidr"),))
    after = [own, *nodes[1:]]
    for step in todo:
        if step != "plan":
            machine.loses_everything()
        dice.shuffle(after)
        machine.applies(Cluster(tuple(after)))
        assert machine.routes() == before


refused = st.sampled_from(
    [f"10.200.{n}.0/24" for n in range(COUNT)]
    + ["10.200.0.0/16", "10.200.2.0/23", "192.168.8.0/24", "192.168.0.0/16", "10.99.1.0/24", "10.32.0.0/24"]
)


@given(st.booleans(), st.dictionaries(st.integers(1, COUNT - 1), refused, min_size=1, max_size=COUNT - 1), steps)
@settings(max_examples=300, deadline=None)
def test_a_podcidr_that_is_refused_costs_its_node_not_the_former_one(aged, mistakes, todo):
    """Who says something that cannot be routed instead of what worked has made a mistake; nobody else has those pods."""
    nodes = [good(number, aged=aged) for number in range(COUNT)]
    limits = {"pod_cidrs": (parse_prefix("10.200.0.0/16"),)}
    machine = Machine()
    machine.applies(Cluster(tuple(nodes), **limits))
    before = machine.routes()
    after = [
        node._replace(pod_cidrs=(parse_prefix(mistakes[n]),)) if n in mistakes else node for n, node in enumerate(nodes)
    ]
    claimed = {str(node.pod_cidrs[0]) for node in after}
    for step in todo:
        if step != "plan":
            machine.loses_everything()
        plan = machine.applies(Cluster(tuple(after), **limits))
        routes = machine.routes()
        for n in range(1, COUNT):
            dst = f"10.200.{n}.0/24"
            if n not in mistakes:
                assert routes[dst] == before[dst]
                continue
            somebodys = any(parse_prefix(each).covers(parse_prefix(dst)) for each in routes if each != dst)
            routed = any(routes.get(str(cidr)) for cidr in after[n].pod_cidrs)
            if dst not in claimed and not somebodys and not routed:
                assert routes.get(dst) == before[dst], (plan.problems, routes)
    machine.applies(Cluster(tuple(nodes), **limits))
    assert machine.routes() == before
