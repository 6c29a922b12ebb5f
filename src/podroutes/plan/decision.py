"""What a decision between claims depends on, and what it comes to."""

from collections.abc import Callable
from typing import NamedTuple

from podroutes.model.address import Address, Prefix
from podroutes.model.claims import Claim, Loss
from podroutes.model.cluster import Node
from podroutes.model.problem import Problem
from podroutes.model.text import escaped
from podroutes.plan.overlaps import Owners


class Standing(NamedTuple):
    """A claim is in place: through VIA, an address of its node, or None where the node has moved since.

    GUESSED is an address that may be the node's, as not all of its addresses are known.
    """

    via: Address | None
    guessed: bool = False


def _nothing_stands(_: Claim) -> Standing | None:
    return None


def _nothing_is_cut(_: Claim, __: bool) -> str:  # noqa: FBT001, as Machine.cut has it
    return ""


class Machine(NamedTuple):
    """What a decision depends on besides the cluster: what is in place on a machine, and what cuts it off.

    ``cut`` returns what a claim, in place or not, would take from the machine, "" for nothing. ``kept`` are routes in place that may
    be of nodes whose podCIDR cannot be read.
    """

    own: Node | None = None
    standing: Callable[[Claim], Standing | None] = _nothing_stands
    cut: Callable[[Claim, bool], str] = _nothing_is_cut
    kept: tuple[tuple[Claim, Loss], ...] = ()


NOWHERE = Machine()


class Decision(NamedTuple):
    """``won`` with the addresses that are to be used, by destination. ``kept`` says why by destination and node."""

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
    """Return how a reason speaks of CLAIM."""
    return f"{escaped(claim.node.name)}'s podCIDR"


def contested(claim: Claim, owners: Owners) -> Loss:
    """Return that CLAIM is contested by those of OWNERS that overlap it."""
    same = owners.names.get(claim.dst, set())
    code = "duplicate-pod-cidr" if len(same) > (claim.node.name in same) else "overlapping-pod-cidr"
    return Loss(f"{podcidr_of(claim)} is contested by {owners.others(claim.dst, claim.node.name)}", code)


def for_address(loss: Loss) -> bool:
    """Whether a claim was lost because its node has no usable address."""
    return loss.code == "internal-ip-in-pod-cidr"


def cut_message(name: str, claim: Claim, what: str) -> str:
    """Return the message that CLAIM of the node called NAME is not honoured, as it would take WHAT from this machine."""
    return f"{name}: podCIDR {claim.dst} would take {what} from this machine, and is not routed"
