"""The saved routes in the state directory: what apply and the agent remember of the routes that stood, and of whose they were."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from podroutes.errors import PersistError
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.saved import SavedRoute
from podroutes.persist.files import write_whole

NAME = "routes.json"


def load(directory: Path, own: str) -> tuple[SavedRoute, ...]:
    """Return what DIRECTORY has for the machine that is node OWN; nothing where there is no such file, or it is another node's.

    Raises PersistError where the file cannot be read or is damaged.
    """
    path = directory / NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return tuple(map(_route, found["routes"])) if found["node"] == own else ()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise PersistError(
            f"{path}: cannot be read: {error.strerror}; which routes stood before is not known"
        ) from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise PersistError(f"{path}: is damaged: delete it; which routes stood before is not known") from None


def save(directory: Path, own: str, routes: Iterable[SavedRoute]) -> None:
    """Write the ROUTES of the machine that is node OWN to DIRECTORY, whole or not at all. Raises ``OSError``."""
    rows = ",\n".join(json.dumps(_row(route), ensure_ascii=False) for route in routes)
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(directory / NAME, f'{{"node": {json.dumps(own, ensure_ascii=False)}, "routes": [\n{rows}\n]}}\n')


def _route(row: dict[str, Any]) -> SavedRoute:
    dst, via = parse_prefix(row["dst"]), parse_address(row["via"])
    return SavedRoute(dst, via, str(row["dev"]), str(row["node"]), str(row["uid"]), float(row["seen"]))


def _row(route: SavedRoute) -> dict[str, Any]:
    return {**route._asdict(), "dst": str(route.dst), "via": str(route.via)}
