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
    active = [backend for backend in backends().values() if not backend.DAEMON or backend.MANAGER in running]
    links = [Link(device.ifindex, device.name, up=True, carrier=True) for device in devices]
    claims = {
        link.name: tuple((manager.MANAGER, why) for manager in active if (why := _claim(root, manager, link)))
        for link in links
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
    daemons = {backend.DAEMON: backend.MANAGER for backend in backends().values() if backend.DAEMON}
    names = set()
    for path in root.glob("/proc/[0-9]*/comm"):
        name = daemons.get((root.peek(path) or "").strip())
        if name and root.same_network(path.split("/")[2]):
            names.add(name)
    return tuple(sorted(names))


def _claim(root: HostFiles, chosen: Backend, link: Link) -> str:
    """Return the evidence that the manager has LINK; "" if there is none, or it cannot be read, which is noted."""
    try:
        return chosen.claims(root, link)
    except PersistError as error:
        root.refused[chosen.MANAGER] = str(error)
        return ""
