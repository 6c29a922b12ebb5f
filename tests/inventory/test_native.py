"""podroutes' own format: Kubernetes' field names, singular or plural, in YAML or JSON."""

import sys

import pytest
import yaml

from inventory.documents import Machine, messages, read, refusal, told

CLUSTER = """\
cluster:
  podCIDRs: [10.200.0.0/16]
  nodeCIDR: 192.168.8.0/24
  serviceCIDRs: [10.32.0.0/24, fd32::/112]
nodes:
  - name: worker-0
    internalIP: 192.168.8.20
    podCIDR: 10.200.0.0/24
    interface: ens18
  - name: server
    internalIPs: [192.168.8.10, fd01::10]
"""


def test_the_whole_format():
    cluster = read(CLUSTER, "cluster.yaml").cluster
    assert told(read(CLUSTER)) == [
        Machine("worker-0", ("192.168.8.20",), ("10.200.0.0/24",)),
        Machine("server", ("192.168.8.10", "fd01::10")),
    ]
    assert [node.interface for node in cluster.nodes] == ["ens18", None]
    assert [cluster.place(node) for node in cluster.nodes] == ["cluster.yaml:6", "cluster.yaml:10"]
    assert list(map(str, cluster.pod_cidrs)) == ["10.200.0.0/16"]
    assert list(map(str, cluster.node_cidrs)) == ["192.168.8.0/24"]
    assert list(map(str, cluster.service_cidrs)) == ["10.32.0.0/24", "fd32::/112"]


@pytest.mark.parametrize(
    "fields",
    [
        "podCIDR: 10.200.0.0/24, podCIDRs: [10.200.0.0/24, fd00::/64]",
        "podCIDRs: [10.200.0.0/24, fd00::/64], podCIDR: 10.200.0.0/24",
        "podCIDRs: [10.200.0.0/24, fd00::/64, fd00:0::/64]",
        "podCIDR: [10.200.0.0/24, fd00::/64]",
    ],
)
def test_singular_and_plural_merge_without_repetition(fields):
    assert told(read(f"nodes: [{{name: a, {fields}}}]")) == [Machine("a", (), ("10.200.0.0/24", "fd00::/64"))]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("nodes:\n- name: a\n  interfaces: x\n", 'nodes:3: node "a": unknown key "interfaces"; meant interface?'),
        ("nodes: [{name: a}]\nnotes: x\n", 'nodes:2: unknown key "notes"; meant nodes?'),
        ("nodes: [{name: a}]\nzzz: [{a: b}]\n", 'nodes:2: unknown key "zzz"; known are cluster, nodes, routers'),
        (
            "cluster: {name: prod}\nnodes: [{name: a}]",
            'nodes:1: cluster: unknown key "name"; known are podCIDR, podCIDRs, nodeCIDR, nodeCIDRs, serviceCIDR, serviceCIDRs',
        ),
        (
            '{"nodes": [{"name": "a",\n "\\u001b": 1}]}',
            'nodes:2: node "a": unknown key "\\x1b"; known are name, internalIP, internalIPs, podCIDR, podCIDRs, interface, creationTimestamp, uid',
        ),
    ],
)
def test_an_unknown_key_is_a_warning_that_names_the_nearest(document, message):
    (problem,) = read(document).problems
    assert (problem.message, problem.code, problem.severity) == (message, "unknown-key", "warning")


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        ("podcidr: 10.200.1.0/24", "podCIDR", 'unknown key "podcidr"; meant podCIDR?'),
        ("podCidr: 10.200.1.0/24", "podCIDR", 'unknown key "podCidr"; meant podCIDR?'),
        ("pod_cidr: 10.200.1.0/24", "podCIDR", 'unknown key "pod_cidr"; meant podCIDR?'),
        ("pod-cidrs: [10.200.1.0/24]", "podCIDR", 'unknown key "pod-cidrs"; meant podCIDR?'),
        ("podCDIR: x", "podCIDR", 'unknown key "podCDIR"; meant podCIDR?'),
        ("PodSubnet: x", "podCIDR", 'unknown key "PodSubnet"; meant podCIDR?'),
        ("routes: [10.200.1.0/24]", "podCIDR", 'unknown key "routes"; meant podCIDR?'),
        ("ip: 192.168.8.21", "internalIP", 'unknown key "ip"; meant internalIP?'),
        ("IPs: []", "internalIP", 'unknown key "IPs"; meant internalIP?'),
        ("internalIp: x", "internalIP", 'unknown key "internalIp"; meant internalIP?'),
        ("internal_ips: x", "internalIP", 'unknown key "internal_ips"; meant internalIP?'),
        ("lan: fd00::21", "internalIP", 'unknown key "lan"; meant internalIP?'),
        ("podCIDR: ''", "podCIDR", "podCIDR is empty; leave it out where there is none"),
        ("podCIDR:", "podCIDR", "podCIDR is empty; leave it out where there is none"),
        ("podCIDRs: [10.1]", "podCIDR", 'podCIDRs is the number "10.1", wanted a string; put it in quotes: "10.1"'),
        ("podCIDRs: [[x]]", "podCIDR", "podCIDRs is a list, wanted a string"),
        ("podCIDR: {a: b}", "podCIDR", "podCIDR is a mapping, wanted a string"),
        ("podCIDR: 10.200.1.0/244", "podCIDR", 'podCIDR "10.200.1.0/244" has no prefix length between 0 and 32'),
        ("internalIP: 192.168.8.20/24", "internalIP", 'internalIP "192.168.8.20/24" is not an IP address'),
        (
            "internalIP: true",
            "internalIP",
            'internalIP is the boolean "true", wanted a string; put it in quotes: "true"',
        ),
    ],
)
def test_what_cannot_be_read_of_a_node_is_an_error_of_that_node_and_marks_the_field(line, field, message):
    inventory = read(f"nodes:\n- name: a\n  {line}\n- name: b\n  podCIDR: 10.200.2.0/24\n")
    (problem,) = inventory.problems
    assert problem.message == f'nodes:3: node "a": {message}'
    assert (problem.severity, problem.nodes) == ("error", ("a",))
    broken, sound = inventory.cluster.nodes
    assert [each.field for each in broken.unread] == [field]
    assert (sound.unread, list(map(str, sound.pod_cidrs))) == ((), ["10.200.2.0/24"])


