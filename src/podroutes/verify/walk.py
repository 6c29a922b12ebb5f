"""Follows one packet through the machines, along all branches of ECMP, to its end."""

from podroutes.model.address import Prefix
from podroutes.model.forwarding_path import Decision, End, Fate, Flow, ForwardingPath, Hop, Join
from podroutes.model.host import LOOPBACK
from podroutes.model.route import NextHop
from podroutes.verify.lookup import Tables
from podroutes.verify.neighbours import Lost, Neighbours
from podroutes.verify.network import Look
from podroutes.verify.reverse_path import source_verdict
from podroutes.verify.wires import Arrival

_TTL = 64  # net.ipv4.ip_default_ttl


def follow(neighbours: Neighbours, look: Look, start: str, flow: Flow) -> ForwardingPath:
    """Follow a packet of FLOW from the machine START, where it arrives on ``flow.iif``."""
    forwarding_path = _Follower(neighbours, look, flow)
    forwarding_path.visit(Arrival(start, flow.iif), -1, 1, None)
    return ForwardingPath(
        tuple(forwarding_path.hops),
        tuple(forwarding_path.ends),
        frozenset(forwarding_path.sources),
        tuple(forwarding_path.joins),
    )


class _Follower:
    def __init__(self, neighbours: Neighbours, look: Look, flow: Flow) -> None:
        self.neighbours = neighbours
        self.look = look
        self.flow = flow
        self.hops: list[Hop] = []
        self.ends: list[End] = []
        self.joins: list[Join] = []
        self.sources = set[tuple[str, Prefix]]()
        self._known: dict[Arrival, int] = {}
        self._open: set[Arrival] = set()

    def visit(self, arrival: Arrival, before: int, depth: int, way: NextHop | None) -> None:
        """Continue at ARRIVAL, coming from the hop with index BEFORE over WAY."""
        if arrival in self._open or depth > _TTL:
            self._end(before, "loop", arrival.host)
        elif arrival in self._known:
            self.joins.append(Join(before, self._known[arrival], way))
        else:
            self._known[arrival] = len(self.hops)
            self._open.add(arrival)
            self._decide(arrival, before, depth)
            self._open.discard(arrival)

    def _decide(self, arrival: Arrival, before: int, depth: int) -> None:
        tables = self.look(arrival.host, self.flow.dst)
        self.sources.update((arrival.host, prefix) for prefix in tables.sources)
        decision = tables.decide(self.flow._replace(iif=arrival.iif))
        place = len(self.hops)
        self.hops.append(Hop(arrival.host, arrival.iif, decision, before))
        kind = decision.kind
        forwarded = arrival.iif != LOOPBACK
        forwards = not forwarded or kind != "unicast" or tables.host.forwards(tables.version, arrival.iif)
        if kind in ("unknown", "multicast"):
            self._end(place, "unknown", decision.why or "multicast is not modelled")
        elif kind not in ("unicast", "local", "broadcast", "anycast"):
            self._end(place, "refused", kind)
        elif not forwards:
            self._end(place, "forwarding-off" if forwards is False else "forwarding-unknown", arrival.iif)
        elif forwarded and (fault := self._source_fault(tables, arrival.iif, decision)):
            self.ends.append(End(place, *fault))
        elif kind != "unicast":
            self._end(place, "local")
        else:
            for hop in decision.hops:
                self._send(tables, hop, place, depth)

    def _send(self, tables: Tables, hop: NextHop, place: int, depth: int) -> None:
        if not tables.host.works(str(hop.dev)):
            self._end(place, "link-down", f"{hop.dev} of {tables.host.name}", hop)
            return
        for receiver in self.neighbours.receivers(tables.host, hop, self.flow):
            if isinstance(receiver, Lost):
                self._end(place, receiver.fate, receiver.detail, hop)  # type: ignore[arg-type]  # all are Fates
            elif not self.neighbours.network.hosts[receiver.host].works(receiver.iif):
                self._end(place, "link-down", f"{receiver.iif} of {receiver.host}", hop)
            else:
                self.visit(receiver, place, depth + 1, hop)

    def _source_fault(
        self, tables: Tables, iif: str, decision: Decision
    ) -> tuple[Fate, str, NextHop | None, Decision | None] | None:
        """Check the packet's source like fib_validate_source(), once for each possible outgoing device."""
        if self.flow.src is None or tables.version == 6:
            return None
        devices = dict.fromkeys(hop.dev for hop in decision.hops) if decision.kind == "unicast" else [LOOPBACK]
        asked = self.flow.dst if decision.kind != "broadcast" else None  # a broadcast has no single answer
        flow = self.flow._replace(iif=iif)
        verdicts = [source_verdict(tables, flow, Flow(self.flow.src, asked, str(dev))) for dev in devices]
        faults = {verdict.fault for verdict in verdicts}
        if faults == {""}:
            return None
        if len(faults) > 1 or "unknown" in faults:
            return "unknown", "the way back to its source cannot be told", None, None
        return faults.pop(), iif, None, verdicts[0].back  # type: ignore[return-value]  # all are Fates

    def _end(self, place: int, fate: Fate, detail: str = "", way: NextHop | None = None) -> None:
        self.ends.append(End(place, fate, detail, way))
