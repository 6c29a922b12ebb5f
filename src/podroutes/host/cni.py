"""Reads the CNI configuration that the container runtime uses: the first valid file by name."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from podroutes.host.files import HostFiles
from podroutes.model.address import BITS, Prefix, parse_address, parse_prefix
from podroutes.model.machine_facts import CniFile, CniNetwork

DIRECTORY = "/etc/cni/net.d"
PLUGINS = ("/opt/cni/bin", "/usr/lib/cni")  # where runtimes and Debian's containernetworking-plugins have the plugins
_DIRECTORY = re.compile(r'(?:^\s*|[{,]\s*)(?:bin_dir|plugin_dirs?)\s*=\s*\[?\s*"(/[^"]+)"', re.MULTILINE)
_RESERVED = 3  # of a subnet: its first address, the gateway, and the last address
SUFFIXES = (".conf", ".conflist", ".json")  # libcni, ConfFiles()


def read_files(files: HostFiles, refused: list[str]) -> tuple[CniFile, ...]:
    """Return the files that describe a network, in the order of their names: the first is in use. Invalid files are added to REFUSED.

    https://www.cni.dev/docs/spec/#section-1-network-configuration-format
    """
    return tuple(_files(files, refused))


def _files(files: HostFiles, refused: list[str]) -> Iterator[CniFile]:
    for path in sorted({*files.glob(f"{DIRECTORY}/*"), *files.glob(f"{DIRECTORY}/.*")}):
        if not path.endswith(SUFFIXES):
            continue
        text = files.peek(path)
        try:
            document = json.loads(text) if text is not None else {}
            listed = document.get("plugins")
            plugins: list[Any] = listed if isinstance(listed, list) else [document]
            networks = tuple(_plugins(files, path, plugins, str(document.get("name", ""))))
            missing = tuple(_missing(files, plugins))
        except (ValueError, AttributeError, RecursionError) as error:
            refused.append(f"CNI configuration: {path} is not JSON of a network: {error}")
            continue
        if any(isinstance(plugin, dict) and plugin.get("type") not in (None, "loopback") for plugin in plugins):
            yield CniFile(path, networks, missing)


def _missing(files: HostFiles, plugins: list[Any]) -> Iterator[str]:
    """Yield the plugins that are in none of the directories where runtimes have them; none if there is no such directory."""
    directories = [each for each in (*PLUGINS, *_configured(files)) if files.path(each).is_dir()]
    named = [plugin for plugin in plugins if isinstance(plugin, dict)]
    named += [plugin["ipam"] for plugin in named if isinstance(plugin.get("ipam"), dict)]
    for name in dict.fromkeys(str(plugin["type"]) for plugin in named if plugin.get("type")):
        if (
            directories
            and "/" not in name
            and not any(files.path(f"{directory}/{name}").exists() for directory in directories)
        ):
            yield name


def _configured(files: HostFiles) -> list[str]:
    """Return the directories that the configuration of containerd or CRI-O names."""
    texts = (files.peek(path) for path in ("/etc/containerd/config.toml", "/etc/crio/crio.conf"))
    return [path for text in texts if text for path in _DIRECTORY.findall(text)]


def _plugins(files: HostFiles, path: str, plugins: list[Any], name: str) -> Iterator[CniNetwork]:
    for plugin in plugins:
        if not isinstance(plugin, dict) or plugin.get("type") not in ("bridge", "ptp"):
            continue
        kind = plugin["type"]
        bridge = str(plugin.get("bridge", "cni0")) if kind == "bridge" else ""
        subnets = tuple(_subnets(plugin.get("ipam")))
        full = tuple(_full(files, subnets, plugin.get("ipam"), name))
        yield CniNetwork(path, kind, bridge, plugin.get("ipMasq") is True, subnets, full)


def _full(files: HostFiles, subnets: tuple[Prefix, ...], ipam: Any, name: str) -> Iterator[Prefix]:
    """Yield the subnets of which host-local has given away every address: it keeps a file for each."""
    if not subnets or not name or "/" in name:
        return
    directory = str(ipam.get("dataDir") or "/var/lib/cni/networks")
    names = [path.rpartition("/")[2] for path in files.glob(f"{directory}/{name}/*")]
    used = []
    for other_name in names:
        with suppress(ValueError):  # its lock, and its last address
            used.append(parse_address(other_name))
    for subnet in subnets:
        size = 1 << min(32, BITS[subnet.version] - subnet.length)
        if sum(subnet.covers(address) for address in used) >= size - _RESERVED:
            yield subnet


def _subnets(ipam: Any) -> Iterator[Prefix]:
    """Yield the subnets of host-local: ``subnet``, or those of ``ranges``."""
    if not isinstance(ipam, dict) or ipam.get("type") != "host-local":
        return
    sets = ipam.get("ranges")
    entries = [
        ipam,
        *(entry for subnet in (sets if isinstance(sets, list) else ()) if isinstance(subnet, list) for entry in subnet),
    ]
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("subnet"), str):
            try:
                yield parse_prefix(entry["subnet"])
            except ValueError:
                continue  # the plugin rejects it, too
