"""Runs programs of the machine. They are searched on an administrator's PATH."""

import os
import subprocess

_TIME = 20  # seconds; listing a large ruleset takes one


def ask(*words: str) -> tuple[bytes, str] | None:
    """Return the output of a program and, if it failed, why; None if it is not installed."""
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C"}
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=env, timeout=_TIME)
    except FileNotFoundError:
        return None
    except (OSError, subprocess.TimeoutExpired) as error:
        return b"", str(error)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return done.stdout, (said[0] if said else f"exit status {done.returncode}") if done.returncode else ""
