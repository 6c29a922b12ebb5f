"""The agents of a cluster at one look: a line for each node, each cause once, the totals."""

import json

import pytest

from podroutes.model.agents import Asked
from podroutes.model.problem import Problem
from podroutes.views import agents as views
from podroutes.views import status
from podroutes.views.style import Style
from support.schemas import faults
from views.test_status import ILL, WELL

PLAIN = Style(enabled=False)
NOW = 2000.0


def asked(name, of=WELL, **changes):
    return Asked(name, status.document(of._replace(node=name, **changes)))


FOREIGN = (Problem("error", "foreign-route", "someone else holds it", ("worker-7",)),)


def test_it_fits_into_a_screen_and_tells_each_cause_once():
    nodes = [
        asked("worker-0"),
        asked("worker-1", problems=FOREIGN),
        asked("worker-2", problems=FOREIGN),
        Asked("worker-3", error="nothing answers on 127.0.0.1:9107 there: Connection refused"),
        asked("w4", last_pass=0.0),
    ]
    assert list(views.text(nodes, NOW, PLAIN, full=True)) == [
        "worker-0  in sync          2 of 2 routes, compared 5 s ago, up 16 min",
        "worker-1  needs attention  2 of 2 routes, compared 5 s ago, up 16 min",
        "worker-2  needs attention  2 of 2 routes, compared 5 s ago, up 16 min",
        "worker-3  silent           nothing answers on 127.0.0.1:9107 there: Connection refused",
        f"w4        not ready        {WELL._replace(last_pass=0.0).not_ready_reason}",
        "",
        "! foreign-route: on 2 of 5 nodes (worker-1 and worker-2): someone else holds it",
        f"  fix: {FOREIGN[0].advice}",
        "",
        "1 of 5 nodes in sync, 2 needs attention, 1 not ready, 1 silent.",
    ]
    short = list(views.text(nodes, NOW, PLAIN, full=False))
    assert not any(line.startswith("worker-0") for line in short)
    assert short[-1].startswith("1 of 5 nodes in sync")


def test_a_cluster_in_sync_is_one_line_where_it_is_large():
    assert list(views.text([asked(f"w{n}") for n in range(50)], NOW, PLAIN, full=False)) == ["50 of 50 nodes in sync."]


@pytest.mark.parametrize(
    "body", [{}, {"ready": True}, {"source": 7, "ready": True}, {"source": {}, "routes": [], "ready": 1}]
)
def test_an_agent_of_another_version_is_silent(body):
    known = views.understood(Asked("worker-0", body), NOW)
    assert views.state(known, NOW) == "silent"
    assert "another version" in known.error


def test_the_documents_are_what_the_schemas_say():
    nodes = [asked("worker-0"), asked("worker-1", ILL), Asked("worker-2", error="away")]
    document = json.loads(json.dumps({"apiVersion": "podroutes/v1", **views.document(nodes, NOW)}))
    assert faults("status-all", document) == []
    assert [each["state"] for each in document["nodes"]] == ["in-sync", "not-ready", "silent"]
    for each in (WELL, ILL):
        assert faults("status", json.loads(json.dumps(status.document(each)))) == []


def test_what_a_watch_compares_are_neither_times_nor_counters():
    before = views.condition([asked("worker-0")], NOW)
    assert views.condition([asked("worker-0", last_pass=1999.0, healed=3)], NOW) == before
    assert views.condition([asked("worker-0", problems=FOREIGN)], NOW) != before
    assert views.condition([Asked("worker-0", error="away")], NOW) != before
