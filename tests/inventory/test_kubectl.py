"""What ``kubectl get nodes -o json`` and ``-o yaml`` print, and what only looks like it."""

import json
import re

import pytest

from inventory.documents import SEED, Machine, as_yaml, kubectl_json, kubectl_yaml, node, node_list, read, refusal, told
from podroutes.inventory import kubectl_yaml as yaml_reader
from podroutes.inventory.source import opened

WRITERS = pytest.mark.parametrize(
    "write", [lambda document: json.dumps(document, indent=4), json.dumps, as_yaml], ids=["json", "compact", "yaml"]
)


@WRITERS
def test_a_single_node(write):
    assert told(read(write(node(SEED[1])))) == [SEED[1]]


@WRITERS
def test_the_hostname_is_another_name_of_the_node(write):
    document = node(SEED[0])
    document["status"]["addresses"] = [
        {"type": "Hostname", "address": "w0"},
        {"type": "ExternalIP", "address": "8.8.8.8"},
    ]
    (found,) = read(write(document)).cluster.nodes
    assert (found.hostnames, found.internal_ips) == (("w0",), ())


@WRITERS
@pytest.mark.parametrize("missing", ["spec", "status"])
def test_a_node_that_nobody_has_filled_in_yet(write, missing):
    document = node(SEED[0])
    del document[missing]
    assert told(read(write(document)))[0].name == "worker-0"


@WRITERS
def test_pod_cidr_alone_is_enough(write):
    document = node(SEED[0])
    del document["spec"]["podCIDRs"]
    assert told(read(write(document))) == [SEED[0]]


@WRITERS
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda items: items[1].update(kind="Pod"), 'items[1] is a "Pod", wanted only Nodes; see kubectl get nodes'),
        (lambda items: items[2]["metadata"].pop("name"), "items[2] has no metadata.name"),
        (lambda items: items[2]["metadata"].update(name=""), "items[2] has no metadata.name"),
        (lambda items: items[1]["metadata"].update(name=5), "items[1].metadata.name is "),
        (lambda items: items[1].update(spec=[]), "items[1].spec is a list, wanted a mapping"),
        (lambda items: items.clear(), "holds no nodes"),
    ],
)
def test_a_list_that_is_not_one_of_nodes_is_refused_naming_the_item(write, change, why):
    document = node_list(SEED)
    change(document["items"])
    assert why in refusal(write(document))


@WRITERS
@pytest.mark.parametrize(
    ("document", "why"),
    [
        (
            {"kind": "Pod", "metadata": {"name": "a"}},
            'nodes: is a "Pod", wanted a NodeList, a List or a Node: `kubectl get nodes -o json`',
        ),
        ({"apiVersion": "v1"}, "nodes: has no items; wanted what kubectl get nodes prints"),
        ({"kind": "List"}, "nodes: has no items; wanted what kubectl get nodes prints"),
        ({"kind": "Node"}, "has no metadata.name"),
    ],
)
def test_another_kind_of_object_is_refused_by_name(write, document, why):
    assert why in refusal(write(document))


def test_a_bad_value_of_yaml_has_its_line_and_of_json_its_node():
    bad = [SEED[0], Machine("b", ("127.0.0.1",), ("10.200.1.7/24",))]
    assert [problem.message for problem in read(kubectl_json(bad)).problems] == [
        'nodes: node "b": internalIP "127.0.0.1" lies in the loopback range 127.0.0.0/8',
        'nodes: node "b": podCIDR "10.200.1.7/24" has host bits set; meant 10.200.1.0/24?',
    ]
    text = kubectl_yaml(bad)
    lines = text.split("\n")
    for problem in read(text).problems:
        place, line, _ = problem.message.split(":", 2)
        assert place == "nodes"
        assert "127.0.0.1" in lines[int(line) - 1] or "10.200.1.7/24" in lines[int(line) - 1]


def test_unknown_keys_of_kubernetes_are_no_problem():
    assert read(kubectl_json(SEED)).problems == ()


def test_broken_json_late_in_a_large_file_is_told_with_its_line(monkeypatch):
    monkeypatch.setattr("podroutes.inventory.source.CHUNK", 3_000)
    monkeypatch.setattr("podroutes.inventory.kubectl_json.CHUNK", 3_000)
    lines = kubectl_json([SEED[0]] * 40).split("\n")
    lines[1_000] = "!"
    assert refusal("\n".join(lines)).startswith("nodes:1001: is not valid JSON")
    assert refusal("\n".join(lines[:1_000])).startswith("nodes:1000: ends in the middle")


