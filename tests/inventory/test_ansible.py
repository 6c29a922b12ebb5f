"""Ansible's inventories are a source of nodes: hosts with an address and the variable pod_cidr."""

import random
from contextlib import suppress

import pytest

from inventory.documents import read, refusal, told
from podroutes.errors import InventoryError

INI = """\
# made by hand
worker-0 ansible_host=192.168.8.20 pod_cidr=10.200.0.0/24

[kube_node]
worker-1 ansible_host=192.168.8.21 pod_cidr="10.200.1.0/24" ansible_user=root  # the second
worker-0

[kube_node:vars]
ansible_port=2222

[all:children]
kube_node
"""
YAML = """\
kube_node:
  hosts:
    worker-0: {ansible_host: 203.0.113.20, ip: 192.168.8.20}
  children:
    edge:
      hosts:
        worker-1:
          ansible_host: 192.168.8.21
          pod_cidr: [10.200.1.0/24, "fd00:200:1::/64"]
all:
  hosts:
    worker-0: {pod_cidr: 10.200.0.0/24}
    localhost: {ansible_connection: local}
"""


def shape(text):
    return [(name, addresses, cidrs) for name, addresses, cidrs in told(read(text))]


def test_a_host_in_several_groups_is_one_node_with_the_variables_of_all():
    assert shape(INI) == [
        ("worker-0", ("192.168.8.20",), ("10.200.0.0/24",)),
        ("worker-1", ("192.168.8.21",), ("10.200.1.0/24",)),
    ]
    assert shape(YAML) == [
        ("worker-0", ("192.168.8.20",), ("10.200.0.0/24",)),
        ("worker-1", ("192.168.8.21",), ("10.200.1.0/24", "fd00:200:1::/64")),
    ]


def test_lines_are_those_of_the_host():
    assert [node.line for node in read(INI).cluster.nodes] == [2, 5]
    assert [node.line for node in read(YAML).cluster.nodes] == [3, 7]


@pytest.mark.parametrize(
    ("words", "addresses", "cidrs"),
    [
        ("ip=192.168.8.20 ansible_host=203.0.113.1", ("192.168.8.20",), ("10.200.0.0/24",)),
        ("ip=192.168.8.20 ip6=fd00::20", ("192.168.8.20", "fd00::20"), ("10.200.0.0/24",)),
        ("ip=192.168.8.20,fd00::20", ("192.168.8.20", "fd00::20"), ("10.200.0.0/24",)),
    ],
)
def test_the_address_is_the_one_that_other_nodes_use(words, addresses, cidrs):
    assert shape(f"[all]\nworker-0 {words} pod_cidr=10.200.0.0/24\n") == [("worker-0", addresses, cidrs)]


def test_a_host_may_be_called_by_its_address():
    assert shape("[all]\n192.168.8.20 pod_cidr=10.200.0.0/24\n")[0][1] == ("192.168.8.20",)


@pytest.mark.parametrize("name", ["pod_cidr", "podCIDR", "pod_cidrs", "pod-cidr", "pod_subnet"])
def test_the_variable_may_be_spelt_as_people_do(name):
    assert shape(f"[all]\nw ip=192.168.8.20 {name}=10.200.0.0/24\n")[0][2] == ("10.200.0.0/24",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[all]\nw ip=192.168.8.20 pod_cird=10.200.0.0/24\n", 'nodes:2: host "w": unknown variable "pod_cird"; meant pod_cidr?'),
        ("[all]\nw[0:2] pod_cidr=10.200.0.0/24\n", 'nodes:2: "w[0:2]": a range of hosts is not read'),
        ("[all]\nw pod_cidr='10.200\n", "nodes:2: no closing quotation"),
        ("[all]\nw ip=192.168.8.20\n", "no host has the variable pod_cidr"),
        ("all:\n  hosts:\n    w: {ip: 192.168.8.20}\n", "no host has the variable pod_cidr"),
        ("[all]\n", "nodes: holds no nodes"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(text, said):
    assert said in refusal(text)


def test_any_mutation_brings_an_inventory_or_a_clear_error():
    dice = random.Random(17)
    for whole in (INI, YAML) * 300:
        data = list(whole)
        for _ in range(dice.randint(1, 6)):
            data[dice.randrange(len(data))] = dice.choice("[]:= \n\t'\"{},#;a0")
        with suppress(InventoryError):
            read("".join(data))
