"""NetworkManager: a dispatcher script, NetworkManager-dispatcher(8), which leaves the administrator's profiles as they are.

It runs when a connection comes up, is reapplied or gets a lease. A connection is up as soon as one IP version is, so the script
goes on trying behind NetworkManager's back until the other is there. NetworkManager does not tell it of `ip link set down` and `up`;
routes in the profile would come back then, but nmcli writes the whole profile anew, comments and all, to put them there.
"""

from collections.abc import Sequence

from podroutes.errors import PersistError
from podroutes.model.fib import Link
from podroutes.model.lasting import File, Lasting, Setting
from podroutes.model.route import PROTOCOL as OURS
from podroutes.persist import BACKENDS
from podroutes.persist.root import Root, keyfile
from podroutes.persist.shell import syntax
from podroutes.persist.text import HEADER, SCRIPT_ROUTE, hook, safe

(PATH,) = BACKENDS["networkmanager"]
PROTOCOL = OURS
ROUTE = SCRIPT_ROUTE
RELOAD: tuple[tuple[str, ...], ...] = ()  # the dispatcher looks for scripts each time
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


def render(routes: Sequence[Lasting], setting: Setting) -> tuple[File, ...]:
    """Return the script; 0755, as the dispatcher refuses what others may write."""
    lines = [
        "PATH=$PATH:/usr/sbin:/sbin",
        f'case "$2" in {_EVENTS}) ;; *) exit 0 ;; esac',
        "routes() {",
        *hook("$1", routes, setting.places),
        "}",
        _TRIES,
        "exit 0",
    ]
    return (File(PATH, "#!/bin/sh\n" + HEADER + "\n".join(lines) + "\n", 0o755),)


def away(dev: str) -> str:
    """Return the name of DEV on a machine that we are not on."""
    return safe(dev)


def place(root: Root, link: Link) -> str:
    """Return the device's name, if NetworkManager manages it."""
    if not running(root, link):
        raise PersistError(f"NetworkManager does not manage {safe(link.name)}; see `nmcli device`, or --persist auto")
    return safe(link.name)


def running(root: Root, link: Link) -> str:
    """Return where NetworkManager says that it manages LINK."""
    path = f"/run/NetworkManager/devices/{link.ifindex}"  # what it knows of LINK, for all to read
    return f"{path} says managed" if keyfile(root.read(path) or "").get("managed") == "true" else ""


def configured(root: Root, link: Link) -> str:  # noqa: ARG001, a profile need not name a device
    """Return nothing: which profile LINK gets is known while NetworkManager runs."""
    return ""


def check(root: Root, files: Sequence[File]) -> str:
    """Have the shell read the script."""
    return syntax(root, files)