@pytest.mark.parametrize(
    "key",
    ["externalIP: 203.0.113.7", "publicIPs: [203.0.113.7]", "role: worker", "address: 10.0.0.1", "cidr: 10.0.0.0/8"],
)
def test_beside_the_right_keys_another_key_is_only_a_warning(key):
    inventory = read(f"nodes: [{{name: a, internalIP: 192.168.8.20, podCIDR: 10.200.0.0/24, {key}}}]")
    assert [problem.severity for problem in inventory.problems] == ["warning"]
    assert inventory.cluster.nodes[0].unread == ()


def test_a_second_family_behind_a_misspelt_key_is_not_overlooked():
    (node,) = read("nodes: [{name: a, podCIDR: 10.200.0.0/24, podCidrs: ['fd00::/64']}]").cluster.nodes
    assert [each.field for each in node.unread] == ["podCIDR"]
    assert list(map(str, node.pod_cidrs)) == ["10.200.0.0/24"]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("{}", "nodes: holds no nodes"),
        ("---\n", "nodes: holds no nodes"),
        ("nodes: []", "nodes: holds no nodes"),
        ("nodes:", "nodes: holds no nodes"),
        ("node: []", 'nodes:1: unknown key "node"; meant nodes?'),
        ("nodes: [{name: a}]\nNodes: [{name: b}]", 'nodes:2: unknown key "Nodes"; meant nodes?'),
        ("nodes: [{name: a}]\nclutser: {}\n", 'nodes:2: unknown key "clutser"; meant cluster?'),
        ("cluster: {nodeCIRDs: []}\nnodes: [{name: a}]", 'nodes:1: cluster: unknown key "nodeCIRDs"; meant nodeCIDRs?'),
        (
            "cluster: {range: 10.200.0.0/16}\nnodes: [{name: a}]",
            'nodes:1: cluster: unknown key "range"; known are podCIDR, podCIDRs, nodeCIDR, nodeCIDRs, serviceCIDR, serviceCIDRs',
        ),
        ("- name: a", "nodes:1: is a list, wanted a mapping with the key nodes"),
        ("[]", "nodes:1: is a list, wanted a mapping with the key nodes"),
        ("nodes: 7", 'nodes:1: nodes is the number "7", wanted a list'),
        ("nodes: {a: b}", "nodes:1: nodes is a mapping, wanted a list"),
        (
            "nodes:\n- worker-0",
            'nodes:2: an item of nodes is the string "worker-0", wanted a mapping with the key name',
        ),
        ("nodes:\n- internalIP: 10.0.0.1", "nodes:2: a node has no name"),
        ("nodes:\n- name: ''", "nodes:2: a node has no name"),
        ("nodes:\n- name:", "nodes:2: a node has no name"),
        ("nodes:\n- name: 10", 'nodes:2: a node\'s name is the number "10", wanted a string; put it in quotes: "10"'),
        (
            "nodes:\n- name: 0x1F",
            'nodes:2: a node\'s name is the number "0x1F", wanted a string; put it in quotes: "0x1F"',
        ),
        (
            "nodes:\n- name: true",
            'nodes:2: a node\'s name is the boolean "true", wanted a string; put it in quotes: "true"',
        ),
        (
            '{"nodes": [{"name":\n1e3}]}',
            'nodes:2: a node\'s name is the number "1e3", wanted a string; put it in quotes: "1e3"',
        ),
        ("nodes:\n- name: [a]", "nodes:2: a node's name is a list, wanted a string"),
        ("nodes:\n- name: a\n  interface: {}", 'nodes:3: node "a": interface is a mapping, wanted a string'),
        ("cluster: [10.0.0.0/8]\nnodes: [{name: a}]", "nodes:1: cluster is a list, wanted a mapping"),
        (
            "cluster:\n  podCIDR: 10.0.0.1/8\nnodes: [{name: a}]",
            'nodes:2: cluster: network "10.0.0.1/8" has host bits set; meant 10.0.0.0/8?',
        ),
        (
            "nodes:\n- name: a\n- name: b\n  name: c",
            'nodes:4: key "name" is already given in line 3; remove one of the two',
        ),
        ("nodes: []\ncluster:\nnodes: []", 'nodes:3: key "nodes" is already given in line 1; remove one of the two'),
        (
            '{"nodes": [{"name": "a",\n"name": "b"}]}',
            'nodes:2: key "name" is already given in line 1; remove one of the two',
        ),
        ("nodes:\n- name: a\n  ? [x]\n  : y", "nodes:3: a key is a mapping or a list; wanted a word"),
        ("nodes:\n- &a\n  name: x\n- *a", "nodes:4: alias *a: YAML aliases are not followed; write the value out"),
        (
            "nodes:\n- name: !!python/name:os.system x",
            'nodes:2: YAML tag "tag:yaml.org,2002:python/name:os.system" is not supported; write the value without it',
        ),
        (
            "nodes: [{name: a}]\n---\nnodes: []",
            "nodes:3: a second YAML document starts here; one inventory is one document",
        ),
        ("nodes: [\n", "nodes:2: is not valid YAML: while parsing a flow node did not find expected node content"),
        ("nodes:\n- name: 'a\x1b'", r'nodes:2: is not valid YAML: "\x1b" is not allowed'),
        ('{"nodes": [\n{"name": "a"}', "nodes:2: ends in the middle of a JSON value; is the file complete?"),
        ('{"nodes": [\n{"name": "a",}]}', "nodes:2: is not valid JSON: trailing comma in object"),
        ('{"nodes": [{"name": "a"}]}\n{}', "nodes:2: is not valid JSON: trailing characters"),
        ("nodes: " + "[" * 100_000, "nodes:1: is nested too deeply to be an inventory"),
        ("nodes:\n" + "- " * 9_000, "nodes:2: is nested too deeply to be an inventory"),
    ],
)
def test_a_broken_document_is_refused_with_place_and_reason(document, why):
    assert refusal(document) == why


