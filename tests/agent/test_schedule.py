"""When the next whole pass is due: at once, but never more than half of the time; later after each failure."""

from podroutes.agent.schedule import FIRST_RETRY, LAST_RETRY, Schedule


def schedule(resync=300.0):
    return Schedule(resync, lambda: 0.5)


def test_nothing_is_due_until_something_is_wanted():
    assert schedule().due() is None


def test_the_earliest_reason_counts_and_a_pass_serves_all():
    plan = schedule()
    plan.want("kernel", 10)
    plan.want("nodes", 5)
    plan.want("kernel", 20)
    assert plan.due() == 5
    assert plan.begin(5) == "nodes"
    plan.end(5, ok=True, idle=False)
    assert plan.due() == 305


def test_passes_take_at_most_half_of_the_time():
    plan = schedule()
    plan.want("kernel", 100)
    plan.begin(100)
    plan.end(102, ok=True, idle=False)
    plan.want("kernel", 102)
    assert plan.due() == 104


def test_passes_that_find_nothing_to_do_take_less_and_less_of_the_time():
    plan, now, shares = schedule(), 0.0, []
    for _ in range(12):
        plan.want("kernel", now)
        plan.begin(now)
        plan.end(now + 1, ok=True, idle=True)
        plan.want("kernel", now + 1)
        shares.append(plan.due() - now - 1)
        now = plan.due()
    assert shares == [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9]


def test_a_missing_route_waits_for_half_of_the_time_only():
    plan, now = schedule(), 0.0
    for _ in range(12):
        plan.want("kernel", now)
        plan.begin(now)
        plan.end(now + 1, ok=True, idle=True)
        now += 10
    now -= 9
    plan.want("kernel", now)
    assert plan.due() == now + 9
    plan.want("kernel", now, urgent=True)
    assert plan.due() == now + 1
    plan.begin(now + 1)
    plan.end(now + 2, ok=True, idle=True)
    plan.want("kernel", now + 2)
    assert plan.due() == now + 11, "what was urgent once is not so for ever"


def test_failures_are_tried_again_later_each_time_and_forgotten_after_a_success():
    plan = schedule(resync=10_000)
    delays = []
    for _ in range(12):
        plan.begin(0)
        plan.end(0, ok=False, idle=False)
        delays.append(plan.due())
    assert delays[:4] == [0.75 * FIRST_RETRY * 2**n for n in range(4)]
    assert delays[-1] == 0.75 * LAST_RETRY
    plan.begin(0)
    plan.end(0, ok=True, idle=False)
    plan.begin(0)
    plan.end(0, ok=False, idle=False)
    assert plan.due() == delays[0]


def test_resyncs_of_a_cluster_are_spread():
    due = set()
    for random in (0.0, 0.5, 1.0):
        plan = Schedule(300, lambda random=random: random)
        plan.begin(0)
        plan.end(0, ok=True, idle=False)
        due.add(plan.due())
    assert due == {270, 300, 330}


def test_what_a_person_asked_for_is_counted_as_that():
    plan = schedule()
    plan.want("listed", 1)
    plan.want("asked", 2)
    assert plan.begin(3) == "asked"
