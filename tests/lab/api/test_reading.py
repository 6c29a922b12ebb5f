"""Lists and watches are as the page "Kubernetes API Concepts" has them."""

import itertools
import threading

import pytest

from lab.api.asking import NODES, STREAMING, node
from podroutes.lab.api.message import Request
from podroutes.lab.api.service import NodeApi

END = {"k8s.io/initial-events-end": "true"}


def test_a_list_is_in_order_of_names_and_has_the_version_of_the_last_write(client, filled):
    filled("b", "c", "a")
    client("DELETE", f"{NODES}/c")
    listed = client("GET", NODES)
    assert listed.names == ["a", "b"]
    assert listed.version == "5"
    assert listed.document["kind"] == "NodeList"
    assert all("kind" not in item for item in listed.document["items"])  # as the real API, which says it once
    assert client("GET", f"{NODES}/a").document["kind"] == "Node"


def test_pages_show_one_version_whatever_is_written_between_them(client, filled):
    filled("a", "c", "e", "g")
    first = client("GET", f"{NODES}?limit=2")
    assert (first.names, first.document["metadata"]["remainingItemCount"]) == (["a", "c"], 2)
    client("DELETE", f"{NODES}/e")
    filled("f")
    client.patch(f"{NODES}/g", {"metadata": {"labels": {"new": "yes"}}})
    second = client("GET", f"{NODES}?limit=2&continue={first.document['metadata']['continue']}")
    assert second.names == ["e", "g"]
    assert "labels" not in second.document["items"][1]["metadata"]
    assert second.version == first.version
    assert "continue" not in second.document["metadata"]
    assert client("GET", NODES).names == ["a", "c", "f", "g"]


def test_a_page_of_a_version_that_is_gone_is_410_with_a_token_to_go_on_from_now(client, api, filled):
    filled("a", "b", "c")
    token = client("GET", f"{NODES}?limit=1").document["metadata"]["continue"]
    client("DELETE", f"{NODES}/b")
    api.store.compact()
    gone = client("GET", f"{NODES}?limit=1&continue={token}")
    assert (gone.status, gone.document["reason"]) == (410, "Expired")
    assert client("GET", f"{NODES}?continue={gone.document['metadata']['continue']}").names == ["c"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("resourceVersion=0&limit=1", ["a", "b", "c"]),  # the real API's cache does not page
        ("resourceVersion=2&limit=5", ["a"]),
        ("resourceVersion=3&resourceVersionMatch=Exact", ["a", "b"]),
        ("resourceVersion=2&resourceVersionMatch=NotOlderThan", ["a", "b", "c"]),
        ("resourceVersion=2", ["a", "b", "c"]),
        ("fieldSelector=metadata.name=b", ["b"]),
        ("fieldSelector=metadata.name!=b,spec.unschedulable=false", ["a", "c"]),
        ("labelSelector=zone%3Dx", ["b", "c"]),
        ("labelSelector=zone+in+(x,y),!old", ["b"]),
        ("labelSelector=zone+notin+(x)", ["a"]),
        ("labelSelector=old", ["c"]),
    ],
)
def test_a_list_holds_what_was_asked_for(client, api, query, names):
    for name, labels in (("a", {}), ("b", {"zone": "x"}), ("c", {"zone": "x", "old": ""})):
        api.add(node(name, labels=labels))
    assert client("GET", f"{NODES}?{query}").names == names


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("resourceVersion=9", (504, "Timeout")),
        ("resourceVersion=1&resourceVersionMatch=Exact", (410, "Expired")),
        ("resourceVersion=x", (400, "BadRequest")),
        ("limit=-1", (400, "BadRequest")),
        ("continue=x", (400, "BadRequest")),
        ("continue=x&resourceVersion=3", (400, "BadRequest")),
        ("resourceVersionMatch=Exact", (422, "Invalid")),
        ("resourceVersionMatch=Exact&resourceVersion=0", (422, "Invalid")),
        ("resourceVersionMatch=Other&resourceVersion=1", (422, "Invalid")),
        ("fieldSelector=spec.podCIDR=x", (400, "BadRequest")),
        ("labelSelector=a+b", (400, "BadRequest")),
        ("watch=1&sendInitialEvents=true", (422, "Invalid")),
        ("watch=1&resourceVersionMatch=NotOlderThan", (422, "Invalid")),
        (f"{STREAMING}&resourceVersion=9", (504, "Timeout")),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_status(client, api, filled, query, refusal):
    filled("a")
    api.store.compact()
    refused = client("GET", f"{NODES}?{query}")
    assert refused.document["code"] == refused.status
    assert (refused.status, refused.document["reason"]) == refusal


