"""Encodes changes as messages.

A batch of similar changes is one message repeated; extended slices fill in the varying columns. This takes a fraction of a
microsecond a route, where packing each message takes several.
"""

import struct
from array import array
from collections.abc import Mapping, Sequence
from itertools import chain

from podroutes.model.address import BITS
from podroutes.model.changes import ACTIONS, DELETE, ChangeColumns
from podroutes.model.linux import Scope
from podroutes.model.plan import Action, Change
from podroutes.model.route import MAIN, Route
from podroutes.rtnl import constants as nl
from podroutes.rtnl.columns import addresses, fill
from podroutes.rtnl.message import attribute, message

RTMSG = struct.Struct("=BBBBBBBBI")  # family, dst length, src length, TOS, table, protocol, scope, type, flags
_KIND_NUMBERS = {name: number for number, name in nl.KINDS.items()}

# Fail if a route to add exists or a route to replace is gone: then the table has changed since it was read.
_VERBS: dict[Action, tuple[int, int]] = {
    "add": (nl.RTM_NEWROUTE, nl.NLM_F_REQUEST | nl.NLM_F_CREATE | nl.NLM_F_EXCL),
    "replace": (nl.RTM_NEWROUTE, nl.NLM_F_REQUEST | nl.NLM_F_REPLACE),
    "delete": (nl.RTM_DELROUTE, nl.NLM_F_REQUEST),
}


def routes_request(seq: int, version: int, *, table: int = 0, protocol: int = 0) -> bytes:
    """Return a dump request for the routes of one IP version; with NETLINK_GET_STRICT_CHK only of TABLE and PROTOCOL (0: any)."""
    narrow = table if table < 256 else 0  # a larger number has no room in the header
    body = RTMSG.pack(nl.FAMILY[version], 0, 0, 0, narrow, protocol, 0, 0, 0)
    if table != narrow:
        body += attribute(nl.RTA_TABLE, struct.pack("=I", table))
    return message(nl.RTM_GETROUTE, nl.NLM_F_REQUEST | nl.NLM_F_DUMP, seq, body)


def encode(changes: Sequence[Change], indexes: Mapping[str, int], seq: int) -> bytearray:
    """Return the messages of CHANGES, numbered from SEQ. The last one requests an acknowledgement, which ends the batch.

    The kernel reports errors without a request, so one acknowledgement shows the results of the whole batch.
        INDEXES maps devices to interface indexes. Raises ``KeyError`` for an unknown device.
    """
    encoded = _by_columns(changes, indexes, seq)
    if encoded is None:
        parts = [_single(change, indexes, seq + offset) for offset, change in enumerate(changes)]
        last, encoded = len(parts[-1]), bytearray(b"".join(parts))
    else:
        last = len(encoded) // len(changes)
    fence = len(encoded) - last + 6  # nlmsg_flags
    struct.pack_into("=H", encoded, fence, struct.unpack_from("=H", encoded, fence)[0] | nl.NLM_F_ACK)
    return encoded


def encode_columns(changes: ChangeColumns, indexes: Mapping[str, int], seq: int, batch: int) -> bytearray:
    """Return the messages of CHANGES, numbered from SEQ and of equal size; the last one of each BATCH requests an acknowledgement.

    Raises ``KeyError`` for an unknown device.
    """
    routes, actions = changes.routes, changes.actions
    count, width = len(actions), BITS[routes.version] >> 3
    template = _single(changes.change(0), indexes, seq)
    size = len(template)
    encoded = bytearray(template * count)
    encoded[17::size] = bytes(routes.length)  # rtm_dst_len
    words = memoryview(encoded).cast("I")
    gateway = 32 + width + 4
    if actions.count(actions[0]) < count:
        verbs = [struct.unpack("=I", struct.pack("=HH", *_VERBS[action]))[0] for action in ACTIONS]
        fill(words, 4, size, array("I", map(verbs.__getitem__, actions)))
        encoded[22::size] = bytes(Scope.NOWHERE if action == DELETE else 0 for action in actions)  # rtm_scope
    fill(words, 8, size, array("I", range(seq, seq + count)))
    fill(words, 32, size, addresses(routes.dst, width))
    fill(words, gateway, size, addresses(routes.via, width))
    if routes.dev.count(routes.dev[0]) < count:
        fill(words, gateway + width + 4, size, array("I", map(indexes.__getitem__, routes.dev)))
    fill(words, gateway + width + 12, size, array("I", routes.metric))
    for end in sorted({*range(batch, count, batch), count}):
        flags = (end - 1) * size + 6  # nlmsg_flags
        struct.pack_into("=H", encoded, flags, struct.unpack_from("=H", encoded, flags)[0] | nl.NLM_F_ACK)
    return encoded


