"""Programs of the machine that are asked for what they know. They are found where an administrator's PATH has them."""

import os
import subprocess

_TIME = 20  # seconds; a large ruleset takes one


def ask(*words: str) -> tuple[bytes, str] | None:
    """Return what a program prints and, where it failed, why; None where it is not installed."""
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C"}
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=env, timeout=_TIME)
    except FileNotFoundError:
        return None
    except (OSError, subprocess.TimeoutExpired) as error:
        return b"", str(error)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return done.stdout, (said[0] if said else f"exit status {done.returncode}") if done.returncode else ""
