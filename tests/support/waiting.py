"""The one way in which tests wait for what other processes do: until it is so, however busy the machine is."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0  # seconds until a test gives up; nothing here should take one


def until(truth: Callable[[], Any], what: str | Callable[[], str] = "", *, hold: float = 0) -> Any:
    """Return what TRUTH says once it is true, and has been for HOLD seconds; fail after PATIENCE with WHAT never happened."""
    end = time.monotonic() + PATIENCE
    since = None
    while True:
        found, now = truth(), time.monotonic()
        since = (since or now) if found else None
        if since and now >= since + hold:
            return found
        assert now < end, f"never happened: {(what() if callable(what) else what) or truth}"
        time.sleep(0.01)
