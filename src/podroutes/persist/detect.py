"""Which network manager owns an interface: running daemons first, then files, and no guess between two."""

from collections.abc import Iterator, Sequence

from podroutes.errors import PersistError
from podroutes.model.fib import Link
from podroutes.model.text import listing, printable
from podroutes.persist import networkd, networkmanager
from podroutes.persist.ifupdown import has_stanza
from podroutes.persist.root import Root


def detect(root: Root, links: Sequence[Link]) -> tuple[str, str]:
    """Return the backend for the devices LINKS, and in a few words how it was found.

    Raises PersistError where two managers claim a device, or two devices have different managers.
    """
    found = {link.name: _owner(root, link) for link in links}
    names = {name for name, _ in found.values()}
    if len(names) > 1:
        each = listing([f"{printable(dev)} to {name} ({why})" for dev, (name, why) in found.items()])
        raise PersistError(
            f"the routes leave by devices of different managers: {each}; name one with --persist BACKEND"
        )
    if not names:
        raise PersistError("there are no routes to keep, so no interface to look for the manager of")
    return names.pop(), "; ".join(dict.fromkeys(why for _, why in found.values()))


def _owner(root: Root, link: Link) -> tuple[str, str]:
    """Return backend and evidence for one device."""
    for source in (_running, _configured):
        claims = list(source(root, link))
        if len(claims) > 1:
            each = " and ".join(f"{name} ({why})" for name, why in claims)
            raise PersistError(f"{printable(link.name)} is claimed by {each}; name one with --persist BACKEND")
        if claims:
            return claims[0]
    if root.path("/run/systemd/system").is_dir():  # sd_booted(3)
        return "systemd", f"no network manager knows {link.name}, and systemd runs"
    raise PersistError(f"no network manager knows {printable(link.name)}; name one with --persist BACKEND")


def _running(root: Root, link: Link) -> Iterator[tuple[str, str]]:
    """Yield who says that it manages LINK now."""
    file = networkd.network_file(root, link)
    if file:
        yield "networkd", f"{networkd.state_file(link)} names {file}"
    if networkmanager.manages(root, link):
        yield "networkmanager", f"{networkmanager.state_file(link)} says managed"
    path = "/run/network/ifstate"  # ifup(8) of ifupdown; that of ifupdown2 keeps none
    if any(line.split("=")[0] == link.name for line in (root.read(path) or "").splitlines()):
        yield "ifupdown", f"{path} has {link.name}"


def _configured(root: Root, link: Link) -> Iterator[tuple[str, str]]:
    """Yield whose files are about LINK."""
    if has_stanza(root, link.name):
        yield "ifupdown", f"/etc/network/interfaces has a stanza for {link.name}"
    if any(root.glob("/etc/netplan/*.yaml")):
        from podroutes.persist.netplan_ids import find  # noqa: PLC0415, needs a YAML parser

        try:
            yield "netplan", f"/etc/netplan has {find(root, link)}"
        except PersistError:  # it is about other devices
            return
