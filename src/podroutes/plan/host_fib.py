"""The snapshot that a plan is made from, out of the tables of a machine that were read in another way."""

from podroutes.model.fib import Fib, PlainRoutes, Policy
from podroutes.model.host import Host
from podroutes.model.route import MAIN
from podroutes.model.rule import DEFAULT_RULES, LOCAL


def fib(host: Host) -> Fib:
    """Return the FIB of HOST, in the form of a kernel snapshot."""
    plain = {version: PlainRoutes.empty(version) for version in (4, 6)}
    others = []
    for route in host.routes:
        if route.table != MAIN:
            continue
        if not (route.plain and route.ours and route.via):
            others.append(route)
            continue
        columns = plain[route.dst.version]
        columns.dst.append(route.dst.value)
        columns.length.append(route.dst.length)
        columns.via.append(route.via.value)
        columns.dev.append(route.dev or "")
        columns.metric.append(route.metric)
    rules = {version: DEFAULT_RULES[version] if of_it is None else of_it for version, of_it in host.rules.items()}
    wanted = {(version, rule.table) for version, of_it in rules.items() for rule in of_it} - {(4, LOCAL), (6, LOCAL)}
    elsewhere = (route for route in host.routes if route.table != MAIN and (route.dst.version, route.table) in wanted)
    return Fib(
        tuple(host.links.values()),
        host.addresses,
        plain,
        tuple(others),
        Policy(rules, tuple(elsewhere)),
        host.unusable,
    )
