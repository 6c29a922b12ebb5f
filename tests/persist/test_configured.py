"""Routes that the administrator's own configuration makes are read with file and line, whichever manager it is for."""

import os
from pathlib import Path

import pytest

from podroutes.host.files import HostFiles
from podroutes.model.address import parse_prefix
from podroutes.persist.configured import configured_routes
from podroutes.persist.file_format import HEADER

WANTED = [parse_prefix(text) for text in ("10.200.1.0/24", "10.200.2.0/24", "fd00:200:1::/64", "10.200.3.7/32")]
SEED = """\
# This is the network config written by 'subiquity'
network:
  ethernets:
    ens18:
      addresses:
      - 192.168.8.20/24
      gateway4: 192.168.8.1
      routes:
      - to: 10.200.1.0/24
        via: 192.168.8.21
      - to: 10.200.2.0/24
        via: 192.168.8.22
        metric: 50
      - {to: default, via: 192.168.8.1}
      - {to: 10.200.1.0/24, via: 192.168.8.99, table: 100}
  version: 2
"""


def machine(directory: Path, files: dict[str, str]) -> HostFiles:
    for name, text in files.items():
        path = directory / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    return HostFiles(directory)


def read(directory: Path, files: dict[str, str]) -> list[str]:
    """Return what is configured, a line each: where it is written, then the route as ip(8) prints it."""
    found = configured_routes(machine(directory, files), WANTED)
    assert not found.unread
    return [
        f"{route.place} {'' if route.kind == 'unicast' else route.kind + ' '}{route.dst}"
        + (f" via {route.via}" if route.via else "")
        + (f" dev {route.dev}" if route.dev else "")
        + (f" metric {route.metric}" if route.metric is not None else "")
        for route in found.routes
    ]


def test_the_tutorials_netplan_file(tmp_path):
    assert read(tmp_path, {"/etc/netplan/00-installer-config.yaml": SEED}) == [
        "/etc/netplan/00-installer-config.yaml:9 10.200.1.0/24 via 192.168.8.21 dev ens18",
        "/etc/netplan/00-installer-config.yaml:11 10.200.2.0/24 via 192.168.8.22 dev ens18 metric 50",
    ]


def test_every_netplan_file_counts_and_of_one_name_the_last_directory(tmp_path):
    template = "network: {{ethernets: {{ens18: {{routes: [{{to: 10.200.1.0/24, via: {}}}]}}}}}}\n"
    files = {
        "/lib/netplan/10-a.yaml": template.format("192.168.8.1"),
        "/etc/netplan/10-a.yaml": template.format("192.168.8.2"),
        "/etc/netplan/20-b.yaml": template.format("192.168.8.3"),
    }
    assert read(tmp_path, files) == [
        "/etc/netplan/10-a.yaml:1 10.200.1.0/24 via 192.168.8.2 dev ens18",
        "/etc/netplan/20-b.yaml:1 10.200.1.0/24 via 192.168.8.3 dev ens18",
    ]


def test_an_id_that_matches_by_another_thing_than_its_name_names_no_device(tmp_path):
    text = "network: {ethernets: {id0: {match: {name: 'e*'}, routes: [{to: 10.200.1.0/24, via: 192.168.8.21}]}}}\n"
    assert read(tmp_path, {"/etc/netplan/50-cloud-init.yaml": text}) == [
        "/etc/netplan/50-cloud-init.yaml:1 10.200.1.0/24 via 192.168.8.21"
    ]


def test_networkd_files_and_drop_ins_but_not_what_netplan_generates(tmp_path):
    section = "[Match]\nName=ens18\n\n[Route]\nDestination=10.200.1.0/24\nGateway=192.168.8.21\n"
    files = {
        "/etc/systemd/network/10-lan.network": section,
        "/etc/systemd/network/10-lan.network.d/x.conf": "[Route]\n# to worker-2\nGateway=192.168.8.22\nDestination=10.200.2.0/24\nMetric=7\n",
        "/usr/lib/systemd/network/10-lan.network": section.replace("21", "99"),
        "/run/systemd/network/10-netplan-ens18.network": section,
        "/etc/systemd/network/20-other.network": "[Route]\nDestination=10.200.1.0/24\nGateway=192.168.8.21\nTable=100\n",
    }
    assert read(tmp_path, files) == [
        "/etc/systemd/network/10-lan.network:5 10.200.1.0/24 via 192.168.8.21",
        "/etc/systemd/network/10-lan.network.d/x.conf:4 10.200.2.0/24 via 192.168.8.22 metric 7",
    ]


