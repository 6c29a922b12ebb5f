"""``podroutes version``."""

import argparse
import os
import platform
import sys
from importlib import metadata

from podroutes import __version__
from podroutes.cli import common, options
from podroutes.cli.parser import Parser

_DESCRIPTION = """\
Print the versions of podroutes, of Python, of the kernel and of the packages that podroutes uses, for a bug report.
"""
_PACKAGES = ("msgspec", "PyYAML", "urllib3", "asyncssh")  # asyncssh is optional: `push` needs it


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    options.output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the versions."""
    system = os.uname()
    versions = {name: _version(name) for name in _PACKAGES}
    if arguments.output != "text":
        common.say_document(
            {
                "version": __version__,
                "python": platform.python_version(),
                "executable": sys.executable,
                "system": {"name": system.sysname, "release": system.release, "machine": system.machine},
                "packages": versions,
            },
            arguments.output,
        )
        return 0
    print(f"podroutes {__version__}")
    print(f"Python {platform.python_version()} ({sys.executable})")
    print(f"{system.sysname} {system.release} {system.machine}")
    print(", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items()))
    return 0


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
