"""Formats routes in the syntax of ip-route(8)."""

from podroutes.model.linux import NextHopFlag
from podroutes.model.plan import Plan, TakenOver
from podroutes.model.route import MAIN, PROTOCOL, Route, protocol_name
from podroutes.model.text import escaped

_SCOPES = {0: "", 200: "site", 253: "link", 254: "host", 255: "nowhere"}  # iproute2, rt_scopes
_REFUSING = {"blackhole", "unreachable", "prohibit"}
_FLAGS = {int(flag): (flag.name or "").lower() for flag in (NextHopFlag.DEAD, NextHopFlag.ONLINK, NextHopFlag.LINKDOWN)}


def where(route: Route) -> str:
    """Return the next hop of a route: ``via 192.168.8.21 dev ens18``, or all next hops of an ECMP route."""
    hops = [
        " ".join(
            [
                *((f"via {hop.via}",) if hop.via else ()),
                *((f"dev {escaped(hop.dev)}",) if hop.dev else ()),
                *(name for bit, name in _FLAGS.items() if hop.flags & bit),
            ]
        )
        for hop in route.next_hops
    ]
    return " nexthop ".join(["", *hops]).lstrip() if len(hops) > 1 else "".join(hops)


def line(route: Route) -> str:
    """Return a route in the format of ``ip route show``."""
    words = [
        route.kind if route.kind != "unicast" else "",
        str(route.dst),
        where(route),
        f"table {route.table}" if route.table != MAIN else "",
        f"proto {protocol_name(route.protocol)}" if route.protocol != 3 else "",  # ip(8) omits proto boot
        f"scope {_SCOPES.get(route.scope, route.scope)}" if route.scope else "",
        f"src {route.prefsrc}" if route.prefsrc else "",
        f"metric {route.metric}" if route.metric else "",
        metrics(route),
    ]
    return " ".join(filter(None, words))


def metrics(route: Route) -> str:
    """Return what a route sets for the connections over it: ``mtu 1400``."""
    return " ".join(f"{key} {value}" for key, value in route.metrics if key != "lock")


def deletable(route: Route) -> bool:
    """Whether a command to delete ROUTE may be advised: it is no connected network, and all of it is understood."""
    if route.kind == "unicast":
        return len(route.next_hops) == 1 and route.via is not None
    return route.kind in _REFUSING


def deletion(route: Route) -> str:
    """Return the command that deletes ROUTE and no other: with next hop, protocol, metric, TOS and table.

    A route by a nexthop object is named by the object's number: with a gateway the kernel would not find it, fib_nh_match().
    """
    ways = [
        [*(("via", str(hop.via)) if hop.via else ()), *(("dev", hop.dev) if hop.dev else ())] for hop in route.next_hops
    ]
    if route.nhid:
        ways = [["nhid", str(route.nhid)]]
    elif len(ways) > 1:
        ways = [["nexthop", *way] for way in ways]
    words = [
        *("ip", *(("-6",) if route.dst.version == 6 else ()), "route", "del"),
        *((route.kind,) if route.kind != "unicast" else ()),
        str(route.dst) if route.dst.length else "default",
        *(word for way in ways for word in way),
        *(("tos", hex(route.tos)) if route.tos else ()),
        *("proto", str(route.protocol)),
        *(("metric", str(route.metric)) if route.metric else ()),
        *(("table", str(route.table)) if route.table != MAIN else ()),
    ]
    from shlex import join  # noqa: PLC0415, only for advice

    return join(words)


def taken_over(found: TakenOver) -> str:
    """Describe the foreign route that a replace of ours displaced, and whether it was restored."""
    who = escaped(found.program) or "somebody else"
    end = f"it cannot be put back: {found.failure}" if found.failure else "it was put back"
    return f"{who} put {line(found.route)} there between our look at the table and our write; {end}"


def script(plan: Plan) -> str:
    """Return the commands that add the routes of PLAN to an empty table. They do not affect routes of others.

    They add and never replace: if a route exists, they print "File exists" and leave it.
    """
    lines = [f"# pod routes of {escaped(plan.node)}: one per podCIDR of every other node"]
    for change in plan.changes:
        route = change.route
        words = ["ip -6 route add" if route.dst.version == 6 else "ip route add", str(route.dst), where(route)]
        words.append(f"proto {PROTOCOL}")
        if route.metric and route.dst.version == 4:
            words.append(f"metric {route.metric}")
        lines.append(f"{' '.join(words)}  # {escaped(change.node or '')}")
    return "\n".join(lines) + "\n"


def batch(verb: str, route: Route) -> str:
    """Return the line of ``ip -batch`` for VERB (add, change, del) and ROUTE, with the complete key of the route.

    Uses numbers instead of names, since names depend on the machine's /etc/iproute2. Device names are not quoted.
    """
    words = [
        f"route {verb}",
        route.kind if route.kind != "unicast" else "",
        str(route.dst),
        f"tos {route.tos:#x}" if route.tos else "",
        f"table {route.table}" if route.table != MAIN else "",
        f"proto {route.protocol}",
        f"scope {route.scope}" if route.dst.version == 4 and route.scope else "",
        f"src {route.prefsrc}" if route.prefsrc else "",
        f"metric {route.metric}" if route.metric else "",
    ]
    ways = [
        " ".join(
            filter(None, (hop.via and f"via {hop.via}", hop.dev and f"dev {hop.dev}", "onlink" * bool(hop.flags & 4)))
        )
        for hop in route.next_hops
    ]
    return " ".join([*filter(None, words), *(ways if len(ways) < 2 else (f"nexthop {way}" for way in ways))])
