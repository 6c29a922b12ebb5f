"""Values that no route can use become Problems with place and reason, and the rest of the inventory stays."""

import pytest

from inventory.documents import Machine, messages, read, told

CODES = {"podCIDR": "invalid-pod-cidr", "internalIP": "invalid-internal-ip"}


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("podCIDR", "10.200.1.7/24", "has host bits set; meant 10.200.1.0/24?"),
        ("podCIDR", "fd00::1/64", "has host bits set; meant fd00::/64?"),
        ("podCIDR", "10.200.1.0", "has no prefix length"),
        ("podCIDR", "10.200.1.0/33", "has no prefix length between 0 and 32"),
        ("podCIDR", "10.200.1.0/-1", "has no prefix length between 0 and 32"),
        ("podCIDR", "10.200.1/24", "is not an IP address"),
        ("podCIDR", "pods", "has no prefix length"),
        ("podCIDR", "0.0.0.0/0", "is the default route, not a network of pods"),
        ("podCIDR", "::/0", "is the default route, not a network of pods"),
        ("podCIDR", "0.0.0.0/8", "is the unspecified range"),
        ("podCIDR", "0.0.0.0/1", "contains the unspecified range 0.0.0.0/8"),
        ("podCIDR", "64.0.0.0/2", "contains the loopback range 127.0.0.0/8"),
        ("podCIDR", "127.1.0.0/16", "lies in the loopback range 127.0.0.0/8"),
        ("podCIDR", "169.254.7.0/24", "lies in the link-local range 169.254.0.0/16"),
        ("podCIDR", "169.0.0.0/8", "contains the link-local range 169.254.0.0/16"),
        ("podCIDR", "239.0.0.0/8", "lies in the multicast range 224.0.0.0/4"),
        ("podCIDR", "::/64", "contains the unspecified address ::/128"),
        ("podCIDR", "::1/128", "is the loopback address"),
        ("podCIDR", "fe80::/64", "lies in the link-local range fe80::/10"),
        ("podCIDR", "ff02::/16", "lies in the multicast range ff00::/8"),
        ("podCIDR", "::ffff:10.200.0.0/112", "is an IPv4-mapped IPv6 address; meant 10.200.0.0?"),
        ("podCIDR", "fe80::%ens18/64", "carries a zone id, which means nothing on another machine"),
        ("internalIP", "192.168.8.300", "is not an IP address"),
        ("internalIP", "192.168.8.20/24", "is not an IP address"),
        ("internalIP", "worker-1", "is not an IP address"),
        ("internalIP", "0.0.0.7", "lies in the unspecified range 0.0.0.0/8"),
        ("internalIP", "127.0.0.1", "lies in the loopback range 127.0.0.0/8"),
        ("internalIP", "255.255.255.255", "is the broadcast address"),
        ("internalIP", "::", "is the unspecified address"),
        ("internalIP", "fe80::1", "lies in the link-local range fe80::/10"),
        ("internalIP", "fe80::1%ens18", "carries a zone id, which means nothing on another machine"),
        ("internalIP", "::ffff:192.168.8.21", "is an IPv4-mapped IPv6 address; meant 192.168.8.21?"),
    ],
)
def test_a_value_no_route_can_use_is_a_problem_of_its_line_and_left_out(field, value, why):
    inventory = read(f"nodes:\n- name: worker-1\n  {field}: '{value}'\n- name: worker-2\n  podCIDR: 10.200.2.0/24\n")
    (problem,) = inventory.problems
    assert problem.message == f'nodes:3: node "worker-1": {field} "{value}" {why}'
    assert (problem.severity, problem.code, problem.nodes) == ("error", CODES[field], ("worker-1",))
    assert told(inventory) == [Machine("worker-1", ()), Machine("worker-2", (), ("10.200.2.0/24",))]


@pytest.mark.parametrize(
    "cidr", ["10.200.1.7/32", "fd00::7/128", "240.0.0.0/24", "100.64.0.0/10", "::2/128", "64:ff9b::/96", "128.0.0.0/3"]
)
def test_a_network_the_kernel_routes_is_no_problem(cidr):
    inventory = read(f"nodes: [{{name: a, podCIDR: '{cidr}'}}]")
    assert inventory.problems == ()
    assert told(inventory) == [Machine("a", (), (cidr,))]


def test_every_problem_is_found_in_one_run_and_the_good_values_stay():
    inventory = read(
        "nodes:\n- name: a\n  internalIPs: [nowhere, 10.0.0.1]\n  podCIDRs: [10.1.0.1/24, 10.2.0.0/24, x]\n"
    )
    assert [problem.code for problem in inventory.problems] == [
        "invalid-internal-ip",
        "invalid-pod-cidr",
        "invalid-pod-cidr",
    ]
    assert told(inventory) == [Machine("a", ("10.0.0.1",), ("10.2.0.0/24",))]


def test_names_and_values_cannot_move_the_cursor():
    document = r'{"nodes": [{"name": "a\u001b[2J", "podCIDR": "\u001b]0;owned\u0007"}]}'
    assert messages(document) == [r'nodes:1: node "a\x1b[2J": podCIDR "\x1b]0;owned\x07" has no prefix length']
    assert read(document).cluster.nodes[0].name == "a\x1b[2J"


def test_a_very_long_value_does_not_fill_the_screen():
    (message,) = messages(f"nodes:\n- name: {'n' * 253}\n  podCIDR: '{'1' * 10_000}'\n")
    assert len(message) < 300
