"""Deletions of very many routes need a second opinion, a minute later; single ones never wait."""

import pytest

from podroutes.core.hold import AGAIN, Guard, too_many
from podroutes.model.address import parse_prefix

TEN = frozenset(parse_prefix(f"10.200.{third}.0/24") for third in range(10))
FOUR = frozenset(sorted(TEN)[:4])


def allow(guard, deletes, now, listed, installed=10, *, empty=False):
    return guard.allow(frozenset(deletes), installed, empty=empty, listed=listed, now=now)


@pytest.mark.parametrize(
    ("deletes", "installed", "held"),
    [
        (3, 3, False),
        (4, 4, True),
        (4, 11, True),
        (4, 12, False),
        (1667, 5000, True),
        (1666, 5000, False),
        (0, 0, False),
    ],
)
def test_more_than_a_third_and_more_than_three_are_too_many(deletes, installed, held):
    assert too_many(deletes, installed) is held


def test_what_is_seen_again_a_minute_later_goes():
    guard = Guard()
    assert allow(guard, FOUR, 100, listed=100) == frozenset()
    assert allow(guard, FOUR, 100 + AGAIN, listed=100) == frozenset(), "nobody has said it again"
    assert allow(guard, FOUR, 100 + AGAIN, listed=99 + AGAIN) == frozenset(), "said again too soon"
    assert allow(guard, FOUR, 101 + AGAIN, listed=100 + AGAIN) == FOUR
    assert (guard.hold, guard.holds) == (None, 1)


def test_what_is_wanted_again_is_forgotten():
    guard = Guard()
    allow(guard, FOUR, 100, listed=100)
    assert allow(guard, (), 110, listed=110) == frozenset()
    assert guard.hold is None
    assert allow(guard, FOUR, 170, listed=170) == frozenset(), "a new hold, a new minute"


def test_only_what_was_held_for_a_minute_goes():
    guard = Guard()
    allow(guard, FOUR, 100, listed=100)
    assert allow(guard, TEN, 165, listed=165) == FOUR
    assert guard.hold
    assert guard.hold.dsts == TEN - FOUR


def test_what_came_back_during_the_hold_begins_anew():
    guard = Guard()
    first, *rest = sorted(FOUR)
    allow(guard, FOUR, 100, listed=100)
    allow(guard, {*rest, sorted(TEN)[9]}, 130, listed=130)
    assert allow(guard, FOUR, 165, listed=165) == set(rest)
    assert guard.hold
    assert guard.hold.dsts == {first}


def test_no_nodes_at_all_is_never_believed():
    guard = Guard()
    one = {min(TEN)}
    assert allow(guard, one, 100, listed=100, installed=1, empty=True) == frozenset()
    assert allow(guard, one, 1000, listed=1000, installed=1, empty=True) == frozenset()


def test_whoever_trusts_the_source_waits_for_nothing():
    assert allow(Guard(trusting=True), TEN, 100, listed=100, empty=True) == TEN
