"""What the user asked for about the CNI configuration."""

from typing import NamedTuple


class CniRequest(NamedTuple):
    """Whether the CNI configuration was requested, and whether it is changed even if pods have other addresses."""

    wanted: bool = False
    force: bool = False
