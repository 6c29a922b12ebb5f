"""What an agent tells: Prometheus reads its metrics, the page names each of them, people see what is wrong."""

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from podroutes.model.address import parse_prefix
from podroutes.model.problem import Problem
from podroutes.model.status import BUCKETS, DampedRoute, Held, Histogram, Released, Routes, SourceStatus, Status
from podroutes.views import status as views
from podroutes.views.style import Style

PLAIN = Style(enabled=False)
WELL = Status(
    "1.2.3",
    "worker-0",
    42,
    1000.0,
    SourceStatus("lab.yaml", connected=True, synced=True, nodes=3, heard=1990.0, listed=1500.0, heartbeats=7),
    Routes(wanted=2, installed=2),
    last_pass=1995.0,
    last_duration=0.0025,
    passes={"nodes": 1, "resync": 4},
    changes={"add": 2},
)
ILL = WELL._replace(
    node='odd"name\\\n',
    source=SourceStatus("https://api", error="connection refused"),
    routes=Routes(wanted=9, installed=8, held=5, contested=1, failed=1),
    problems=(Problem("error", "link-down", "ens18 is down", ("worker-1",)),) * 2,
    failures={"10.200.1.0/24": "No such device"},
    contested=(DampedRoute(parse_prefix("10.200.2.0/24"), 4, "bird", 2010.0),),
    hold=Held(1940.0, 5, ("worker-3", "worker-4"), "0123456789ab", 2030.0),
    released=Released(1900.0, 7, ("worker-5",), "watched"),
    releases={"watched": 7},
    state_error="nodes.yaml: Read-only file system",
    error="the kernel refuses",
)


def families(status):
    return {each.name: each for each in text_string_to_metric_families("\n".join(views.metrics(status)) + "\n")}


def value(status, sample, **labels):
    found = [
        each.value
        for family in families(status).values()
        for each in family.samples
        if each.name == sample and each.labels == labels
    ]
    assert len(found) == 1, sample
    return found[0]


def test_prometheus_reads_every_metric_with_its_type():
    for status in (WELL, ILL):
        found = {
            f"{name}_total" if each.type == "counter" else name: (each.type, each.documentation)
            for name, each in families(status).items()
        }
        assert found == views.METRICS


def test_the_values_are_those_of_the_status():
    assert value(WELL, "podroutes_ready") == 1
    assert value(ILL, "podroutes_ready") == 0
    assert value(WELL, "podroutes_routes", state="installed") == 2
    assert value(ILL, "podroutes_routes", state="held") == 5
    assert value(ILL, "podroutes_problems", code="link-down") == 2
    assert value(WELL, "podroutes_passes_total", reason="resync") == 4
    assert value(WELL, "podroutes_hold_since_timestamp_seconds") == 0
    assert value(ILL, "podroutes_hold_since_timestamp_seconds") == 1940
    assert value(ILL, "podroutes_mass_deletions_total", reason="watched") == 7
    assert value(WELL, "podroutes_source_heartbeats_total") == 7
    assert value(ILL, "podroutes_state_writable") == 0
    assert value(ILL, "podroutes_build_info", version="1.2.3", node='odd"name\\\n') == 1


def test_a_histogram_counts_each_duration_once_and_upwards():
    latency = Histogram()
    for seconds in (0.0005, 0.001, 0.003, 0.3, 1000.0):
        latency = latency.with_one(seconds)
    status = WELL._replace(latency=latency)
    name = "podroutes_node_to_kernel_seconds"
    counts = [value(status, f"{name}_bucket", le=bound) for bound in (*map(str, BUCKETS), "+Inf")]
    assert counts == [2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5]
    assert value(status, f"{name}_count") == 5
    assert value(status, f"{name}_sum") == sum((0.0005, 0.001, 0.003, 0.3, 1000.0))


def test_the_page_has_every_metric_with_its_type_and_meaning():
    page = (Path(__file__).parents[2] / "docs" / "agent.md").read_text()
    rows = re.findall(r"^\| `(podroutes_\w+)` \| (\w+) \| (.+) \|$", page, re.MULTILINE)
    assert {name: (kind, meaning) for name, kind, meaning in rows} == views.METRICS


def told(status):
    return "\n".join(views.text(json.loads(json.dumps(views.document(status))), 2000.0, PLAIN))


def test_a_healthy_agent_says_so():
    assert told(WELL).splitlines() == [
        "worker-0  in sync",
        "  agent    podroutes 1.2.3, process 42, up 16 min",
        "  source   lab.yaml: 3 nodes, connected, heard 10 s ago",
        "  routes   2 wanted, 2 installed",
        "  compared 5 s ago in 2.5 ms; 0 healed since the start",
    ]


def test_whatever_is_wrong_is_told():
    for word in (
        "not ready: the kernel refuses",
        "not connected",
        "connection refused",
        "5 routes of worker-3 and worker-4 would go at once: held for 1 min; it ends when the nodes return",
        "by `podroutes confirm 0123456789ab`, or in 30 s if none of them returns",
        "7 routes of worker-5 went 1 min ago: watched",
        "10.200.2.0/24 was lost 4 times to bird",
        "10.200.1.0/24: No such device",
        "Read-only file system",
        "link-down: ens18 is down; fix: Bring the link up",
    ):
        assert word in told(ILL), word


def test_a_thousand_problems_do_not_fill_the_screen():
    many = WELL._replace(problems=(Problem("error", "link-down", "ens18 is down"),) * 1000)
    assert "… and 992 more problems" in told(many)


def test_ready_is_only_who_has_heard_the_source_since_the_start():
    assert WELL.ready
    waiting = WELL._replace(source=SourceStatus("lab.yaml"))
    assert not waiting.ready
    assert waiting.not_ready_reason == "lab.yaml has not reported its nodes yet"
    assert WELL._replace(last_pass=0.0).not_ready_reason == "no pass yet"
