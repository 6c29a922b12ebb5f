"""What is read by columns is what the parser of the format reads, mistakes and their places included."""

import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from podroutes.errors import InventoryError
from podroutes.inventory import load, quick
from podroutes.model.address import Address, Prefix

octet = st.sampled_from([0, 1, 10, 127, 169, 172, 192, 200, 224, 254, 255, 256])
ip = st.tuples(st.sampled_from([10, 172, 192, 127, 224]), octet, octet, octet).map(
    lambda each: ".".join(map(str, each))
)
usual_ip = st.integers(1, 99).map(lambda n: f"192.168.8.{n}")
usual_cidr = st.integers(0, 99).map(lambda n: f"10.200.{n}.0/24")
odd_ip = ip | st.sampled_from(["fd00::1", "10.0.0.1,fd00::1", "10.0.0", "010.0.0.1", "1.5", "x", "10.0.0.1%1", "<IP>"])
odd_cidr = st.tuples(ip, st.sampled_from(["24", "0", "7", "8", "32", "33", "024", "x", ""])).map(
    "/".join
) | st.sampled_from(["fd00::/64", "10.0.0.0", "10.0.0.0/8,fd00::/64", "10.200.1.7/24"])
usual_name = st.integers(0, 30).map(lambda n: f"worker-{n}")
odd_name = st.sampled_from(
    ["null", "true", "a/b", "n" * 260, "Worker", "1", "1.5", "a: b", "#x", "-", "wörk", '"q"', "y", "a.b"]
)
spoilt = st.integers(0, 11)  # which value of a row is odd, if any


@st.composite
def rows(draw):
    found = []
    for _ in range(draw(st.integers(0, 8))):
        which = draw(spoilt)
        name = draw(odd_name if which == 0 else usual_name)
        address = draw(odd_ip if which == 1 else usual_ip)
        cidr = draw(odd_cidr if which == 2 else usual_cidr) if which != 3 else None
        found.append((name, address, cidr))
    return found


def machine(row):
    name, address, cidr = row
    return " ".join([address, f"{name}.k", name, *([cidr] if cidr is not None else [])])


def flow(row):
    name, address, cidr = row
    pods = f", podCIDR: {cidr}" if cidr is not None else ""
    return f"  - {{name: {name}, internalIP: {address}{pods}}}"


def block(row):
    name, address, cidr = row
    pods = f"\n    podCIDR: {cidr}" if cidr is not None else ""
    return f"  - name: {name}\n    internalIP: {address}{pods}"


def read(text):
    try:
        return load("nodes", io.BytesIO(text.encode()))
    except InventoryError as error:
        return str(error)


def read_by_parser(text):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("machines", "yaml"):
            patch.setattr(quick, name, lambda _: None)
        return read(text)


noise = st.sampled_from(
    ["", "", "", "# a comment", "  # indented", "   ", "x # y", "a b c # 10.0.0.0/8", "- 1", "\t", "é"]
)


@given(rows(), st.lists(st.tuples(st.integers(0, 9), noise), max_size=2), st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=300, deadline=None)
@example([("worker-0", "192.168.8.20", "10.200.0.0/24"), ("worker-1", "192.168.8.21", None)], [], "\n")
def test_machines_are_read_alike(found, extra, end):
    lines = [machine(row) for row in found]
    for at, line in extra:
        lines.insert(at, line)
    text = end.join([*lines, ""])
    assert read(text) == read_by_parser(text)


@given(rows(), st.sampled_from([flow, block]), st.lists(st.tuples(st.integers(0, 9), noise), max_size=2), st.booleans())
@settings(max_examples=300, deadline=None)
@example([("worker-0", "192.168.8.20", "10.200.0.0/24"), ("worker-1", "192.168.8.21", None)], block, [], True)
def test_yaml_is_read_alike(found, form, extra, ends):
    lines = ["# podroutes", "nodes:", *map(form, found)]
    for at, line in extra:
        lines.insert(at, line)
    text = "\n".join([*lines, ""] if ends else lines)
    assert read(text) == read_by_parser(text)


ROWS = [("worker-0", "192.168.8.20", "10.200.0.0/24"), ("jumphost", "192.168.8.21", None)]


@pytest.mark.parametrize(
    ("text", "reader", "lines"),
    [
        ("# KTHW\n\n" + "".join(f"{machine(row)}\n" for row in ROWS), quick.machines, [3, 4]),
        ("# ours\n\nnodes:\n" + "".join(f"{flow(row)}\n" for row in ROWS), quick.yaml, [4, 5]),
        ("nodes:\n" + "".join(f"{block(row)}\n" for row in ROWS), quick.yaml, [2, 5]),
    ],
    ids=["machines.txt", "flow", "block"],
)
def test_the_usual_shapes_need_no_parser(text, reader, lines):
    found = reader(text)
    assert [(node.name, node.internal_ips, node.pod_cidrs, node.line) for node in found] == [
        ("worker-0", (Address(4, 0xC0A80814),), (Prefix(4, 0x0AC80000, 24),), lines[0]),
        ("jumphost", (Address(4, 0xC0A80815),), (), lines[1]),
    ]
    assert found == read_by_parser(text).cluster.nodes
