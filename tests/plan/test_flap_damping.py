"""The same route lost again and again is put back less and less often, and peace is recognised."""

from podroutes.model.address import parse_prefix
from podroutes.plan.flap_damping import LONGEST, PATIENCE, WINDOW, Rivalry

DST = parse_prefix("10.200.1.0/24")


def waits(losses, every=1.0):
    """Return how long healing waits after each of LOSSES, EVERY seconds after the one before has been healed."""
    rivalry, now, found = Rivalry(), 0.0, []
    for _ in range(losses):
        rivalry.lost(DST, "bird", now)
        found.append(rivalry.until(DST) - now)
        now = max(now, rivalry.until(DST)) + every
    return found


def test_the_first_losses_are_healed_at_once_and_later_ones_wait_twice_as_long_each_time():
    assert waits(PATIENCE + 8) == [0.0] * (PATIENCE - 1) + [1, 2, 4, 8, 16, 32, LONGEST, LONGEST, LONGEST]


def test_losses_far_apart_are_no_fight():
    assert waits(20, every=WINDOW + 1) == [0.0] * 20


def test_who_fights_is_told_and_forgotten_in_peace():
    rivalry = Rivalry()
    for second in range(PATIENCE):
        assert rivalry.contested(second) == {}
        rivalry.lost(DST, "bird", second)
    assert {dst: (each.losses, each.rival) for dst, each in rivalry.contested(5).items()} == {DST: (3, "bird")}
    assert rivalry.contested(5 + 2 * LONGEST) == {}
    rivalry.lost(DST, "bird", 500)
    assert rivalry.until(DST) <= 500


def test_one_fight_does_not_delay_another_route():
    rivalry = Rivalry()
    for second in range(10):
        rivalry.lost(DST, "", second)
    assert rivalry.until(parse_prefix("10.200.2.0/24")) == 0
