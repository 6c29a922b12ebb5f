"""One line an event on standard error: words for a terminal, JSON for whoever collects logs.

A thread of its own writes: a full disk, a reader that is gone or one that does not read neither blocks nor ends the agent. What
cannot be written is dropped and counted, and the log says how much is missing as soon as it can be written again.
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
_QUEUED = 1 << 18  # bytes that wait at most: some thousand lines, and nothing beside the 128 MiB of the agent's limit
_FLUSH = 1.0  # seconds that the end of the process waits for the last lines


class Logger(Protocol):
    """Takes an event: what happened, and the values that it is about."""

    def __call__(self, level: Level, event: str, **fields: Any) -> None:
        """Take one."""


class Log:
    """Writes structured events to DESCRIPTOR. FORM is ``text``, ``json``, or ``auto``: text where it is a terminal.

    ``close`` writes what is queued, as the end of a ``with`` block does.
    """

    def __init__(self, descriptor: int, form: str = "auto") -> None:
        self.dropped = 0  # lines that could not be written
        self.error = ""  # why the last line could not be written
        self._descriptor = descriptor
        self._json = form == "json" or (form == "auto" and not os.isatty(descriptor))
        self._journal = _is_journal(descriptor)
        self._lines: deque[bytes] = deque()
        self._queued = 0  # bytes in it
        self._ready = threading.Condition()  # guards all that changes
        self._closing = False
        self._reported = 0  # dropped lines that the log tells of
        self._torn = False  # the last line was written in part
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def __call__(self, level: Level, event: str, **fields: Any) -> None:
        """Write one line: what happened, and the values that it is about; those that are None or empty are left out."""
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
        """Write what is queued. Where nobody reads it, nothing that is written to the descriptor later waits for that."""
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
        """Return the line to write next, b"" at the end."""
        with self._ready:
            self._ready.wait_for(lambda: self._lines or self._closing)
            line = self._lines.popleft() if self._lines else b""
            self._queued -= len(line)
            return line

    def _write(self, line: bytes) -> bool:
        """Write LINE; return whether that was possible, and count it where it was not."""
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
            except BlockingIOError:  # somebody who has the same pipe made it non-blocking
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
    """Return an event as words for a terminal."""
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
    """Return the descriptor of standard error, -1 where it was closed when the process began."""
    try:
        return sys.stderr.fileno() if sys.stderr else -1
    except OSError:  # an object that has none stands in its place
        return 2
