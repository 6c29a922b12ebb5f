"""Finds the network manager of an interface: from running daemons, else from files. It never guesses between two."""

from collections.abc import Sequence

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.fib import Link
from podroutes.model.text import escaped, listing, printable
from podroutes.persist import backends


def detect(root: HostFiles, links: Sequence[Link]) -> tuple[str, str]:
    """Return the backend for the devices LINKS, and a short reason.

    Raises PersistError if two managers claim a device, or devices have different managers.
    """
    owners = {link.name: _owner(root, link) for link in links}
    names = {name for name, _ in owners.values()}
    if len(names) > 1:
        each = listing([f"{printable(dev)} to {name} ({why})" for dev, (name, why) in owners.items()])
        raise PersistError(
            f"the routes leave by devices of different managers: {each}; name one with --persist BACKEND"
        )
    if not names:
        raise PersistError("there are no routes to keep, so no interface to look for the manager of")
    return names.pop(), "; ".join(dict.fromkeys(why for _, why in owners.values()))


def _owner(root: HostFiles, link: Link) -> tuple[str, str]:
    """Return backend and evidence for one device."""
    claims = _claims(root, link)
    if len(claims) > 1:
        each = " and ".join(f"{name} ({why})" for name, why in claims.items())
        raise PersistError(f"{printable(link.name)} is claimed by {each}; name one with --persist BACKEND")
    if claims:
        return claims.popitem()
    if root.path("/run/systemd/system").is_dir():  # sd_booted(3)
        dev = escaped(link.name)
        if any(root.path(path).is_dir() for path in ("/run/connman", "/var/lib/connman")):
            return (
                "systemd",
                f"ConnMan keeps no routes, and drops those of {dev} when its carrier goes; the agent puts them back",
            )
        if root.path("/run/wicked").is_dir():
            return (
                "systemd",
                f"wicked runs no file of podroutes; what else than a boot takes the routes of {dev}, the agent puts back",
            )
        return "systemd", f"no network manager knows {link.name}, and systemd runs"
    raise PersistError(f"no network manager knows {printable(link.name)}; name one with --persist BACKEND")


def _claims(root: HostFiles, link: Link) -> dict[str, str]:
    """Return the managers of LINK with evidence; if none runs, those whose files configure it."""
    known = backends()
    running = {name: why for name, candidate in known.items() if (why := candidate.running(root, link))}
    return running or {name: why for name, candidate in known.items() if (why := candidate.configured(root, link))}