def test_a_drop_in_of_ours_is_not_the_administrators(tmp_path):
    text = HEADER + "[Route]\nDestination=10.200.1.0/24\nGateway=192.168.8.21\n"
    assert read(tmp_path, {"/etc/systemd/network/10-lan.network.d/50-podroutes.conf": text}) == []


def test_networkmanager_keyfiles(tmp_path):
    text = """\
[connection]
id=lan
interface-name=ens18

[ipv4]
method=auto
route1=10.200.1.0/24,192.168.8.21
route2=10.200.2.0/24,192.168.8.22,50
route2_options=onlink=true
route3=10.200.1.0/24,192.168.8.99
route3_options=table=100

[ipv6]
route1=fd00:200:1::/64,fd00::21
"""
    files = {
        "/etc/NetworkManager/system-connections/lan.nmconnection": text,
        "/run/NetworkManager/system-connections/netplan-ens18.nmconnection": text,
    }
    place = "/etc/NetworkManager/system-connections/lan.nmconnection"
    assert read(tmp_path, files) == [
        f"{place}:7 10.200.1.0/24 via 192.168.8.21 dev ens18",
        f"{place}:8 10.200.2.0/24 via 192.168.8.22 dev ens18 metric 50",
        f"{place}:14 fd00:200:1::/64 via fd00::21 dev ens18",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "10.200.1.0/24 via 192.168.8.21\n",
        "ADDRESS0=10.200.1.0\nNETMASK0=255.255.255.0\nGATEWAY0=192.168.8.21\n",
        "ADDRESS0='10.200.1.0'\nGATEWAY0=\"192.168.8.21\"\nNETMASK0=255.255.255.0\n",
    ],
)
def test_route_files_of_red_hat_in_both_forms(tmp_path, text):
    path = "/etc/sysconfig/network-scripts/route-ens18"
    assert read(tmp_path, {path: text}) == [f"{path}:1 10.200.1.0/24 via 192.168.8.21 dev ens18"]


def test_up_lines_of_ifupdown_with_the_device_of_their_stanza_wherever_they_are_sourced_from(tmp_path):
    files = {
        "/etc/network/interfaces": "source interfaces.d/*\nsource-directory /run/network/more\n\nauto ens18\n"
        "iface ens18 inet static\n  address 192.168.8.20/24\n  up ip route add 10.200.1.0/24 via 192.168.8.21 || true\n"
        "iface ens18 inet6 static\n  # up ip route add 10.200.3.7/32 via 192.168.8.23\n"
        "  post-up /sbin/ip -4 r replace 10.200.2.0/24 via 192.168.8.22 dev $IFACE metric 5\n",
        "/etc/network/interfaces.d/a": "iface ens19 inet manual\n\tup route add -net 10.200.1.0 netmask 255.255.255.0 gw 192.168.8.31 eth7\n",
        "/run/network/more/b": "iface ens20 inet manual\n up route add -host 10.200.3.7 gw 192.168.8.23 dev ens20\n",
        "/etc/network/if-up.d/routes": '#!/bin/sh\n[ "$IFACE" = ens18 ] && ip route add 10.200.2.0/24 \\\n  via 192.168.8.22 dev "$IFACE"\n',
    }
    assert read(tmp_path, files) == [
        "/etc/network/interfaces:7 10.200.1.0/24 via 192.168.8.21 dev ens18",
        "/etc/network/interfaces:10 10.200.2.0/24 via 192.168.8.22 dev ens18 metric 5",
        "/etc/network/interfaces.d/a:2 10.200.1.0/24 via 192.168.8.31 dev eth7",
        "/run/network/more/b:2 10.200.3.7/32 via 192.168.8.23 dev ens20",
        "/etc/network/if-up.d/routes:2 10.200.2.0/24 via 192.168.8.22",
    ]


