"""What an agent believes of an API server that loses Nodes, scenario by scenario, each with its end. The clock is driven."""

import pytest

from agent.simulation import Agent, Server, place
from podroutes.model.address import parse_prefix
from podroutes.plan.guard import WINDOW
from podroutes.plan.held_deletions import AGAIN

MINUTE = AGAIN


def everybody(count):
    return set(range(1, count + 1))


@pytest.fixture
def begin(tmp_path):
    """Start the agent of worker-0 in a cluster with COUNT other workers."""

    def start(count, **guard):
        server = Server()
        server.join(0, *sorted(everybody(count)))
        agent = Agent(server, str(tmp_path), **guard)
        assert agent.routed == everybody(count)
        return server, agent

    return start


def test_a_cluster_of_three_that_loses_one_node_loses_its_route_at_once(begin):
    server, agent = begin(2)
    server.leave(2)
    agent.hear()
    assert (agent.routed, agent.guard.hold) == ({1}, None)


def test_a_cluster_of_three_that_loses_both_others_keeps_the_second_for_a_minute(begin):
    server, agent = begin(2)
    server.leave(1, 2)
    agent.hear()
    assert (agent.routed, agent.held) == ({2}, {2})
    agent.wait(MINUTE)
    assert (agent.routed, agent.guard.hold, agent.guard.release.reason) == (set(), None, "watched")


def test_scaled_down_by_half_under_a_watch_a_third_goes_at_once_and_the_rest_after_a_minute(begin):
    server, agent = begin(12)
    server.leave(*range(7, 13))
    agent.hear()
    assert (agent.routed, agent.held) == (everybody(6) | {11, 12}, {11, 12})
    agent.wait(MINUTE - 1)
    assert agent.held == {11, 12}
    agent.wait(1)
    assert (agent.routed, agent.guard.release.reason) == (everybody(6), "watched")


def test_scaled_down_by_half_while_the_watch_was_cut_a_second_list_a_minute_later_decides(begin):
    server, agent = begin(12)
    server.leave(*range(7, 13))
    agent.list()
    assert (agent.routed, agent.held) == (everybody(12), set(range(7, 13)))
    agent.wait(MINUTE - 1)
    assert agent.routed == everybody(12)
    agent.wait(1)
    assert (agent.routed, agent.guard.release.reason) == (everybody(6), "listed")


def test_all_nodes_deleted_one_by_one_under_a_watch_go_after_a_minute(begin):
    """Kubectl delete node --all: the server told of each, and none came back. The own Node is among them."""
    server, agent = begin(10)
    server.leave(*range(11))
    agent.hear()
    assert len(agent.held) == 7
    agent.wait(MINUTE)
    assert (agent.routed, agent.guard.release.reason) == (set(), "watched")


def test_4900_deleted_events_within_26_seconds_are_held_and_go_when_none_has_returned_for_a_minute(begin):
    server, agent = begin(4900)
    for number in range(1, 4901):
        server.leave(number)
        if number % 350 == 0:
            agent.clock += 26 / 14
            agent.hear_together()
    assert len(agent.held) == len(agent.routed) >= 4900 * 2 // 3
    assert agent.guard.holds == 1
    agent.wait(MINUTE - 26)
    assert len(agent.routed) >= 4900 * 2 // 3
    agent.wait(26)
    assert (agent.routed, agent.guard.hold) == (set(), None)


def test_nodes_that_return_one_by_one_are_waited_for_and_lose_nothing(begin):
    """A mass deletion by mistake, and kubelets that register again, each within a minute of the one before."""
    server, agent = begin(9)
    server.leave(*range(1, 10))
    agent.hear()
    gone = everybody(9) - agent.routed
    assert len(gone) == 3
    for number in range(1, 10):
        agent.wait(MINUTE - 1)
        server.join(number)
        agent.hear()
    assert (agent.routed, agent.guard.hold, agent.guard.release) == (everybody(9), None, None)


def test_a_wiped_etcd_takes_nothing_however_often_it_is_listed(begin):
    server, agent = begin(141)
    server.wipe()
    for _ in range(5):
        agent.list()
        agent.wait(MINUTE)
    assert (agent.routed, agent.held) == (everybody(141), everybody(141))


def test_a_wiped_etcd_that_fills_again_takes_nothing_while_it_does(begin):
    """One node registers 70 s later, the others in the course of an hour; an agent that asks again and again."""
    server, agent = begin(141)
    server.wipe()
    agent.list()
    agent.wait(70)
    server.join(0)
    for number in range(1, 142):
        server.join(number)
        agent.list()
        agent.wait(3 * MINUTE)
        assert agent.routed == everybody(141)
    assert (agent.guard.hold, agent.guard.release) == (None, None)


