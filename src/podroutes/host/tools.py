"""Runs programs of the machine. They are searched on an administrator's PATH, and speak the C locale."""

import os
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

_SYSTEM_PATHS = ":/usr/sbin:/sbin"  # where distributions put what an ordinary user's PATH lacks


class Ran(NamedTuple):
    """A program that ended: its exit status, standard output and standard error."""

    status: int
    out: bytes
    err: bytes = b""

    @property
    def failure(self) -> str | None:
        """Why the program failed, in one line; None if it did not."""
        if not self.status:
            return None
        lines = self.err.decode(errors="replace").strip().splitlines()
        return lines[0] if lines else f"exit status {self.status}"


def run(words: Sequence[str], *, text: str = "", seconds: float | None = None) -> Ran | None:
    """Run a program with TEXT as its input; return None if it is not installed.

    Raises OSError if it cannot be started, subprocess.TimeoutExpired if it takes longer than SECONDS.
    """
    env = os.environ | {"PATH": f"{os.environ.get('PATH', '')}{_SYSTEM_PATHS}", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            words,
            input=text.encode(errors="surrogateescape"),
            capture_output=True,
            check=False,
            env=env,
            timeout=seconds,
        )
    except FileNotFoundError:
        return None
    return Ran(done.returncode, done.stdout, done.stderr)


def ask(*words: str, seconds: float = 20) -> Ran | None:
    """Run a program that is only asked; whatever keeps it from answering within SECONDS (a large ruleset takes one) is a failure."""
    try:
        return run(words, seconds=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Ran(1, b"", str(error).encode())
