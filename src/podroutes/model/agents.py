"""The answers of the agents of many machines."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """What the agent on a node says: its status document, or why there is none."""

    node: str
    status: Mapping[str, Any] | None = None
    error: str = ""
