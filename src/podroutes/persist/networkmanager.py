"""NetworkManager: a dispatcher script, NetworkManager-dispatcher(8). The administrator's profiles are not changed.

It runs when a connection comes up, is reapplied or gets a lease. A connection is up as soon as one IP version is, so the script
retries in the background until the other is. NetworkManager does not run it after `ip link set down` and `up`. Routes in a profile
would be restored then, but nmcli rewrites the whole profile, without its comments, to add them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles, keyfile
from podroutes.model.configured import ConfiguredRoute
from podroutes.model.fib import Link
from podroutes.model.persisted import File, PersistedRoute, RenderContext
from podroutes.model.route import PROTOCOL as OURS
from podroutes.persist import EVENTS, GONE, THERE, boot
from podroutes.persist.file_format import HEADER, SCRIPT_ROUTE, hook, safe
from podroutes.persist.shell_check import syntax

if TYPE_CHECKING:
    from podroutes.persist.configured import Reader

MANAGER, DAEMON = "NetworkManager", "NetworkManager"
PATH = "/etc/NetworkManager/dispatcher.d/50-podroutes"
PLACES = (PATH,)
PROTOCOL = OURS
SURVIVES = {**dict.fromkeys(EVENTS, THERE), "link": GONE}
ROUTE = SCRIPT_ROUTE
RELOAD: tuple[tuple[str, ...], ...] = ()  # the dispatcher searches scripts each time
REREAD = (("nmcli", "connection", "reload"),)  # a connection that is up stays as it was activated
_PROFILES = tuple(
    f"{directory}/system-connections/*"
    for directory in ("/etc/NetworkManager", "/run/NetworkManager", "/usr/lib/NetworkManager")
)
_SCRIPTS = ("/etc/NetworkManager/dispatcher.d/*", "/etc/NetworkManager/dispatcher.d/*.d/*")
_RED_HAT = ("/etc/sysconfig/network-scripts/route-*", "/etc/sysconfig/network-scripts/route6-*")  # ifcfg-rh
READS = ("/run/NetworkManager/devices/*", "/sys/class/net/*/ifindex", *_RED_HAT, *_SCRIPTS)
SECRETS = (*_PROFILES, "/etc/sysconfig/network-scripts/ifcfg-*")
NEEDED: tuple[str, ...] = ()
RUNS_PODROUTES = False
_UUID = r"(?m)^uuid=(\S+)"
_ROUTE_KEY = r"routes?\d*"  # nm-settings-keyfile(5)
_COPIES = ("~", ".bak", ".tmp", ".swp", ".rpmnew", ".rpmsave", ".rpmorig")  # NetworkManager reads no such profile
_EVENTS = "up | reapply | dhcp4-change | dhcp6-change"
_TRIES = """\
{
    for try in 1 2 3 4 5 6 7 8 9 10; do
        failed=$(routes "$1")
        [ "$failed" ] || exit 0
        sleep 1
    done
    echo "$failed" >&2
} &"""


def render(routes: Sequence[PersistedRoute], context: RenderContext) -> tuple[File, ...]:
    """Return the script. Its mode is 0755, since the dispatcher refuses scripts that others may write."""
    lines = [
        "PATH=$PATH:/usr/sbin:/sbin",
        f'case "$2" in {_EVENTS}) ;; *) exit 0 ;; esac',
        "routes() {",
        *hook("$1", routes, context.places),
        "}",
        _TRIES,
        "exit 0",
    ]
    return (File(PATH, "#!/bin/sh\n" + HEADER + "\n".join(lines) + "\n", 0o755),)


def away(dev: str) -> str:
    """Return the name of DEV on a machine that we are not on."""
    return safe(dev)


def place(root: HostFiles, link: Link, links: Sequence[Link]) -> str:  # noqa: ARG001, a script asks for its device
    """Return the device's name, if NetworkManager manages it."""
    if not running(root, link):
        raise PersistError(f"NetworkManager does not manage {safe(link.name)}; see `nmcli device`, or --persist auto")
    return safe(link.name)


def hindrance(root: HostFiles, link: Link, there: Mapping[str, File]) -> str:  # noqa: ARG001, the script is for every device
    """Return what keeps the dispatcher from our script: its owner and mode, NetworkManager-dispatcher(8), and that nothing starts it."""
    for path, file in there.items():
        if file.mode & 0o022 or not root.is_roots(path):
            return f"the dispatcher runs no {path} that others than root may write: mode {file.mode:04o}"
    return (
        boot.not_executable(there)
        or boot.not_started(root, "NetworkManager")
        or boot.not_started(root, "NetworkManager-dispatcher", "dbus-org.freedesktop.nm-dispatcher.service")
    )


def running(root: HostFiles, link: Link) -> str:
    """Return the state file that shows that NetworkManager manages LINK."""
    path = f"/run/NetworkManager/devices/{link.ifindex}"  # its public state of LINK
    return f"{path} says managed=true" if keyfile(root.read(path) or "").get("managed") == "true" else ""


def configured(root: HostFiles, link: Link) -> str:  # noqa: ARG001, a profile need not name a device
    """Return "": the profile of LINK is known only while NetworkManager runs."""
    return ""