def test_json_that_is_nested_too_deeply_is_refused():
    """Since Python 3.14 it can be read, and then the line is known."""
    why = refusal('{"nodes": ' + "[" * 100_000 + "]" * 100_000 + "}")
    assert why.replace(":1:", ":") == "nodes: is nested too deeply to be an inventory"


def test_a_billion_laughs_are_refused_at_the_first():
    laughs = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 30))
    assert refusal(f"x0: &x0 lol\n{laughs}\n").startswith("nodes:2: alias *x0")


@pytest.mark.parametrize(
    "document",
    [
        "--- {nodes: [{name: a}]}",
        "---\n---\nnodes: [{name: a}]\n---\n",
        "%YAML 1.1\n---\nnodes: [{name: a}]\n...\n",
        "# nodes\nnodes: [{name: a}]",
        "nodes: [&anchor {name: &name a}]",
        '"nodes": [{"name": "a"}]',
        "{nodes: [{name: a}]}",
        '{\n\t"nodes": [{"name": "\\u0061"}]\n}',
        "nodes: [{name: a, podCIDRs: [], internalIPs: [], interface: ''}]",
    ],
)
def test_the_many_ways_to_write_one_node(document):
    inventory = read(document)
    assert told(inventory) == [Machine("a", ())]
    assert inventory.problems == ()


