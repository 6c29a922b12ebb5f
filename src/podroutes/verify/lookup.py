"""Decides where one machine sends a packet: policy rules, longest prefix, TOS and metric, like Linux.

See fib_rules_lookup() (net/core/fib_rules.c), fib_table_lookup() and fib_select_default() (net/ipv4/fib_trie.c,
fib_semantics.c), fib6_rule_lookup() and fib6_table_lookup() (net/ipv6/fib6_rules.c, route.c). If the result depends on state that
the tables do not contain, it is ``unknown``, never a guess. Pure; tests compare it with ``ip route get``.
"""

from collections.abc import Iterable, Sequence
from copy import copy

from podroutes.model.address import BITS, Prefix
from podroutes.model.forwarding_path import Decision, Flow
from podroutes.model.host import DEFAULT, DEFAULT_RULES, LOCAL, LOOPBACK, Host, Peculiarity, Rule
from podroutes.model.linux import NextHopFlag, RouteProtocol
from podroutes.model.prefix_table import PrefixTable
from podroutes.model.route import MAIN, NextHop, Route

_REFUSING = {"blackhole", "unreachable", "prohibit", "throw"}
_KERNEL = int(RouteProtocol.KERNEL)
_DEAD = int(NextHopFlag.DEAD)  # ip(8) also prints it for a link without carrier if ignore_routes_with_linkdown is set
_ROUTE_TOS = 0x1C  # INET_DSCP_LEGACY_TOS_MASK: the bits of a packet's TOS that IPv4 routes and rules match
_DSCP = 0xFC  # the bits that IPv6 rules match: all but ECN's
_ORDINARY = Peculiarity()


MULTICAST6 = Prefix(6, 0xFF << 120, 8)
_NO_ROUTE = Decision("no-route")
_By_length = list[tuple[int, dict[int, list[Route]]]]  # (host bits, {network: routes in order}), longest prefixes first