claims = running  # what says that it has LINK says that it configures it


def configured_routes(reader: "Reader") -> Iterator[ConfiguredRoute]:
    """Yield the routes of connection profiles (keyfiles and RHEL's format) and of dispatcher scripts, except netplan's profiles."""
    from podroutes.persist.shell_routes import shell_routes  # noqa: PLC0415, only where files of ours are written

    active = _active(reader)
    for path in reader.glob(*_PROFILES):
        if not path.rpartition("/")[2].startswith("netplan-") and not path.endswith(_COPIES):
            yield from _in_force(_keyfile_routes(reader.read(path), path), reader.read(path), active)
    for path in reader.glob(*_RED_HAT):
        yield from _red_hat_routes(reader.read(path), path, _red_hat_device(reader, path))
    for path in filter(reader.is_executable, reader.glob(*_SCRIPTS)):
        yield from shell_routes(reader.read(path), path, "networkmanager")


def _active(reader: "Reader") -> dict[str, str]:
    """Return the UUID of the profile that each device has now; nothing where NetworkManager does not run."""
    devices = reader.devices()
    states = {
        path.rpartition("/")[2]: keyfile(reader.read(path)) for path in reader.glob("/run/NetworkManager/devices/*")
    }
    found = {devices.get(index, ""): state.get("connection-uuid", "") for index, state in states.items()}
    return {dev: uuid for dev, uuid in found.items() if dev and uuid}


def _in_force(rows: Iterator[ConfiguredRoute], text: str, active: Mapping[str, str]) -> Iterator[ConfiguredRoute]:
    """Yield ROWS of the profile TEXT with the device that has it; none where every device that it could be for has another one."""
    uuid = next((found[1] for found in [re.search(_UUID, text)] if found), "")
    users = [dev for dev, used in active.items() if used == uuid]
    for row in rows:
        if uuid and users:
            yield row._replace(dev=row.dev or (users[0] if len(users) == 1 else None))
        elif not uuid or row.dev not in active:
            yield row


def _keyfile_routes(text: str, path: str) -> Iterator[ConfiguredRoute]:
    """Yield ``routeN=DST[,GATEWAY[,METRIC]]`` of the sections ``ipv4`` and ``ipv6``, with ``routeN_options``."""
    from podroutes.persist.ini import settings  # noqa: PLC0415
    from podroutes.persist.shell_routes import destination, gateway  # noqa: PLC0415

    found = list(settings(text))
    options = {(each.section, each.key): each.value for each in found}
    dev = options.get(("connection", "interface-name"))
    for line, _, section, key, value in found:
        if section not in ("ipv4", "ipv6") or not re.fullmatch(_ROUTE_KEY, key):
            continue
        head, via, weight = _fields(value)
        extra = dict(pair.partition("=")[::2] for pair in options.get((section, f"{key}_options"), "").split(","))
        dst = destination(head, masks=True)
        if dst and extra.get("table", "254") in ("254", "0"):
            metric = int(weight) if weight.isdigit() and int(weight) else None
            kind = extra.get("type", "unicast")
            yield ConfiguredRoute(path, line, dst, gateway(via), dev, metric, kind, "networkmanager")


def _fields(value: str) -> tuple[str, str, str]:
    """Return destination, gateway and metric of a route in a keyfile; each of ``/``, ``;`` and ``,`` separates fields."""
    head, length, via, weight = [*(part.strip() for part in re.split("[/;,]", value)), "", "", ""][:4]
    return f"{head}/{length}" if length.isdigit() else head, via, weight


def _red_hat_routes(text: str, path: str, dev: str) -> Iterator[ConfiguredRoute]:
    """Yield the routes of a ``route-DEV`` file in either form: arguments of ip-route(8), or ADDRESS0=, NETMASK0=, GATEWAY0=."""
    from podroutes.persist.shell_routes import destination, gateway, shell_routes  # noqa: PLC0415

    values: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        key, equals, value = line.strip().partition("=")
        if equals and key.isalnum() and key.isupper():
            values[key] = (number, value.strip("\"'"))
        else:
            rows = shell_routes(f"ip route add {line}", path, "networkmanager")
            yield from (row._replace(line=number, dev=row.dev or dev) for row in rows)
    for key, (number, value) in values.items():
        if key.startswith("ADDRESS"):
            index = key.removeprefix("ADDRESS")
            dst = destination(f"{value}/{values.get(f'NETMASK{index}', (0, '255.255.255.255'))[1]}")
            if dst:
                via = gateway(values.get(f"GATEWAY{index}", (0, ""))[1])
                yield ConfiguredRoute(path, number, dst, via, dev, manager="networkmanager")


def _red_hat_device(reader: "Reader", path: str) -> str:
    """Return the device of a file with routes, which is called like the ``ifcfg-`` file beside it, with ``DEVICE=``."""
    directory, _, name = path.rpartition("/")
    name = name.partition("-")[2]
    return keyfile(reader.read(f"{directory}/ifcfg-{name}")).get("DEVICE", name).strip("\"'")


def check(root: HostFiles, files: Sequence[File]) -> str:
    """Have the shell read the script."""
    return syntax(root, files)
