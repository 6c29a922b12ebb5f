"""A plan as what a machine is sent: two batches for ip(8), one that carries it out and one that takes it back, and files. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from podroutes.errors import PushError
from podroutes.model.host_change import HostChange
from podroutes.model.persisted import FileChange
from podroutes.model.plan import Change, Plan
from podroutes.model.text import printable
from podroutes.persist.system_files import sysctl_path
from podroutes.push.scripts import KEEPER
from podroutes.views.iproute import batch

# What ip(8) reads as one word in a batch: no blank, quote, backslash or "#". The kernel forbids "/", ":" and more than 15 bytes.
_DEVICE = re.compile(r"[!$%&()*+,.0-9;<=>?@A-Z\[\]^_`a-z{|}~-]{1,15}")
_SETTING = re.compile(r"[A-Za-z0-9@_+./-]+")  # the same, for a sysctl or a module and its value
_PATH = re.compile(r"(?:/[A-Za-z0-9@_+][A-Za-z0-9@._+:-]*)+")  # what the scripts take for one word


class RemoteCommand(NamedTuple):
    """What carries a plan out and what takes it back: line i of ``apply`` is undone by line i of ``undo``, counted from its end."""

    apply: tuple[str, ...]
    undo: tuple[str, ...]
    files: tuple[FileChange, ...]
    settings: tuple[str, ...] = ()  # lines for the keeper: sysctls and modules
    table: str = ""  # the script for nft(8)


def order(plan: Plan, *more: FileChange) -> RemoteCommand:
    """Return what PLAN comes to, with MORE files; PushError where a name in it could be misread."""
    for change in plan.changes:
        for route in filter(None, (change.route, change.was)):
            if route.table <= 0:
                raise PushError(
                    f"{route.dst} is in a table that has a name on that machine only; remove it there by hand"
                )
            for hop in route.next_hops:
                if hop.dev and not _DEVICE.fullmatch(hop.dev):
                    raise PushError(
                        f"the device {printable(hop.dev)} has a name that ip -batch would misread; rename it"
                    )
    for file in plan.files or ():
        if not _PATH.fullmatch(file.file.path):
            raise PushError(f"{printable(file.file.path)}: such a name cannot be handed to a shell script; rename it")
    verbs = {"add": "add", "replace": "change", "delete": "del"}
    apply = tuple(batch(verbs[change.action], change.route) for change in plan.changes)
    undo = tuple(map(_undo, reversed(plan.changes)))
    table = "".join(change.value for change in plan.host if change.kind == "nftables")
    return RemoteCommand(apply, undo, (*(plan.files or ()), *more), tuple(_settings(plan)), table)


def setting_name(change: HostChange) -> str:
    """Return the name that the keeper has for CHANGE."""
    if change.kind == "nftables":
        return change.name.partition(" ")[0]
    return sysctl_path(change.name) if change.kind == "sysctl" else change.name


def _settings(plan: Plan) -> Iterator[str]:
    for change in plan.host:
        words = (change.kind, setting_name(change), change.value, change.was)
        if change.kind == "nftables":
            continue
        if not all(_SETTING.fullmatch(word) for word in words if word):
            raise PushError(
                f"{printable(change.name)}: such a name cannot be handed to a shell script; rename the device"
            )
        yield " ".join(words).rstrip()


def _undo(change: Change) -> str:
    if change.was:
        return batch("change", change.was)
    return batch("del" if change.action == "add" else "add", change.route)


def frames(order: RemoteCommand, token: str, seconds: int) -> bytes:
    """Return the standard input of scripts.COMMIT: TOKEN names this attempt, which is taken back after SECONDS."""
    return b"".join([f"{token} {seconds}\n".encode(), *_frames(order), b"end 0 0 -\n"])


def _frames(order: RemoteCommand) -> Iterator[bytes]:
    early = [change.file.path for change in order.files if change.first]
    for name, text in (
        ("keeper", KEEPER),
        ("apply", "".join(f"{line}\n" for line in order.apply)),
        ("undo", "".join(f"{line}\n" for line in order.undo)),
        ("settings", "".join(f"{line}\n" for line in order.settings)),
        ("table", order.table),
        ("first", "".join(f"{path}\n" for path in early)),
    ):
        if text:
            yield _frame("part", name, text)
    for change in order.files:
        mode = f"{change.file.mode:o}"
        if change.action == "delete":
            yield f"delete 0 {mode} {change.file.path}\n".encode()
        else:
            yield _frame("write", change.file.path, change.file.text, mode)
        if change.first:
            yield _frame("first", change.file.path, change.first.text, mode)


def _frame(kind: str, path: str, text: str, mode: str = "600") -> bytes:
    data = text.encode(errors="surrogateescape")
    return f"{kind} {len(data)} {mode} {path}\n".encode() + data