class Tables:
    """The tables of one machine and one IP version, indexed for look-ups. ROUTES may omit routes that no look-up can match."""

    def __init__(
        self, host: Host, version: int, routes: Iterable[Route] | None = None, *, custom_local: bool | None = None
    ) -> None:
        self.host = host
        self.version = version
        rules = host.rules.get(version)
        self.rules = DEFAULT_RULES[version] if rules is None else rules
        self._rules_known = rules is not None
        self._custom_local = custom_local
        self._after = {rule.priority: place for place, rule in reversed(list(enumerate(self.rules)))}
        own = [route for route in (host.routes if routes is None else routes) if route.dst.version == version]
        self.routes = own
        self._tables = {table: _by_length(version, own, {table}) for table in {route.table for route in own}}
        self._merged = _by_length(version, own, {LOCAL, MAIN}) if version == 4 and self._may_be_merged(own) else None

    @property
    def sources(self) -> list[Prefix]:
        """The source prefixes in rules; all addresses if a rule has a negated source."""
        return [rule.src for rule in self.rules if rule.src and rule.src.length]

    @property
    def local_first(self) -> bool:
        """Whether table local is looked up before other rules."""
        return self._rules_known and self.rules[:1] == (DEFAULT_RULES[self.version][0],)

    @property
    def custom(self) -> bool:
        """Whether sources are looked up even if rp_filter is off: fib_has_custom_rules, fib_has_custom_local_routes."""
        if self._custom_local is None:
            self._custom_local = any(map(is_custom_local, self.host.routes))
        return self._custom_local or self.rules != DEFAULT_RULES[self.version]

    def decide(self, flow: Flow) -> Decision:
        """Return the decision about a packet of FLOW."""
        found = self._walk(flow, 0, {})
        if not self._rules_known:
            why = f"its IPv{self.version} rules or routes have not been seen"
            if self.host.unread:
                why = f"its rules or routes are not understood: {self.host.unread[0]}"
            return Decision("unknown", found.rule, found.route, (), why)
        if self._merged is not None and self._walk_merged(flow, self._merged).way != found.way:
            why = "tables local and main are one until the first policy rule is changed, which cannot be seen from here"
            return Decision("unknown", found.rule, found.route, (), why)
        if self._maybe_unused and self._with_default_rules.decide(flow).way != found.way:
            why = "a rule that every machine has was deleted, which has no effect until another IPv6 rule is added"
            return Decision("unknown", found.rule, found.route, (), why)
        return found

    @property
    def _maybe_unused(self) -> bool:
        """Whether it is unknown if the kernel uses the rules: for IPv6 only after one was added, fib6_has_custom_rules."""
        return self.version == 6 and set(self.rules) < set(DEFAULT_RULES[6])

    @property
    def _with_default_rules(self) -> "Tables":
        other = copy(self)
        other.rules = DEFAULT_RULES[6]
        return other

    def _walk(self, flow: Flow, place: int, known: dict[int, Decision]) -> Decision:
        """Evaluate the rules from PLACE on. KNOWN has the results by position, since rules may reach a position twice."""
        if place >= len(self.rules):
            return _NO_ROUTE
        if place not in known:
            rule = self.rules[place]
            matches = self._matches(rule, flow)
            known[place] = (
                self._act(rule, flow, place, known) if matches is not False else self._walk(flow, place + 1, known)
            )
            if matches is None and self._walk(flow, place + 1, known).way != known[place].way:
                why = f"policy rule {rule.priority} selects by {rule.unmodelled}"
                known[place] = Decision("unknown", rule, None, (), why)
        return known[place]

    def _act(self, rule: Rule, flow: Flow, place: int, known: dict[int, Decision]) -> Decision:
        """Carry out the action of RULE; if it decides nothing, continue after it."""
        if rule.action == "goto":  # the kernel accepts only forward jumps
            target = self._after.get(rule.target)
            return self._walk(flow, place + 1 if target is None else target, known)
        if rule.action == "l3mdev":
            return Decision("unknown", rule, None, (), "the packet belongs to a VRF, which is not modelled")
        if rule.action in _REFUSING:
            return Decision(rule.action, rule)  # type: ignore[arg-type]  # the names are the same
        if rule.action == "lookup":
            found = self._find(self._tables.get(rule.table, []), flow)
            settled = found is not None and found.kind != "throw"
            if found and settled:
                decision = self._decided(found, flow, rule)
                if decision.kind in _REFUSING or found.dst.length > rule.suppress_prefixlength:
                    return decision
        return self._walk(flow, place + 1, known)

    def _matches(self, rule: Rule, flow: Flow) -> bool | None:
        """Return whether RULE selects FLOW, None if unknown: fib_rule_match()."""
        selected: bool | None = True
        if (
            (rule.dst and not rule.dst.covers(flow.dst))
            or (rule.src and rule.src.length and not (flow.src and rule.src.covers(flow.src)))
            or (rule.oif is not None)  # these packets are not bound to a device
            or ((rule.mark ^ flow.mark) & rule.mask)
            or (rule.tos and rule.tos != flow.tos & (_ROUTE_TOS if self.version == 4 else _DSCP))
            or (rule.iif is not None and (rule.iif != flow.iif or rule.iif not in self.host.links))
            or (rule.action == "l3mdev" and flow.iif not in self.host.masters)
        ):
            selected = False
        elif rule.unmodelled:
            selected = None
        return selected if selected is None else selected != rule.inverted

    def _find(self, table: _By_length, flow: Flow) -> Route | None:
        """Return the route that decides in one table."""
        value = flow.dst.value
        for host_bits, networks in table:
            routes = networks.get(value >> host_bits)
            if routes and (found := self._find4(routes, flow) if self.version == 4 else self._find6(routes, flow)):
                return found
        return None

    def _find4(self, routes: Sequence[Route], flow: Flow) -> Route | None:
        """Return the first usable route of one prefix; ROUTES are in the order of the kernel's aliases."""
        for route in routes:
            if (not route.tos or route.tos == flow.tos & _ROUTE_TOS) and self._usable(route):
                return route
        return None

    def _find6(self, routes: Sequence[Route], flow: Flow) -> Route | None:
        """Return the best route of the lowest metric, else the best of all others: find_rr_leaf().

        The best has the highest router preference, then the incoming device as its outgoing one: rt6_score_route(), called by
                ip6_pol_route_input().
        """

        def score(route: Route) -> tuple[int, bool]:
            back = flow.iif == LOOPBACK or any(hop.dev == flow.iif for hop in _alive(route))
            return self._peculiarity(route).preference, back

        usable = [route for route in routes if self._usable(route)]
        lowest = [route for route in usable if route.metric == routes[0].metric]
        return max(lowest or usable, key=score, default=None)

    def _usable(self, route: Route) -> bool:
        """Return whether ROUTE is usable; one that is not understood may be."""
        return route.kind in _REFUSING or bool(_alive(route)) or bool(self._peculiarity(route).unmodelled)

    def _decided(self, route: Route, flow: Flow, rule: Rule | None) -> Decision:
        unmodelled = next((text for each in self._rivals(route) if (text := self._peculiarity(each).unmodelled)), "")
        if unmodelled:
            return Decision("unknown", rule, route, (), f"a route to {route.dst} {unmodelled}")
        if route.kind in _REFUSING:
            return Decision(route.kind, rule, route)  # type: ignore[arg-type]
        hops = _alive(route)
        if self.version == 6 and route.kind in ("broadcast", "multicast") and not MULTICAST6.covers(route.dst):
            return Decision("unicast", rule, route, hops)  # IPv6 knows no such types: ip6_rt_init_dst()
        if self.version == 4 and flow.iif == LOOPBACK and not route.dst.length and len(route.next_hops) == 1:
            hops = self._default_hops(route)
        if not hops:  # routes of other types have no next hops
            return Decision("unknown", rule, route, (), f"the route to {route.dst} has no next hop")
        return Decision(route.kind, rule, route, hops)  # type: ignore[arg-type]

    def _rivals(self, route: Route) -> Iterable[Route]:
        """Yield all routes of the same prefix in the same table, one of which may have precedence."""
        return self._same(route) if self.host.peculiar else ()

    def _same(self, route: Route) -> list[Route]:
        for host_bits, networks in self._tables.get(route.table, []):
            if host_bits == BITS[self.version] - route.dst.length:
                return networks.get(route.dst.value >> host_bits, [])
        return []

    def _default_hops(self, route: Route) -> tuple[NextHop, ...]:
        """Return the gateways of all default routes equivalent to ROUTE, which a machine's own packets may use, too.

        The choice depends on the neighbour table: fib_select_default(). It includes routes for any TOS.
        """
        if not route.via:
            return _alive(route)
        usable = [each for each in self._same(route) if each.kind == "unicast" and each.tos in (route.tos, 0)]
        lowest = {tos: min((each.metric for each in usable if each.tos == tos), default=0) for tos in (route.tos, 0)}
        hops = [_alive(each)[:1] for each in usable if each.metric == lowest[each.tos]]
        return tuple(dict.fromkeys(hop for first in hops for hop in first if hop.via))

    def _peculiarity(self, route: Route) -> Peculiarity:
        return self.host.peculiar.get(route, _ORDINARY) if self.host.peculiar else _ORDINARY

    def _may_be_merged(self, routes: Iterable[Route]) -> bool:
        """Return whether it matters that the kernel keeps local and main in one trie until the first rule is changed.

        fib_trie_table(), fib_unmerge(), net/ipv4/fib_frontend.c.
        """
        return self.rules == DEFAULT_RULES[4] and any(
            route.table == LOCAL
            and route.dst.value >> 24 != 127
            and (route.dst.length < 32 or route.tos or route.kind not in ("local", "broadcast"))
            for route in routes
        )

    def _walk_merged(self, flow: Flow, merged: _By_length) -> Decision:
        found = self._find(merged, flow)
        if (found is None or found.kind == "throw") and DEFAULT in self._tables:
            found = self._find(self._tables[DEFAULT], flow)
        return self._decided(found, flow, None) if found and found.kind != "throw" else _NO_ROUTE


