"""What comes over a connection, and what is said about one that fails."""

import os
from typing import Any

from podroutes.errors import PushError
from podroutes.model.text import escaped

_CHUNK = 1 << 16


async def read_all(stream: Any, most: int) -> bytes:
    """Return everything that comes, up to MOST bytes; PushError where there is more."""
    parts, size = [], 0
    while part := await stream.read(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > most:
            raise PushError(f"it sends more than {most >> 20} MiB; hung up")
    return b"".join(parts)


def said(error: Exception) -> str:
    """Return what ERROR, of SSH or of the system, says, in one line."""
    number = getattr(error, "errno", None)  # asyncio replaces the system's words by its own
    text = getattr(error, "reason", "") or (os.strerror(number) if number and number > 0 else "")
    text = text or str(error) or type(error).__name__
    return escaped(" ".join(str(text).split()))