def test_a_version_yet_to_come_says_when_to_ask_again(client):
    response = client.send("GET", f"{NODES}?resourceVersion=9")
    assert (response.status, response.headers["Retry-After"]) == (504, "1")
    details = client("GET", f"{NODES}?resourceVersion=9").document["details"]
    assert details["retryAfterSeconds"] == 1
    assert details["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_watch_tells_what_happened_after_its_version(client, filled):
    filled("a")
    begun = client("GET", NODES).version
    filled("b")
    client.patch(f"{NODES}/a", {"metadata": {"labels": {"new": "yes"}}})
    client("DELETE", f"{NODES}/a")
    assert client.seen(f"resourceVersion={begun}") == [
        ("ADDED", "b", "3"),
        ("MODIFIED", "a", "4"),
        ("DELETED", "a", "5"),
    ]
    assert client.seen(f"resourceVersion={begun}", f"{NODES}") == client.seen("resourceVersion=2")


def test_a_watch_without_a_version_begins_with_the_state(client, filled):
    filled("b", "a")
    assert client.seen("") == client.seen("resourceVersion=0") == [("ADDED", "a", "3"), ("ADDED", "b", "2")]


def test_a_watch_waits_for_changes_and_is_woken_by_them(client, filled):
    events = client.watch("resourceVersion=1")
    assert next(events) is None  # it has nothing to say yet
    later = threading.Timer(0.05, filled, ["a"])
    later.start()
    assert next(event for event in events if event)["object"]["metadata"]["name"] == "a"
    later.join()


def test_an_object_that_leaves_a_selection_is_deleted_from_it(client, api):
    api.add(node("a", labels={"zone": "x"}))
    client.patch(f"{NODES}/a", {"metadata": {"labels": {"zone": "y"}}})
    client.patch(f"{NODES}/a", {"metadata": {"labels": {"zone": "z"}}})
    client.patch(f"{NODES}/a", {"metadata": {"labels": {"zone": "x"}}})
    assert client.seen("resourceVersion=1&labelSelector=zone%3Dx") == [
        ("ADDED", "a", "2"),
        ("DELETED", "a", "3"),
        ("ADDED", "a", "5"),
    ]


def test_a_watch_of_a_version_whose_history_is_gone_ends_with_an_error(client, api, filled):
    filled("a", "b")
    api.store.compact()
    (error,) = client.watch("resourceVersion=2")
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert error["object"]["message"] == "too old resource version: 2 (3)"
    assert client.seen("resourceVersion=3") == []


def test_history_forgets_by_itself(client):
    short = type(client)(NodeApi(history=2))
    for index in range(5):
        short.api.add(node(f"n{index}"))
    assert [event["type"] for event in short.watch("resourceVersion=1")] == ["ERROR"]


def test_a_watch_of_a_version_yet_to_come_is_silent_until_it_has_passed(client, filled):
    assert client.seen("resourceVersion=3&allowWatchBookmarks=true&timeoutSeconds=1") == []
    filled("a", "b", "c")
    assert client.seen("resourceVersion=3") == [("ADDED", "c", "4")]


def test_a_streaming_list_ends_with_a_bookmark_that_says_so(client, filled):
    filled("a", "b")
    *added, end, waits = itertools.islice(client.watch(STREAMING), 4)
    assert [event["object"]["metadata"]["name"] for event in added] == ["a", "b"]
    assert end["type"] == "BOOKMARK"
    assert end["object"]["kind"] == "Node"
    assert end["object"]["metadata"]["annotations"] == END
    assert end["object"]["metadata"]["resourceVersion"] == "3"
    assert waits is None


def test_streaming_lists_can_be_switched_off(client, api):
    api.streaming = False
    refused = client("GET", f"{NODES}?{STREAMING}")
    assert refused.status == 422
    assert "WatchList" in refused.document["message"]


def test_bookmarks_come_to_who_asks_and_at_the_end(client, api, filled):
    filled("a")
    api.bookmark_every = 0.0
    events = itertools.islice(client.watch("resourceVersion=2&allowWatchBookmarks=true"), 6)
    marks = [(event["type"], event["object"]["metadata"]["resourceVersion"]) for event in events if event]
    assert marks == [("BOOKMARK", "2")] * 3
    assert list(itertools.islice(client.watch("resourceVersion=2"), 6)) == [None] * 6
    api.bookmark_every = 60.0
    events = client.watch("resourceVersion=2&allowWatchBookmarks=true&timeoutSeconds=1")
    assert [event["type"] for event in events if event] == ["BOOKMARK"]


@pytest.mark.parametrize("query", ["resourceVersion=1", "resourceVersion=9&allowWatchBookmarks=true"])
def test_an_idle_watch_sleeps(client, api, monkeypatch, query):
    """Also past the time of a bookmark that nobody asked for, or that there is none of yet."""
    slept = []
    monkeypatch.setattr(api.store, "wait", lambda _version, _wakes, timeout: slept.append(timeout))
    api.bookmark_every = 1e-6
    assert list(itertools.islice(client.watch(query), 3)) == [None] * 3
    assert all(timeout > 0 for timeout in slept)


def test_a_bookmark_has_the_version_of_other_objects_too(client, api, filled):
    """So that a watch can be resumed although nothing of its own happened for long."""
    filled("a")
    event = {"kind": "Event", "apiVersion": "v1", "metadata": {"name": "e"}, "reason": "Lab"}
    assert client("POST", "/api/v1/namespaces/default/events", event).status == 201
    events = client.watch("resourceVersion=2&allowWatchBookmarks=true&timeoutSeconds=1")
    assert [event["object"]["metadata"]["resourceVersion"] for event in events if event] == ["3"]


def test_events_are_listed_by_namespace_and_of_all(client):
    for namespace in ("default", "other"):
        event = {
            "metadata": {"generateName": "e."},
            "involvedObject": {"name": "worker-0"},
            "source": {"component": "me"},
        }
        assert client("POST", f"/api/v1/namespaces/{namespace}/events", event).status == 201
    assert len(client("GET", "/api/v1/events").names) == 2
    (name,) = client("GET", "/api/v1/namespaces/other/events").names
    assert name.startswith("e.")
    assert client("GET", f"/api/v1/namespaces/other/events/{name}").document["metadata"]["namespace"] == "other"
    assert len(client("GET", "/api/v1/events?fieldSelector=involvedObject.name=worker-0,source=me").names) == 2
    assert client("GET", "/api/v1/events?fieldSelector=reason=Other").names == []
    assert [kind for kind, *_ in client.seen("resourceVersion=1", "/api/v1/namespaces/default/events")] == ["ADDED"]


def test_tables_are_what_kubectl_prints(client, api):
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    roles = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/edge": ""}
    api.add({**node("a", labels=roles), "spec": {"unschedulable": True}})
    table = client("GET", NODES, accept=accept).document
    (row,) = table["rows"]
    cells = dict(zip((column["name"] for column in table["columnDefinitions"]), row["cells"], strict=True))
    assert (cells["Status"], cells["Roles"], cells["Internal-IP"]) == (
        "Unknown,SchedulingDisabled",
        "edge,worker",
        "192.168.8.20",
    )
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert client("GET", f"{NODES}/a?includeObject=Object", accept=accept).document["rows"][0]["object"]["spec"]
    assert client("GET", f"{NODES}?includeObject=None", accept=accept).document["rows"][0].keys() == {"cells"}


def test_a_form_we_do_not_have_is_refused(client, filled):
    filled("a")
    assert client("GET", NODES, accept="application/vnd.kubernetes.protobuf").status == 406
    assert client("GET", NODES, accept="application/vnd.kubernetes.protobuf,application/json").names == ["a"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", f"{NODES}/a", 404),
        ("GET", f"{NODES}/a/log", 404),
        ("GET", f"{NODES}/a/status/more", 404),
        ("GET", "/api/v1/events/a", 404),
        ("GET", "/api/v1/pods", 403),
        ("GET", "/apis/apps/v1/deployments", 403),
        ("GET", "/api/v1/namespaces/default/nodes", 403),
        ("GET", "/openapi/v2", 404),
        ("HEAD", NODES, 405),
        ("OPTIONS", NODES, 405),
        ("DELETE", NODES, 405),
        ("POST", f"{NODES}/a", 405),
        ("POST", "/api/v1/events", 405),
        ("DELETE", f"{NODES}/a/status", 405),
    ],
)
def test_what_there_is_not_is_said(client, method, path, status):
    assert client(method, path).status == status


def test_a_token_is_asked_for_when_there_are_tokens(client, api):
    api.tokens = frozenset({"good"})
    assert client("GET", NODES).status == 401
    assert client("GET", NODES, authorization="Bearer bad").status == 401
    assert client("GET", NODES, authorization="bearer good").status == 200
    assert api.answer(Request("GET", "/readyz")).status == 200


def test_it_says_that_it_is_not_kubernetes(client):
    version = client("GET", "/version").document
    assert "podroutes-lab" in version["gitVersion"]
    assert "not Kubernetes" in version["goVersion"]