def is_of_kernel(route: Route) -> bool:
    """Return whether the kernel itself added this route."""
    return route.protocol == _KERNEL


def is_custom_local(route: Route) -> bool:
    """Return whether this local IPv4 route was added by a person: with one, the kernel looks up all sources."""
    return route.kind == "local" and route.protocol != _KERNEL and route.dst.version == 4


def _by_length(version: int, routes: Iterable[Route], tables: set[int]) -> _By_length:
    """Index the routes of TABLES; those of one prefix in the kernel's order, fib_find_alias()."""
    chosen = ((route.dst, route) for route in routes if route.table in tables and not _null_entry(route))
    lengths = PrefixTable(version, chosen).lengths
    for _, networks in lengths:
        for alike in networks.values():
            alike.sort(key=lambda route: (-route.table, -route.tos, route.metric))
    return lengths


def _null_entry(route: Route) -> bool:
    """Return whether this route is how older kernels show an empty IPv6 table: ip6_null_entry of net/ipv6/route.c."""
    return (
        route.dst.version == 6 and route.kind == "unreachable" and route.metric == 0xFFFFFFFF and not route.dst.length
    )


def _alive(route: Route) -> tuple[NextHop, ...]:
    hops = route.next_hops
    return hops if not any(hop.flags & _DEAD for hop in hops) else tuple(hop for hop in hops if not hop.flags & _DEAD)
