"""systemd-networkd: a drop-in for the .network file of the device, systemd.network(5).

A drop-in in /etc also applies to a file in /run, so this backend works for netplan with networkd, too. Only ``[Route]`` sections
are restored after each event: restart, reconfigure, loss of carrier and link down.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles, keyfile
from podroutes.model.address import Prefix, parse_prefix
from podroutes.model.configured import ConfiguredRoute
from podroutes.model.fib import Link
from podroutes.model.persisted import File, PersistedRoute, RenderContext
from podroutes.model.route import PROTOCOL as OURS
from podroutes.model.text import listing, printable
from podroutes.persist import EVENTS, THERE, boot
from podroutes.persist.file_format import HEADER, by_device, is_ours, metric, remark_by, safe

if TYPE_CHECKING:
    from podroutes.model.machine_facts import NetworkdLink
    from podroutes.persist.configured import Reader

MANAGER, DAEMON = "systemd-networkd", "systemd-network"  # comm has 15 bytes
PATTERN = "/etc/systemd/network/*.network.d/50-podroutes.conf"
PLACES = (PATTERN,)
PROTOCOL = OURS
SURVIVES = dict.fromkeys(EVENTS, THERE)
ROUTE = re.compile(
    r"^(?:# .* dev (?P<dev>\S+)\n)?Destination=(?P<dst>\S+)\nGateway=(?P<via>\S+)\nProtocol=\d+\n(?:Metric=(?P<metric>\d+)\n)?",
    re.MULTILINE,
)
RELOAD = (("networkctl", "reload"),)
REREAD = RELOAD
# Of files with the same name the first directory's counts, systemd.network(5).
_SYSTEMD = tuple(f"/{place}/systemd" for place in ("etc", "run", "usr/local/lib", "usr/lib"))
_DIRECTORIES = tuple(f"{place}/network" for place in _SYSTEMD)
READS = (
    "/run/systemd/netif/links/*",
    "/sys/class/net/*/ifindex",
    *(f"{directory}/{pattern}" for directory in _DIRECTORIES for pattern in ("*.network", "*.network.d/*.conf")),
)
SECRETS: tuple[str, ...] = ()
NEEDED: tuple[str, ...] = ()
RUNS_PODROUTES = False
_MAIN = {"main", "254"}
_FALSE = {"0", "no", "false", "off", "n", "f"}  # parse_boolean() of systemd
_TRUE = {"1", "yes", "true", "on", "y", "t"}


def render(routes: Sequence[PersistedRoute], context: RenderContext) -> tuple[File, ...]:
    """Return a drop-in for the .network file of each device. Its mode is 0644, since networkd does not run as root."""
    rows = by_device(routes, context.places)
    if not rows:
        return tuple(File(path, HEADER) for path in context.there)
    return tuple(
        File(PATTERN.replace("*.network", base), HEADER + "".join(map(_section, rows[dev])))
        for dev, base in sorted(context.places.items())
    )


def _section(persisted_route: PersistedRoute) -> str:
    route = persisted_route.route
    weight = f"Metric={metric(persisted_route)}\n" if metric(persisted_route) else ""
    way = f"Destination={route.dst}\nGateway={route.via}\nProtocol={PROTOCOL}\n{weight}"
    return f"\n[Route]\n# {remark_by(persisted_route)}\n{way}"


def away(dev: str) -> str:
    """Return the usual name of the .network file of DEV on a remote machine."""
    return f"{safe(dev)}.network"


def place(root: HostFiles, link: Link, links: Sequence[Link]) -> str:
    """Return the base name of the .network file that networkd uses for LINK. Raises PersistError if it is used for another of LINKS, too.

    A drop-in applies to all devices that the file matches: routes would be added on each of them, and networkd makes them onlink.
    """
    file = network_file(root, link)
    if not file:
        raise PersistError(
            f"systemd-networkd has no .network file for {safe(link.name)}; see `networkctl status {link.name}`, or --persist auto"
        )
    others = [other.name for other in links if other != link and network_file(root, other) == file]
    if others:
        raise PersistError(
            f"{file} is for {listing(sorted(map(printable, others)))} as well as for {link.name}: routes in it would come up on all of "
            f"them. Give {link.name} a .network file of its own that sorts before it, or use --persist systemd"
        )
    return _base(file)


def network_file(root: HostFiles, link: Link) -> str:
    """Return the .network file that networkd uses for LINK, "" if it does not manage LINK."""
    state = keyfile(root.read(state_file(link)) or "")
    return state.get("NETWORK_FILE", "") if state.get("ADMIN_STATE") != "unmanaged" else ""


def state_file(link: Link) -> str:
    """Return the path of networkd's public state file of LINK."""
    return f"/run/systemd/netif/links/{link.ifindex}"


