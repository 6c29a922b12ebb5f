"""Recent deletions in the state directory, which the guard counts across runs and programs."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from podroutes.errors import PersistError
from podroutes.host.atomic_write import read_whole, write_whole
from podroutes.model.address import parse_prefix
from podroutes.plan.guard import WINDOW, Deleted

DIRECTORY = "/var/lib/podroutes"  # the default state directory, hier(7)
NAME = "deleted.json"


def load(directory: Path) -> tuple[Deleted, ...]:
    """Return the deletions in DIRECTORY, with times in seconds since the epoch; none if the file does not exist.

    Raises PersistError if the file cannot be read or is damaged.
    """
    path = directory / NAME
    try:
        rows = json.loads(read_whole(path))["deleted"]
        return tuple(Deleted(parse_prefix(row["dst"]), str(row["node"]), float(row["at"])) for row in rows)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise PersistError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise PersistError(f"{path}: is damaged: delete it; what went in the last minutes is not counted") from None


def add(directory: Path, deleted: Iterable[Deleted], now: float) -> None:
    """Add DELETED to DIRECTORY, and drop deletions that no longer count at NOW. Atomic. Raises ``OSError``.

    An unreadable file is replaced.
    """
    with suppress(PersistError):
        deleted = (*load(directory), *deleted)
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(directory / NAME, text(deleted, now))


def text(deleted: Iterable[Deleted], now: float) -> str:
    """Return the content of the file for DELETED at NOW."""
    rows = [{"dst": str(each.dst), "node": each.node, "at": each.at} for each in deleted if now - each.at < WINDOW]
    return json.dumps({"deleted": rows}) + "\n"
