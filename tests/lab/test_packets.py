"""Addresses and packets of a lab, as values."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podroutes.lab import icmp
from podroutes.lab.topology import default_cluster, fitted, from_document, gateway, to_document
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node

POD = parse_address("10.200.1.2")


def ipv4(payload: bytes, target: str = "10.200.1.2") -> bytes:
    """Return an IPv4 packet without options, RFC 791; checksum and source do not matter here."""
    head = struct.pack("!BBHHHBBH4x", 0x45, 0, 20 + len(payload), 0, 0, 64, 1, 0)
    return head + parse_address(target).value.to_bytes(4, "big") + payload


def test_a_request_has_the_checksum_of_rfc_1071():
    assert icmp.checksum(icmp.request(4, 0x1234, 7)) == 0
    assert icmp.request(4, 0x1234, 7).hex() == "0800e5c412340007"


def test_only_replies_to_our_requests_count():
    reply = struct.pack("!BBHHH", 0, 0, 0, 77, 1)
    assert icmp.parse(4, ipv4(reply), "10.200.1.2", 77) == icmp.Answer(POD)
    assert icmp.parse(4, ipv4(reply), "10.200.1.2", 78) is None
    assert icmp.parse(6, struct.pack("!BBHHH", 129, 0, 0, 77, 1), "fd00::2%eth0", 77) == icmp.Answer(
        parse_address("fd00::2")
    )


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        (3, 0, "network unreachable"),
        (3, 13, "prohibited"),
        (3, 99, "ICMP type 3 code 99"),
        (11, 0, "TTL exceeded: a routing loop"),
    ],
)
def test_an_error_says_which_request_it_is_about(kind, code, said):
    error = struct.pack("!BBHI", kind, code, 0, 0) + ipv4(icmp.request(4, 77, 1))
    assert icmp.parse(4, ipv4(error), "192.168.8.1", 77) == icmp.Answer(POD, f"{said} (from 192.168.8.1)")
    assert icmp.parse(4, ipv4(error), "192.168.8.1", 78) is None


@given(
    version=st.sampled_from((4, 6)), packet=st.binary(max_size=120), head=st.sampled_from((b"", b"\x45" + bytes(19)))
)
def test_no_packet_breaks_the_reader(version, packet, head):
    found = icmp.parse(version, head + packet, "10.200.1.2" if version == 4 else "fd00::2", 0)
    assert found is None or isinstance(found, icmp.Answer)


@pytest.mark.parametrize(
    ("nodes", "lan"),
    [(3, "192.168.8.0/24"), (235, "192.168.8.0/24"), (236, "192.168.8.0/23"), (999, "192.168.8.0/22")],
)
def test_the_lan_grows_with_the_number_of_nodes(nodes, lan):
    cluster = default_cluster(nodes, ipv6=True, control_plane=True)
    assert cluster.node_cidrs == (parse_prefix(lan), parse_prefix("fd00:192:168:8::/64"))
    assert str(gateway(cluster, cluster.node_cidrs[0])) == "192.168.8.1"
    last = cluster.nodes[-1]
    assert last.internal_ips[0].value == parse_address("192.168.8.20").value + nodes - 1
    assert last.pod_cidrs[0].value == parse_prefix("10.200.0.0/24").value + 256 * (nodes - 1)
    assert from_document(to_document(cluster)) == cluster


def test_the_gateway_is_no_machine_and_a_wish_for_the_lan_is_honoured():
    node = Node("a", (parse_address("10.0.0.1"),))
    assert str(gateway(fitted(Cluster((node,))), parse_prefix("10.0.0.0/24"))) == "10.0.0.2"
    assert fitted(Cluster((node,), node_cidrs=(parse_prefix("10.0.0.0/8"),))).node_cidrs == (
        parse_prefix("10.0.0.0/8"),
    )
