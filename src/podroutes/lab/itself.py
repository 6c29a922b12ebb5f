"""How to start this program again: by ourselves, by a person who reads our hints, and inside a lab."""

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "podroutes"
_SCRIPTS = {NAME, f"kubectl-{NAME}"}  # scripts that pip and packages install


def command() -> list[str]:
    """Return the command that starts this program: its script, else this interpreter with our package."""
    script = _script()
    # -P: ignore a podroutes.py in the current directory
    return [str(script)] if script else [sys.executable, "-P", "-m", NAME]


def shown() -> str:
    """Return the command that a person types to start this program from the current directory."""
    script = _script() or _executable(
        Path(sys.executable).with_name(NAME)
    )  # beside the interpreter of a virtual environment
    if script is None:
        return f"{shlex.quote(sys.executable)} -m {NAME}"
    program = shutil.which(NAME)
    if program and script.samefile(program):
        return NAME
    try:
        shorter = script.relative_to(Path.cwd())
    except (OSError, ValueError):  # the directory was deleted, or the path is not below it
        return shlex.quote(str(script))
    return shlex.quote(str(shorter) if len(shorter.parts) > 1 else f"./{shorter}")


def wrapper() -> str:
    """Return a shell script that runs this program."""
    return f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n'


def _script() -> Path | None:
    """Return the absolute path of the started script, None for ``python -m podroutes``."""
    try:
        started = Path(sys.argv[0]).absolute()
    except OSError:  # the current directory was deleted
        return None
    return _executable(started) if started.name in _SCRIPTS else None


def _executable(path: Path) -> Path | None:
    return path if path.is_file() and os.access(path, os.X_OK) else None
