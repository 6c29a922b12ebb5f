"""Recent deletions in the state directory, which the guard counts across runs and programs."""

import os
from collections.abc import Iterable
from contextlib import suppress

from podroutes.errors import PersistError
from podroutes.model.address import parse_prefix
from podroutes.plan.guard import WINDOW, Deleted

DIRECTORY = "/var/lib/podroutes"  # the default state directory, hier(7)
NAME = "deleted.json"


def load(directory: str | os.PathLike[str]) -> tuple[Deleted, ...]:
    """Return the deletions in DIRECTORY, with times in seconds since the epoch; none if the file does not exist.

    Raises PersistError if the file cannot be read or is damaged.
    """
    path = os.path.join(directory, NAME)  # noqa: PTH118, pathlib is slow to load
    if is_gone(path):
        return ()
    from json import loads  # noqa: PLC0415, there is seldom such a file
    from pathlib import Path  # noqa: PLC0415, the same

    from podroutes.host.atomic_write import read_whole  # noqa: PLC0415, the same

    try:
        rows = loads(read_whole(Path(path)))["deleted"]
        return tuple(Deleted(parse_prefix(row["dst"]), str(row["node"]), float(row["at"])) for row in rows)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise PersistError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise PersistError(f"{path}: is damaged: delete it; what went in the last minutes is not counted") from None


def add(directory: str | os.PathLike[str], deleted: Iterable[Deleted], now: float) -> None:
    """Add DELETED to DIRECTORY, and drop deletions that no longer count at NOW. Atomic. Raises ``OSError``.

    An unreadable file is replaced.
    """
    with suppress(PersistError):
        deleted = (*load(directory), *deleted)
    from pathlib import Path  # noqa: PLC0415, only for what deletes

    from podroutes.host.atomic_write import write_whole  # noqa: PLC0415, the same

    Path(directory).mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(Path(directory, NAME), text(deleted, now))


def text(deleted: Iterable[Deleted], now: float) -> str:
    """Return the content of the file for DELETED at NOW."""
    from json import dumps  # noqa: PLC0415, the same

    rows = [
        {"dst": str(deletion.dst), "node": deletion.node, "at": deletion.at}
        for deletion in deleted
        if now - deletion.at < WINDOW
    ]
    return dumps({"deleted": rows}) + "\n"


def is_gone(path: str) -> bool:
    """Whether there is no file at PATH: then nothing that could read one has to be loaded."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
