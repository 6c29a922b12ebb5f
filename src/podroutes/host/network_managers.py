"""Finds the network managers of this network namespace and the devices that they manage, from state files instead of D-Bus."""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from podroutes.host.files import HostFiles, keyfile
from podroutes.model.address import Prefix, parse_prefix
from podroutes.model.machine_facts import Device, Managers, NetworkdLink

_NETWORKD, _NM = "systemd-networkd", "NetworkManager"
_COMMS = {"systemd-network": _NETWORKD, "NetworkManager": _NM}  # /proc/PID/comm has 15 bytes
_PLACES = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")  # the first has precedence
_STANZA = re.compile(r"^\s*iface\s+(\S+)\s+inet6?\s+(\w+)", re.MULTILINE)
_FALSE = {"0", "no", "false", "off", "n", "f"}  # parse_boolean() of systemd
_TRUE = {"1", "yes", "true", "on", "y", "t"}


def read_managers(files: HostFiles, devices: Iterable[Device]) -> Managers:
    """Return the running managers and their devices, as far as readable."""
    running = _running(files)
    claims: dict[str, list[tuple[str, str]]] = {}
    networkd = {}
    for device in devices:
        path = f"/run/systemd/netif/links/{device.ifindex}"
        state = keyfile(files.peek(path) or "") if _NETWORKD in running else {}
        if state.get("NETWORK_FILE") and state.get("ADMIN_STATE") != "unmanaged":
            claims.setdefault(device.name, []).append((_NETWORKD, f"{path} names {state['NETWORK_FILE']}"))
            networkd[device.name] = _link(files, state["NETWORK_FILE"])
        path = f"/run/NetworkManager/devices/{device.ifindex}"
        if _NM in running and keyfile(files.peek(path) or "").get("managed") == "true":
            claims.setdefault(device.name, []).append((_NM, f"{path} says managed=true"))
    for path in ("/etc/network/interfaces", *files.glob("/etc/network/interfaces.d/*")):
        for name, method in _STANZA.findall(files.peek(path) or ""):
            of_it = claims.setdefault(name, [])
            if method != "manual" and not any(who == "ifupdown" for who, _ in of_it):
                of_it.append(("ifupdown", f"{path} has a stanza for {name}"))
    return Managers(
        running,
        {name: tuple(of_it) for name, of_it in claims.items()},
        networkd,
        _keeps_foreign_routes(files) if _NETWORKD in running else "",
        tuple(_unreadable(files)) if _NETWORKD in running else (),
    )


def _running(files: HostFiles) -> tuple[str, ...]:
    found = set()
    for path in files.glob("/proc/[0-9]*/comm"):
        name = _COMMS.get((files.peek(path) or "").strip())
        if name and files.same_network(path.split("/")[2]):
            found.add(name)
    return tuple(sorted(found))


def _keeps_foreign_routes(files: HostFiles) -> str:
    """Return where ManageForeignRoutes= is turned off, "" if it is on. The last setting counts, networkd.conf(5)."""
    main = next((path for place in _PLACES if files.peek(path := f"{place}/networkd.conf") is not None), None)
    off = ""
    for path in (*([main] if main else []), *_drop_ins(files, "networkd.conf")):
        for key, value in _settings(files, path, "Network"):
            if key == "ManageForeignRoutes":
                off = f"{path}: {key}={value}" if value.lower() in _FALSE else ""
    return off


def _link(files: HostFiles, file: str) -> NetworkdLink:
    routes = set[Prefix]()
    accepts_ra = False
    for path in (file, *_drop_ins(files, f"network/{PurePosixPath(file).name}")):
        for key, value in _settings(files, path, "Route"):
            if key == "Destination":
                try:
                    routes.add(parse_prefix(value))
                except ValueError:
                    continue  # networkd ignores it, too
        for key, value in _settings(files, path, "Network"):
            if key in ("IPv6AcceptRA", "IPv6AcceptRouterAdvertisements"):
                accepts_ra = value.lower() in _TRUE
    return NetworkdLink(file, frozenset(routes), accepts_ra)


def _drop_ins(files: HostFiles, name: str) -> list[str]:
    """Return the drop-ins of a configuration file in order. Of two with the same name the first directory's counts."""
    found: dict[str, str] = {}
    for place in _PLACES:
        for path in files.glob(f"{place}/{name}.d/*.conf"):
            found.setdefault(PurePosixPath(path).name, path)
    return [found[base] for base in sorted(found)]


def _unreadable(files: HostFiles) -> Iterator[tuple[str, int]]:
    """Yield files that networkd's user cannot read; netplan makes them readable for its group."""
    for place in _PLACES:
        for pattern in ("*.network", "*.netdev", "*.network.d/*.conf"):
            for path in files.glob(f"{place}/network/{pattern}"):
                mode = files.mode(path)
                if not mode & 0o044:
                    yield path, mode


def _settings(files: HostFiles, path: str, wanted: str) -> Iterator[tuple[str, str]]:
    """Yield the settings in all sections called WANTED, systemd.syntax(7)."""
    section = ""
    for line in (files.peek(path) or "").splitlines():
        text = line.strip()
        if text.startswith("["):
            section = text.strip("[]")
        elif section == wanted and text[:1] not in ("#", ";", ""):
            key, _, value = text.partition("=")
            yield key.strip(), value.strip()
