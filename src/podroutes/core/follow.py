"""One packet's way through the machines, along every branch of ECMP, to whatever ends it."""

from podroutes.core.lookup import Tables
from podroutes.core.network import Arrival, Look, Lost, Network
from podroutes.model.host import LOOPBACK
from podroutes.model.journey import Decision, End, Fate, Flow, Hop, Journey
from podroutes.model.route import NextHop

_NO_SOURCE = {"local", "broadcast", "multicast", "anycast"}  # what an address that somebody else sends from cannot be
_TTL = 64  # net.ipv4.ip_default_ttl


def follow(network: Network, look: Look, start: str, flow: Flow) -> Journey:
    """Follow a packet of FLOW from the machine START, where it comes in by ``flow.iif``."""
    journey = _Follower(network, look, flow)
    journey.visit(Arrival(start, flow.iif), -1, 1)
    return Journey(tuple(journey.hops), tuple(journey.ends), journey.blind)


class _Follower:
    def __init__(self, network: Network, look: Look, flow: Flow) -> None:
        self.network = network
        self.look = look
        self.flow = flow
        self.hops: list[Hop] = []
        self.ends: list[End] = []
        self.blind = True
        self._known: set[Arrival] = set()
        self._open: set[Arrival] = set()

    def visit(self, arrival: Arrival, before: int, depth: int) -> None:
        """Take the packet in at ARRIVAL, coming from the hop at place BEFORE."""
        if arrival in self._open or depth > _TTL:
            self._end(before, "loop", arrival.host)
        elif arrival not in self._known:
            self._known.add(arrival)
            self._open.add(arrival)
            self._decide(arrival, before, depth)
            self._open.discard(arrival)

    def _decide(self, arrival: Arrival, before: int, depth: int) -> None:
        tables = self.look(arrival.host, self.flow.dst)
        self.blind &= tables.blind
        decision = tables.decide(self.flow._replace(iif=arrival.iif))
        place = len(self.hops)
        self.hops.append(Hop(arrival.host, arrival.iif, decision, before))
        kind = decision.kind
        forwarded = arrival.iif != LOOPBACK
        if kind in ("unknown", "multicast"):
            self._end(place, "unknown", decision.why or "multicast is not modelled")
        elif kind not in ("unicast", "local", "broadcast", "anycast"):
            self._end(place, "refused", kind)
        elif kind == "unicast" and forwarded and tables.host.forwards(tables.version, arrival.iif) is False:
            self._end(place, "forwarding-off", arrival.iif)
        elif forwarded and (fault := self._source_fault(tables, arrival.iif, decision, place)):
            self._end(place, fault, arrival.iif if fault != "unknown" else "the way back to its source cannot be told")
        elif kind != "unicast":
            self._end(place, "local")
        else:
            for hop in decision.hops:
                self._send(tables, hop, place, depth)

    def _send(self, tables: Tables, hop: NextHop, place: int, depth: int) -> None:
        link = tables.host.links.get(str(hop.dev))
        found = self.network.pass_on(tables.host, hop, self.flow.dst)
        works = link is not None and link.up and link.carrier
        if isinstance(found, Lost) and (works or found.fate == "on-link"):
            self._end(place, found.fate, found.detail, hop)  # type: ignore[arg-type]  # Fate has them all
        elif isinstance(found, Lost) or not works:
            self._end(place, "link-down", f"{hop.dev} of {tables.host.name}", hop)
        else:
            self.visit(found, place, depth + 1)

    def _source_fault(self, tables: Tables, iif: str, decision: Decision, place: int) -> Fate | None:
        """Judge the packet's source as fib_validate_source() does, once for each device that it could leave by."""
        if self.flow.src is None or tables.version == 6:
            return None
        devices = {hop.dev for hop in decision.hops} if decision.kind == "unicast" else {LOOPBACK}
        asked = self.flow.dst if decision.kind != "broadcast" else None  # who would answer to a broadcast is not asked
        verdicts = {
            source_verdict(tables, self.flow._replace(iif=iif), Flow(self.flow.src, asked, str(dev))) for dev in devices
        }
        if "asymmetric" in verdicts:
            self.hops[place] = self.hops[place]._replace(asymmetric=True)
        faults: tuple[Fate, ...] = ("martian-source", "reverse-path", "unknown")
        return next((fault for fault in faults if fault in verdicts), None)

    def _end(self, place: int, fate: Fate, detail: str = "", way: NextHop | None = None) -> None:
        self.ends.append(End(place, fate, detail, way))


def source_verdict(tables: Tables, flow: Flow, answer: Flow) -> str:
    """Return what is wrong with the source of an IPv4 packet, or an empty text.

    ANSWER is the packet back, coming in by the device that FLOW leaves by, or ``lo`` where that stays.

    ``asymmetric`` is no fault: rp_filter is not known, and were it strict the packet would be dropped.
    """
    host = tables.host
    if flow.src is None:
        return ""
    mode = host.reverse_path(flow.iif)
    back = tables.decide(answer._replace(tos=flow.tos))
    if host.owns(flow.src) is not None:
        return "martian-source"
    if mode == 0:
        looked_up = back.kind if tables.custom else ""
        return "unknown" if looked_up == "unknown" else "martian-source" if looked_up in _NO_SOURCE else ""
    if back.kind == "unknown":
        return "unknown" if mode else ""
    leads_back = (
        back.kind == "unicast" and back.route is not None and flow.iif in [hop.dev for hop in back.route.next_hops]
    )
    if leads_back:
        return ""
    if mode is None:  # no way back at all has a finding of its own
        return "asymmetric" if back.kind == "unicast" else ""
    if back.kind in _NO_SOURCE:
        return "martian-source"
    addressed = any(each.dev == flow.iif and each.address.version == 4 for each in host.addresses)
    return "" if mode != 1 and back.kind == "unicast" and addressed else "reverse-path"
