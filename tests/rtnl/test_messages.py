"""rtnetlink without a kernel: columns and single messages say the same, recorded bytes are read, garbage is survived."""

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from podroutes.model.plan import Change
from podroutes.rtnl import constants as nl
from podroutes.rtnl.decode import RouteDump, read_route
from podroutes.rtnl.encode import encode, routes_request
from podroutes.rtnl.message import HEADER, MessageDump, answer, attribute, message, messages
from podroutes.rtnl.notification import notifications
from support.notation import route

RECORDED = Path(__file__).parent / "recorded"
INDEXES = {"ens18": 7, "eth0": 300}
NAMES = {7: "ens18", 300: "eth0"}


def dumped(datagrams, version):
    dump = RouteDump(version, NAMES)
    for datagram in datagrams:
        end = dump.feed(datagram)
    return dump, end


def as_dump(encoded):
    """Turn requests to add routes into what a dump of them would be: the same attributes, and the end."""
    sent = bytearray(encoded)
    for said in messages(bytes(sent)):
        struct.pack_into("=HHII", sent, said.start - 12, nl.RTM_NEWROUTE, 2, 1, 99)
    return bytes(sent) + message(nl.NLMSG_DONE, 2, 1, struct.pack("=i", 0))


v4 = st.builds(
    lambda third, length, via, dev, metric: route(
        f"{10 + third % 3}.{third >> 8}.{(third & 255) & (0 if length < 24 else 255)}.0/{length} via 192.168.{via >> 8}.{via & 255} "
        f"dev {dev} metric {metric}"
    ),
    st.integers(0, 65535),
    st.sampled_from([16, 24, 32]).map(lambda bits: 24 if bits == 16 else bits),
    st.integers(0, 65535),
    st.sampled_from(["ens18", "eth0"]),
    st.sampled_from([0, 1, 5, 4096]),
)
v6 = st.builds(
    lambda subnet, via, dev: route(f"fd00:200:{subnet:x}::/64 via fd00::{via:x} dev {dev}"),
    st.integers(0, 65535),
    st.integers(1, 65535),
    st.sampled_from(["ens18", "eth0"]),
)
odd = st.sampled_from(
    [
        "10.9.0.0/16 via 192.168.8.1 dev ens18 proto static",
        "blackhole 10.9.0.0/16",
        "10.9.0.0/16 dev ens18 proto kernel scope link",
        "10.9.0.0/16 via 192.168.8.1 dev ens18 tos 16",
        "10.9.0.0/16 via 192.168.8.1 dev ens18 table 300",
    ]
).map(route)


@given(st.lists(v4 | odd, min_size=1, max_size=60) | st.lists(v6, min_size=1, max_size=60))
@settings(deadline=None)
def test_what_is_encoded_is_decoded_whatever_is_mixed(routes):
    encoded = encode([Change("add", each) for each in routes], INDEXES, 1)
    dump, end = dumped([as_dump(encoded)], routes[0].dst.version)
    assert end.errno == 0
    found = [*dump.plain.routes(), *dump.others]
    assert sorted(found, key=repr) == sorted(routes, key=repr)
    assert set(dump.plain.routes()) == {each for each in routes if each.plain}


@given(
    st.sampled_from(["add", "replace", "delete"]),
    st.lists(v4, min_size=2, max_size=40) | st.lists(v6, min_size=2, max_size=40),
)
@settings(deadline=None)
def test_columns_and_single_messages_are_the_same_bytes(action, routes):
    changes = [Change(action, each) for each in routes]
    together = encode(changes, INDEXES, 5)
    one_by_one = bytearray().join(encode([change], INDEXES, 5 + offset) for offset, change in enumerate(changes))
    ends = [said.end for said in messages(bytes(one_by_one))]
    for start, end in zip([0, *ends], ends[:-1], strict=False):
        flags = struct.unpack_from("=H", one_by_one, start + 6)[0]
        if end != ends[-1]:
            struct.pack_into("=H", one_by_one, start + 6, flags & ~nl.NLM_F_ACK)
    assert together == one_by_one


