"""The node's own addresses, the cloud around it, the names that ip(8) knows."""

import pytest

from podroutes.model.address import parse_address


def test_an_internal_ip_that_moved(healthy, worker):
    worker.ip("addr add 192.168.8.99/24 dev ens18")
    text = healthy.inventory.read_text()
    healthy.inventory.write_text(text.replace("192.168.8.20", "192.168.8.98"))
    finding = healthy.examine().finding("internal-ip-not-here")
    assert finding["cause"] == "192.168.8.98 of worker-0 is not an address of this machine"
    worker.ip("addr add 192.168.8.98/24 dev ens18")
    assert healthy.examine().codes == []


def test_a_privacy_address_as_internal_ip(healthy, worker):
    """The kernel makes one beside an address that it is told to manage so, RFC 8981."""
    healthy.run("sysctl -qw net.ipv6.conf.ens18.use_tempaddr=2")
    worker.ip("addr add fd00::5:20/64 dev ens18 mngtmpaddr nodad preferred_lft 3600 valid_lft 7200")
    temporary = next(line.split()[1] for line in worker.show("-6 addr show dev ens18 temporary") if "inet6" in line)
    address = parse_address(temporary.partition("/")[0])
    text = healthy.inventory.read_text()
    healthy.inventory.write_text(text.replace("fd00::20", str(address)))
    finding = healthy.examine().finding("internal-ip-temporary")
    assert str(address) in finding["cause"]
    healthy.inventory.write_text(text)
    assert healthy.examine().codes == []


@pytest.mark.parametrize(
    ("file", "text", "cloud"),
    [
        ("sys_vendor", "Amazon EC2", "AWS"),
        ("bios_version", "4.11.amazon", None),
        ("bios_version", "amazon-1", "AWS"),
        ("product_name", "Google Compute Engine", "Google Cloud"),
        ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", "Azure"),
        ("sys_vendor", "Microsoft Corporation", None),  # Hyper-V at home
        ("product_name", "OpenStack Compute", "OpenStack"),
        ("sys_vendor", "Hetzner", "Hetzner Cloud"),
        ("sys_vendor", "QEMU", None),
    ],
)
def test_a_cloud_that_checks_addresses_is_named_by_the_firmware(healthy, file, text, cloud):
    healthy.write(f"/sys/class/dmi/id/{file}", f"{text}\n")
    report = healthy.examine()
    assert report.status == 0, "what cannot be seen from inside is information"
    assert report.codes == ["cloud-source-check"] * bool(cloud)
    if cloud:
        finding = report.finding("cloud-source-check")
        assert cloud in finding["cause"]
        assert finding["evidence"] == [f"/sys/class/dmi/id/{file}: {text}"]


def test_a_protocol_without_a_name(healthy):
    (healthy.root / "etc/iproute2/rt_protos.d/podroutes.conf").unlink()
    healthy.cured("protocol-unnamed")
    (healthy.root / "etc/iproute2/rt_protos.d/podroutes.conf").unlink()
    healthy.write("/etc/iproute2/rt_protos", "# names\n107\tpodroutes\n")
    assert healthy.examine().codes == []
