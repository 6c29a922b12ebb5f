"""Addresses and prefixes: what is read, what is refused and in which words, what is printed."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podroutes.model.address import Address, Prefix, network, parse_address, parse_prefix


@given(st.ip_addresses())
def test_printing_and_reading_agree_with_the_standard_library(address):
    if getattr(address, "ipv4_mapped", None):
        return
    ours = Address(address.version, int(address))
    assert parse_address(str(ours)) == ours
    assert parse_address(str(address)) == ours
    assert ipaddress.ip_address(str(ours)) == address


@given(st.ip_addresses(), st.integers(0, 128), st.ip_addresses(), st.integers(0, 128))
def test_covering_agrees_with_the_standard_library(first, long, second, short):
    nets = [
        ipaddress.ip_network((int(each), min(length, each.max_prefixlen)), strict=False)
        if each.version == 6
        else ipaddress.ip_network(f"{each}/{min(length, 32)}", strict=False)
        for each, length in ((first, long), (second, short))
    ]
    ours = [Prefix(net.version, int(net.network_address), net.prefixlen) for net in nets]
    if nets[0].version != nets[1].version:
        assert not ours[0].overlaps(ours[1])
        return
    assert ours[0].covers(ours[1]) == nets[1].subnet_of(nets[0])
    assert ours[0].overlaps(ours[1]) == nets[0].overlaps(nets[1])
    assert ours[0].last == int(nets[0].broadcast_address)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not an IP address"),
        ("192.168.8.300", "is not an IP address"),
        ("192.168.08.1", "is not an IP address"),
        ("1.2.3", "is not an IP address"),
        ("192.168.8.20%eth0", "carries a zone id, which means nothing on another machine"),
        ("fe80::1%eth0", "carries a zone id, which means nothing on another machine"),
        ("::ffff:10.0.0.1", "is an IPv4-mapped IPv6 address; meant 10.0.0.1?"),
        ("10.0.0.1\0", "is not an IP address"),
        ("\u0661\u0660.0.0.1", "is not an IP address"),
    ],
)
def test_a_bad_address_is_refused_with_the_reason(text, why):
    with pytest.raises(ValueError, match="^" + why.replace("?", r"\?") + "$"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.200.1.0", "has no prefix length"),
        ("10.200.1.7/24", "has host bits set; meant 10.200.1.0/24?"),
        ("10.200.1.0/33", "has no prefix length between 0 and 32"),
        ("10.200.1.0/-1", "has no prefix length between 0 and 32"),
        ("10.200.1.0/²", "has no prefix length between 0 and 32"),
        ("fd00::1/64", "has host bits set; meant fd00::/64?"),
        ("pods/24", "is not an IP address"),
    ],
)
def test_a_bad_prefix_is_refused_with_the_reason(text, why):
    with pytest.raises(ValueError, match="^" + why.replace("?", r"\?") + "$"):
        parse_prefix(text)


def test_prefixes_sort_the_way_the_table_does():
    names = ["10.200.0.0/16", "10.200.0.0/24", "10.200.1.0/24", "fd00::/64"]
    assert [str(each) for each in sorted(map(parse_prefix, reversed(names)))] == names


def test_the_network_of_an_address():
    assert str(network(parse_address("192.168.8.20"), 24)) == "192.168.8.0/24"
