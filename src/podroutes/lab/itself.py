"""How this very program is started again: by us, by a person who reads our hints, and inside a lab."""

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "podroutes"
_SCRIPTS = {NAME, f"kubectl-{NAME}"}  # what pip and packages install


def command() -> list[str]:
    """Return the words that start this program: its script, else this interpreter with our package."""
    script = _script()
    # -P: a file podroutes.py in the current directory is not ours
    return [str(script)] if script else [sys.executable, "-P", "-m", NAME]


def shown() -> str:
    """Return what a person types to start this program from the current directory."""
    script = _script() or _executable(
        Path(sys.executable).with_name(NAME)
    )  # beside the interpreter of a virtual environment
    if script is None:
        return f"{shlex.quote(sys.executable)} -m {NAME}"
    found = shutil.which(NAME)
    if found and script.samefile(found):
        return NAME
    try:
        shorter = script.relative_to(Path.cwd())
    except (OSError, ValueError):  # there is none any more, or it is elsewhere
        return shlex.quote(str(script))
    return shlex.quote(str(shorter) if len(shorter.parts) > 1 else f"./{shorter}")


def wrapper() -> str:
    """Return a shell script that is this program."""
    return f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n'


def _script() -> Path | None:
    """Return the script that was started, absolute; None for ``python -m podroutes``."""
    try:
        started = Path(sys.argv[0]).absolute()
    except OSError:  # the current directory is gone
        return None
    return _executable(started) if started.name in _SCRIPTS else None


def _executable(path: Path) -> Path | None:
    return path if path.is_file() and os.access(path, os.X_OK) else None
