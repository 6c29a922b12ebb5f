"""Changes of a machine besides routes and files: its packet filter table, sysctls, and kernel modules."""

from typing import Literal, NamedTuple

Kind = Literal["nftables", "sysctl", "module"]
HostAction = Literal["create", "update", "replace", "delete", "set", "load"]


class HostChange(NamedTuple):
    """One change. ``name`` is the table, the sysctl as in sysctl(8), or the module; ``detail`` is for people.

    ``value`` is the script for nft(8), or the new value of the sysctl; ``was`` is the value before, "" if unknown.
    """

    kind: Kind
    action: HostAction
    name: str
    detail: str = ""
    value: str = ""
    was: str = ""


class HostResult(NamedTuple):
    """A change that was carried out; ``failure`` is why it could not be made, None where it was."""

    change: HostChange
    failure: str | None = None
