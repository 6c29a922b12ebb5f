"""What an agent tells the cluster."""

import json
from datetime import UTC, datetime

import pytest

from kubernetes.speaking import Say, Script, serving
from podroutes.kubernetes import Client, Note, patch_condition, post_event
from podroutes.kubernetes.client import RefusedError


def now():
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def described(*conditions, rv="7"):
    return Say(body=json.dumps({"metadata": {"resourceVersion": rv}, "status": {"conditions": conditions}}).encode())


def condition(status, reason, message=""):
    return {"type": "NetworkUnavailable", "status": status, "reason": reason, "message": message}


def patched(*answers):
    """Return what is answered, and the requests that were made for it."""
    with serving(Script(*answers)) as script:
        return patch_condition(Client(script.access()), "a", available=True, message="12 routes", now=now), script.asked


def test_an_event_is_about_the_node_as_kubectl_looks_for_it():
    with serving(Script(Say(201))) as script:
        post_event(Client(script.access()), Note("Warning", "ForeignRoute", "m" * 5000, "worker-0"), "host", now)
    (asked,) = script.asked
    event = json.loads(asked.body)
    assert (asked.method, asked.path) == ("POST", "/api/v1/namespaces/default/events")
    assert event["involvedObject"] == {"apiVersion": "v1", "kind": "Node", "name": "worker-0", "uid": "worker-0"}
    assert (event["type"], event["reason"], len(event["message"])) == ("Warning", "ForeignRoute", 1024)
    assert event["lastTimestamp"] == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize("there", [[], [condition("True", "")], [condition("True", "PodroutesOutOfSync")]])
def test_the_condition_is_set_where_it_is_nobodys_or_ours(there):
    said, asked = patched(described(*there), Say())
    assert said
    assert (asked[1].method, asked[1].path) == ("PATCH", "/api/v1/nodes/a/status")
    assert asked[1].headers["Content-Type"] == "application/strategic-merge-patch+json"
    patch = json.loads(asked[1].body)
    assert patch["metadata"] == {"resourceVersion": "7"}
    moment = "2026-01-02T03:04:05Z"
    times = {"lastHeartbeatTime": moment, "lastTransitionTime": moment}
    assert patch["status"]["conditions"] == [condition("False", "PodroutesInSync", "12 routes") | times]


def test_the_condition_of_somebody_else_is_left_alone():
    said, asked = patched(described(condition("True", "NoRouteCreated")))
    assert (said, len(asked)) == (False, 1)


def test_a_condition_that_says_so_already_is_not_written():
    said, asked = patched(described(condition("False", "PodroutesInSync", "12 routes")))
    assert (said, len(asked)) == (True, 1)


def test_a_node_that_changed_meanwhile_is_read_again():
    said, asked = patched(described(), Say(409), described(rv="8"), Say())
    assert said
    assert json.loads(asked[3].body)["metadata"] == {"resourceVersion": "8"}
    with pytest.raises(RefusedError, match="409"):
        patched(described(), Say(409), described(), Say(409), described(), Say(409))
