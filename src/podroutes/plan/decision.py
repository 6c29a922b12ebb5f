"""The input and the result of a decision between claims."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.claims import Claim, Loss
from podroutes.model.cluster import Node
from podroutes.model.problem import Problem
from podroutes.model.text import escaped
from podroutes.plan.overlaps import Owners


class Standing(NamedTuple):
    """A claim in place: through VIA, an address of its node, or None if the node has moved since.

    GUESSED is an address that may be the node's, if not all of its addresses are known.
    """

    via: Address | None
    guessed: bool = False


def _nothing_stands(_: Claim) -> Standing | None:
    return None


def _nothing_is_cut(_: Claim, __: bool) -> str:  # noqa: FBT001, as Machine.cut has it
    return ""


def _no_pods(_: Prefix) -> bool:
    return False


def _no_memory(_: Claim) -> bool:
    return False


class Machine(NamedTuple):
    """The machine's part in a decision: which claims are in place, and which would cut it off.

    ``cut`` returns the dependency that a claim, in place or not, would redirect, "" for none. ``kept`` are routes in place that
        may belong to nodes whose podCIDR cannot be read. ``has_pods_in`` tells whether a network of the machine's own pods is
        in a prefix, ``remembers`` whether the route of a claim was saved as that node's.
    """

    own: Node | None = None
    standing: Callable[[Claim], Standing | None] = _nothing_stands
    cut: Callable[[Claim, bool], str] = _nothing_is_cut
    kept: tuple[tuple[Claim, Loss], ...] = ()
    has_pods_in: Callable[[Prefix], bool] = _no_pods
    remembers: Callable[[Claim], bool] = _no_memory
    refused: Mapping[
        tuple[str, int], Loss
    ] = {}  # by node and IP version: no claim counts, as a former route is kept instead
    barred: AbstractSet[Prefix] = frozenset()  # destinations that get no new route, as it would cost one in place


NOWHERE = Machine()


class Decision(NamedTuple):
    """``won`` are the claims with their usable addresses, by destination. ``kept`` has reasons by destination and node."""

    won: tuple[Claim, ...]
    lost: tuple[tuple[Claim, Loss], ...]
    kept: dict[tuple[Prefix, str], Loss]
    problems: tuple[Problem, ...]


def in_order(claim: Claim) -> tuple[Prefix, str]:
    """Sort key of claims: by destination, then by node."""
    return claim.dst, claim.node.name


def age(claim: Claim) -> tuple[str, str]:
    """Sort key of claims by the age of their Nodes, the oldest first."""
    return claim.node.created or "~", claim.node.uid


def podcidr_of(claim: Claim) -> str:
    """Return the name of CLAIM for reasons."""
    return f"{escaped(claim.node.name)}'s podCIDR"


def contested(claim: Claim, owners: Owners) -> Loss:
    """Return the Loss for a CLAIM that overlaps OWNERS."""
    same = owners.names.get(claim.dst, set())
    code = "duplicate-pod-cidr" if len(same) > (claim.node.name in same) else "overlapping-pod-cidr"
    return Loss(f"{podcidr_of(claim)} is contested by {owners.others(claim.dst, claim.node.name)}", code)


def for_address(loss: Loss) -> bool:
    """Return whether a claim lost because its node has no usable address."""
    return loss.code == "internal-ip-in-pod-cidr"


def cut_message(name: str, claim: Claim, what: str) -> str:
    """Return the message that CLAIM of node NAME is not honoured because it would redirect WHAT of this machine."""
    return f"{name}: podCIDR {claim.dst} would take {what} from this machine, and is not routed"


def cut_loss(claim: Claim, what: str) -> Loss:
    """Return that CLAIM would take WHAT from this machine."""
    return Loss(f"{podcidr_of(claim)} {claim.dst} would take {what} from this machine", "pod-cidr-covers-dependency")
