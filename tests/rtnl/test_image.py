"""A dump that is compared with the routes that are expected says what it says without them, whatever these are."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podroutes.model.fib import PlainRoutes
from podroutes.model.plan import Change
from podroutes.rtnl import constants as nl
from podroutes.rtnl.decode import RouteDump
from podroutes.rtnl.encode import encode
from podroutes.rtnl.image import Image
from podroutes.rtnl.message import messages
from rtnl.test_messages import INDEXES, NAMES, RECORDED, as_dump, odd, v4, v6


def columns(version, routes):
    rows = sorted({route.dst: route for route in routes if route.plain}.values(), key=lambda route: route.dst)
    return PlainRoutes(
        version,
        [route.dst.value for route in rows],
        [route.dst.length for route in rows],
        [route.via.value for route in rows],
        [],
        [0] * len(rows),
    )


def read(datagrams, version, expected=None):
    dump = RouteDump(version, NAMES, image=Image(expected) if expected and expected.dst else None)
    for datagram in datagrams:
        dump.feed(datagram)
    return dump


@given(st.lists(v4 | odd, min_size=1, max_size=60) | st.lists(v6, min_size=1, max_size=60), st.randoms(), st.booleans())
@settings(deadline=None)
def test_any_table_is_read_alike(routes, dice, in_order):
    if in_order:
        routes = sorted(routes, key=lambda route: route.dst)
    version = routes[0].dst.version
    encoded = as_dump(encode([Change("add", each) for each in routes], INDEXES, 1))
    others = [route for route in routes if dice.random() < 0.9]
    dice.shuffle(others)
    for expected in (columns(version, routes), columns(version, others)):
        found, plain = read([encoded], version, expected), read([encoded], version)
        assert found.plain == plain.plain
        assert found.others == plain.others


@pytest.mark.parametrize(("name", "version"), [("ipv4", 4), ("ipv6", 6)])
@pytest.mark.parametrize("field", ["", "via", "dst", "length"])
def test_recorded_dumps_are_read_alike_where_they_are_as_expected_and_where_not(name, version, field):
    datagrams = [bytes.fromhex(line) for line in (RECORDED / f"{name}.hex").read_text().split()]
    plain = read(datagrams, version).plain
    wrong = random.Random(5).sample(range(len(plain.dst)), 3 if field else 0)
    for row in wrong:
        expected = plain
        if field:
            column = [*getattr(plain, field)]
            column[row] += 1
            expected = plain._replace(**{field: column})
        assert read(datagrams, version, expected).plain == plain
    assert read(datagrams, version, plain._replace(dev=[], metric=[0] * len(plain.dst))).plain == plain


@pytest.mark.parametrize(("name", "version"), [("ipv4", 4), ("ipv6", 6)])
def test_what_is_as_expected_is_not_decoded(name, version, monkeypatch):
    """But for the first message of a run, which tells how the kernel lays them out."""
    datagrams = [bytes.fromhex(line) for line in (RECORDED / f"{name}.hex").read_text().split()]
    plain = read(datagrams, version).plain
    decoded, read_columns = [], RouteDump._columns
    monkeypatch.setattr(RouteDump, "_columns", lambda *words: decoded.append(read_columns(*words)) or decoded[-1])
    assert read(datagrams, version, plain).plain == plain
    runs = sum(any(said.type == nl.RTM_NEWROUTE for said in messages(each)) for each in datagrams)
    assert sum(decoded) < len(plain.dst) // 4
    assert sum(decoded) <= 8 * runs, "a run may be cut by routes of others"
