"""Next hops on a real segment, asked by real ARP requests and neighbour solicitations."""

import pytest


def test_a_next_hop_that_nobody_has(healthy):
    healthy.segment.machines[2].ip("link set eth0 down")
    finding = healthy.examine().finding("next-hop-silent")
    assert finding["cause"] == "192.168.8.22 and fd00::22 do not answer"
    healthy.segment.machines[2].ip("link set eth0 up", "addr add fd00::22/64 dev eth0 nodad")
    assert healthy.examine().codes == []


def test_two_machines_with_one_address(healthy):
    other = healthy.segment.join("192.168.8.21/24", "fd00::22/64")
    four, six = healthy.examine().document["findings"]
    assert (four["code"], six["code"]) == ("next-hop-two-macs", "next-hop-two-macs")
    assert four["cause"] == "2 machines answer for the next hop 192.168.8.21"
    assert len({line.partition(" is at ")[2] for line in four["evidence"]}) == 2
    assert six["cause"] == "2 machines answer for the next hop fd00::22"
    other.ip("addr flush dev eth0")
    assert healthy.examine().codes == []


def test_without_an_inventory_the_gateways_of_our_routes_are_asked(healthy, worker):
    worker.ip("route add 10.200.3.0/24 via 192.168.8.23 proto 107")
    assert healthy.examine(inventory=False).finding("next-hop-silent")["cause"] == "192.168.8.23 does not answer"


def test_the_neighbour_table_of_a_large_cluster(healthy):
    """The default thresholds are 128, 512 and 1,024, and only the machine's first network namespace could change them."""
    small = healthy.inventory.read_text()
    nodes = (
        f"- {{name: large-{number}, internalIP: 10.9.{number >> 8}.{number & 255}}}\n" for number in range(1, 1200)
    )
    healthy.inventory.write_text(small + "".join(nodes))
    finding = healthy.examine().finding("neighbour-table-small")
    assert finding["cause"] == "the IPv4 neighbour table overflows: 1202 nodes and their pods need 1312 entries"
    assert finding["fix"][0] == "sysctl -w net.ipv4.neigh.default.gc_thresh3=10496"
    healthy.inventory.write_text(small)
    assert healthy.examine().codes == []


@pytest.mark.parametrize("listed", ["192.168.8.21", "192.168.8.121"])
def test_two_cards_of_one_machine_are_not_two_machines(healthy, worker, listed):
    """Linux answers ARP requests for any of its addresses on every card; either MAC leads to it."""
    one, switch = healthy.segment.machines[1], healthy.segment.switch
    switch.ip(
        f"link add second type veth peer name eth1 netns {one.process.pid}",
        "link set second master sw",
        "link set second up",
    )
    one.ip("link set eth1 addrgenmode none", "link set eth1 up", "addr add 192.168.8.121/24 dev eth1")
    healthy.inventory.write_text(healthy.inventory.read_text().replace("192.168.8.21", listed))
    healthy.run(f"podroutes apply -i {healthy.inventory} --node worker-0")
    report = healthy.examine()
    said = str(report.document["findings"])
    assert "2 machines" not in said
    assert "another IP address" not in said
    assert [each for each in report.document["findings"] if each["severity"] == "error"] == []
