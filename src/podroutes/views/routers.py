"""Formats all routes of a cluster for what is not one of its nodes: a router with BIRD or FRR, or a Google Cloud network."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from podroutes.model.address import Address, Prefix
from podroutes.model.text import escaped

_MARK = "Written by podroutes render"


class PodRoute(NamedTuple):
    """The route to one podCIDR, via the InternalIP of its node."""

    dst: Prefix
    via: Address
    node: str


def bird(routes: Iterable[PodRoute], *, complete: bool) -> Iterator[str]:
    """Yield a file for ``include`` in bird.conf: a protocol for each IP version, https://bird.network.cz/doc/bird-6.html#ss6.14."""
    rows = list(routes)
    yield from _incomplete("#", complete=complete)
    yield f"# {_MARK} bird: the pods of each node. For `include` in bird.conf; `birdc configure` reads it."
    for version in sorted({row.dst.version for row in rows}):
        yield f"protocol static podroutes{version} {{"
        yield f"    ipv{version};"
        for row in rows:
            if row.dst.version == version:
                yield f"    route {row.dst} via {row.via}; # {escaped(row.node)}"
        yield "}"


def frr(routes: Iterable[PodRoute], *, complete: bool) -> Iterator[str]:
    """Yield commands of staticd, https://docs.frrouting.org/en/latest/static.html."""
    yield from _incomplete("!", complete=complete)
    yield f"! {_MARK} frr: the pods of each node. `vtysh -f FILE` adds them to the running configuration."
    for row in routes:
        family = "ip" if row.dst.version == 4 else "ipv6"
        yield f"! {escaped(row.node)}"
        yield f"{family} route {row.dst} {row.via}"


_GCLOUD = r"""
set -eu
network=${1:?usage: sh FILE NETWORK [GCLOUD OPTION...]}
shift
present=$(gcloud compute routes list --filter="network~/$network\$ AND name~^podroutes-" --format='value(name)' "$@" </dev/null)
wanted | while read -r name dst via node; do
    if ! printf '%s\n' "$present" | grep -qxF -e "$name"; then
        gcloud compute routes create "$name" --network="$network" --destination-range="$dst" --next-hop-address="$via" \
            --description="podCIDR of node $node, made by podroutes" "$@" </dev/null
    fi
done
"""
_GCLOUD_DELETE = r"""
printf '%s\n' "$present" | while read -r name; do
    case $name in
        podroutes-*) wanted | grep -q -e "^$name " || gcloud compute routes delete "$name" --quiet "$@" </dev/null ;;
    esac
done
"""


def gcloud(routes: Iterable[PodRoute], *, complete: bool) -> Iterator[str]:
    """Yield a shell script that makes the routes of a Google Cloud network those of the cluster.

    It creates before it deletes, and deletes only routes whose names begin with ``podroutes-``; where the routes are not COMPLETE, it
    deletes none. A name contains the next hop, so that a route with a new one has another name. https://cloud.google.com/sdk/gcloud/reference/compute/routes
    """
    yield "#!/bin/sh"
    yield from _incomplete("#", complete=complete)
    yield f"# {_MARK} gcloud: static routes of a Google Cloud network, one for each podCIDR."
    yield "# Type: sh FILE NETWORK [GCLOUD OPTION...]. The instances need --can-ip-forward. Run it again after each change of the nodes."
    yield ""
    yield "wanted() {"
    yield "    cat <<'ROUTES'"
    for row in routes:
        yield f"{_name(row)} {row.dst} {row.via} {_word(row.node)}"
    yield "ROUTES"
    yield "}"
    yield from _GCLOUD.rstrip().splitlines()
    if complete:
        yield from _GCLOUD_DELETE.strip().splitlines()


def _incomplete(comment: str, *, complete: bool) -> Iterator[str]:
    if not complete:
        yield f"{comment} Not complete: some podCIDRs cannot be routed. podroutes named them on standard error."


def _name(row: PodRoute) -> str:
    """Return a resource name of at most 63 characters, https://google.aip.dev/122#resource-id-segments."""
    plain = f"podroutes-{row.dst}-via-{row.via}".replace(".", "-").replace("/", "-").replace(":", "-")
    if row.dst.version == 4:
        return plain
    return f"podroutes-{hashlib.sha256(plain.encode()).hexdigest()[:16]}"


def _word(node: str) -> str:
    """Return the name of a node as one word that ends no here-document."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in node)


class Target(Protocol):
    """Formats ROUTES. COMPLETE is whether they are those of all podCIDRs."""

    def __call__(self, routes: Iterable[PodRoute], *, complete: bool) -> Iterator[str]:
        """Yield the lines."""


TARGETS: dict[str, Target] = {"bird": bird, "frr": frr, "gcloud": gcloud}
