"""What a machine depends on, besides what its routing table tells: it is never routed away."""

from typing import NamedTuple

from podroutes.model.address import Address


class Dependency(NamedTuple):
    """One address. ``name`` is what it is to this machine: "the name server".

    ``certain`` is whether it is known to answer now, by the path that leads there now; else it may live in pods, and where the
    operator's limits say that pods live there, they decide.
    """

    address: Address
    name: str
    certain: bool = False


Dependencies = tuple[Dependency, ...]
