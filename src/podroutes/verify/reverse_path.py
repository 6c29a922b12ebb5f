"""Decides whether a machine accepts a packet's source: rp_filter, and addresses that no other machine can have.

See fib_validate_source() and __fib_validate_source() (net/ipv4/fib_frontend.c). IPv6 does not check sources.
"""

from typing import NamedTuple

from podroutes.model.forwarding_path import Decision, Flow
from podroutes.verify.lookup import Tables

_NO_SOURCE = {
    "local",
    "broadcast",
    "multicast",
    "anycast",
}  # route types of addresses that cannot be another machine's source
_MODES = (0, 1, 2)  # of rp_filter: off, strict, loose


class SourceVerdict(NamedTuple):
    """``fault`` is empty if the source is accepted; ``asymmetric``: it depends on rp_filter, which was not collected.

    ``back`` is the decision about the answer.
    """

    fault: str
    back: Decision | None = None


def source_verdict(tables: Tables, flow: Flow, answer: Flow) -> SourceVerdict:
    """Return what is wrong with the source of an IPv4 packet.

    ANSWER is the answer packet, which arrives on the outgoing device of FLOW, or ``lo`` if that is delivered locally.
    """
    if flow.src is None:
        return SourceVerdict("")
    mode = tables.host.reverse_path(flow.iif)
    back = tables.decide(answer._replace(tos=flow.tos))
    modes = _MODES if mode is None else (mode,)
    faults = {_fault(tables, flow, back, value, looks) for value in modes for looks in _looks(tables, flow, answer)}
    if len(faults) == 1:
        return SourceVerdict(faults.pop(), back)
    return SourceVerdict("unknown" if "unknown" in faults else "asymmetric", back)


def _looks(tables: Tables, flow: Flow, answer: Flow) -> set[bool]:
    """Return whether the source is looked up although rp_filter is off; both where that depends on what was not collected.

    It is where somebody made rules or local routes, and where the packet leaves by the device that it came in by: a redirect is due.
    """
    if tables.custom or answer.iif != flow.iif:
        return {tables.custom}
    redirects = tables.host.either(4, flow.iif, "send_redirects")
    return {False, True} if redirects is None else {bool(redirects)}


def _fault(tables: Tables, flow: Flow, back: Decision, mode: int, looks: bool) -> str:  # noqa: FBT001
    host = tables.host
    takes_own = bool(host.either(4, flow.iif, "accept_local"))
    if mode == 0 and (takes_own or not looks):
        return "martian-source" if not takes_own and flow.src and host.owns(flow.src) is not None else ""
    if back.kind == "unknown":
        return "unknown"
    if back.kind in _NO_SOURCE:
        return "" if back.kind == "local" and takes_own else "martian-source"
    if mode == 0:
        return ""
    leads_back = (
        back.kind == "unicast" and back.route is not None and flow.iif in [hop.dev for hop in back.route.next_hops]
    )
    addressed = any(address.dev == flow.iif and address.address.version == 4 for address in host.addresses)
    return "" if leads_back or (mode != 1 and back.kind == "unicast" and addressed) else "reverse-path"
