"""The same route lost again and again is put back less and less often, and peace is recognised."""

from podroutes.model.address import parse_prefix
from podroutes.plan.flap_damping import LONGEST, PATIENCE, WINDOW, FlapDamping

DST = parse_prefix("10.200.1.0/24")


def waits(losses, every=1.0):
    """Return how long healing waits after each of LOSSES, EVERY seconds after the one before has been healed."""
    damping, now, found = FlapDamping(), 0.0, []
    for _ in range(losses):
        damping.deleted(DST, "bird", now)
        found.append(damping.until(DST) - now)
        now = max(now, damping.until(DST)) + every
    return found


def test_the_first_losses_are_healed_at_once_and_later_ones_wait_twice_as_long_each_time():
    assert waits(PATIENCE + 8) == [0.0] * (PATIENCE - 1) + [1, 2, 4, 8, 16, 32, LONGEST, LONGEST, LONGEST]


def test_losses_far_apart_are_no_fight():
    assert waits(20, every=WINDOW + 1) == [0.0] * 20


def test_who_fights_is_told_and_forgotten_in_peace():
    damping = FlapDamping()
    for second in range(PATIENCE):
        assert damping.contested(second) == {}
        damping.deleted(DST, "bird", second)
    assert {dst: (each.losses, each.rival) for dst, each in damping.contested(5).items()} == {DST: (3, "bird")}
    assert damping.contested(5 + 2 * LONGEST) == {}
    damping.deleted(DST, "bird", 500)
    assert damping.until(DST) <= 500


def test_one_fight_does_not_delay_another_route():
    damping = FlapDamping()
    for second in range(10):
        damping.deleted(DST, "", second)
    assert damping.until(parse_prefix("10.200.2.0/24")) == 0