def test_only_the_last_message_of_a_batch_asks_for_an_answer():
    changes = [Change("add", route(f"10.200.{i}.0/24 via 192.168.8.2 dev ens18")) for i in range(5)]
    said = list(messages(bytes(encode(changes, INDEXES, 40))))
    assert [each.seq for each in said] == [40, 41, 42, 43, 44]
    assert [bool(each.flags & nl.NLM_F_ACK) for each in said] == [False] * 4 + [True]
    create = nl.NLM_F_CREATE | nl.NLM_F_EXCL
    assert all(each.flags & create == create and not each.flags & nl.NLM_F_REPLACE for each in said)


def test_a_replace_never_creates():
    (said,) = messages(bytes(encode([Change("replace", route("10.200.1.0/24 via 192.168.8.2 dev ens18"))], INDEXES, 1)))
    assert said.flags == nl.NLM_F_REQUEST | nl.NLM_F_REPLACE | nl.NLM_F_ACK


@pytest.mark.parametrize(("name", "version", "plain", "others"), [("ipv4", 4, 600, 5), ("ipv6", 6, 300, 3)])
def test_recorded_dumps_are_read_alike_by_columns_and_message_by_message(name, version, plain, others):
    """Recorded from Linux 6.18: see recorded/README.md for the table they show and how to record them anew."""
    datagrams = [bytes.fromhex(line) for line in (RECORDED / f"{name}.hex").read_text().split()]
    dump, end = dumped(datagrams, version)
    assert end.errno == 0
    assert (len(dump.plain.dst), len(dump.others)) == (plain, others)
    one_by_one = [
        read_route(each, said, NAMES) for each in datagrams for said in messages(each) if said.type == nl.RTM_NEWROUTE
    ]
    assert sorted([*dump.plain.routes(), *dump.others], key=repr) == sorted(one_by_one, key=repr)


def test_an_interrupted_dump_says_so():
    datagram = bytearray(as_dump(encode([Change("add", route("10.200.1.0/24 via 192.168.8.2 dev ens18"))], INDEXES, 1)))
    struct.pack_into("=H", datagram, 6, 2 | nl.NLM_F_DUMP_INTR)
    dump, _ = dumped([bytes(datagram)], 4)
    assert dump.interrupted


def test_routes_of_another_family_are_not_ours_to_read():
    """Where IPv6 is off, the kernel answers a request for IPv6 routes with the IPv4 ones."""
    dump, _ = dumped(
        [as_dump(encode([Change("add", route("10.200.1.0/24 via 192.168.8.2 dev ens18"))], INDEXES, 1))], 6
    )
    assert (dump.plain.dst, dump.others) == ([], [])


@pytest.mark.parametrize("capped", [True, False])
def test_an_extended_ack_is_read_with_and_without_the_quoted_request(capped):
    request = routes_request(9, 4, table=254)
    quoted = request[: HEADER.size] if capped else request
    body = struct.pack("=i", -101) + quoted + attribute(nl.NLMSGERR_ATTR_MSG, b"Nexthop has invalid gateway\0")
    datagram = message(nl.NLMSG_ERROR, nl.NLM_F_ACK_TLVS | (nl.NLM_F_CAPPED if capped else 0), 9, body)
    (said,) = messages(datagram)
    assert answer(datagram, said) == (9, 101, "Nexthop has invalid gateway")


GOOD = as_dump(
    encode([Change("add", route(f"10.200.{i}.0/24 via 192.168.8.2 dev ens18 metric 3")) for i in range(40)], INDEXES, 1)
)


@given(st.binary(max_size=300) | st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=20))
@example(b"")
@settings(max_examples=300, deadline=None)
def test_garbage_is_refused_or_skipped_but_never_loops_or_invents(garbage):
    if isinstance(garbage, list):
        datagram = bytearray(GOOD)
        for position, value in garbage:
            datagram[position] = value
        garbage = bytes(datagram)
    for dump in (RouteDump(4, NAMES), RouteDump(6, NAMES), MessageDump(nl.RTM_NEWLINK)):
        try:
            dump.feed(garbage)
        except struct.error:
            continue
        if isinstance(dump, RouteDump):
            assert all(each.ours for each in dump.plain.routes())
            assert len({len(column) for column in dump.plain[1:]}) == 1


@given(st.binary(max_size=200), st.sampled_from([16, 17, 20, 24, 25, 104]))
def test_announcements_that_make_no_sense_are_survived(garbage, kind):
    """The reader passes over them, or says that a structure is cut short: whoever listens then reads everything anew."""
    with suppress(struct.error):
        list(notifications(message(kind, 0, 1, garbage) + garbage, NAMES))
