"""Running pods by their node, for packets that are to ask real ones."""

import json

import pytest

from kubernetes.speaking import Say, Script, serving, status
from podroutes.kubernetes import running_pods
from podroutes.kubernetes.client import RefusedError
from podroutes.model.address import parse_address, parse_prefix

CIDRS = {"worker-0": "10.200.0.0/24", "worker-1": "10.200.1.0/24"}


def pod(node, *addresses, host=False):
    return {
        "spec": {"nodeName": node, "hostNetwork": host},
        "status": {"podIPs": [{"ip": each} for each in addresses]},
    }


def pods(*items, more=""):
    return Say(body=json.dumps({"kind": "PodList", "metadata": {"continue": more}, "items": items}).encode())


def wanted(name, address):
    return name in CIDRS and parse_prefix(CIDRS[name]).covers(address)


def test_one_pod_of_each_node_is_found_over_several_pages():
    first = pods(
        pod("worker-0", "192.168.8.20", host=True),
        pod("worker-0", "172.17.0.3"),
        pod("worker-0", "10.200.0.7", "fd00:200::7"),
        {"spec": {}, "status": {}},
        more="next",
    )
    with serving(Script(first, pods(pod("worker-1", "10.200.1.9"), pod("worker-1", "10.200.1.4")))) as script:
        found = running_pods(script.access(), wanted, 2)
    assert found == {"worker-0": [parse_address("10.200.0.7")], "worker-1": [parse_address("10.200.1.9")]}
    assert [asked.query.get("continue") for asked in script.asked] == [None, "next"]
    assert {asked.query["fieldSelector"] for asked in script.asked} == {"status.phase=Running"}


def test_no_page_is_asked_for_when_every_node_has_one():
    with serving(Script(pods(pod("worker-0", "10.200.0.7"), more="next"))) as script:
        running_pods(script.access(), wanted, 1)
    assert len(script.asked) == 1


def test_without_the_permission_it_is_said():
    with serving(Script(Say(403, json.dumps(status(403, "Forbidden", "pods is forbidden")).encode()))) as script:  # noqa: SIM117
        with pytest.raises(RefusedError, match="pods is forbidden"):
            running_pods(script.access(), wanted, 1)
