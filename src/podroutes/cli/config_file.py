"""Reads the configuration files: options that each run would repeat, one a line, ``inventory = /etc/podroutes/machines.txt``.

The order of precedence is: command line, environment, the user's file, the machine's file.
"""

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from podroutes.errors import UsageError
from podroutes.model.text import escaped, printable

VARIABLE = "PODROUTES_CONFIG"  # other files in place of both, separated by colons as in KUBECONFIG; empty: none
SYSTEM = "/etc/podroutes/podroutes.conf"
# Options that a file may set, by their long names. A test compares them with the parser.
OPTIONS = frozenset(
    """
    activate adopt all canary cni cni-plugins color confirm-timeout context control-plane directory events full html interface inventory ipv6
    kubeconfig kubernetes lab limit listen log masquerade max-failures name node node-cidr nodes output outside parallel persist pod pod-cidr port
    probe quiet resync service-cidr set-condition simulated ssh-config state-dir sudo sysctl tables timeout user verbose wait watch
    """.split()  # noqa: SIM905, one a line would be a screen
)
# Options that are a decision about one run.
ONCE = frozenset({"allow-mass-delete", "dry-run", "edit-admin-config", "fix", "force", "publish", "serial", "yes"})


class Setting(NamedTuple):
    """The value of an option, and its position: ``/etc/podroutes/podroutes.conf:3``."""

    value: str
    place: str


def paths() -> list[str]:
    """Return the files that are read, highest precedence first, whether they exist or not."""
    if VARIABLE in os.environ:
        return _named()
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111, pathlib costs milliseconds
    return [f"{home}/podroutes/podroutes.conf", SYSTEM]


def of_the_user() -> bool:
    """Return whether a file below the home directory is used, which sudo(8) would not find."""
    return VARIABLE not in os.environ and os.path.exists(paths()[0])  # noqa: PTH110


def _named() -> list[str]:
    return [path for path in os.environ.get(VARIABLE, "").split(":") if path]


def read() -> dict[str, Setting]:
    """Return the settings of all files, by the option's name without dashes. Raises UsageError for an invalid file."""
    settings_by_name: dict[str, Setting] = {}
    for path in reversed(paths()):
        settings_by_name.update(settings(path))
    return settings_by_name


def settings(path: str) -> Iterator[tuple[str, Setting]]:
    """Yield the settings of the file at PATH, in order. Raises UsageError if it is invalid."""
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.strip()
        if not words or words.startswith(("#", ";")):
            continue
        key, separator, value = (part.strip() for part in words.partition("="))
        place = f"{path}:{number}"
        if not separator:
            raise UsageError(
                f"{place}: {printable(words)}: wanted OPTION = VALUE, such as inventory = /etc/podroutes/nodes.yaml"
            )
        _check(key, place)
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        yield key, Setting(value, place)


def _check(key: str, place: str) -> None:
    if key in ONCE:
        raise UsageError(f"{place}: {key} is a decision about one run: give --{key} on the command line")
    if key not in OPTIONS:
        from podroutes.cli.mistakes import near  # noqa: PLC0415, only for a mistake

        raise UsageError(f"{place}: {printable(key)} is not an option{near(key, OPTIONS)} (see `podroutes config`)")


def _text(path: str) -> str:
    """Return the text of the file at PATH, "" if it does not exist."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123, pathlib costs milliseconds
            _trust(os.fstat(file.fileno()), path)
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        if path in _named():
            raise UsageError(f"{VARIABLE} names {escaped(path)}, and there is no such file") from None
        return ""
    except UnicodeDecodeError:
        raise UsageError(f"{escaped(path)}: is not UTF-8 text") from None
    except OSError as error:
        if path not in _named() and not os.access(os.path.dirname(path), os.X_OK):  # noqa: PTH120, pathlib costs milliseconds
            return ""  # HOME is another user's, as after setpriv(1): no file of this user is there
        raise UsageError(f"{escaped(path)}: cannot be read: {error.strerror}") from None


def _trust(status: os.stat_result, path: str) -> None:
    """Raise UsageError if users other than root and this one can write a file that may name programs to run.

    Files in /etc are root's responsibility, and files that a variable names are the user's.
    """
    if path == SYSTEM or path in _named():
        return
    if status.st_uid not in {0, os.geteuid()} or status.st_mode & stat.S_IWOTH:
        raise UsageError(
            f"{escaped(path)}: is not used, because another user can write it: `chown` it to this user and `chmod o-w`, "
            f"or set {VARIABLE}= to read none"
        )
