"""Formats commands and routes for findings."""

import shlex
from collections.abc import Sequence

from podroutes.model.cluster import Cluster
from podroutes.model.finding import Repair
from podroutes.model.route import MAIN, Route, protocol_name

_STDIN = "standard input"  # the name of an inventory from a pipe
SHOWN = 5  # lines shown of many; the others are counted


def conf(version: int, dev: str, key: str) -> str:
    """Return the sysctl of one device, below /proc/sys."""
    return f"net/ipv{version}/conf/{dev}/{key}"


def setting(repair: Repair) -> str:
    """Return the command that makes REPAIR."""
    return f"sysctl -w {shlex.quote(f'{repair.name}={repair.value}')}"


def apply(cluster: Cluster | None, *options: str) -> str:
    """Return the command that applies the inventory, with its name if known."""
    source = "INVENTORY" if cluster is None else "-" if cluster.source == _STDIN else cluster.source
    return shlex.join(["podroutes", "apply", "-i", source, *options])


def described(route: Route) -> str:
    """Return a route in the syntax of ip-route(8), always with its protocol."""
    return " ".join([*_key(route), "proto", protocol_name(route.protocol), *_rest(route)])


def _key(route: Route) -> list[str]:
    words = [] if route.kind == "unicast" else [route.kind]
    words.append(str(route.dst) if route.dst.length else "default")
    for hop in route.next_hops:
        if len(route.next_hops) > 1:
            words.append("nexthop")
        words += ["via", str(hop.via)] if hop.via else []
        words += ["dev", hop.dev] if hop.dev else []
    return words


def _rest(route: Route) -> list[str]:
    words = [f"src {route.prefsrc}"] if route.prefsrc else []
    words += ["metric", str(route.metric)] if route.metric else []
    return words + (["table", str(route.table)] if route.table != MAIN else [])


def few(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the first of LINES, and the number of others."""
    more = (f"… and {len(lines) - SHOWN} more",) if len(lines) > SHOWN else ()
    return (*lines[:SHOWN], *more)