def _by_columns(changes: Sequence[Change], indexes: Mapping[str, int], seq: int) -> bytearray | None:
    """Encode plain routes of one action and IP version; return None for other CHANGES."""
    actions, routes, _, _ = zip(*changes, strict=True)
    dsts, ways, metrics, *tails = zip(*routes, strict=True)
    plain = Route(dsts[0], ways[0], metrics[0])  # all other attributes as podroutes writes them
    if not (_same(actions) and all(map(_same, tails)) and routes[0] == plain):
        return None
    if set(map(len, ways)) != {1}:
        return None
    vias, devs, _ = zip(*chain.from_iterable(ways), strict=True)
    versions, networks, lengths = zip(*dsts, strict=True)
    if None in vias or None in devs or not _same(versions):
        return None
    _, gateways = zip(*vias, strict=True)
    count, version = len(changes), versions[0]
    width = BITS[version] >> 3
    template = _single(changes[0], indexes, seq)
    size = len(template)
    encoded = bytearray(template * count)
    encoded[17::size] = bytes(lengths)  # rtm_dst_len
    words = memoryview(encoded).cast("I")
    gateway = 32 + width + 4
    fill(words, 8, size, array("I", range(seq, seq + count)))
    fill(words, 32, size, addresses(networks, width))
    fill(words, gateway, size, addresses(gateways, width))
    fill(words, gateway + width + 4, size, array("I", map(indexes.__getitem__, devs)))
    fill(words, gateway + width + 12, size, array("I", metrics))
    return encoded


def _same(column: tuple[object, ...]) -> bool:
    return column.count(column[0]) == len(column)


def _single(change: Change, indexes: Mapping[str, int], seq: int) -> bytes:
    """Encode any change. ``_by_columns`` relies on the order of attributes here: destination, gateway, device, metric."""
    kind, flags = _VERBS[change.action]
    route = change.route
    family, width = nl.FAMILY[route.dst.version], BITS[route.dst.version] >> 3
    body = RTMSG.pack(
        family,
        route.dst.length,
        0,
        route.tos,
        route.table if route.table <= MAIN + 1 else nl.RT_TABLE_COMPAT,
        route.protocol,
        Scope.NOWHERE if change.action == "delete" else route.scope,
        _KIND_NUMBERS[route.kind],
        0,
    )
    body += attribute(nl.RTA_DST, route.dst.value.to_bytes(width, "big"))
    if len(route.next_hops) == 1:  # an ECMP route is deleted as a whole, by its protocol and metric
        hop = route.next_hops[0]
        if hop.via and hop.via.version == route.dst.version:
            body += attribute(nl.RTA_GATEWAY, hop.via.value.to_bytes(width, "big"))
        if hop.dev:
            body += attribute(nl.RTA_OIF, struct.pack("=I", indexes[hop.dev]))
    body += attribute(nl.RTA_PRIORITY, struct.pack("=I", route.metric))
    if route.table > MAIN + 1:
        body += attribute(nl.RTA_TABLE, struct.pack("=I", route.table))
    return message(kind, flags, seq, body)
