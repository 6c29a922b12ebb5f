"""What a write may do, and what it does: the rules of the real API for Nodes."""

import threading

import pytest

from lab.api.asking import NODES, node
from podroutes.lab.api.machines import realistic
from podroutes.lab.topology import default_cluster

FROZEN = 'node updates may not change podCIDR except from "" to valid'


def test_a_node_is_created_with_what_the_server_knows(client):
    sent = node("a", "10.200.0.0/24", uid="mine", creationTimestamp="2001-01-01T00:00:00Z")
    made = client("POST", NODES, sent)
    assert made.status == 201
    metadata = made.document["metadata"]
    assert (metadata["name"], metadata["resourceVersion"]) == ("a", "2")
    assert metadata["uid"] != "mine"
    assert metadata["creationTimestamp"] > "2020"
    assert made.document["spec"] == {"podCIDR": "10.200.0.0/24", "podCIDRs": ["10.200.0.0/24"]}
    assert made.document["status"] == sent["status"]  # a kubelet registers with its status


def test_a_name_that_is_used_again_has_a_new_uid(client):
    first = client("POST", NODES, node("a")).document["metadata"]
    assert client("POST", NODES, node("a")).document["reason"] == "AlreadyExists"
    gone = client("DELETE", f"{NODES}/a").document
    assert (gone["status"], gone["details"]["uid"]) == ("Success", first["uid"])
    second = client("POST", NODES, node("a")).document["metadata"]
    assert second["uid"] != first["uid"]
    assert int(second["resourceVersion"]) == int(first["resourceVersion"]) + 2
    assert client("DELETE", f"{NODES}/b").status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        ([], 400),
        (node("a") | {"kind": "Pod"}, 400),
        (node("a") | {"apiVersion": "v2"}, 400),
        (node("a") | {"spec": []}, 400),
        (node("a") | {"spec": {"podCIDR": 1}}, 400),
        (node("a", labels={"a": 1}), 400),
        (node("a", resourceVersion="1"), 400),
        (node(""), 422),
        (node("Upper"), 422),
        (node("a" * 254), 422),
        (node("a", "10.200.0.0"), 422),
        (node("a", "10.200.0.0/33"), 422),
        (node("a", "10.200.0.0/24", "10.201.0.0/24"), 422),
    ],
)
def test_what_is_no_node_is_not_created(client, body, status):
    assert client("POST", NODES, body).status == status
    assert client("GET", NODES).names == []


def test_host_bits_in_a_pod_cidr_pass_as_they_do_in_the_real_api(client):
    assert client("POST", NODES, node("a", "10.200.1.7/24")).status == 201


def test_a_pod_cidr_is_set_once(client):
    client("POST", NODES, node("a"))
    assert client.patch(f"{NODES}/a", {"spec": {"podCIDR": "10.200.0.0/24"}}).status == 200
    for other in ("10.200.1.0/24", None):
        refused = client.patch(f"{NODES}/a", {"spec": {"podCIDR": other, "podCIDRs": other and [other]}})
        assert (refused.status, FROZEN in refused.document["message"]) == (422, True)
    assert client("GET", f"{NODES}/a").document["spec"]["podCIDRs"] == ["10.200.0.0/24"]
    assert client.patch(f"{NODES}/a", {"spec": {"unschedulable": True}}).status == 200


def test_an_update_made_for_an_older_version_is_a_conflict(client):
    old = client("POST", NODES, node("a")).document
    old["metadata"]["labels"] = {"first": ""}
    assert client("PUT", f"{NODES}/a", old).status == 200
    late = client("PUT", f"{NODES}/a", old)
    assert (late.status, late.document["reason"]) == (409, "Conflict")
    assert "the object has been modified" in late.document["message"]
    assert client.patch(f"{NODES}/a", {"metadata": {"resourceVersion": "2"}}).status == 409
    assert client("PUT", f"{NODES}/a", node("a")).status == 200  # without a version: whatever there is
    assert client("PUT", f"{NODES}/a", node("a", uid="other")).status == 409
    assert client("PUT", f"{NODES}/a", node("b")).status == 400
    assert client("PUT", f"{NODES}/b", node("b")).status == 404


