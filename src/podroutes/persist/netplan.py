"""netplan: a file of our own that sorts last and holds only ``routes:``, which netplan merges by the interface's id.

netplan has no key for the protocol: its routes come back as static, and that they stand in our file makes them ours.
https://netplan.readthedocs.io/en/stable/netplan-yaml/
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.configured import ConfiguredRoute
from podroutes.model.fib import Link
from podroutes.model.persisted import File, PersistedRoute, RenderContext
from podroutes.persist import BACKENDS, EVENTS, THERE, boot, networkd, networkmanager
from podroutes.persist.file_format import HEADER, by_device, metric, remark_by, safe

if TYPE_CHECKING:
    from podroutes.persist.configured import Reader

(PATH,) = BACKENDS["netplan"]
PROTOCOL = 4  # RTPROT_STATIC, linux/rtnetlink.h: both networkd and NetworkManager give it to what netplan writes
SURVIVES = dict.fromkeys(EVENTS, THERE)
ROUTE = re.compile(
    r"^ +- to: (?P<dst>\S+)(?: .* dev (?P<dev>\S+))?.*\n +via: (?P<via>[0-9a-f.:]+)\n(?: +metric: (?P<metric>\d+)\n)?",
    re.MULTILINE,
)
RELOAD = (("netplan", "generate"), ("networkctl", "reload"))  # `netplan apply` would touch every interface
READS = (
    *("/lib/netplan/*.yaml", "/etc/netplan/*.yaml", "/run/netplan/*.yaml"),
    "/sys/class/net/*/address",
    "/sys/class/net/*/ifindex",
)
SECRETS = ("/etc/cloud/cloud.cfg", "/etc/cloud/cloud.cfg.d/*.cfg")
_PLAIN = re.compile(r"[a-z]{2,}[0-9][a-z0-9.-]*")  # an id that YAML takes for nothing but text


def render(routes: Sequence[PersistedRoute], context: RenderContext) -> tuple[File, ...]:
    """Return the one file; ``context.places`` are ``SECTION.ID``. 0600, as netplan wants it."""
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
    yield f"    {name}:" if _PLAIN.fullmatch(name) else f'    "{name}":'
    yield "      routes:" if routes else "      routes: []"
    for persisted_route in routes:
        yield f"      - to: {persisted_route.route.dst} # {remark_by(persisted_route)}"
        yield f"        via: {persisted_route.route.via}"
        if metric(persisted_route):
            yield f"        metric: {metric(persisted_route)}"


def away(dev: str) -> str:
    """Return section and id of DEV on a machine that we are not on: a network card by its own name."""
    return f"ethernets.{safe(dev)}"


def place(root: HostFiles, link: Link, links: Sequence[Link]) -> str:
    """Return section and id of LINK in the administrator's files.

    PersistError where netplan leaves LINK to NetworkManager, which gives the routes a metric of its own choice, where the id is
    about another of LINKS, too, and where cloud-init may write it anew under another name.
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


def hindrance(root: HostFiles, link: Link, there: Mapping[str, File]) -> str:  # noqa: ARG001, netplan runs as root
    """Return what keeps the manager that netplan writes files for from them."""
    return boot.masked(root, "systemd-networkd.service") if networkd.running(root, link) else ""


def running(root: HostFiles, link: Link) -> str:  # noqa: ARG001, netplan runs no daemon
    """Return nothing: netplan leaves LINK to another manager."""
    return ""


def configured(root: HostFiles, link: Link) -> str:
    """Return what netplan's files call LINK."""
    if not any(root.glob("/etc/netplan/*.yaml")):
        return ""
    from podroutes.persist.netplan_ids import find  # noqa: PLC0415, needs a YAML parser

    try:
        return f"/etc/netplan has {find(root, link, ())}"
    except PersistError:  # they are about other devices
        return ""


def configured_routes(reader: "Reader") -> Iterable[ConfiguredRoute]:
    """Return the ``routes:`` of the administrator's files."""
    if not any(reader.glob("/lib/netplan/*.yaml", "/etc/netplan/*.yaml", "/run/netplan/*.yaml")):
        return ()
    from podroutes.persist.netplan_routes import netplan_routes  # noqa: PLC0415, needs a YAML parser

    return netplan_routes(reader)


def check(root: HostFiles, files: Sequence[File]) -> str:
    """Have ``netplan generate`` read the administrator's files and ours, in a directory of its own."""
    from podroutes.persist.netplan_ids import generate  # noqa: PLC0415

    wanted = [found["dst"] for file in files for found in ROUTE.finditer(file.text)]
    return generate(root, files, wanted)
