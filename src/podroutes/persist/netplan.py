"""netplan: a file of our own that sorts last and has only ``routes:``, which netplan merges by the interface's id.

netplan has no key for the protocol. Its routes are static, and ours because our file has them.
https://netplan.readthedocs.io/en/stable/netplan-yaml/
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.configured import ConfiguredRoute
from podroutes.model.fib import Link
from podroutes.model.linux import RouteProtocol
from podroutes.model.persisted import File, PersistedRoute, RenderContext
from podroutes.persist import EVENTS, THERE, boot, networkd, networkmanager
from podroutes.persist.file_format import HEADER, by_device, metric, remark_by, safe

if TYPE_CHECKING:
    from podroutes.persist.configured import Reader

MANAGER, DAEMON = "netplan", ""
PATH = "/etc/netplan/90-podroutes.yaml"
PLACES = (PATH,)
PROTOCOL = int(RouteProtocol.STATIC)  # both networkd and NetworkManager give it to what netplan writes
SURVIVES = dict.fromkeys(EVENTS, THERE)
ROUTE = re.compile(
    r"^ +- to: (?P<dst>\S+)(?: .* dev (?P<dev>\S+))?.*\n +via: (?P<via>[0-9a-f.:]+)\n(?: +metric: (?P<metric>\d+)\n)?",
    re.MULTILINE,
)
RELOAD = (("netplan", "generate"), ("networkctl", "reload"))  # `netplan apply` would touch every interface
REREAD = RELOAD
_FILES = ("/lib/netplan/*.yaml", "/etc/netplan/*.yaml", "/run/netplan/*.yaml")
READS = (
    *_FILES,
    "/sys/class/net/*/address",
    "/sys/class/net/*/ifindex",
)
SECRETS = ("/etc/cloud/cloud.cfg", "/etc/cloud/cloud.cfg.d/*.cfg")
NEEDED: tuple[str, ...] = _FILES
RUNS_PODROUTES = False
_NAME = r'( {2}| {4})"?([^ "]+)"?:$'  # a section, or an id in it, as ``render`` writes them
_PLAIN = r"[a-z]{2,}[0-9][a-z0-9.-]*"  # an id that YAML always reads as text


def render(routes: Sequence[PersistedRoute], context: RenderContext) -> tuple[File, ...]:
    """Return the file; ``context.places`` are ``SECTION.ID``. Its mode is 0600, as netplan requires."""
    rows = by_device(routes, context.places)
    sections: dict[str, list[str]] = {}
    for dev, place in sorted(context.places.items(), key=lambda item: item[1]):
        section, _, name = place.partition(".")
        sections.setdefault(section, []).extend(_interface(name, rows[dev]))
    lines = ["network:", "  version: 2"]
    for section, body in sections.items():
        lines += [f"  {section}:", *body]
    return (File(PATH, HEADER + "\n".join(lines) + "\n", 0o600),)


def _interface(name: str, routes: Sequence[PersistedRoute]) -> Iterator[str]:
    yield f"    {name}:" if re.fullmatch(_PLAIN, name) else f'    "{name}":'
    yield "      routes:" if routes else "      routes: []"
    for persisted_route in routes:
        yield f"      - to: {persisted_route.route.dst} # {remark_by(persisted_route)}"
        yield f"        via: {persisted_route.route.via}"
        if metric(persisted_route):
            yield f"        metric: {metric(persisted_route)}"


def away(dev: str) -> str:
    """Return section and id of DEV on a remote machine: an ethernet with the device's name."""
    return f"ethernets.{safe(dev)}"


def place(root: HostFiles, link: Link, links: Sequence[Link]) -> str:
    """Return section and id of LINK in the administrator's files.

    Raises PersistError if netplan uses NetworkManager for LINK, which changes the metric of routes, if the id also matches
        another of LINKS, or if cloud-init may rename it.
    """
    from podroutes.persist.netplan_ids import find, made_by_cloud_init  # noqa: PLC0415, needs a YAML parser

    place = find(root, link, links)
    if networkmanager.running(root, link) and not networkd.running(root, link):
        raise PersistError(
            f"netplan leaves {safe(link.name)} to NetworkManager, which changes the routes of netplan's files; "
            "use --persist networkmanager"
        )
    if file := made_by_cloud_init(root, place):
        raise PersistError(
            f"cloud-init writes {file} and may give {place} another name at a boot, which would take the interface's addresses away; "
            "use --persist networkd, or tell cloud-init to leave the network alone: write `network: {config: disabled}` to "
            "/etc/cloud/cloud.cfg.d/99-network.cfg"
        )
    return place


def hindrance(root: HostFiles, link: Link, there: Mapping[str, File]) -> str:
    """Return what keeps the manager that netplan writes files for from them."""
    if PATH in there:
        from podroutes.persist.netplan_ids import find  # noqa: PLC0415, needs a YAML parser

        wanted, ids = find(root, link, ()), list(_ids(there[PATH].text))
        if ids and wanted not in ids:
            return (
                f"{PATH} is for {ids[0]}, and {safe(link.name)} is {wanted} by now: netplan would take it for another interface, whose "
                "addresses nobody knows"
            )
    return boot.masked(root, "systemd-networkd.service") if networkd.running(root, link) else ""


def _ids(text: str) -> Iterator[str]:
    """Yield each ``SECTION.ID`` of a file of ours."""
    section = ""
    for line in text.splitlines():
        if match := re.match(_NAME, line):
            section = match[2] if match[1] == "  " else section
            if match[1] == "    ":
                yield f"{section}.{match[2]}"


def running(root: HostFiles, link: Link) -> str:  # noqa: ARG001, netplan runs no daemon
    """Return "": netplan uses another manager for LINK."""
    return ""


def configured(root: HostFiles, link: Link) -> str:
    """Return the file and id of LINK in netplan's files."""
    if not any(root.glob("/etc/netplan/*.yaml")):
        return ""
    from podroutes.persist.netplan_ids import find  # noqa: PLC0415, needs a YAML parser

    try:
        return f"/etc/netplan has {find(root, link, ())}"
    except PersistError:  # they configure other devices
        return ""


claims = running


def configured_routes(reader: "Reader") -> Iterable[ConfiguredRoute]:
    """Return the ``routes:`` of the administrator's files."""
    if not any(reader.glob(*_FILES)):
        return ()
    from podroutes.persist.netplan_routes import netplan_routes  # noqa: PLC0415, needs a YAML parser

    return netplan_routes(reader)


def check(root: HostFiles, files: Sequence[File]) -> str:
    """Check the administrator's files and ours with ``netplan generate``, in a temporary directory."""
    from podroutes.persist.netplan_ids import generate  # noqa: PLC0415

    wanted = [found["dst"] for file in files for found in ROUTE.finditer(file.text)]
    return generate(root, files, wanted)
