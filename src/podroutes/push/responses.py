"""Parses what a machine answers. Pure: takes bytes, which may be hostile, and returns values or raises PushError."""

import errno
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from podroutes.errors import PushError
from podroutes.host import TablesError
from podroutes.host.iproute_json import Reader, Texts
from podroutes.host.local_tables import COMMANDS, NEEDS_OUTPUT
from podroutes.model.host import Host
from podroutes.model.plan import Refusal
from podroutes.model.text import escaped, printable
from podroutes.plan import host_fib
from podroutes.push.scripts import is_needed

# Paths that scripts.READ may send. They are written below a directory of ours, so no component may begin with a dot.
_PLACES = (
    "/etc/",
    "/lib/netplan/",
    "/usr/lib/",
    "/usr/local/lib/",
    "/run/",
    "/sys/class/net/",
    "/sys/class/dmi/id/",
    "/var/lib/podroutes/",
    "/var/lib/cni/networks/",
    "/opt/cni/bin/",
    "/usr/sbin/",
    "/usr/bin/",
    "/sbin/",
)
_NAME = re.compile(r"[^\x00-\x1f\x7f/.-][^\x00-\x1f\x7f/]*")
# Linux's texts of the errors that `advice` knows; strerror(3) of another system has other texts.
_ERRNOS = {
    "File exists": errno.EEXIST,
    "No such file or directory": errno.ENOENT,
    "No such process": errno.ESRCH,
    "No such device": errno.ENODEV,
    "Cannot find device": errno.ENODEV,
    "Network is unreachable": errno.ENETUNREACH,
    "No route to host": errno.EHOSTUNREACH,
    "Network is down": errno.ENETDOWN,
    "Operation not supported": errno.EOPNOTSUPP,
    "Permission denied": errno.EACCES,
    "Operation not permitted": errno.EPERM,
    "Invalid argument": errno.EINVAL,
}
_FAILED = re.compile(r"^Command failed .*:(\d+)$")  # ip(8) with -force -batch, after the error


class Remote(NamedTuple):
    """A file or a directory of a machine."""

    path: str
    mode: int
    data: bytes
    directory: bool = False


class Seen(NamedTuple):
    """The state of a machine as it was read."""

    uid: int
    host: Host
    files: tuple[Remote, ...]
    session: str = ""  # SSH_CONNECTION there: the peer that must stay reachable
    table: str | None = None  # what nft(8) says of the masquerade table, None where it is not installed


def sections(data: bytes) -> Iterator[tuple[list[str], bytes]]:
    """Yield the words of each section's heading, and its body."""
    for part in data.split(b"\n@ ")[1:]:
        head, _, body = part.partition(b"\n")
        yield head.decode(errors="replace").split(), body


def seen(name: str, data: bytes, errors: bytes, reader: Reader) -> Seen:
    """Return the state of the machine NAME from the output of scripts.READ. Raises PushError if a part is missing or wrong."""
    found: dict[str, bytes] = {}
    files = []
    last = ""
    for words, body in sections(data):
        kind, *more = words or [""]
        if kind == "failed":
            said = first_line(errors) or f"exit status {' '.join(more)}"
            fix = "the node needs iproute2"
            if last == "uid" and "Permission denied" in said:  # there is no machine on which id(1) may not be started
                fix = "sudo lets sh start no other program (NOEXEC in sudoers): allow the user sh without that"
            raise PushError(f"`{COMMANDS.get(last, last)}` failed: {escaped(said)}; {fix}")
        if kind in {"file", "directory"} or (kind == "unreadable" and _matters(more)):
            files.append(_remote(kind, more, body))
        found.setdefault(kind, body)
        last = kind
    if "end" not in found:
        raise PushError(f"its answer is cut off or not what was asked for: {printable(_beginning(data, errors))}")
    uid = found.get("uid", b"").strip()
    texts = {field: found.get(field, b"").strip() or (None if field in NEEDS_OUTPUT else b"[]") for field in COMMANDS}
    try:
        host = reader.host(name, Texts(**texts), _sysctls(found.get("sysctl", b"")), COMMANDS.__getitem__)  # type: ignore[arg-type]
    except TablesError as error:
        raise PushError(str(error)) from None
    if host.unread:  # the plan needs it
        raise PushError(host.unread[0])
    return Seen(
        int(uid) if uid.isdigit() and len(uid) < 11 else -1,
        host,
        tuple(files),
        first_line(found.get("session", b"")),
        found["nft"].decode(errors="replace") if "nft" in found else None,
    )


def _matters(words: list[str]) -> bool:
    """Return whether a file that cannot be read is needed for the plan; other programs' profiles and scripts are not."""
    return words[-1:] != [] and is_needed(words[-1])


def _remote(kind: str, words: list[str], body: bytes) -> Remote:
    mode, _, path = " ".join(words).partition(" ")
    names = path.split("/")[1:]
    if not path.startswith(_PLACES) or not all(map(_NAME.fullmatch, names)) or not re.fullmatch("[0-7]{1,4}", mode):
        raise PushError(f"it has a file {printable(path)}, whose name cannot be made sense of; rename it")
    if kind == "unreadable":
        raise PushError(f"{escaped(path)} cannot be read by this user; use --sudo, or --user root")
    lines = body.split(b"\n")
    return Remote(path, int(mode, 8), b"\n".join(line[1:] for line in lines), kind == "directory")


def _sysctls(body: bytes) -> dict[str, int]:
    """Parse the output of grep(1) on /proc/sys/net: lines of ``PATH:VALUE``."""
    values = {}
    for line in body.decode(errors="replace").splitlines():
        path, _, value = line.rpartition(":")
        if path.startswith("/proc/sys/net/") and re.fullmatch(r"-?\d{1,10}", value):
            values[path.removeprefix("/proc/sys/").replace("/", ".")] = int(value)
    return values


fib = host_fib.fib  # a machine that was read over SSH is planned for as one that we are on


def refusals(errors: bytes) -> dict[int, Refusal]:
    """Return why lines of a batch failed in ip(8), by line number from 0."""
    reasons, reason = {}, ""
    for line in errors.decode(errors="replace").splitlines():
        failed = _FAILED.match(line)
        if not failed:
            reason = reason or line
            continue
        why = reason.removeprefix("RTNETLINK answers: ").removeprefix("Error: ").rstrip(".") or "no reason given"
        number = next((number for text, number in _ERRNOS.items() if why.startswith(text)), 0)
        reasons[int(failed[1]) - 1] = Refusal(number, escaped(why))
        reason = ""
    return reasons


def verdict(data: bytes) -> Mapping[str, str]:
    """Return the lines that COMMIT and DECIDE print, by first word; the last of equal ones counts."""
    return {words[0]: escaped(" ".join(words[1:])) for words, _ in sections(data) if words}


def settings(data: bytes) -> Mapping[str, str]:
    """Return why host settings could not be changed, by the name that the keeper has for them."""
    entries = (words[1:] for words, _ in sections(data) if words[:1] == ["setting"] and len(words) > 1)
    return {name: escaped(" ".join(why)) or "failed" for name, *why in entries}


def first_line(data: bytes) -> str:
    """Return the first non-empty line, "" if there is none."""
    return next((line.strip() for line in data.decode(errors="replace").splitlines() if line.strip()), "")


def _beginning(data: bytes, errors: bytes) -> str:
    return first_line(data) or first_line(errors)
