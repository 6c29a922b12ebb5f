"""Users other than the one that runs the tests, and a podroutes that each of them can run, wherever the checkout lies."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import urllib3
import yaml

import podroutes

NOBODY = 65534
_TO_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
# User 0 of a user namespace that maps nobody else, without power over it: all that is left of CAP_SETFCAP is that a
# namespace below may map this user, user_namespaces(7).
_POWERLESS = ["setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all"]


def others() -> str:
    """Return why this session has no user but its root, "" where it has: ask after the session has its namespaces."""
    lines = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    if any(int(first) <= NOBODY < int(first) + int(count) for first, _, count in lines):
        return ""
    return (
        "takes other users: newuidmap (Debian: uidmap) or this user's range in /etc/subuid and /etc/subgid is missing"
    )


def unprivileged() -> list[str]:
    """Return the words that start a program without privileges."""
    return _POWERLESS if others() else _TO_NOBODY


def install(directory: Path) -> None:
    """Copy all that podroutes imports into DIRECTORY so that every user can read it."""
    for package in (podroutes, msgspec, urllib3, yaml):
        source = Path(package.__file__).parent
        shutil.copytree(source, directory / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chmod", "-R", "a+rX", directory], check=True)


def interpreter() -> str:
    """Return a Python of our version that every user can run, "" where there is none: that of a home directory is out of reach."""
    version = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for candidate in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        try:
            subprocess.run([*unprivileged(), candidate, "-c", version], check=True, cwd="/", capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return ""
