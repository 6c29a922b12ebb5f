"""The watch in its thread, against servers that misbehave."""

import json
import queue
import threading

import pytest

from kubernetes.speaking import Say, Script, bookmark, closed_port, error, event, lines, node, page, serving, status
from podroutes.kubernetes import client as door
from podroutes.kubernetes import watch
from podroutes.kubernetes.watch import NodeWatch

PATIENCE = 30
END = bookmark(10, end=True)


class Watching:
    """A watch that runs, with what it said."""

    def __init__(self, script):
        self.script = script
        self.told = queue.SimpleQueue()
        self.states = queue.SimpleQueue()
        self.watch = NodeWatch(script.access(), self.told.put, self.states.put, chance=lambda: 0.0)
        self.thread = threading.Thread(target=self.watch.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.watch.stop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def names(self):
        """Return the names of the nodes that are told next."""
        return [each.name for each in self.told.get(timeout=PATIENCE).cluster.nodes]

    def state(self, truth):
        """Return the next report of which TRUTH holds."""
        while not truth(found := self.states.get(timeout=PATIENCE)):
            pass
        return found


@pytest.fixture
def watching(monkeypatch):
    """Return a function that watches a server which answers as it is told."""
    monkeypatch.setattr(watch, "_NEWS", 0.0)
    opened = []

    def begin(*answers):
        serve = serving(Script(*answers))
        opened.append(serve)
        script = serve.__enter__()
        running = Watching(script)
        opened.append(running)
        return running.__enter__()

    yield begin
    for each in reversed(opened):
        each.__exit__(None, None, None)


def stream(*said, then="hold", raw=()):
    return Say(lines=(*lines(*said), *raw), then=then)


LISTED = stream(event("ADDED", "a"), END)


def test_nodes_are_told_at_the_end_of_the_list_and_with_each_change(watching):
    running = watching(stream(event("ADDED", "a"), event("ADDED", "b"), END, event("DELETED", "a", rv=11)))
    told = [running.names()]
    while told[-1] != ["b"]:
        told.append(running.names())
    assert told in ([["a", "b"], ["b"]], [["b"]])  # what comes together is told together
    state = running.state(lambda state: state.counts.changes == 1)
    assert (state.connected, state.synced, state.error, state.nodes, state.resource_version) == (
        True,
        True,
        "",
        1,
        "11",
    )
    assert state.bytes > 200


def test_events_that_arrive_together_are_told_together(watching):
    burst = b"".join(lines(event("ADDED", "a"), END, *[event("ADDED", f"n{i}", rv=11 + i) for i in range(50)]))
    running = watching(Say(lines=(burst,), then="hold"))
    told = [running.names()]
    while len(told[-1]) < 51:
        told.append(running.names())
    assert len(told) < 10


def test_a_cut_in_the_middle_of_a_line_resumes_from_the_last_good_version(watching):
    half = event("ADDED", "b", rv=12)[:40]
    running = watching(
        stream(event("ADDED", "a"), END, bookmark(11), raw=[half], then="cut"),
        stream(event("ADDED", "b", rv=12)),
    )
    assert (running.names(), running.names()) == (["a"], ["a", "b"])
    assert [each.query.get("resourceVersion") for each in running.script.asked] == [None, "11"]


def test_a_stream_that_ends_in_good_order_is_resumed_without_a_list(watching):
    running = watching(stream(event("ADDED", "a"), END, then="end"), stream(event("ADDED", "b", rv=11)))
    assert (running.names(), running.names()) == (["a"], ["a", "b"])
    assert running.script.versions == ["10"]
    assert running.script.asked[1].query["resourceVersion"] == "10"


def test_half_a_list_is_never_told(watching):
    running = watching(stream(event("ADDED", "a"), then="cut"), stream(event("ADDED", "a"), event("ADDED", "b"), END))
    assert running.names() == ["a", "b"]


def test_garbage_is_reported_and_overcome(watching):
    running = watching(
        stream(event("ADDED", "a"), END, b"<html>"), stream(b"{", then="cut"), stream(event("ADDED", "b", rv=11))
    )
    assert "JSON" in running.state(lambda state: state.error).error
    assert (running.names(), running.names()) == (["a"], ["a", "b"])


def test_an_expired_version_lists_anew(watching):
    running = watching(
        stream(event("ADDED", "a"), END, then="end"), stream(error(410, "Expired")), stream(event("ADDED", "b"), END)
    )
    assert (running.names(), running.names()) == (["a"], ["b"])
    assert ["resourceVersion" in each.query for each in running.script.asked] == [False, True, False]


def test_a_storm_of_expiries_ends_in_sync(watching):
    storm = [Say(410, page()), stream(error(410, "Expired"))] * 5
    running = watching(stream(event("ADDED", "a"), END, then="end"), *storm, stream(event("ADDED", "b"), END))
    assert (running.names(), running.names()) == (["a"], ["b"])


def test_an_unwilling_server_is_waited_for_as_long_as_it_says(watching, monkeypatch):
    waits = []
    monkeypatch.setattr(NodeWatch, "_wait", lambda _, seconds: bool(waits.append(seconds)))
    running = watching(Say(429, headers={"Retry-After": "17"}), Say(503, b"<html>busy"), LISTED)
    assert running.names() == ["a"]
    assert waits[:2] == [0.0, 17.0]


def test_pages_where_lists_cannot_be_streamed(watching):
    running = watching(
        Say(422, b'{"reason":"Invalid"}'),
        Say(body=page(node("a"), more="next")),
        Say(body=page(node("b"), rv=20)),
        stream(event("ADDED", "c", rv=21)),
    )
    assert (running.names(), running.names()) == (["a", "b"], ["a", "b", "c"])
    assert [each.query.get("continue") for each in running.script.asked] == [None, None, "next", None]
    assert running.script.asked[3].query["resourceVersion"] == "20"


def test_a_server_that_is_not_there_is_no_cluster_without_nodes():
    script = Script(LISTED)
    script.url = f"http://127.0.0.1:{closed_port()}"
    with Watching(script) as running:
        state = running.state(lambda state: state.counts.retries >= 3)
        assert (state.connected, state.synced, running.told.empty()) == (False, False, True)
        assert state.error == "test-cluster: Connection refused"


def test_silence_is_a_cut(watching, monkeypatch):
    monkeypatch.setattr(door, "SILENCE", 0.2)
    running = watching(LISTED, stream(event("ADDED", "b", rv=11)))
    assert (running.names(), running.names()) == (["a"], ["a", "b"])


def test_a_list_that_drips_is_a_cut(watching, monkeypatch):
    monkeypatch.setattr(watch, "_COMPLETE", -1.0)
    running = watching(stream(event("ADDED", "a")))
    assert "the list is not complete after" in running.state(lambda state: state.error).error


def test_bytes_without_the_end_of_a_line_are_no_sign_of_life(watching, monkeypatch):
    monkeypatch.setattr(watch, "SILENCE", -1.0)
    running = watching(stream(raw=(b" ",)))
    assert "no complete line for" in running.state(lambda state: state.error).error


def test_again_lists_anew_and_tells_even_what_is_the_same(watching):
    running = watching(LISTED)
    assert running.names() == ["a"]
    running.watch.again()
    assert running.names() == ["a"]
    assert running.state(lambda state: state.counts.lists == 2).counts.retries == 0


def test_an_empty_cluster_is_told_as_empty(watching):
    assert watching(stream(END)).names() == []


def test_a_stop_interrupts_whatever_is_being_waited_for(watching):
    running = watching(LISTED)
    assert running.names() == ["a"]
    running.watch.stop()
    running.thread.join(PATIENCE)
    assert not running.thread.is_alive()


def test_a_refusal_is_told_with_its_reason(watching):

    running = watching(Say(403, json.dumps(status(403, "Forbidden", 'nodes is forbidden: User "x"')).encode()))
    state = running.state(lambda state: state.error)
    assert state.error == (
        'test-cluster: the server answered 403: nodes is forbidden: User "x"; '
        "podroutes needs get, list and watch on nodes (a ClusterRole)"
    )