def test_a_write_that_changes_nothing_is_none(client):
    client("POST", NODES, node("a"))
    assert client("PUT", f"{NODES}/a", node("a")).version == "2"
    assert client.patch(f"{NODES}/a", {"metadata": {"labels": {"gone": None}}}).version == "2"
    assert client.seen("resourceVersion=2") == []


def test_object_and_status_are_written_through_doors_of_their_own(client):
    client("POST", NODES, node("a", "10.200.0.0/24"))
    moved = [{"type": "InternalIP", "address": "192.168.8.99"}]
    client.patch(f"{NODES}/a", {"status": {"addresses": moved}})
    assert client("GET", f"{NODES}/a").document["status"]["addresses"][0]["address"] == "192.168.8.20"
    written = client.patch(f"{NODES}/a/status", {"status": {"addresses": moved}, "spec": {"unschedulable": True}})
    assert written.document["status"]["addresses"] == moved
    assert "unschedulable" not in written.document["spec"]
    assert client("GET", f"{NODES}/a/status").document == written.document
    replaced = {**written.document, "spec": {}, "status": {}}
    assert client("PUT", f"{NODES}/a/status", replaced).document["status"] == {}
    assert client("GET", f"{NODES}/a").document["spec"]["podCIDR"] == "10.200.0.0/24"


def test_a_deletion_keeps_to_its_preconditions(client):
    uid = client("POST", NODES, node("a")).document["metadata"]["uid"]
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        assert client("DELETE", f"{NODES}/a", {"preconditions": wrong}).status == 409
    assert client("DELETE", f"{NODES}/a", {"preconditions": {"uid": uid}}).status == 200


def test_a_node_with_finalizers_stays_until_they_are_gone(client):
    client("POST", NODES, node("a", finalizers=["lab/one"]))
    marked = client("DELETE", f"{NODES}/a").document
    assert marked["metadata"]["deletionTimestamp"]
    assert client("DELETE", f"{NODES}/a").document == marked
    client.patch(f"{NODES}/a", {"metadata": {"deletionTimestamp": None, "labels": {"still": "here"}}})
    assert client("GET", f"{NODES}/a").document["metadata"]["deletionTimestamp"]
    assert client.patch(f"{NODES}/a", {"metadata": {"finalizers": None}}).status == 200
    assert client("GET", f"{NODES}/a").status == 404
    kinds = [kind for kind, *_ in client.seen("resourceVersion=1")]
    assert kinds == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def test_a_dry_run_is_refused_rather_than_done(client):
    assert client("POST", f"{NODES}?dryRun=All", node("a")).status == 400
    assert client("GET", NODES).names == []


def test_writers_at_the_same_time_lose_nothing(client):
    client("POST", NODES, node("a"))

    def label(number: int) -> None:
        for each in range(50):
            assert client.patch(f"{NODES}/a", {"metadata": {"labels": {f"l{number}-{each}": ""}}}).status == 200

    threads = [threading.Thread(target=label, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = client("GET", f"{NODES}/a")
    assert len(after.document["metadata"]["labels"]) == 200
    assert after.version == "202"
    assert [int(version) for _, _, version in client.seen("resourceVersion=1")] == list(range(2, 203))


def test_a_realistic_node_is_as_big_as_a_kubelet_makes_it(api):
    item = api.add(realistic(default_cluster(1).nodes[0]))
    assert 13_000 < len(item.encoded) < 15_000
    document = item.document()
    assert (len(document["status"]["images"]), len(document["status"]["conditions"])) == (50, 5)
    assert len(document["metadata"]["labels"]) == 21