def hindrance(root: HostFiles, link: Link, there: Mapping[str, File]) -> str:
    """Return what keeps networkd from our drop-in for LINK: who may read it, what starts networkd, another name of netplan's file."""
    base = _base(network_file(root, link))
    if base.startswith("10-netplan-"):
        from podroutes.persist.netplan_ids import generated  # noqa: PLC0415, needs a YAML parser

        name = generated(root, link)
        if name not in (base, None):
            made = f"netplan makes {name} of its files now" if name else f"no file of netplan is about {link.name} now"
            return f"{made}, and {base} is gone after the boot"
    for path in there:
        directory = path.rpartition("/")[0]
        ours = directory.endswith(f"/{base}.d") and root.path(directory).is_dir()
        if ours and root.mode(directory) & 0o005 != 0o005:
            return f"systemd-networkd cannot read {directory}: mode {root.mode(directory):04o}"
    if why := boot.unreadable(there):
        return why
    if base.startswith("10-netplan-"):  # netplan's generator starts networkd
        return boot.masked(root, "systemd-networkd.service")
    return boot.not_started(root, "systemd-networkd")


def running(root: HostFiles, link: Link) -> str:
    """Return the state file that shows which .network file LINK uses."""
    file = network_file(root, link)
    made = ", made by netplan, beside which a drop-in can say our protocol" if "/10-netplan-" in file else ""
    return f"{state_file(link)} names {file}{made}" if file else ""


def configured(root: HostFiles, link: Link) -> str:  # noqa: ARG001, networkd alone knows which of all the files it takes
    """Return "": the file of LINK is known only while networkd runs."""
    return ""


def claims(root: HostFiles, link: Link) -> str:
    """Return where networkd says which file it uses for LINK."""
    file = network_file(root, link)
    return f"{state_file(link)} names {file}" if file else ""


def configured_routes(reader: "Reader") -> Iterator[ConfiguredRoute]:
    """Yield the ``[Route]`` sections of all .network files and drop-ins, except those that netplan generates."""
    names: dict[str, str] = {}
    for directory in reversed(_DIRECTORIES):
        for path in reader.glob(f"{directory}/*.network", f"{directory}/*.network.d/*.conf"):
            names[path.removeprefix(directory)] = path
    uses = _in_use(reader)
    for path in sorted(names.values()):
        base, drop_in, _ = path.rpartition("/network/")[2].partition(".d/")
        if base.startswith("10-netplan-") and not drop_in:
            continue  # netplan's files say it
        rows = list(_sections(reader.read(path), path))
        if rows and uses:
            found = [dev for dev, used in uses.items() if _may_be_for(reader, base, dev, used)]
            dev = found[0] if len(found) == 1 else None
            rows = [row._replace(dev=dev) for row in rows] if found else []
        yield from rows


def _in_use(reader: "Reader") -> dict[str, str]:
    """Return the base name of the .network file of every device that networkd manages; nothing where it does not run."""
    devices = reader.devices()
    found = {}
    for path in reader.glob("/run/systemd/netif/links/*"):
        dev = devices.get(_base(path), "")
        file = keyfile(reader.read(path)).get("NETWORK_FILE", "")
        if dev and file:
            found[dev] = _base(file)
    return found


def _may_be_for(reader: "Reader", base: str, dev: str, used: str) -> bool:
    """Whether the .network file called BASE is what DEV has, USED, or would be had once networkd reads its files again.

    The first that matches counts. Of one that sorts before USED only ``Name=`` is looked at: networkd has not read it, or it is for others.
    """
    if base == used:
        return True
    if base > used:
        return False
    from fnmatch import fnmatchcase  # noqa: PLC0415, only where there are more files

    from podroutes.persist.ini import settings  # noqa: PLC0415

    text = next(filter(None, (reader.read(f"{directory}/{base}") for directory in _DIRECTORIES)), "")
    match = [setting for setting in settings(text) if setting.section == "Match"]
    names = [name for each in match if each.key == "Name" for name in each.value.split()]
    return all(each.key == "Name" for each in match) and any(fnmatchcase(dev, name) for name in names)


