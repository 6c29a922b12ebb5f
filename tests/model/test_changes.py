"""Changes as columns are the sequence of their values, in the kernel's order, and become the same messages."""

from hypothesis import given, settings
from hypothesis import strategies as st

from podroutes.model.address import Address, Prefix
from podroutes.model.changes import ACTIONS, ChangeColumns, Changes, counts, ordered, replaces
from podroutes.model.claims import Claim
from podroutes.model.cluster import Node
from podroutes.model.fib import PlainRoutes
from podroutes.model.plan import Change, Refusal, Result, Results
from podroutes.model.route import NextHop, Route
from podroutes.plan.difference import in_order
from podroutes.rtnl.encode import encode, encode_columns
from podroutes.rtnl.message import messages

INDEXES = {"ens18": 7, "eth0": 300}
TAIL = st.tuples(st.integers(1, 1 << 24), st.sampled_from(sorted(INDEXES)), st.integers(0, 4096))


def _row(version, action, number, tail):
    via, dev, metric = tail
    dst = Prefix(4, (10 << 24) + (number << 8), 24) if version == 4 else Prefix(6, 0xFD << 120 | number << 64, 64)
    route = Route(dst, (NextHop(Address(version, via), dev),), metric)
    was = Route(dst, (NextHop(Address(version, via + 1), "eth0"),), metric) if action == "replace" else None
    return Change(action, route, None if action == "delete" else f"w-{number}", was)


def _columns(changes):
    version = changes[0].route.dst.version
    routes = [change.route for change in changes]
    claims = [Claim(route.dst, Node(f"w-{n}"), ()) for n, route in enumerate(routes)]
    claims = [claim._replace(node=Node(change.node or "")) for claim, change in zip(claims, changes, strict=True)]
    was = [(change.was.via.value, change.was.dev) if change.was else (0, "") for change in changes]
    return ChangeColumns(
        bytes(ACTIONS.index(change.action) for change in changes),
        PlainRoutes(
            version,
            [route.dst.value for route in routes],
            [route.dst.length for route in routes],
            [route.via.value for route in routes],
            [route.dev for route in routes],
            [route.metric for route in routes],
        ),
        None if changes[0].action == "delete" else claims,
        tuple(map(list, zip(*was, strict=True))) if any(change.was for change in changes) else None,
    )


@st.composite
def changes(draw):
    """Draw changes by class (version, whether they are deletes), each in columns or a value."""
    columns, values = [], []
    for version in (4, 6):
        for actions in (["add", "replace"], ["delete"]):
            numbers = draw(st.lists(st.integers(0, 255), unique=True, max_size=12))
            rows = [_row(version, draw(st.sampled_from(actions)), number, draw(TAIL)) for number in sorted(numbers)]
            plain = [row for row in rows if draw(st.booleans())]
            values += [row for row in rows if row not in plain]
            if plain:
                columns.append(_columns(plain))
    return columns, sorted(values, key=in_order)


@given(changes(), st.data())
@settings(deadline=None)
def test_columns_and_values_are_one_sequence_in_order(drawn, data):
    columns, values = drawn
    found = ordered(columns, values)
    expected = tuple(sorted([*(each for part in columns for each in part.changes()), *values], key=in_order))
    assert tuple(found) == expected
    assert found == expected
    assert expected == found
    assert len(found) == len(expected)
    assert bool(found) == bool(expected)
    assert repr(found) == repr(expected)
    assert counts(found) == {action: sum(each.action == action for each in expected) for action in ACTIONS}
    assert replaces(found) == any(each.was is not None for each in expected)
    first, last = (data.draw(st.integers(-40, 40)) for _ in range(2))
    assert found[first:last] == expected[first:last]
    assert [found[at] for at in range(-len(expected), len(expected))] == [*expected, *expected]
    if expected:
        assert found != expected[1:]
        assert found != (*expected[:-1], expected[0]._replace(node="other"))


@given(changes(), st.integers(1, 5))
@settings(deadline=None)
def test_columns_and_values_are_the_same_messages(drawn, batch):
    for part in drawn[0]:
        values = tuple(part.changes())
        batches = [values[first : first + batch] for first in range(0, len(values), batch)]
        expected = b"".join(bytes(encode(each, INDEXES, 5 + n * batch)) for n, each in enumerate(batches))
        found = bytes(encode_columns(part, INDEXES, 5, batch))
        assert found == expected
        assert [said.seq for said in messages(found)] == list(range(5, 5 + len(values)))


@given(changes(), st.data())
@settings(deadline=None)
def test_a_part_has_the_rows_of_the_whole(drawn, data):
    for part in drawn[0]:
        values = tuple(part.changes())
        rows = slice(data.draw(st.integers(0, 12)), data.draw(st.integers(0, 12)))
        assert tuple(part.part(rows).changes()) == values[rows]


def test_results_are_those_of_each_change():
    made = Changes([_columns([_row(4, "add", number, (9, "ens18", 0)) for number in range(3)])])
    refusal = Refusal(17, "File exists")
    found = Results(made, {1: refusal})
    assert found == tuple(Result(change, refusal if n == 1 else None) for n, change in enumerate(made))
    assert [found[n].refusal for n in (0, 1, -1, -2)] == [None, refusal, None, refusal]
    assert found[1:] == tuple(found)[1:]
