"""One line an event on standard error: words for a terminal, JSON for whoever collects logs."""

import sys
import time
from typing import Any, Literal, TextIO

from podroutes.model.text import escaped

Level = Literal["info", "warning", "error"]


class Log:
    """Writes structured events. FORM is ``text``, ``json``, or ``auto``: text where STREAM is a terminal."""

    def __init__(self, stream: TextIO = sys.stderr, form: str = "auto") -> None:
        self._stream = stream
        self._json = form == "json" or (form == "auto" and not stream.isatty())

    def __call__(self, level: Level, event: str, **fields: Any) -> None:
        """Write one line: what happened, and the values that it is about; those that are None or empty are left out."""
        moment = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1000):03}Z"
        told = {name: value for name, value in fields.items() if value not in (None, "", ())}
        if self._json:
            import json  # noqa: PLC0415, a terminal does without

            line = json.dumps({"time": stamp, "level": level, "event": event, **told}, default=str, ensure_ascii=False)
        else:
            words = (f"{name}={escaped(str(value))}" for name, value in told.items())
            line = "  ".join((stamp, f"{level:7}", event, *words))
        print(line, file=self._stream, flush=True)
