"""What the user wants, as values: argparse's Namespace ends at the border of each command, where ``read`` turns it into one of these.

The fields are named like the options.
"""

import argparse
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from podroutes.errors import PersistError

if TYPE_CHECKING:
    from podroutes.model.address import Prefix

T = TypeVar("T")


class SourceOptions(NamedTuple):
    """Where the nodes come from, what limits them, which one this machine is, and where its state is kept (None: nowhere)."""

    inventory: str | None = None
    kubernetes: bool = False
    kubeconfig: str | None = None
    context: str | None = None
    node: str | None = None
    pod_cidr: "list[Prefix] | None" = None
    node_cidr: "list[Prefix] | None" = None
    service_cidr: "list[Prefix] | None" = None
    state_dir: str | None = None


class MachineOptions(NamedTuple):
    """What a plan of this machine is to have besides the routes."""

    persist: str | None = None
    sysctl: bool = False
    adopt: bool = False
    edit_admin_config: bool = False
    cni: bool = False
    force: bool = False
    masquerade: str | None = None
    cni_plugins: tuple[str, ...] | None = None
    allow_mass_delete: int = 0
    reads: bool = (
        False  # set by commands that carry nothing out: what this user cannot read is only a problem of the plan
    )

    def check(self) -> None:
        """Raise PersistError where an option lacks the one that it belongs to."""
        if self.edit_admin_config and not (self.adopt and self.persist):
            raise PersistError(
                "--edit-admin-config goes with --adopt --persist BACKEND: what is taken out there has to be kept elsewhere"
            )
        if self.cni_plugins is not None and not self.cni:
            raise PersistError("--cni-plugins goes with --cni: it is about the plugins in that configuration")
        if self.force and not self.cni:
            raise PersistError("--force goes with --cni: it is about pods with addresses outside of the new podCIDRs")


class TableOptions(NamedTuple):
    """Where the tables of the nodes come from: files, a lab, or (neither) this machine."""

    source: SourceOptions = SourceOptions()
    tables: str | None = None
    lab: str | None = None


class ProofOptions(NamedTuple):
    """How a proof is shown, and whether packets are sent, too: to ``pod``, or to a pod of every node."""

    source: SourceOptions = SourceOptions()
    output: str = "text"
    probe: bool = False
    pod: str | None = None


class ReachOptions(NamedTuple):
    """Which machines of the inventory are asked or changed, and how SSH reaches them; ``timeout`` is in seconds."""

    limit: str | None = None
    user: str | None = None
    port: int | None = None
    ssh_config: str | None = None
    sudo: bool = False
    timeout: int = 20
    parallel: int = 20


class PushOptions(NamedTuple):
    """What is pushed, and what limits the effect of a mistake; ``confirm_timeout`` is in seconds."""

    verb: str
    source: SourceOptions = SourceOptions()
    machine: MachineOptions = MachineOptions()
    reach: ReachOptions = ReachOptions()
    canary: int = 0
    max_failures: int = 1
    confirm_timeout: int = 0
    yes: bool = False
    full: bool = False
    html: str | None = None
    output: str = "text"


class StatusOptions(NamedTuple):
    """Which agents are asked, and for how long; ``wait`` is in seconds."""

    listen: str
    source: SourceOptions = SourceOptions()
    reach: ReachOptions = ReachOptions()
    all: bool = False
    wait: int | None = None
    watch: bool = False
    full: bool = False
    output: str = "text"


def read(kind: type[T], arguments: argparse.Namespace) -> T:
    """Return the options of KIND that ARGUMENTS have; a field whose type is such a class is read in the same way."""
    values = {}
    for name, wanted in kind.__annotations__.items():
        if hasattr(wanted, "_fields"):
            values[name] = read(wanted, arguments)
        elif hasattr(arguments, name):
            values[name] = getattr(arguments, name)
    return kind(**values)
