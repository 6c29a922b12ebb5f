"""Finds the network managers of this network namespace and the devices that they manage, from state files instead of D-Bus.

What a manager's files and its process are called is known by its backend.
"""

from collections.abc import Iterable

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.fib import Link
from podroutes.model.machine_facts import Device, Managers
from podroutes.persist import Backend, backends, networkd


def read_managers(root: HostFiles, devices: Iterable[Device]) -> Managers:
    """Return the running managers and their devices, as far as readable."""
    running = _running(root)
    active = [each for each in backends().values() if not each.DAEMON or each.MANAGER in running]
    links = [Link(each.ifindex, each.name, up=True, carrier=True) for each in devices]
    claims = {
        link.name: tuple((each.MANAGER, why) for each in active if (why := _claim(root, each, link))) for link in links
    }
    if networkd.MANAGER not in running:
        return Managers(running, claims, {}, "", ())
    files = {link.name: networkd.network_file(root, link) for link in links}
    return Managers(
        running,
        claims,
        {dev: networkd.link_settings(root, file) for dev, file in files.items() if file},
        networkd.keeps_foreign_routes(root),
        tuple(networkd.unreadable_files(root)),
    )


def _running(root: HostFiles) -> tuple[str, ...]:
    daemons = {each.DAEMON: each.MANAGER for each in backends().values() if each.DAEMON}
    found = set()
    for path in root.glob("/proc/[0-9]*/comm"):
        name = daemons.get((root.peek(path) or "").strip())
        if name and root.same_network(path.split("/")[2]):
            found.add(name)
    return tuple(sorted(found))


def _claim(root: HostFiles, chosen: Backend, link: Link) -> str:
    """Return the evidence that the manager has LINK; "" if there is none, or it cannot be read, which is noted."""
    try:
        return chosen.claims(root, link)
    except PersistError as error:
        root.refused[chosen.MANAGER] = str(error)
        return ""
