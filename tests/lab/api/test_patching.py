"""Patches do what their documents say: the examples of RFC 6902 and RFC 7386, and what kubectl sends."""

import pytest

from lab.api.asking import NODES, node
from podroutes.lab.api.message import Refusal
from podroutes.lab.api.patching import json_patch, merge, strategic_merge


@pytest.mark.parametrize(  # RFC 7386, appendix A
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target, patch, result):
    assert merge(target, patch) == result


@pytest.mark.parametrize(  # RFC 6902, appendix A
    ("target", "operation", "result"),
    [
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "qux"}, {"foo": "bar", "baz": "qux"}),
        ({"foo": ["bar", "baz"]}, {"op": "add", "path": "/foo/1", "value": "qux"}, {"foo": ["bar", "qux", "baz"]}),
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/-", "value": ["abc"]}, {"foo": ["bar", ["abc"]]}),
        ({"baz": "qux", "foo": "bar"}, {"op": "remove", "path": "/baz"}, {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, {"op": "remove", "path": "/foo/1"}, {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, {"op": "replace", "path": "/baz", "value": "boo"}, {"baz": "boo"}),
        ({"foo": {"a": 1}, "b": {}}, {"op": "move", "from": "/foo/a", "path": "/b/c"}, {"foo": {}, "b": {"c": 1}}),
        ({"foo": [1, 2, 3]}, {"op": "move", "from": "/foo/0", "path": "/foo/2"}, {"foo": [2, 3, 1]}),
        ({"foo": [1]}, {"op": "copy", "from": "/foo", "path": "/bar"}, {"foo": [1], "bar": [1]}),
        ({"baz": "qux"}, {"op": "test", "path": "/baz", "value": "qux"}, {"baz": "qux"}),
        ({"/": 9, "~1": 10}, {"op": "replace", "path": "/~01", "value": 11}, {"/": 9, "~1": 11}),
        ({"a": 1}, {"op": "replace", "path": "", "value": {"b": 2}}, {"b": 2}),
    ],
)
def test_json_patch(target, operation, result):
    before = repr(target)
    assert json_patch(target, [operation]) == result
    assert repr(target) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/baz", "value": "bar"},
        {"op": "add", "path": "/no/such", "value": 1},
        {"op": "add", "path": "/list/4", "value": 1},
        {"op": "add", "path": "/list/01x", "value": 1},
        {"op": "remove", "path": "/nothing"},
        {"op": "remove", "path": "/list/3"},
        {"op": "add", "path": "baz", "value": 1},
        {"op": "add", "path": "/baz"},
        {"op": "other", "path": "/baz"},
        {"path": "/baz"},
        "nothing",
    ],
)
def test_a_json_patch_that_cannot_be_done_is_invalid(operation):
    with pytest.raises(Refusal) as refused:
        json_patch({"baz": "qux", "list": [1, 2, 3]}, [operation])
    assert refused.value.code == 422


CONDITIONS = [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": {"b": 1}}, {"a": {"$patch": "replace", "c": 2}}, {"a": {"c": 2}}),
        ({"a": {"b": 1}}, {"a": {"$patch": "delete"}}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"$retainKeys": ["b", "d"], "d": 3}}, {"a": {"b": 1, "d": 3}}),
        ({"taints": [{"key": "a"}]}, {"taints": [{"key": "b"}]}, {"taints": [{"key": "b"}]}),
        ({"taints": [{"key": "a"}]}, {"taints": None}, {}),
        (
            {"conditions": CONDITIONS},
            {"conditions": [{"type": "Ready", "status": "False"}, {"type": "NetworkUnavailable", "status": "False"}]},
            {
                "conditions": [
                    {"type": "Ready", "status": "False"},
                    {"type": "DiskPressure", "status": "False"},
                    {"type": "NetworkUnavailable", "status": "False"},
                ]
            },
        ),
        (
            {"conditions": CONDITIONS},
            {"conditions": [{"type": "Ready", "$patch": "delete"}, {"type": "None", "$patch": "delete"}]},
            {"conditions": CONDITIONS[1:]},
        ),
        ({"conditions": CONDITIONS}, {"conditions": [{"$patch": "replace"}]}, {"conditions": []}),
        (
            {"conditions": CONDITIONS},
            {"$setElementOrder/conditions": [{"type": "DiskPressure"}, {"type": "Ready"}]},
            {"conditions": CONDITIONS[::-1]},
        ),
        ({"finalizers": ["a"]}, {"finalizers": ["a", "b"]}, {"finalizers": ["a", "b"]}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
        ({"finalizers": ["a", "b"]}, {"$setElementOrder/finalizers": ["b", "a"]}, {"finalizers": ["b", "a"]}),
    ],
)
def test_strategic_merge(target, patch, result):
    assert strategic_merge(target, patch) == result


def test_an_item_without_its_key_is_refused(client):
    client("POST", NODES, node("a"))
    refused = client.patch(f"{NODES}/a/status", {"status": {"conditions": [{}]}}, "strategic-merge-patch")
    assert refused.status == 400


@pytest.mark.parametrize("kind", ["application/apply-patch+yaml", "text/plain", ""])
def test_other_patches_are_refused(client, kind):
    client("POST", NODES, node("a"))
    assert client("PATCH", f"{NODES}/a", {}, content_type=kind).status == 415


@pytest.mark.parametrize("body", [[], "x", None, {"metadata": None}, {"metadata": {"name": None}}])
def test_a_patch_cannot_make_a_node_anything_else(client, body):
    client("POST", NODES, node("a"))
    client.patch(f"{NODES}/a", b"null" if body is None else body)
    assert client("GET", f"{NODES}/a").version == "2"
