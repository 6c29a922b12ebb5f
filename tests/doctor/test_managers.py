"""Network managers by the files they keep and the processes they are; their reading is tried with a directory's files."""

import os

import pytest

from podroutes.persist.file_format import HEADER

NETWORK = "/run/systemd/network/10-netplan-ens18.network"
DROP_IN = "/etc/systemd/network/10-netplan-ens18.network.d/50-podroutes.conf"
ROUTES = "".join(
    f"[Route]\nDestination={dst}\nGateway={via}\nProtocol=107\n"
    for dst, via in {
        "10.200.1.0/24": "192.168.8.21",
        "10.200.2.0/24": "192.168.8.22",
        "fd01:0:0:1::/64": "fd00::21",
        "fd01:0:0:2::/64": "fd00::22",
    }.items()
)


def runs(healthy, comm, namespace="/proc/self/ns/net", pid=4242):
    """Let a process called COMM run in NAMESPACE."""
    healthy.write(f"/proc/{pid}/comm", f"{comm}\n")
    (healthy.root / f"proc/{pid}/ns").mkdir()
    (healthy.root / f"proc/{pid}/ns/net").symlink_to(namespace)


@pytest.fixture
def networkd(healthy, worker):
    """Return the machine with ens18 managed by systemd-networkd, our routes written down."""
    runs(healthy, "systemd-network")
    state = f"ADMIN_STATE=configured\nNETWORK_FILE={NETWORK}\n"
    healthy.write(f"/run/systemd/netif/links/{worker.index('ens18')}", state)
    healthy.write(NETWORK, "[Match]\nName=ens18\n", 0o640)
    healthy.write(DROP_IN, f"# by podroutes\n{ROUTES}")
    return healthy


def test_routes_that_stand_in_its_files_are_safe(networkd):
    assert networkd.examine().codes == []


def test_networkd_deletes_what_stands_in_no_file_of_its_own(networkd):
    networkd.write(DROP_IN, ROUTES.rpartition("[Route]")[0])
    finding = networkd.examine().finding("networkd-deletes-routes")
    assert "removes 1 route of ours" in finding["cause"]
    assert finding["fix"] == [f"podroutes apply -i {networkd.inventory} --persist networkd"]
    networkd.write(DROP_IN, ROUTES)
    assert networkd.examine().codes == []


@pytest.mark.parametrize(
    ("files", "codes"),
    [
        ({"/etc/systemd/networkd.conf": "[Network]\nManageForeignRoutes=no\n"}, []),
        ({"/etc/systemd/networkd.conf": "[Network]\n#ManageForeignRoutes=no\n"}, ["networkd-deletes-routes"]),
        ({"/etc/systemd/networkd.conf": "[DHCPv4]\nManageForeignRoutes=no\n"}, ["networkd-deletes-routes"]),
        ({"/usr/lib/systemd/networkd.conf.d/9.conf": "[Network]\nManageForeignRoutes = off\n"}, []),
        (
            {
                "/etc/systemd/networkd.conf": "[Network]\nManageForeignRoutes=no\n",
                "/run/systemd/networkd.conf.d/10.conf": "[Network]\nManageForeignRoutes=yes\n",
            },
            ["networkd-deletes-routes"],
        ),
        (
            {
                "/etc/systemd/networkd.conf.d/10.conf": "[Network]\nManageForeignRoutes=false\n",
                "/run/systemd/networkd.conf.d/10.conf": "[Network]\nManageForeignRoutes=yes\n",
            },
            [],
        ),
    ],
)
def test_manage_foreign_routes_as_networkd_reads_it(networkd, files, codes):
    (networkd.root / DROP_IN.lstrip("/")).unlink()
    for name, text in files.items():
        networkd.write(name, text)
    assert networkd.examine().codes == codes


def test_a_daemon_of_another_namespace_is_not_ours(networkd):
    (networkd.root / DROP_IN.lstrip("/")).unlink()
    net = networkd.root / "proc/4242/ns/net"
    net.unlink()
    net.symlink_to(f"/proc/{networkd.segment.switch.process.pid}/ns/net")
    assert networkd.examine().codes == []


