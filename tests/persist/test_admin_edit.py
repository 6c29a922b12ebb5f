"""Routes are taken out of the administrator's files so that all else stays to the letter, and what is left makes the other routes."""

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from persist.test_configured import machine
from podroutes.errors import PersistError
from podroutes.model.address import parse_prefix
from podroutes.persist.admin_edit import edits
from podroutes.persist.configured import configured_routes

ONE, TWO = parse_prefix("10.200.1.0/24"), parse_prefix("10.200.2.0/24")


def edited(directory, path, text, *wanted):
    """Return TEXT, the content of PATH, without the routes to WANTED."""
    root = machine(directory, {path: text})
    (change,) = edits(root, configured_routes(root, wanted).routes)
    assert (change.action, change.file.path, change.was.text) == ("edit", path, text)
    return change.file.text


NETPLAN = "/etc/netplan/01.yaml"
BLOCK = """\
# by hand
network:
  ethernets:
    ens18:
      routes:
      - to: 10.200.1.0/24 # worker-1
        via: 192.168.8.21

      # the other one
      - to: 10.200.2.0/24
        via: 192.168.8.22
      addresses: [192.168.8.20/24]
  version: 2
"""


def test_an_item_of_a_netplan_list_goes_and_its_neighbour_stays(tmp_path):
    expected = BLOCK.replace("      - to: 10.200.1.0/24 # worker-1\n        via: 192.168.8.21\n", "")
    assert edited(tmp_path, NETPLAN, BLOCK, ONE) == expected


def test_a_netplan_list_that_ends_up_empty_stays_as_an_empty_one(tmp_path):
    result = edited(tmp_path, NETPLAN, BLOCK, ONE, TWO)
    assert (
        result
        == "# by hand\nnetwork:\n  ethernets:\n    ens18:\n      routes: []\n      addresses: [192.168.8.20/24]\n  version: 2\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "routes: [{to: 10.200.1.0/24, via: 192.168.8.21}, {to: 10.9.0.0/16, via: 192.168.8.1}]",
            "routes: [{to: 10.9.0.0/16, via: 192.168.8.1}]",
        ),
        ("routes: [{to: 10.200.1.0/24, via: 192.168.8.21}]", "routes: []"),
    ],
)
def test_netplan_in_one_line(tmp_path, before, after):
    text = "network: {{ethernets: {{ens18: {{{}, dhcp4: true}}}}}}\n"
    assert edited(tmp_path, NETPLAN, text.format(before), ONE) == text.format(after)


ITEM = st.tuples(
    st.integers(0, 5), st.sampled_from(["block", "flow"]), st.text(string.ascii_lowercase, max_size=5), st.booleans()
)


@given(st.lists(ITEM, min_size=1, max_size=6), st.sets(st.integers(0, 5), min_size=1))
def test_what_is_left_of_any_netplan_file_is_all_but_those_routes(tmp_path_factory, items, gone):
    lines = ["network:", "  ethernets:", "    ens18:", "      dhcp4: true", "      routes:"]
    for number, style, comment, blank in items:
        note = f"  # {comment}" if comment else ""
        to, via = f"to: 10.200.{number}.0/24", f"via: 192.168.8.2{number}"
        lines += [f"      - {{{to}, {via}}}{note}"] if style == "flow" else [f"      - {to}{note}", f"        {via}"]
        lines += [""] * blank
    text = "\n".join([*lines, "      mtu: 1400", "  version: 2", ""])
    root = machine(tmp_path_factory.mktemp("machine"), {NETPLAN: text})
    found = configured_routes(root, [parse_prefix(f"10.200.{number}.0/24") for number in gone]).routes
    (result,) = [each.file.text for each in edits(root, found)] or [text]
    wanted = yaml.safe_load(text)
    card = wanted["network"]["ethernets"]["ens18"]
    card["routes"] = [each for each in card["routes"] if int(each["to"].split(".")[2]) not in gone]
    assert yaml.safe_load(result) == wanted


def test_a_section_of_networkd_goes_whole(tmp_path):
    text = "[Match]\nName=ens18\n\n[Route]\n# worker-1\nDestination=10.200.1.0/24\nGateway=192.168.8.21\n\n[Route]\nGateway=192.168.8.22\nDestination=10.200.2.0/24\n\n[Network]\nDHCP=yes\n"
    expected = (
        "[Match]\nName=ens18\n\n[Route]\nGateway=192.168.8.22\nDestination=10.200.2.0/24\n\n[Network]\nDHCP=yes\n"
    )
    assert edited(tmp_path, "/etc/systemd/network/10-lan.network", text, ONE) == expected


def test_a_key_of_a_profile_goes_with_its_options(tmp_path):
    text = "[connection]\nid=lan\n[ipv4]\nroute1=10.200.1.0/24,192.168.8.21\nroute1_options=onlink=true\nroute2=10.200.2.0/24,192.168.8.22\n"
    expected = "[connection]\nid=lan\n[ipv4]\nroute2=10.200.2.0/24,192.168.8.22\n"
    assert edited(tmp_path, "/etc/NetworkManager/system-connections/lan.nmconnection", text, ONE) == expected


def test_an_up_line_goes(tmp_path):
    text = "iface ens18 inet static\n  address 192.168.8.20/24\n  up ip route add 10.200.1.0/24 via 192.168.8.21 || true\n  mtu 1400\n"
    assert edited(tmp_path, "/etc/network/interfaces", text, ONE) == text.replace(text.splitlines(keepends=True)[2], "")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "/etc/network/interfaces",
            "iface ens18 inet static\n up ip route add 10.200.1.0/24 via 192.168.8.21; iptables -F\n",
        ),
        ("/etc/network/if-up.d/routes", "#!/bin/sh\nip route add 10.200.1.0/24 via 192.168.8.21\n"),
        ("/etc/rc.local", "#!/bin/sh\nip route add 10.200.1.0/24 via 192.168.8.21\n"),
        ("/etc/systemd/system/routes.service", "[Service]\nExecStart=ip route add 10.200.1.0/24 via 192.168.8.21\n"),
        ("/etc/NetworkManager/dispatcher.d/routes", "#!/bin/sh\nip route add 10.200.1.0/24 via 192.168.8.21\n"),
        (
            "/etc/sysconfig/network-scripts/route-ens18",
            "ADDRESS0=10.200.1.0\nNETMASK0=255.255.255.0\nGATEWAY0=192.168.8.21\n",
        ),
    ],
)
def test_what_holds_more_than_a_route_is_left_to_its_author(tmp_path, path, text):
    with pytest.raises(PersistError, match=f"{path}:[12] .* by hand"):
        edited(tmp_path, path, text, ONE)
