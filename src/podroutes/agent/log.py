"""Logs one line for each event to standard error: text for a terminal, JSON for log collectors.

A thread writes, so that a full disk or a missing or slow reader neither blocks nor ends the agent. Lines that cannot be written are
dropped and counted; the log reports the count as soon as it can be written again.
"""

import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from podroutes.model.text import escaped

Level = Literal["info", "warning", "error"]
_PRIORITIES: Mapping[Level, int] = {"info": 6, "warning": 4, "error": 3}  # those of syslog(3), sd-daemon(3)
_QUEUED = 1 << 18  # maximum queued bytes: some thousand lines, little beside the agent's limit of 128 MiB
_FLUSH = 1.0  # seconds to write the last lines at exit


class Logger(Protocol):
    """A function that logs an event with its fields."""

    def __call__(self, level: Level, event: str, **fields: Any) -> None:
        """Log an event."""


class Log:
    """Writes structured events to DESCRIPTOR. FORM is ``text``, ``json``, or ``auto``: text for a terminal.

    ``close`` writes the queued lines, as does the end of a ``with`` block.
    """

    def __init__(self, descriptor: int, form: str = "auto") -> None:
        self.dropped = 0  # lines that could not be written
        self.error = ""  # why the last line could not be written
        self._descriptor = descriptor
        self._json = form == "json" or (form == "auto" and not os.isatty(descriptor))
        self._journal = _is_journal(descriptor)
        self._lines: deque[bytes] = deque()
        self._queued = 0  # bytes in the queue
        self._ready = threading.Condition()  # protects the state
        self._closing = False
        self._reported = 0  # dropped lines that were reported
        self._torn = False  # the last line was written in part
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def __call__(self, level: Level, event: str, **fields: Any) -> None:
        """Queue one line: the event and its fields; None and empty ones are left out."""
        line = self._line(level, event, fields)
        with self._ready:
            if self._queued + len(line) > _QUEUED:
                self._drop("nobody reads standard error")
                return
            self._lines.append(line)
            self._queued += len(line)
            self._ready.notify()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write the queued lines. Without a reader, later writes to the descriptor do not block either."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join(_FLUSH)
        if self._thread.is_alive():
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._descriptor)
            os.close(null)

    def _run(self) -> None:
        while line := self._next():
            if self._write(line) and self.dropped > self._reported:
                dropped = self.dropped
                line = self._line("warning", "log lines dropped", {"lines": dropped - self._reported})
                if self._write(line):
                    self._reported = dropped

    def _next(self) -> bytes:
        """Return the next line to write, b"" at the end."""
        with self._ready:
            self._ready.wait_for(lambda: self._lines or self._closing)
            line = self._lines.popleft() if self._lines else b""
            self._queued -= len(line)
            return line

    def _write(self, line: bytes) -> bool:
        """Write LINE; return whether that succeeded, and count it if not."""
        rest = b"\n" + line if self._torn else line
        try:
            while rest:
                rest = rest[self._written(rest) :]
                self._torn = True
        except OSError as error:
            with self._ready:
                self._drop(f"standard error: {error.strerror}")
            return False
        self._torn = False
        self.error = ""
        return True

    def _drop(self, why: str) -> None:
        self.dropped += 1
        self.error = why

    def _written(self, data: bytes) -> int:
        """Write a part of DATA; return how many bytes. Raises OSError."""
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # another process with the same pipe made it non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()

    def _line(self, level: Level, event: str, fields: Mapping[str, Any]) -> bytes:
        line = (json_line if self._json else text_line)(level, event, fields)
        priority = (
            f"<{_PRIORITIES[level]}>" if self._journal else ""
        )  # the journal takes it off: `journalctl -p warning`
        return f"{priority}{line}\n".encode(errors="backslashreplace")


def _is_journal(descriptor: int) -> bool:
    """Return whether DESCRIPTOR leads to the journal, which systemd.exec(5) has told in JOURNAL_STREAM."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def text_line(level: Level, event: str, fields: Mapping[str, Any]) -> str:
    """Return an event as text for a terminal."""
    words = (f"{name}={escaped(str(value))}" for name, value in _given(fields).items())
    return "  ".join((_stamp(), f"{level:7}", event, *words))


def json_line(level: Level, event: str, fields: Mapping[str, Any]) -> str:
    """Return an event as JSON."""
    import json  # noqa: PLC0415, a terminal does without

    line = {"time": _stamp(), "level": level, "event": event, **_given(fields)}
    return json.dumps(line, default=str, ensure_ascii=False)


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return FIELDS without those that are None or empty."""
    return {name: value for name, value in fields.items() if value not in (None, "", ())}


def _stamp() -> str:
    moment = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1000):03}Z"


def standard_error() -> int:
    """Return the file descriptor of standard error, -1 if it was closed when the process started."""
    try:
        return sys.stderr.fileno() if sys.stderr else -1
    except OSError:  # it was replaced by an object without one
        return 2
