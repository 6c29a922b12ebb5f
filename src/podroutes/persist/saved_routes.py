"""The saved routes in the state directory: our routes after the last run, with their nodes."""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from podroutes.errors import PersistError
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.saved_route import SavedRoute
from podroutes.persist.deletions import is_gone

if TYPE_CHECKING:
    from pathlib import Path  # slow to load

NAME = "routes.json"
_FRESH = 86400.0  # seconds for which saved times count as current, so that a run without changes writes nothing


def load(directory: str | os.PathLike[str], own: str) -> tuple[SavedRoute, ...]:
    """Return the saved routes of node OWN in DIRECTORY; none if there is no file, or it belongs to another node.

    Raises PersistError if the file cannot be read or is damaged.
    """
    path = os.path.join(directory, NAME)  # noqa: PTH118, pathlib is slow to load
    if is_gone(path):
        return ()
    from json import loads  # noqa: PLC0415, read only where it matters
    from pathlib import Path  # noqa: PLC0415, the same

    from podroutes.host.atomic_write import read_whole  # noqa: PLC0415, the same

    try:
        document = loads(read_whole(Path(path)))
        return tuple(map(_route, document["routes"])) if document["node"] == own else ()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise PersistError(
            f"{path}: cannot be read: {error.strerror}; which routes stood before is not known"
        ) from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise PersistError(f"{path}: is damaged: delete it; which routes stood before is not known") from None


def save(directory: str | os.PathLike[str], own: str, routes: Sequence[SavedRoute], now: float) -> None:
    """Write the ROUTES of node OWN to DIRECTORY. Atomic. Raises ``OSError``.

    Nothing is written if the same routes were written within a day before NOW, in seconds since the epoch.
    """
    from pathlib import Path  # noqa: PLC0415, only for what changes routes

    path = Path(directory, NAME)
    head = f'{{"node": {_quoted(own)}, "digest": "{_digest(routes)}", "routes": [\n'
    if _is_there(path, head, now):
        return
    from podroutes.host.atomic_write import write_whole  # noqa: PLC0415, the same

    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(path, head + ",\n".join(map(_row, routes)) + "\n]}\n")


def _is_there(path: "Path", head: str, now: float) -> bool:
    from podroutes.host.atomic_write import read_whole  # noqa: PLC0415, the same

    try:
        return 0 <= now - path.stat().st_mtime < _FRESH and read_whole(path).startswith(head)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(routes: Iterable[SavedRoute]) -> str:
    """Return a digest of the routes without their times."""
    rows = (f"{dst} {via} {dev} {node} {uid}" for dst, via, dev, node, uid, _ in routes)
    from hashlib import sha256  # noqa: PLC0415, loads OpenSSL

    return sha256("\n".join(rows).encode(errors="surrogatepass")).hexdigest()


def _route(row: dict[str, Any]) -> SavedRoute:
    dst, via = parse_prefix(row["dst"]), parse_address(row["via"])
    return SavedRoute(dst, via, str(row["dev"]), str(row["node"]), str(row["uid"]), float(row["seen"]))


def _row(route: SavedRoute) -> str:
    dst, via, dev, node, uid, seen = route
    words = ", ".join(f'"{key}": {_quoted(text)}' for key, text in (("dev", dev), ("node", node), ("uid", uid)))
    return f'{{"dst": "{dst}", "via": "{via}", {words}, "seen": {seen:.0f}}}'


def _quoted(text: str) -> str:
    """Return TEXT as JSON writes it."""
    from json import dumps  # noqa: PLC0415, only for what changes routes

    return dumps(text, ensure_ascii=False)
