"""machines.txt: ``IPV4 FQDN HOST [POD_SUBNET]`` a line, with the liberties that people take."""

import pytest

from inventory.documents import Machine, messages, read, refusal, told
from podroutes.inventory import load

JUMP = "192.168.8.20 worker-0.kubernetes.local worker-0 10.200.0.0/24"


@pytest.mark.parametrize(
    "text",
    [
        JUMP,
        f"{JUMP}\n",
        f"{JUMP}\r\n",
        f"\ufeff{JUMP}",
        f"\n\n# IPV4 FQDN HOST POD_SUBNET\n\n{JUMP}\n\n",
        f"  {JUMP}  # in rack 7",
        f"{JUMP}#rack 7",
        JUMP.replace(" ", "\t"),
        JUMP.replace(" ", " \t  "),
    ],
)
def test_white_space_comments_and_line_ends_do_not_matter(text):
    (node,) = read(text).cluster.nodes
    assert (node.name, node.hostnames) == ("worker-0", ("worker-0.kubernetes.local",))
    assert told(read(text)) == [Machine("worker-0", ("192.168.8.20",), ("10.200.0.0/24",))]


def test_a_machine_without_the_fourth_column_has_no_pods():
    assert told(read("192.168.8.10 server.kubernetes.local server")) == [Machine("server", ("192.168.8.10",))]


def test_dual_stack_is_written_with_commas():
    assert told(read("192.168.8.20,fd01::20 w.k w 10.200.0.0/24,fd00::/64")) == [
        Machine("w", ("192.168.8.20", "fd01::20"), ("10.200.0.0/24", "fd00::/64"))
    ]


@pytest.mark.parametrize("first", ["fd01::20", "::20", "1.2.3.4", "192.168.8.300", "fd01::"])
def test_the_first_address_tells_the_format(first):
    assert read(f"{first} w.k w").cluster.nodes[0].name == "w"


def test_nodes_know_their_line():
    assert [node.line for node in read(f"# machines\n{JUMP}\n\n{JUMP}\n").cluster.nodes] == [2, 4]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("192.168.8.21", '1 field, wanted IPV4 FQDN HOST [POD_SUBNET]: "192.168.8.21"'),
        ("192.168.8.21 worker-1", '2 fields, wanted IPV4 FQDN HOST [POD_SUBNET]: "192.168.8.21 worker-1"'),
        (
            "1.2.3.4 a b 10.0.0.0/24 fd00::/64",
            '5 fields, wanted IPV4 FQDN HOST [POD_SUBNET]: "1.2.3.4 a b 10.0.0.0/24 fd00::/64"',
        ),
        (
            "1.2.3.4 a 10.0.0.0/24",
            '"10.0.0.0/24" stands where the host\'s name belongs, wanted IPV4 FQDN HOST [POD_SUBNET]',
        ),
    ],
)
def test_a_line_of_another_shape_is_refused_with_what_was_found(line, why):
    assert refusal(f"{JUMP}\n{line} # here\n") == f"nodes:2: {why}"


def test_a_bad_value_is_a_problem_of_its_line():
    assert messages(f"{JUMP}\n192.168.8.256 w.k w 10.200.1.7/24\n") == [
        'nodes:2: node "w": internalIP "192.168.8.256" is not an IP address',
        'nodes:2: node "w": podCIDR "10.200.1.7/24" has host bits set; meant 10.200.1.0/24?',
    ]


def test_a_name_without_an_end_is_a_problem_of_its_node_and_floods_no_screen(tmp_path):
    path = tmp_path / "machines.txt"
    path.write_text(f"192.168.8.20 a.local {'a' * 1_000_000} 10.200.0.0/24\n192.168.8.21 b.local b 10.200.1.0/24\n")
    found = load(str(path))
    assert [(len(node.name), len(node.pod_cidrs)) for node in found.cluster.nodes] == [(253, 1), (1, 1)]
    (problem,) = found.problems
    assert (problem.severity, problem.code) == ("error", "invalid-name")
    assert "1,000,000 characters are more than the 253" in problem.message
    assert len(problem.message) < 300 + len(str(path))


def test_a_hash_that_was_typed_into_a_word_does_not_hide_the_pod_cidr():
    inventory = read(f"{JUMP}\n192.168.8.21 worker-1.k worke#r-1 10.200.1.0/24\n")
    assert [each.field for each in inventory.cluster.nodes[1].unread] == ["podCIDR"]
    assert messages(f"{JUMP}\n192.168.8.21 worker-1.k worke#r-1 10.200.1.0/24\n") == [
        'nodes:2: node "worke": a # inside a word hides the podCIDR'
    ]
    assert read("192.168.8.21 worker-1.k worker-1 # 10.200.1.0/24\n").problems == (), "that was commented out"