def test_units_and_scripts_that_run_at_boot(tmp_path):
    files = {
        "/etc/systemd/system/pod-routes.service": "[Service]\nType=oneshot\nExecStart=-/bin/sh -c 'ip route add 10.200.1.0/24 via 192.168.8.21; ip r a blackhole 10.200.2.0/24'\n",
        "/etc/rc.local": "#!/bin/sh\nif true; then ip route add 10.200.2.0/24 nexthop via 192.168.8.22 nexthop via 192.168.8.23; fi\n"
        "ip route del 10.200.1.0/24\nip route add 10.200.1.0/24 via 192.168.8.21 table 7\necho ip route\n",
    }
    assert read(tmp_path, files) == [
        "/etc/systemd/system/pod-routes.service:3 10.200.1.0/24 via 192.168.8.21",
        "/etc/systemd/system/pod-routes.service:3 blackhole 10.200.2.0/24",
        "/etc/rc.local:2 10.200.2.0/24",
    ]


def test_scripts_that_nothing_runs_make_no_route(tmp_path):
    route = "ip route add 10.200.1.0/24 via 192.168.8.21\n"
    files = {
        "/etc/network/if-up.d/routes.sh": f"#!/bin/sh\n{route}",  # run-parts(8) passes over names with a dot
        "/etc/network/if-up.d/README": route,  # and over what is not executable
        "/etc/rc.local": route,
        "/etc/networkd-dispatcher/routable.d/50-pods": route,
        "/etc/NetworkManager/dispatcher.d/50-pods": route,
        "/etc/NetworkManager/system-connections/lan.nmconnection.bak": "[ipv4]\nroute1=10.200.1.0/24,192.168.8.21\n",
    }
    assert read(tmp_path, files) == []


def test_ifupdown2_runs_scripts_whatever_their_name(tmp_path):
    (tmp_path / "usr/share/ifupdown2").mkdir(parents=True)
    path = "/etc/network/if-up.d/routes.sh"
    assert read(tmp_path, {path: "#!/bin/sh\nip route add 10.200.1.0/24 via 192.168.8.21\n"}) == [
        f"{path}:2 10.200.1.0/24 via 192.168.8.21"
    ]


ADD = "ip route add 10.200.1.0/24 via 192.168.8.21"


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("/etc/crontab", f"SHELL=/bin/sh\n@reboot root sleep 10 && /sbin/{ADD}\n", 2),
        ("/etc/cron.d/pods", f"@reboot root /usr/sbin/{ADD}\n", 1),
        ("/var/spool/cron/crontabs/root", f"# m h dom\n@reboot {ADD}\n", 2),
        ("/var/spool/cron/root", f"@reboot {ADD}\n", 1),
        ("/etc/init.d/boot.local", f"#!/bin/sh\n{ADD}\n", 2),
        ("/etc/local.d/pods.start", f"#!/bin/sh\n{ADD}\n", 2),
        ("/usr/lib/networkd-dispatcher/routable.d/pods", f"#!/bin/sh\n{ADD}\n", 2),
        ("/etc/dhcp/dhclient-exit-hooks", f"{ADD}\n", 1),
        ("/etc/dhcp/dhclient-exit-hooks.d/pods", f"case $reason in BOUND) {ADD};; esac\n", 1),
        ("/etc/dhcp/dhclient-enter-hooks.d/pods", f"{ADD}\n", 1),
        ("/lib/dhcpcd/dhcpcd-hooks/90-pods", f"{ADD}\n", 1),
        ("/usr/local/lib/systemd/system/pods.service", f"[Service]\nExecStart=/sbin/{ADD}\n", 2),
        ("/etc/systemd/system/pods.service", f"[Service]\nExecStart=/bin/sh -c \\\n '{ADD}'\n", 2),
        ("/etc/systemd/system/pods.service.d/more.conf", f"[Service]\nExecStartPost=-/sbin/{ADD}\n", 2),
        ("/etc/network/if-pre-up.d/pods", f"#!/bin/sh\n{ADD}\n", 2),
        ("/etc/rc.local", "#!/bin/sh\nip -batch - <<END\nroute add 10.200.1.0/24 via 192.168.8.21\nEND\n", 3),
    ],
)
def test_whatever_runs_at_boot_is_read(tmp_path, path, text, line):
    assert read(tmp_path, {path: text}) == [f"{path}:{line} 10.200.1.0/24 via 192.168.8.21"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/systemd/system/pods.service", "[Service]\nExecStart=/usr/local/sbin/pods start\n"),
        ("/etc/rc.local", "#!/bin/sh\n/usr/local/sbin/pods &\n"),
        ("/etc/crontab", "@reboot root /usr/local/sbin/pods\n"),
        ("/etc/network/interfaces", "iface ens18 inet manual\n  up /usr/local/sbin/pods || true\n"),
    ],
)
def test_a_script_that_something_calls_at_boot_is_read_too(tmp_path, path, text):
    script = "/usr/local/sbin/pods"
    files = {path: text, script: f"#!/bin/bash\n{ADD}\n"}
    assert read(tmp_path, files) == [f"{script}:2 10.200.1.0/24 via 192.168.8.21"]
    (tmp_path / script.lstrip("/")).write_bytes(b"\x7fELF")
    assert read(tmp_path, {path: text}) == []


