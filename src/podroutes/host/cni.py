"""Reads the CNI configuration that the container runtime uses: the first valid file by name."""

import json
from collections.abc import Iterator
from typing import Any

from podroutes.host.files import HostFiles
from podroutes.model.address import Prefix, parse_prefix
from podroutes.model.machine_facts import CniFile, CniNetwork

DIRECTORY = "/etc/cni/net.d"
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
            found = tuple(_plugins(path, plugins))
        except (ValueError, AttributeError, RecursionError) as error:
            refused.append(f"CNI configuration: {path} is not JSON of a network: {error}")
            continue
        if any(isinstance(each, dict) and each.get("type") not in (None, "loopback") for each in plugins):
            yield CniFile(path, found)


def _plugins(path: str, plugins: list[Any]) -> Iterator[CniNetwork]:
    for plugin in plugins:
        if not isinstance(plugin, dict) or plugin.get("type") not in ("bridge", "ptp"):
            continue
        kind = plugin["type"]
        bridge = str(plugin.get("bridge", "cni0")) if kind == "bridge" else ""
        yield CniNetwork(path, kind, bridge, plugin.get("ipMasq") is True, tuple(_subnets(plugin.get("ipam"))))


def _subnets(ipam: Any) -> Iterator[Prefix]:
    """Yield the subnets of host-local: ``subnet``, or those of ``ranges``."""
    if not isinstance(ipam, dict) or ipam.get("type") != "host-local":
        return
    sets = ipam.get("ranges")
    entries = [
        ipam,
        *(entry for each in (sets if isinstance(sets, list) else ()) if isinstance(each, list) for entry in each),
    ]
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("subnet"), str):
            try:
                yield parse_prefix(entry["subnet"])
            except ValueError:
                continue  # the plugin rejects it, too
