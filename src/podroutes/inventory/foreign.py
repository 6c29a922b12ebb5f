"""Recognises files of other programs that people pass as an inventory, and says what to do instead."""

import re

from podroutes.errors import InventoryError
from podroutes.inventory.source import Source
from podroutes.model.text import escaped, printable

_MACHINES = "machines.txt has IPV4 FQDN HOST POD_SUBNET a line"
_OWN = "nodes: with name, internalIP and podCIDR of each"
_KINDS = (
    (
        re.compile(rb"NAME[ \t]+STATUS[ \t]+ROLES[ \t]"),
        "is the table that kubectl get nodes prints, which has no podCIDRs; `kubectl get nodes -o json` prints them",
    ),
    (
        re.compile(rb'\{\s*"[\w-]+"\s*:\s*\{\s*"(?:sensitive|type|value)"\s*:'),
        f"is what terraform output prints; wanted {_OWN}: an output with these keys can be written by jsonencode",
    ),
    (
        re.compile(rb'[A-Za-z_][\w-]*[ \t]*=[ \t]*["\[{0-9]'),
        f"is what terraform output prints; wanted {_OWN}: an output with these keys can be written by jsonencode",
    ),
    (
        re.compile(rb'"?[A-Za-z_][\w -]*"?(?:[,;][ \t]*"?[\w ./:-]*"?){1,50}\r?(?:\n|$)'),
        f"is CSV; wanted {_OWN}, or a table without commas: {_MACHINES}",
    ),
)
_HOSTS = re.compile(rb"(?m)^(?:127\.0\.0\.1|::1)[ \t][^\n]*localhost|^f[ef]0\d::\d?[ \t]+ip6-")
_PLACEHOLDER = re.compile(
    r"[xX]{1,3}(?:\.[xX]{1,3}){3}|<[^>\n]{1,60}>(?=[ \t]+\S)|\$\{?\w+\}?|(?:TODO|TBD|CHANGE_?ME|IPV4|IP)(?=\s)"
)


def refuse_kind(source: Source, start: int) -> None:
    """Raise InventoryError if the text at START of the head of SOURCE is in another program's format."""
    for pattern, what in _KINDS:
        if pattern.match(source.head, start):
            raise source.error(what)


def refuse_hosts(source: Source) -> None:
    """Raise InventoryError if SOURCE is /etc/hosts, which looks like machines.txt."""
    if _HOSTS.search(source.head):
        raise source.error(f"is /etc/hosts, which has no podCIDRs; {_MACHINES}")


def placeholder(source: Source, line: str, number: int) -> InventoryError | None:
    """Return an error if LINE, whose number is NUMBER, begins with a placeholder for an IP address; otherwise None."""
    match = _PLACEHOLDER.match(line)
    return (
        source.error(f"{printable(match[0])} is a placeholder; write the machine's IP address", number)
        if match
        else None
    )


def kubeconfig(source: Source) -> InventoryError:
    """Return the error for a SOURCE that is a kubeconfig."""
    return source.error(f"is a kubeconfig; the nodes of its cluster: --kubernetes --kubeconfig {escaped(source.name)}")