def test_a_restored_backup_keeps_the_routes_of_nodes_that_joined_since(begin):
    server, agent = begin(10)
    saved = server.backup()
    server.join(*range(11, 41))
    agent.hear()
    server.restore(saved)
    agent.list()
    for _ in range(5):
        agent.wait(2 * MINUTE)
        agent.list()
    assert (agent.routed, agent.held) == (everybody(40), set(range(11, 41)))
    server.join(*range(11, 41))
    agent.hear()
    assert (agent.routed, agent.guard.hold) == (everybody(40), None)


def test_a_backup_that_is_restored_while_a_deletion_waits_stops_the_clock(begin):
    """What the watch told is of a history that never happened."""
    server, agent = begin(12)
    saved = server.backup()
    server.leave(*range(7, 13))
    agent.hear()
    held = agent.held
    agent.wait(30)
    server.restore((saved[0] - 500, {number: saved[1][number] for number in range(7)}))
    agent.list()
    agent.wait(10 * MINUTE)
    assert held < everybody(12) - set(range(1, 7))
    assert (held, held <= agent.routed) == (agent.held, True)


def test_the_second_list_may_not_be_empty(begin):
    server, agent = begin(12)
    nodes = dict(server.nodes)
    server.leave(*range(7, 13))
    agent.list()
    rest, server.nodes = dict(server.nodes), {}
    agent.wait(2 * MINUTE)
    assert agent.routed == everybody(12)
    server.nodes = rest
    agent.list()
    agent.wait(2 * MINUTE)
    assert agent.routed == everybody(12), "nothing vouches for a server that had nothing a moment ago"
    server.nodes = nodes
    agent.list()
    assert (agent.routed, agent.guard.hold) == (everybody(12), None)


def test_nodes_that_were_all_made_anew_under_new_pod_cidrs_are_renumbered(begin):
    """A podCIDR cannot change: the Nodes are deleted, and register again with new ones. The old prefixes go with that."""
    server, agent = begin(9)
    server.leave(*range(1, 10))
    agent.hear()
    server.join(*range(1, 10), pods=500)
    agent.hear()
    assert agent.guard.hold is None
    assert {str(route.dst) for route in agent.kernel.ours()} == {place(number + 500)[1] for number in range(1, 10)}


