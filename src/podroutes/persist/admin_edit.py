"""Removes routes from the administrator's own files, for podroutes to persist them instead: returns the new text of each file.

Only lines with exactly one route are removed. The rest of a file stays unchanged. Pure.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.configured import ConfiguredRoute
from podroutes.model.persisted import File, FileChange
from podroutes.model.text import escaped
from podroutes.persist.ini import settings

_HARMLESS = re.compile(r"\|\|\s*(true|:)\s*$")  # the end of a command that may fail
_Lines = Collection[ConfiguredRoute]


def edits(root: HostFiles, lines: Iterable[ConfiguredRoute]) -> Iterator[FileChange]:
    """Yield the change of every file that has some of LINES. PersistError where a line is not one that can be taken out alone."""
    for path, group in groupby(sorted(lines, key=lambda line: (line.path, line.line)), lambda line: line.path):
        sections = list(group)
        text = root.read(path) or ""
        new = _editor(sections[0])(text, sections)
        yield FileChange(
            "edit", File(path, new, root.mode(path)), sections[0].manager, was=File(path, text, root.mode(path))
        )


def backup(path: str) -> str:
    """Return the path of the backup: in the same directory, with a name that network managers ignore."""
    head, slash, name = path.rpartition("/")
    return f"{head}{slash}.{name}.before-podroutes"


def _editor(line: ConfiguredRoute) -> Callable[[str, _Lines], str]:
    """Return the editor for the file of LINE."""
    if line.manager == "netplan":
        from podroutes.persist.netplan_routes import without_routes  # noqa: PLC0415, needs a YAML parser

        return without_routes
    if line.manager == "networkd":
        return _without_sections
    if line.manager == "networkmanager" and "/system-connections/" in line.path:
        return _without_keys
    if line.manager == "networkmanager" and "/network-scripts/" in line.path:
        return _without_lines
    if line.manager == "ifupdown" and "/if-" not in line.path:
        return _without_commands
    if line.manager == "dhcpcd" and line.path.endswith(".conf"):
        return _without_settings
    raise PersistError(f"{escaped(line.place)} is in a file that podroutes does not edit: take the line out by hand")


def _without(text: str, numbers: Collection[int]) -> str:
    """Return TEXT without the lines with these NUMBERS, from 1."""
    return "".join(line for number, line in enumerate(text.splitlines(keepends=True), 1) if number not in numbers)


def _without_sections(text: str, lines: _Lines) -> str:
    """Remove whole ``[Route]`` sections from a file of systemd-networkd."""
    entries = list(settings(text))
    wanted = {line.line for line in lines}
    groups = {entry.group for entry in entries if entry.line in wanted}
    rows = text.splitlines()
    gone: set[int] = set()
    for group in groups:
        numbers = [entry.line for entry in entries if entry.group == group]
        header = max(number for number, row in enumerate(rows[: numbers[0]], 1) if row.strip().startswith("["))
        gone.update(range(header, numbers[-1] + 1))
        if header > 1 and not rows[header - 2].strip() and (numbers[-1] == len(rows) or not rows[numbers[-1]].strip()):
            gone.add(header - 1)  # one of the surrounding blank lines
    return _without(text, gone)


def _without_keys(text: str, lines: _Lines) -> str:
    """Remove ``routeN`` and its options from a profile of NetworkManager."""
    entries = list(settings(text))
    wanted = {line.line for line in lines}
    keys = {(entry.section, entry.key) for entry in entries if entry.line in wanted}
    keys |= {(section, f"{key}_options") for section, key in keys}
    return _without(text, {entry.line for entry in entries if (entry.section, entry.key) in keys})


def _without_settings(text: str, lines: _Lines) -> str:
    """Remove lines from dhcpcd.conf(5), each of which has one route."""
    return _without(text, {line.line for line in lines})


def _without_lines(text: str, lines: _Lines) -> str:
    """Remove lines from a file whose lines are arguments of ip-route(8)."""
    rows = text.splitlines()
    for line in lines:
        if "=" in rows[line.line - 1]:
            raise PersistError(
                f"{escaped(line.path)}:{line.line} numbers its routes, and the numbers must have no gap: edit it by hand"
            )
    return _without(text, {line.line for line in lines})


def _without_commands(text: str, lines: _Lines) -> str:
    """Remove ``up`` lines from a file of interfaces(5)."""
    rows = text.splitlines()
    for line in lines:
        row = _HARMLESS.sub("", rows[line.line - 1].strip())
        if row.endswith("\\") or re.search(r"[;&|]", row):
            raise PersistError(
                f"{escaped(line.path)}:{line.line} holds more than one command: take the route out by hand"
            )
    return _without(text, {line.line for line in lines})