def test_interfaces_with_inherited_stanzas_mappings_tabs_and_continued_lines(tmp_path):
    files = {
        "/sys/class/net/ens18/ifindex": "2\n",
        "/etc/network/interfaces": "source-directory more\niface pods inet manual\n\tup\tip route add 10.200.1.0/24 \\\n\t  via 192.168.8.21 dev $IFACE\n"
        "auto ens18\niface ens18 inet static inherits pods\n  address 192.168.8.20/24\n",
        "/etc/network/more/b": "mapping ens18\n  script /usr/local/bin/where\niface home inet static\n  pre-up ip route add 10.200.2.0/24 via 192.168.8.22\n",
    }
    assert read(tmp_path, files) == [
        "/etc/network/interfaces:3 10.200.1.0/24 via 192.168.8.21 dev pods",
        "/etc/network/more/b:4 10.200.2.0/24 via 192.168.8.22 dev home",
    ]
    found = configured_routes(HostFiles(tmp_path), WANTED).routes
    assert [route.by_gateway for route in found] == [True, True]


def test_networkd_drop_ins_of_the_administrator_beside_what_netplan_generates(tmp_path):
    route = "[Route]\nDestination=10.200.{}.5/24\nGateway=192.168.8.2{}\n"
    files = {
        "/run/systemd/network/10-netplan-ens18.network": "[Match]\nName=ens18\n" + route.format(1, 1),
        "/etc/systemd/network/10-netplan-ens18.network.d/pods.conf": route.format(2, 2),
        "/usr/lib/systemd/network/80-lan.network.d/pods.conf": route.format(1, 3),
    }
    assert read(tmp_path, files) == [
        "/etc/systemd/network/10-netplan-ens18.network.d/pods.conf:2 10.200.2.0/24 via 192.168.8.22",
        "/usr/lib/systemd/network/80-lan.network.d/pods.conf:2 10.200.1.0/24 via 192.168.8.23",
    ]


def test_netplan_files_are_merged_and_tables_of_vrfs_are_not_the_main_one(tmp_path):
    files = {
        "/etc/netplan/00-installer-config.yaml": "network:\n  bonds:\n    bond0:\n      routes:\n      - {to: 10.200.1.9/24, via: 192.168.8.21}\n",
        "/etc/netplan/50-more.yaml": "network:\n  renderer: NetworkManager\n  bonds:\n    bond0:\n      routes:\n      - {to: 10.200.2.0/24, via: 192.168.8.22}\n"
        "  vrfs:\n    blue:\n      table: 7\n      routes:\n      - {to: 10.200.1.0/24, via: 192.168.8.99}\n",
    }
    assert read(tmp_path, files) == [
        "/etc/netplan/00-installer-config.yaml:5 10.200.1.0/24 via 192.168.8.21 dev bond0",
        "/etc/netplan/50-more.yaml:6 10.200.2.0/24 via 192.168.8.22 dev bond0",
    ]


