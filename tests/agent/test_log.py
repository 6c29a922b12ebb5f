"""The log neither blocks nor ends who writes it; what cannot be written is counted."""

import json
import os
import threading
from contextlib import suppress

import pytest

from agent.conftest import until
from podroutes.agent.log import _QUEUED, Log

OWN = "worker-0 192.168.8.20 10.200.0.0/24"
ONE, TWO = (f"worker-{i} 192.168.8.2{i} 10.200.{i}.0/24" for i in (1, 2))


@pytest.fixture
def pipe():
    """Yield both ends of a pipe; the test may close either."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        if end >= 0:
            os.close(end)


@pytest.fixture
def full(pipe):
    """Yield both ends of a pipe that nobody reads and that is full."""
    os.set_blocking(pipe[1], False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe[1], b"\n" * 4096)
    os.set_blocking(pipe[1], True)
    return pipe


def read_to_the_end(end):
    """Return all lines that come at END until it is closed."""
    with os.fdopen(end, closefd=False) as stream:
        return [line for line in stream.read().split("\n") if line]


def test_each_event_is_a_line(pipe):
    with Log(pipe[1], "json") as log:
        log("info", "route changed", dst="10.200.1.0/24", node=None)
    os.close(pipe[1])
    pipe[1] = -1
    (line,) = map(json.loads, read_to_the_end(pipe[0]))
    assert {key: line[key] for key in line if key != "time"} == {
        "level": "info",
        "event": "route changed",
        "dst": "10.200.1.0/24",
    }


def test_a_line_for_a_terminal_has_no_escapes_of_others(pipe):
    with Log(pipe[1], "text") as log:
        log("warning", "problem", message="\x1b[2J\nx")
    assert rb"message=\x1b[2J\nx" in os.read(pipe[0], 4096)


def test_where_nobody_reads_lines_are_counted_and_not_waited_for(full):
    with Log(full[1], "json") as log:
        event = "x" * 1000
        written = 3 * _QUEUED // len(event)
        for _ in range(written):
            log("info", event)
        assert log.dropped > written // 2
        assert log.error == "nobody reads standard error"
        collected = []
        reader = threading.Thread(target=lambda: collected.extend(map(json.loads, read_to_the_end(full[0]))))
        reader.start()
        until(lambda: not log._lines)
        log("info", "last")
    os.close(full[1])
    full[1] = -1
    reader.join()
    there = [each["event"] for each in collected]
    assert there.count(event) + log.dropped == written
    assert sum(each["lines"] for each in collected if each["event"] == "log lines dropped") == log.dropped
    assert there[-1] == "last"
    assert log.error == ""


def test_where_nobody_reads_the_end_is_not_waited_for(full):
    descriptor = os.dup(full[1])
    log = Log(descriptor, "json")
    log("info", "started")
    log.close()
    os.write(descriptor, b"podroutes: what is said at the end waits for nobody, either\n")
    os.close(descriptor)


@pytest.mark.parametrize(
    ("device", "why"),
    [("/dev/full", "No space left on device"), ("closed", "Bad file descriptor"), ("gone", "Broken pipe")],
)
def test_what_cannot_be_written_is_counted(pipe, device, why):
    if device == "gone":
        os.close(pipe[0])
        pipe[0] = -1
    descriptor = {"closed": -1, "gone": pipe[1]}.get(device) or os.open(device, os.O_WRONLY)
    with Log(descriptor, "json") as log:
        for _ in range(3):
            log("info", "x")
    assert (log.dropped, log.error) == (3, f"standard error: {why}")


def test_a_line_that_was_cut_does_not_spoil_the_next(tmp_path):
    """A disk that takes half of a line has room again."""
    parts = []

    class Small(Log):
        def _written(self, data):
            parts.append(bytes(data[:20]))
            if len(parts) == 2:
                raise OSError(28, "No space left on device")
            return len(parts[-1])

    with Small(-1, "json") as log:
        log("info", "lost")
        log("info", "kept")
    cut, refused, *rest = parts
    assert len(cut) == len(refused) == 20
    kept, told = map(json.loads, b"".join(rest).removeprefix(b"\n").splitlines())
    assert rest[0].startswith(b"\n")
    assert (kept["event"], told["event"], told["lines"]) == ("kept", "log lines dropped", 1)


@pytest.mark.parametrize("trouble", ["no reader", "reader gone", "full disk", "closed"])
def test_whatever_becomes_of_its_log_the_agent_heals_and_ends(start, nodes, worker, full, trouble):
    nodes(OWN, ONE, TWO)
    descriptor = {"no reader": full[1], "reader gone": full[1], "closed": -1}.get(trouble)
    if descriptor is None:
        descriptor = os.open("/dev/full", os.O_WRONLY)
    agent = start(stderr=descriptor, prepare=lambda: os.close(full[0]))
    if trouble == "reader gone":
        os.close(full[0])
        full[0] = -1
    until(lambda: agent.ask("/readyz")[0] == 200)
    worker.flush("proto 107")
    until(lambda: len(worker.show("route show proto 107")) == 2)
    if trouble not in {
        "no reader",
        "closed",
    }:  # some hundred lines wait; where it was closed, the null device takes them
        until(lambda: agent.status()["counters"]["log_lines_dropped"])
        assert "podroutes_log_lines_dropped_total 0" not in agent.ask("/metrics")[1]
        assert agent.status()["log_error"]
    assert agent.end() == 0


def test_lines_have_priorities_in_the_journal_and_nowhere_else(pipe, monkeypatch):
    status = os.fstat(pipe[1])
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    with Log(pipe[1], "json") as log:
        log("info", "started")
        log("warning", "problem")
        log("error", "refused")
    lines = os.read(pipe[0], 4096).splitlines()
    assert [line[:4] for line in lines] == [b"<6>{", b"<4>{", b"<3>{"]
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    with Log(pipe[1], "text") as log:
        log("error", "refused")
    assert not os.read(pipe[0], 4096).startswith(b"<")