def test_a_file_that_networkd_may_not_read(networkd):
    networkd.write("/etc/systemd/network/20-other.network", "[Match]\n", 0o600)
    finding = networkd.examine().finding("networkd-file-unreadable")
    assert finding["evidence"] == ["/etc/systemd/network/20-other.network: mode 0600"]
    networkd.run(*finding["fix"])
    assert networkd.examine().codes == []


def test_networkd_stops_to_read_advertisements(networkd, worker):
    networkd.run("sysctl -qw net.ipv6.conf.ens18.accept_ra=0")  # networkd reads them itself
    worker.ip("route add default via fd00::1 dev ens18 proto ra")
    finding = networkd.examine().finding("ra-default-route-at-risk")
    networkd.run(*finding["fix"][:2])
    assert networkd.examine().codes == []


def test_an_interface_that_no_running_manager_knows(healthy, worker):
    runs(healthy, "NetworkManager")
    finding = healthy.examine().finding("interface-unmanaged")
    assert finding["evidence"] == ["NetworkManager runs and does not manage ens18"]
    device = f"/run/NetworkManager/devices/{worker.index('ens18')}"
    healthy.write(device, "[device]\nmanaged=false\n")
    assert healthy.examine().codes == ["interface-unmanaged"]
    healthy.write(device, "[device]\nmanaged=true\n")
    assert healthy.examine().codes == []


def test_an_interface_that_two_managers_know(networkd):
    networkd.write("/etc/network/interfaces", "auto ens18\niface ens18 inet manual\niface lo inet loopback\n")
    assert networkd.examine().codes == []
    networkd.write("/etc/network/interfaces", "auto ens18\niface ens18 inet static\n  address 192.168.8.20/24\n")
    finding = networkd.examine().finding("interface-managed-twice")
    assert finding["cause"] == "ens18 is managed by systemd-networkd and by ifupdown"


def test_files_that_cannot_be_read_are_said(networkd):
    if os.geteuid() == 0:
        (networkd.root / "etc/network").mkdir(parents=True)
        (networkd.root / "etc/network/interfaces").mkdir()  # nobody, not even root, reads a directory
    report = networkd.examine()
    assert report.document["unexamined"][-1].startswith("/etc/network/interfaces: ")


def test_what_is_written_down_and_not_carried_out_at_a_boot(healthy):
    hook = healthy.root / "etc/network/if-up.d/podroutes"
    healthy.write("/etc/network/interfaces", "auto ens18\niface ens18 inet manual\n")
    healthy.write("/etc/network/if-up.d/podroutes", f"#!/bin/sh\n{HEADER}", 0o755)
    assert healthy.examine().codes == []
    hook.chmod(0o644)
    finding = healthy.examine().finding("routes-not-restored")
    assert finding["evidence"] == ["/etc/network/if-up.d/podroutes is not executable: mode 0644"]
    hook.chmod(0o755)
    healthy.write("/etc/network/interfaces", "auto lo\niface lo inet loopback\n")
    assert "ifupdown does not know it" in healthy.examine().finding("routes-not-restored")["evidence"][0]


def test_a_netplan_id_of_ours_that_no_other_file_has_any_more(healthy):
    text = "network: {version: 2, ethernets: {ens18: {routes: []}}}\n"
    healthy.write("/etc/netplan/00-installer-config.yaml", text, 0o600)
    healthy.write("/etc/netplan/90-podroutes.yaml", HEADER + text, 0o600)
    assert healthy.examine().codes == []
    healthy.write(
        "/etc/netplan/00-installer-config.yaml", text.replace("ens18: {", "id0: {match: {name: enp0s1}, "), 0o600
    )
    finding = healthy.examine().finding("routes-not-restored")
    assert finding["evidence"] == [
        'no interface of /etc/netplan is "ens18": netplan does not manage it; try --persist auto'
    ]


def test_routes_that_the_administrators_files_make_are_no_rivals(healthy, worker):
    worker.ip("route del 10.200.1.0/24 proto 107", "route add 10.200.1.0/24 via 192.168.8.21 dev ens18")
    assert healthy.examine().codes == ["rival-routes"]
    healthy.write(
        "/etc/network/interfaces",
        "auto ens18\niface ens18 inet static\n  address 192.168.8.20/24\n  up ip route add 10.200.1.0/24 via 192.168.8.21\n",
    )
    assert healthy.examine().codes == []
