"""Collects the facts of one machine: tables, devices, settings and environment."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from podroutes.host import TablesError, cni, environment, kubernetes_node
from podroutes.host.files import HostFiles
from podroutes.host.iproute_json import Reader
from podroutes.host.local_tables import read_here
from podroutes.host.packet_filters import Filters
from podroutes.host.sysctls import SYSCTLS, read_sysctls
from podroutes.host.tools import ask
from podroutes.model.address import Address, parse_address
from podroutes.model.machine_facts import Device, Facts, Managers
from podroutes.model.masquerade import FILE as MASQUERADE_FILE

_SYSCTLS = (*SYSCTLS, "ipv6/conf/*/accept_ra")
ReadManagers = Callable[[HostFiles, Iterable[Device]], Managers]
_TABLES = {4: "arp_cache", 6: "ndisc_cache"}


def read_machine(files: HostFiles, read_managers: ReadManagers) -> Facts:
    """Return the facts of the current network namespace, with the FILES of its machine. Raises TablesError if ip(8) fails."""
    refused: list[str] = []
    host = read_here("", Reader())._replace(sysctls=read_sysctls(files, _SYSCTLS))
    links = _items("-d", "addr")
    devices = {device.name: device for item in links if item for device in [_device(item)]}
    filters = Filters()
    refused += filters.refused
    networks = cni.read_files(files, refused)
    managing = read_managers(files, devices.values())
    cloud, named = environment.read_cloud(files), environment.protocol_named(files)
    kubelet, proxy = kubernetes_node.read_kubelet(files), kubernetes_node.read_service_proxy(files)
    bridge_filter_off = kubernetes_node.bridge_filter_off(files)
    refused += [f"{path}: {why}" for path, why in files.refused.items()]
    return Facts(
        host,
        devices,
        frozenset(_temporary(links)),
        {version: found for version, name in _TABLES.items() if (found := _thresholds(name))},
        tuple(filters.chains),
        networks[0].networks if networks else (),
        managing,
        cloud,
        named,
        tuple(refused),
        networks,
        kubelet,
        proxy,
        MASQUERADE_FILE if files.peek(MASQUERADE_FILE) is not None else "",
        bridge_filter_off,
    )


def _items(*words: str) -> list[dict[str, Any]]:
    command = f"`ip -j {' '.join(words)}`"
    ran = ask("ip", "-j", *words)
    if ran is None or ran.failure:
        raise TablesError(f"{command} failed: {ran.failure if ran else 'ip is not installed; install iproute2'}")
    try:  # ip(8) does not escape the control characters that a device's name may have
        items: list[dict[str, Any]] = json.loads(ran.out.decode(errors="replace") or "[]", strict=False)
    except ValueError as error:
        raise TablesError(f"{command} prints invalid JSON: {error}") from None
    return items


def _device(item: dict[str, Any]) -> Device:
    """Return a device. Its hardware address is set only for Ethernet with ARP."""
    speaks = item.get("link_type") == "ether" and "NOARP" not in item.get("flags", ())
    kind = (item.get("linkinfo") or {}).get("info_kind", "")
    return Device(item["ifname"], item["ifindex"], item.get("mtu", 0), kind, item.get("address", "") if speaks else "")


def _temporary(links: list[dict[str, Any]]) -> list[Address]:
    """Return the privacy addresses, RFC 8981."""
    addresses = [part for item in links for part in item.get("addr_info", ())]
    return [parse_address(address["local"]) for address in addresses if address.get("temporary") and "local" in address]


def _thresholds(table: str) -> tuple[int, int, int] | None:
    """Return gc_thresh1 to 3. /proc/sys has them only in the initial network namespace, but they apply to all."""
    items = _items("ntable", "show", "name", table)
    item_with_thresholds = next((item for item in items if "thresh3" in item), None)
    return (
        (item_with_thresholds["thresh1"], item_with_thresholds["thresh2"], item_with_thresholds["thresh3"])
        if item_with_thresholds
        else None
    )
