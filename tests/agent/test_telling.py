"""What an agent says of its own node: the condition speaks of this node's network, Events of everything else."""

import pytest

from podroutes.agent.event_recorder import availability, events
from podroutes.agent.status_recorder import StatusRecorder
from podroutes.model.address import parse_prefix
from podroutes.model.problem import Problem
from podroutes.model.status import DampedRoute, Routes, SourceStatus, Status

WELL = Status(
    "1.2.3",
    "worker-0",
    42,
    1000.0,
    SourceStatus("https://api", connected=True, synced=True),
    Routes(wanted=9, installed=9),
    last_pass=1.0,
)


def off_link(name):
    return Problem("error", "next-hop-off-link", f"{name} is off-link", (name,))


@pytest.mark.parametrize(
    ("change", "forwards", "available"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"error": "the kernel refuses"}, True, False),
        ({"routes": Routes(wanted=9, installed=8), "problems": (off_link("worker-1"),)}, True, True),
        ({"routes": Routes(wanted=9, installed=1, failed=8)}, True, True),
        ({"routes": Routes(wanted=9, installed=0)}, True, False),
        ({"routes": Routes(wanted=1, installed=0), "problems": (off_link("worker-1"),)}, True, True),
        ({"routes": Routes(wanted=2), "problems": (off_link("worker-1"), off_link("worker-2"))}, True, False),
        ({"routes": Routes(wanted=1), "problems": (Problem("error", "link-down", "", ("worker-1",)),)}, True, False),
        ({"routes": Routes(wanted=0, installed=0)}, True, True),
    ],
)
def test_the_condition_is_about_this_node(change, forwards, available):
    found = availability(WELL._replace(**change), forwards=forwards)
    assert found
    assert found[0] is available


def test_a_node_that_joins_has_nobody_write_its_own_node():
    more = WELL._replace(routes=Routes(wanted=10, installed=10))
    assert availability(WELL, forwards=True) == availability(more, forwards=True)


@pytest.mark.parametrize("change", [{"last_pass": 0.0}, {"source": SourceStatus("https://api")}])
def test_before_anything_is_known_nothing_is_said(change):
    assert availability(WELL._replace(**change), forwards=True) is None


def test_unreachable_and_contested_peers_are_events():
    status = WELL._replace(
        problems=(off_link("worker-1"),), contested=(DampedRoute(parse_prefix("10.200.2.0/24"), 4, "bird", 2010.0),)
    )
    assert [(key, message.partition(";")[0]) for key, message in events(status)] == [
        (("next-hop-off-link", "None"), "worker-1 is off-link"),
        (("route-contested", "10.200.2.0/24"), "10.200.2.0/24 is deleted again and again by bird"),
    ]


def test_a_problem_whose_text_names_all_nodes_is_logged_once():
    lines = []
    recorder = StatusRecorder(lambda *line, **_: lines.append(line[1]), None, None, None)
    missing = Problem("warning", "not-a-node", "no node worker-9: worker-0, worker-1", ("worker-9",))
    recorder._problems((), (missing,))
    recorder._problems((missing,), (missing._replace(message="no node worker-9: worker-0, worker-1, worker-2"),))
    assert lines == ["not-a-node"]
    recorder._problems((missing,), ())
    assert lines == ["not-a-node", "solved"]