def test_shrinking_by_a_third_again_and_again_is_held(begin):
    server, agent = begin(99)
    left = sorted(everybody(99))
    for _ in range(6):
        fewer = left[: len(left) - len(left) // 3]
        server.leave(*left[len(fewer) :])
        left = fewer
        agent.hear()
        agent.clock += 2
    assert len(agent.routed) == 66
    assert agent.held == agent.routed - set(left)


def test_after_ten_minutes_a_third_of_what_is_left_may_go(begin):
    server, agent = begin(99)
    server.leave(*range(67, 100))
    agent.hear()
    agent.clock += WINDOW
    server.leave(*range(45, 67))
    agent.hear()
    assert (agent.routed, agent.guard.hold) == (everybody(44), None)


def test_a_person_confirms_the_set_that_was_looked_at_and_no_other(begin):
    server, agent = begin(12)
    server.wipe()
    agent.list()
    digest = agent.guard.hold.digest
    with pytest.raises(ValueError, match="what is held is"):
        agent.guard.confirm("0123456789ab")
    server.join(1)
    agent.list()
    with pytest.raises(ValueError, match="and not"):
        agent.guard.confirm(digest)
    agent.guard.confirm(agent.guard.hold.digest)
    agent.compare()
    assert (agent.routed, agent.guard.hold, agent.guard.release.reason) == ({1}, None, "confirmed")
    with pytest.raises(ValueError, match="nothing is held"):
        agent.guard.confirm("")


def test_what_was_confirmed_counts_for_nothing_later(begin):
    server, agent = begin(12)
    server.leave(*range(3, 13))
    agent.hear()
    agent.guard.confirm("")
    agent.compare()
    assert agent.routed == {1, 2}
    agent.clock += WINDOW
    server.leave(2)
    agent.hear()
    assert agent.routed == {1}


def test_a_held_route_that_a_link_takes_along_comes_back_with_it(begin):
    server, agent = begin(12)
    server.wipe()
    agent.list()
    agent.kernel.set_link("ens18", up=False)
    agent.compare()
    assert agent.routed == set()
    agent.kernel.set_link("ens18")
    agent.kernel.routes += worker_0_connected()
    agent.compare()
    assert (agent.routed, agent.held) == (everybody(12), everybody(12))


def worker_0_connected():
    """Return the connected routes that come back with ens18."""
    from agent.simulation import worker_0  # noqa: PLC0415

    return [route for route in worker_0().routes if route.dev == "ens18"]


def test_so_many_go_at_once_as_were_allowed_beforehand(begin):
    server, agent = begin(12, allowed=6)
    server.leave(*range(7, 13))
    agent.list()
    assert (agent.routed, agent.guard.hold) == (everybody(6), None)
    server.leave(6)
    agent.list()
    assert agent.held == {6}


def test_what_nobody_listed_before_is_no_deletion_that_a_watch_reported(begin):
    """Routes of our number that somebody else made: they go as what a list lacks does."""
    _, agent = begin(4)
    agent.kernel.routes += [
        route._replace(dst=parse_prefix(place(20 + n)[1])) for n, route in enumerate(agent.kernel.ours())
    ]
    agent.compare()
    assert agent.held == {20, 21, 22, 23}
    agent.wait(MINUTE)
    assert (agent.routed, agent.guard.release.reason) == (everybody(4), "listed")


def test_after_one_false_empty_list_the_server_is_asked_again_and_the_hold_ends(begin):
    server, agent = begin(12)
    nodes, server.nodes = dict(server.nodes), {}
    agent.list()
    server.nodes = nodes
    assert agent.held == everybody(12)
    agent.wait(MINUTE)
    assert (agent.routed, agent.guard.hold, agent.guard.release) == (everybody(12), None, None)


def test_a_server_that_stays_empty_is_asked_less_and_less_and_confirms_nothing(begin):
    server, agent = begin(12)
    server.wipe()
    agent.list()
    counts = []
    for minutes in (1, 2, 4, 10, 10, 10):
        before = agent.reflector.counts.lists
        agent.wait(minutes * MINUTE)
        counts.append(agent.reflector.counts.lists - before)
    assert counts == [1] * 6
    assert (agent.routed, agent.held) == (everybody(12), everybody(12))


@pytest.mark.parametrize("allowed", [12, 1 << 62])
def test_an_allowance_given_beforehand_does_not_let_an_empty_list_take_everything(begin, allowed):
    server, agent = begin(12, allowed=allowed)
    nodes, server.nodes = dict(server.nodes), {}
    agent.list()
    assert (agent.routed, agent.held) == (everybody(12), everybody(12))
    server.nodes = nodes
    agent.wait(MINUTE)
    assert (agent.routed, agent.guard.hold) == (everybody(12), None)
    server.leave(*range(4, 13))
    agent.list()
    assert agent.routed == {1, 2, 3}, "a list that still has nodes is what the allowance is for"


@pytest.mark.parametrize("wait", [0, 5 * MINUTE])
def test_a_restart_of_the_agent_while_a_backup_is_restored_confirms_nothing(begin, wait):
    server, agent = begin(12)
    saved = server.backup()
    server.join(*range(13, 41))
    agent.hear()
    server.restore(saved)
    agent.restart()
    agent.wait(wait)
    agent.list()
    agent.wait(30 * MINUTE)
    assert (agent.routed, agent.held) == (everybody(40), set(range(13, 41)))
    server.join(*range(13, 41))
    agent.hear()
    assert (agent.routed, agent.guard.hold) == (everybody(40), None)


def test_a_restart_in_the_middle_of_a_hold_does_not_end_it(begin):
    server, agent = begin(12)
    server.leave(*range(5, 13))
    agent.list()
    held = agent.held
    agent.wait(30)
    agent.restart()
    agent.wait(30 * MINUTE)
    assert (agent.held, agent.routed) == (held, everybody(12))
    agent.guard.confirm("")
    agent.compare()
    assert agent.routed == everybody(4)


def test_a_thousand_nodes_one_wiped_etcd_one_scale_down_and_one_return(begin):
    server, agent = begin(1000)
    nodes = dict(server.nodes)
    server.wipe()
    agent.list()
    agent.wait(10 * MINUTE)
    assert (agent.routed, agent.held) == (everybody(1000), everybody(1000))
    server.nodes, server.version = nodes, 5000
    agent.list()
    assert (agent.routed, agent.guard.hold) == (everybody(1000), None)
    server.leave(*range(334, 1001))
    agent.hear_together()
    assert (len(agent.routed), len(agent.held)) == (1000, 667)
    agent.wait(MINUTE)
    assert (agent.routed, agent.guard.release.reason) == (everybody(333), "watched")
