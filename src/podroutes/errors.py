"""What podroutes says when the user or the host, not the program, is at fault.

Every error is one line: where, what was found, what was wanted, and what to do. The command line prints ``str(error)``
behind ``podroutes:`` and exits with status 1; nothing here is ever shown as a traceback.
"""

import sys

_SYSTEMS = {"darwin": "macOS"}  # sys.platform: what people call it


class PodroutesError(Exception):
    """Base of all errors that are shown to a person."""


class UsageError(PodroutesError):
    """The command line cannot be understood."""


class InventoryError(PodroutesError):
    """The inventory as a whole cannot be used: unreadable, not a known format, or broken syntax."""


class IdentityError(PodroutesError):
    """It is not clear which node of the inventory this machine is."""


class KernelError(PodroutesError):
    """The kernel refused a conversation as a whole (missing capability, no memory, no such namespace)."""


class LabError(PodroutesError):
    """The lab cannot be made, found or entered."""


class ForbiddenError(LabError):
    """This host does not allow what a lab is made of: namespaces, and power over those that one made."""


class PersistError(PodroutesError):
    """Routes cannot be made to last: no manager or two, an interface it does not know, a file that cannot be written."""


class LockedError(PodroutesError):
    """Another podroutes is changing this machine: apply, remove, push, or the agent."""


class AgentError(PodroutesError):
    """The agent cannot run as it was told to, or cannot be asked."""


class PushError(PodroutesError):
    """A machine cannot be reached, asked or changed over SSH."""


class PlatformError(PodroutesError):
    """The command needs Linux, and this is another system."""


class KubernetesError(PodroutesError):
    """The Kubernetes API cannot be asked: a kubeconfig that does not do, no connection, or a refusal."""


def require_linux(what: str, instead: str) -> None:
    """Raise PlatformError where this is not Linux, whose kernel WHAT reads or writes; INSTEAD is what works here."""
    system: str = sys.platform
    if system != "linux":
        raise PlatformError(f"{what} needs Linux, and this is {_SYSTEMS.get(system, system)}: {instead}")
