"""The benchmark itself: what it writes down, what it says to the kernel, whom it leaves out, how it judges."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from bench.goals import goals
from bench.pairing import Contestant, Pairing

from bench import chart, engine, process

ROUTES = 50


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a run with few routes and without peers that would have to be fetched writes down."""
    output = tmp_path_factory.mktemp("bench") / "results.json"
    few = ("--sizes", str(ROUTES), "--rounds", "1", "--peers", "", "--output", str(output))
    done = run("engine", "forms", *few)
    if "forbids network namespaces" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text())


def test_the_document_tells_the_machine_and_every_contest(document):
    assert {"kernel", "cpu", "cores", "python", "iproute2"} <= document["machine"].keys()
    operations = {result["operation"] for result in document["results"]}
    assert {engine.FULL, engine.READ, engine.NOTHING, engine.ONE, engine.ALL} <= operations
    for result in document["results"]:
        assert result["routes"] == ROUTES
        for contestant in result["contestants"]:
            assert len(contestant["runs_ms"]) == 1
            assert contestant["median_ms"] == contestant["runs_ms"][0]
        assert result["contestants"][0]["ratio"] == 1.0
    assert [goal["measured"] for goal in document["goals"]] == [None] * 25


@pytest.mark.parametrize(
    ("operation", "batches", "messages"),
    [(engine.FULL, 1, 50), (engine.READ, 0, 0), (engine.NOTHING, 0, 0), (engine.ONE, 1, 1), (engine.ALL, 1, 50)],
)
def test_podroutes_says_no_more_than_it_must(document, operation, batches, messages):
    """Links, addresses, policy rules and one dump an IP version to read, addresses first for what is of interest; one message a change to write."""
    result = next(result for result in document["results"] if result["operation"] == operation)
    assert result["counts"] == {"dumps": 5 + (operation != engine.READ), "batches": batches, "messages": messages}


def test_an_unknown_section_is_refused_by_name():
    done = run("engines")
    assert done.returncode == 2
    assert "unknown section: engines" in done.stderr


def test_turns_are_taken_and_ratios_are_paired():
    turns = []
    speeds = iter([1.0, 2.0, 2.0, 6.0, 3.0, 9.0])

    def contestant(name):
        return Contestant(name, lambda: turns.append(name) or next(speeds))

    result = Pairing(rounds=3, limit=60).compete("race", 10, [contestant("ours"), contestant("peer")])
    assert turns == ["ours", "peer"] * 3
    assert [each["median_ms"] for each in result["contestants"]] == [2000.0, 6000.0]
    assert result["contestants"][1]["ratio"] == 3.0


def test_who_would_take_too_long_is_left_out_and_so_is_who_needs_it():
    pairing = Pairing(rounds=1, limit=60)
    for routes, seconds in ((1_000, 0.02), (10_000, 2.0)):
        pairing.compete("add", routes, [Contestant("plain", lambda seconds=seconds: seconds)])
    late = pairing.compete("add", 100_000, [Contestant("plain", lambda: pytest.fail("started"))])
    assert late["contestants"] == [{"name": "plain", "median_ms": None, "expected_s": 200}]
    moved = pairing.compete("move", 100_000, [Contestant("plain", lambda: pytest.fail("started"), needs="add")])
    assert moved["contestants"][0]["median_ms"] is None


def contest(operation: str, routes: int, **runs: list[float]) -> dict[str, Any]:
    names = {
        "ours": engine.OURS,
        "plain": engine.IP_PLAIN,
        "same": engine.IP_SAME,
        "start": process.PLAN,
        "bare": process.BARE,
    }
    contestants = [{"name": names[name], "median_ms": values[0], "runs_ms": values} for name, values in runs.items()]
    return {"operation": operation, "routes": routes, "contestants": contestants}


@pytest.mark.parametrize(("ours", "met"), [(100.0, (True, False)), (10.0, (True, True)), (200.0, (False, False))])
def test_goals_are_judged_by_paired_ratios(ours, met):
    results = [contest(engine.FULL, 10_000, ours=[ours], plain=[1600.0], same=[200.0])]
    assert tuple(goal.met for goal in goals(results))[:2] == met


def test_the_start_is_judged_by_the_speed_of_python_here():
    verdicts = []
    for bare in (27.0, 10.0):
        found = goals([contest(process.START, 2, start=[90.0], bare=[bare])])
        verdicts += [goal.met for goal in found if goal.measured]
    assert verdicts == [True, False]


def test_a_lost_packet_is_a_goal_missed():
    flips = {"operation": "flips", "routes": 1000, "lost": 1, "packets_sent": 9, "packets_a_second": 9000, "flips": 3}
    assert [goal.met for goal in goals([flips]) if goal.measured] == [False]


def test_the_chart_has_a_bar_for_everybody_who_took_part(tmp_path):
    machine = {"kernel": "Linux", "cpu": "a <CPU>", "cores": "2", "python": "3", "iproute2": "6"}
    results = [contest(engine.FULL, 10_000, ours=[100.0], plain=[1600.0], same=[200.0])]
    assert chart.write(tmp_path / "chart.svg", results, machine)
    drawn = (tmp_path / "chart.svg").read_text()
    assert drawn.count("<rect") == 3
    assert "a &lt;CPU&gt;" in drawn
    assert not chart.write(tmp_path / "chart.svg", [], machine)