@pytest.mark.parametrize("name", ["no", "on", "1:20", "2026-01-01", "10.0.0", "-", "worker 0", "x" * 250])
def test_a_name_is_any_string_of_yaml_1_2(name):
    assert read(f"nodes:\n- name: {name}x\n").cluster.nodes[0].name == f"{name}x"
    assert read(f"nodes:\n- name: '{name}'\n").cluster.nodes[0].name == name


def test_without_libyaml_the_pure_parser_says_the_same(monkeypatch):
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert [loader for loader in (getattr(yaml, "CSafeLoader", None),) if loader] == []
    assert told(read(CLUSTER))[1].name == "server"
    assert refusal("nodes:\n- name: 'a\x1b'") == r'nodes:2: is not valid YAML: "\x1b" is not allowed'
    assert refusal("nodes: [\n").startswith("nodes:2: is not valid YAML: while parsing a flow")
    assert messages("nodes:\n- name: a\n  podCIDR: x") == ['nodes:3: node "a": podCIDR "x" has no prefix length']


@pytest.mark.parametrize("module", ["yaml", "msgspec", "json", "difflib", "pathlib", "inspect"])
def test_machines_txt_imports_nothing_heavy(module):
    from subprocess import run  # noqa: PLC0415 - one test alone starts a process

    script = (
        "import io, sys; from podroutes.inventory import load; load('machines.txt', io.BytesIO(b'10.0.0.1 a.b a 10.1.0.0/24'));"
        f"sys.exit({module!r} in sys.modules)"
    )
    assert run([sys.executable, "-S", "-c", script], check=False, env={"PYTHONPATH": "src"}).returncode == 0


def test_a_pod_cidr_among_the_addresses_is_no_entry_without_one():
    """As it is where the line ``podCIDRs:`` between two lists was lost."""
    text = "nodes:\n- name: a\n  internalIPs:\n  - 192.168.8.21\n  - 10.200.1.0/24\n"
    (node,) = read(text).cluster.nodes
    assert {each.field for each in node.unread} == {"internalIP", "podCIDR"}
    (other,) = read(text.replace("10.200.1.0/24", "192.168.8.22/24")).cluster.nodes
    assert {each.field for each in other.unread} == {"internalIP"}, "a netmask is only that"