@pytest.mark.parametrize(
    "value", ["10.200.1.0/24,192.168.8.21,50", "10.200.1.7/24;192.168.8.21;50;", "10.200.1.0,24,192.168.8.21,50"]
)
@pytest.mark.parametrize("key", ["route1", "route", "routes2"])
def test_a_keyfile_in_all_its_spellings(tmp_path, key, value):
    path = "/etc/NetworkManager/system-connections/lan"
    text = f"[connection]\ninterface-name=ens18\n[ipv4]\n{key}={value}\n"
    assert read(tmp_path, {path: text}) == [f"{path}:4 10.200.1.0/24 via 192.168.8.21 dev ens18 metric 50"]


def test_a_route_file_of_red_hat_is_for_the_device_of_its_ifcfg_file(tmp_path):
    directory = "/etc/sysconfig/network-scripts"
    files = {
        f"{directory}/ifcfg-Wired_1": 'NAME="Wired 1"\nDEVICE="ens18"\n',
        f"{directory}/route-Wired_1": "10.200.1.0/24 via 192.168.8.21\n",
        f"{directory}/route-bond0.7": "10.200.2.0/24 via 192.168.8.22 dev bond0.7\n",
    }
    assert read(tmp_path, files) == [
        f"{directory}/route-Wired_1:1 10.200.1.0/24 via 192.168.8.21 dev ens18",
        f"{directory}/route-bond0.7:1 10.200.2.0/24 via 192.168.8.22 dev bond0.7",
    ]


def test_the_columns_of_suse(tmp_path):
    directory = "/etc/sysconfig/network"
    files = {
        f"{directory}/ifroute-ens18": "# Destination Gateway Netmask Interface Type Options\n10.200.1.0/24 192.168.8.21 - -\n"
        "10.200.2.0 192.168.8.22 255.255.255.0 ens19 unicast metric 7\nfd00:200:1::/64 fd00::21\n",
        f"{directory}/routes": "default 192.168.8.1 - -\n10.200.2.0/24 - - - blackhole\n10.200.1.0/24 192.168.8.9 - - - table 7\n",
    }
    assert read(tmp_path, files) == [
        f"{directory}/routes:2 blackhole 10.200.2.0/24",
        f"{directory}/ifroute-ens18:2 10.200.1.0/24 via 192.168.8.21 dev ens18",
        f"{directory}/ifroute-ens18:3 10.200.2.0/24 via 192.168.8.22 dev ens19 metric 7",
        f"{directory}/ifroute-ens18:4 fd00:200:1::/64 via fd00::21 dev ens18",
    ]


def test_what_cannot_be_read_is_said_and_stops_nothing(tmp_path, monkeypatch):
    root = machine(tmp_path, {"/etc/netplan/01.yaml": "network: [\n", "/etc/netplan/02.yaml": SEED})
    found = configured_routes(root, WANTED)
    assert [path for path, _ in found.unread] == ["/etc/netplan/01.yaml"]
    assert len(found.routes) == 2