def _sections(text: str, path: str) -> Iterator[ConfiguredRoute]:
    from podroutes.persist.ini import settings  # noqa: PLC0415, only where files of ours are written

    groups: dict[int, dict[str, tuple[int, str]]] = {}
    for line, group, section, key, value in settings(text):
        if section == "Route":
            groups.setdefault(group, {})[key] = (line, value)
    yield from _routes(groups.values(), path)


def _routes(sections: Iterable[dict[str, tuple[int, str]]], path: str) -> Iterator[ConfiguredRoute]:
    from podroutes.persist.shell_routes import destination, gateway  # noqa: PLC0415

    for section in sections:
        values = {key: value for key, (_, value) in section.items()}
        dst = destination(values.get("Destination", ""), masks=True)
        if dst and values.get("Table", "main") in _MAIN:
            weight = values.get("Metric", "")
            yield ConfiguredRoute(
                path,
                section["Destination"][0],
                dst,
                gateway(values.get("Gateway")),
                metric=int(weight) if weight.isdigit() else None,
                kind=values.get("Type", "unicast"),
                manager="networkd",
            )


def check(root: HostFiles, files: Sequence[File]) -> str:  # noqa: ARG001, networkd has no tool that reads a file without using it
    """Parse the files again: each section must be one complete route."""
    for file in filter(lambda each: is_ours(each.text), files):
        if len(ROUTE.findall(file.text)) != file.text.count("[Route]"):
            return f"{file.path}: a section of it is not a complete route"
    return ""


def link_settings(root: HostFiles, file: str) -> "NetworkdLink":
    """Return what FILE, a .network file, and its drop-ins make networkd do with a device."""
    from podroutes.model.machine_facts import NetworkdLink  # noqa: PLC0415, for doctor alone

    routes = set[Prefix]()
    accepts_ra = False
    for path in (file, *_drop_ins(root, f"network/{_base(file)}")):
        for key, value in _section_of(root, path, "Route"):
            if key == "Destination":
                with suppress(ValueError):  # networkd ignores it as well
                    routes.add(parse_prefix(value))
        for key, value in _section_of(root, path, "Network"):
            if key in ("IPv6AcceptRA", "IPv6AcceptRouterAdvertisements"):
                accepts_ra = value.lower() in _TRUE
    return NetworkdLink(file, frozenset(routes), accepts_ra)


def keeps_foreign_routes(root: HostFiles) -> str:
    """Return where ManageForeignRoutes= is turned off, "" if it is on. The last setting counts, networkd.conf(5)."""
    main = next((path for place in _SYSTEMD if root.peek(path := f"{place}/networkd.conf") is not None), None)
    off = ""
    for path in (*([main] if main else []), *_drop_ins(root, "networkd.conf")):
        for key, value in _section_of(root, path, "Network"):
            if key == "ManageForeignRoutes":
                off = f"{path}: {key}={value}" if value.lower() in _FALSE else ""
    return off


def unreadable_files(root: HostFiles) -> Iterator[tuple[str, int]]:
    """Yield the files, with their modes, that networkd's user cannot read: its group may, as with netplan."""
    for directory in _DIRECTORIES:
        for pattern in ("*.network", "*.netdev", "*.network.d/*.conf"):
            for path in root.glob(f"{directory}/{pattern}"):
                with suppress(OSError):  # it went while we looked
                    mode = root.mode(path)
                    if not mode & 0o044:
                        yield path, mode


def _drop_ins(root: HostFiles, name: str) -> list[str]:
    """Return the drop-ins of a configuration file in their order; of two with one name that of the first directory counts."""
    found: dict[str, str] = {}
    for place in _SYSTEMD:
        for path in root.glob(f"{place}/{name}.d/*.conf"):
            found.setdefault(_base(path), path)
    return [found[base] for base in sorted(found)]


def _section_of(root: HostFiles, path: str, wanted: str) -> Iterator[tuple[str, str]]:
    """Yield keys and values in all sections called WANTED."""
    from podroutes.persist.ini import settings  # noqa: PLC0415, not for every plan

    return ((setting.key, setting.value) for setting in settings(root.peek(path) or "") if setting.section == wanted)


def _base(path: str) -> str:
    return path.rpartition("/")[2]