def test_items_of_any_other_layout_are_all_found(monkeypatch):
    monkeypatch.setattr("podroutes.inventory.source.CHUNK", 500)
    monkeypatch.setattr("podroutes.inventory.kubectl_json.CHUNK", 500)
    opening = '{\n    "apiVersion": "v1",\n    "items": [\n        {'
    text = kubectl_json(SEED * 5)
    assert text.startswith(opening)
    nested = ',\n"extra": [\n        {\n        },\n        {\n        },\n        {\n"name": "x"}]'
    inside = text.replace('"kind": "Node"', '"kind": "Node"' + nested)
    assert told(read(inside)) == SEED * 5
    behind = text.replace('"kind": "List"', '"kind": "List"' + nested)
    assert told(read(behind)) == SEED * 5


def pruned(text: str, path) -> str:
    """Return what is left of TEXT for the YAML parser."""
    path.write_text(text)
    with opened(str(path)) as source:
        return b"".join(yaml_reader._pruned(source)).decode()


def test_only_what_matters_reaches_the_yaml_parser(tmp_path):
    text = kubectl_yaml(SEED)
    left = pruned(text, tmp_path / "nodes.yaml")
    assert left.count("\n") == text.count("\n")
    assert "images" not in left
    assert "labels" not in left
    assert "10.99" not in left
    assert left.count("podCIDRs:") == len(SEED)


@pytest.mark.parametrize(
    "trick",
    [
        "  surprise: |\n    podCIDR: not a key\n    images:\n    - x\n",
        '  surprise: "two\n    images:\n    lines"\n',
        "  surprise: word\n    images\n",
        "  surprise: {a: 1,\n    images: 2}\n",
        "  surprise: &anchor x\n",
        "  # comment\n",
    ],
)
def test_a_layout_that_is_not_kubectls_is_parsed_in_full(tmp_path, trick):
    text = kubectl_yaml(SEED).replace("  kind: Node\n", f"  kind: Node\n{trick}", 1)
    assert pruned(text, tmp_path / "nodes.yaml") == text
    assert told(read(text)) == SEED


@WRITERS
@pytest.mark.parametrize(
    ("stamp", "created"), [("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"), ("yesterday", ""), (None, "")]
)
def test_a_node_s_age_and_uid_are_read(write, stamp, created):
    document = node_list(SEED)
    uid = "7d3c0a6e-0000-4000-8000-000000000001"
    document["items"][1]["metadata"] |= {"uid": uid, "creationTimestamp": stamp}
    assert [(found.created, found.uid) for found in read(write(document)).cluster.nodes] == [
        ("", ""),
        (created, uid),
        ("", ""),
    ]


@WRITERS
def test_an_address_that_is_empty_or_none_marks_the_field_and_the_others_are_used(write):
    inventory = read(write(node(Machine("a", ("192.168.8.20", "", "worker-a"), ("10.200.0.0/24",)))))
    (found,) = inventory.cluster.nodes
    assert list(map(str, found.internal_ips)) == ["192.168.8.20"]
    assert {each.field for each in found.unread} == {"internalIP"}
    assert [problem.code for problem in inventory.problems] == ["invalid-internal-ip", "invalid-internal-ip"]


@pytest.mark.parametrize(
    ("key", "typed", "field"),
    [
        ("spec", "Spec", "podCIDR"),
        ("spec", "spc", "podCIDR"),
        ("podCIDR", "podCidr", "podCIDR"),
        ("podCIDR", "podcidr", "podCIDR"),
        ("status", "sattus", "internalIP"),
        ("addresses", "adresses", "internalIP"),
        ("addresses", "addrEsses", "internalIP"),
        ("InternalIP", "InternalIp", "internalIP"),
        ("InternalIP", "InternlIP", "internalIP"),
    ],
)
@pytest.mark.parametrize("kubectl", [kubectl_json, kubectl_yaml], ids=["json", "yaml"])
def test_a_field_behind_a_misspelt_key_cannot_be_read_which_is_not_the_same_as_none(kubectl, key, typed, field):
    """Somebody has edited what kubectl printed."""
    separator = '"apiVersion"' if kubectl is kubectl_json else "\n- "
    parts = kubectl(SEED).split(separator)
    (place,) = (number for number, part in enumerate(parts) if "worker-1" in part)
    before = parts[place]
    parts[place] = re.sub(rf"\b{key}(s?)\b", rf"{typed}\1", before)
    assert parts[place] != before
    inventory = read(separator.join(parts))
    assert [[each.field for each in node.unread] for node in inventory.cluster.nodes] == [[], [field], []]
    assert [(each.code, each.nodes) for each in inventory.problems] == [("unknown-key", ("worker-1",))]