def test_a_file_for_root_alone_is_said_to_an_ordinary_user(tmp_path, monkeypatch):
    root = machine(tmp_path, {"/etc/netplan/02.yaml": SEED})
    real = open

    def refused(path, *args, **kwargs):
        if os.fspath(path).endswith("02.yaml"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr("builtins.open", refused)
    found = configured_routes(root, WANTED)
    assert not found.routes
    assert [(path, "Permission denied" in why) for path, why in found.unread] == [("/etc/netplan/02.yaml", True)]


def managed(directory: Path, **devices: str) -> dict[str, str]:
    """Return the files that tell what networkd uses for DEVICES."""
    files = {}
    for index, (dev, file) in enumerate(devices.items(), 2):
        files[f"/sys/class/net/{dev}/ifindex"] = f"{index}\n"
        files[f"/run/systemd/netif/links/{index}"] = (
            f"ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/{file}\n"
        )
    return files


def test_a_network_file_counts_for_the_device_that_has_it_and_not_at_all_where_none_has(tmp_path):
    section = "[Match]\nName={}\n[Route]\nDestination=10.200.1.0/24\nGateway=192.168.8.21\n"
    files = managed(tmp_path, ens18="20-lan.network", ens19="30-other.network") | {
        "/etc/systemd/network/05-new.network": section.format("ens1*"),  # the first, once it is read
        "/etc/systemd/network/06-new.network": section.format("eth0"),
        "/etc/systemd/network/20-lan.network.d/x.conf": "[Route]\nDestination=10.200.2.0/24\nGateway=192.168.8.22\n",
        "/etc/systemd/network/30-other.network": section.format("ens19"),
        "/etc/systemd/network/99-unused.network": section.format("ens18"),
    }
    assert read(tmp_path, files) == [
        "/etc/systemd/network/05-new.network:4 10.200.1.0/24 via 192.168.8.21",
        "/etc/systemd/network/20-lan.network.d/x.conf:2 10.200.2.0/24 via 192.168.8.22 dev ens18",
        "/etc/systemd/network/30-other.network:4 10.200.1.0/24 via 192.168.8.21 dev ens19",
    ]


def test_a_netplan_id_counts_for_the_device_that_it_matches(tmp_path):
    text = "network:\n  ethernets:\n    lan: {{match: {{macaddress: '{}'}}, routes: [{{to: 10.200.1.0/24, via: 192.168.8.21}}]}}\n"
    files = {
        "/sys/class/net/ens18/ifindex": "2\n",
        "/sys/class/net/ens18/address": "52:54:00:12:34:56\n",
        "/sys/class/net/ens19/ifindex": "3\n",
        "/sys/class/net/ens19/address": "52:54:00:12:34:57\n",
    }
    path = "/etc/netplan/01.yaml"
    assert read(tmp_path, files | {path: text.format("52:54:00:12:34:57")}) == [
        f"{path}:3 10.200.1.0/24 via 192.168.8.21 dev ens19"
    ]
    assert read(tmp_path, {path: text.format("52:54:00:00:00:00")}) == []


def test_a_profile_counts_where_a_device_has_it(tmp_path):
    text = "[connection]\nuuid={}\n{}\n[ipv4]\nroute1=10.200.1.0/24,192.168.8.21\n"
    place = "/etc/NetworkManager/system-connections"
    files = {
        "/sys/class/net/ens18/ifindex": "2\n",
        "/run/NetworkManager/devices/2": "[device]\nmanaged=true\nconnection-uuid=aaa\n",
        f"{place}/lan.nmconnection": text.format("aaa", ""),
        f"{place}/old.nmconnection": text.format("bbb", "interface-name=ens18"),
        f"{place}/spare.nmconnection": text.format("ccc", "interface-name=ens19"),
    }
    assert read(tmp_path, files) == [
        f"{place}/lan.nmconnection:5 10.200.1.0/24 via 192.168.8.21 dev ens18",
        f"{place}/spare.nmconnection:5 10.200.1.0/24 via 192.168.8.21 dev ens19",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("for i in 1 2; do ip route add 10.200.$i.0/24 via 192.168.8.2$i; done", "10.200.*.0/24"),
        ('ip -4 r replace "10.200.${i}.0/24" via $gw', "10.200.*.0/24"),
        ("route add -net 10.200.$(node).0 netmask 255.255.255.0 gw $gw", "10.200.*.0"),
        ("ip route add 10.201.$i.0/24 via 192.168.8.2$i", ""),
        ('ip route add "$net" via $gw', ""),
        ("ip route del 10.200.$i.0/24", ""),
        ("# ip route add 10.200.$i.0/24 via 192.168.8.2$i", ""),
    ],
)
def test_commands_with_variables_that_may_make_a_wanted_route_are_told(tmp_path, line, said):
    path = "/etc/network/if-up.d/pods"
    found = configured_routes(machine(tmp_path, {path: f"#!/bin/sh\n{line}\n"}), WANTED)
    assert found.unclear == (((f"{path}:2", said),) if said else ())
    assert not found.routes
