"""Addresses that a machine depends on, besides those in its routing table. No route of ours may redirect them."""

from typing import NamedTuple

from podroutes.model.address import Address


class Dependency(NamedTuple):
    """One address. ``name`` describes it: "the name server".

    ``certain`` is whether it answers now over the present path. Otherwise it may be a pod, and the operator's limits decide:
        an address inside cluster.podCIDRs may be routed.
    """

    address: Address
    name: str
    certain: bool = False


Dependencies = tuple[Dependency, ...]
