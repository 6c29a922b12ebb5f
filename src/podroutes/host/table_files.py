"""Reads the tables of many machines from files: ``DIR/NODE/route.json`` and others, each the output of one ip(8) command."""

import stat
from contextlib import suppress
from pathlib import Path

from podroutes.host import TablesError
from podroutes.host.iproute_json import Reader, Texts, sysctls, sysctls_json
from podroutes.host.local_tables import COMMANDS
from podroutes.host.progress import Progress
from podroutes.model.address import Address, parse_address
from podroutes.model.host import Host
from podroutes.model.text import escaped

_OPTIONAL = {
    "route6": "ip -N -j -6 route show table all",
    **{field: COMMANDS[field] for field in ("rule6", "nexthop", "neigh", "proxy")},
}
_LARGEST = 1 << 30  # bytes; 100,000 routes print as 12 MB


def read_directory(directory: str) -> list[Host]:
    """Return the machines that have a directory in DIRECTORY, by its name. Raises TablesError with the invalid file."""
    root = Path(directory)
    try:
        names = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise TablesError(f"{escaped(directory)}: {error.strerror}; it must have a directory for each node") from None
    if not names:
        raise TablesError(f"{escaped(directory)}: has no directory in it; make one for each node, named like the node")
    reader, found = Reader(), list[Host]()
    with Progress("reading", len(names)) as progress:
        for name in names:
            found.append(_host(root / name, reader))
            progress.step(name)
    return found


def _host(directory: Path, reader: Reader) -> Host:
    def place(field: str) -> str:
        return escaped(str(directory / f"{field}.json"))

    found = {
        field: _read(directory / f"{field}.json", place(field), wanted=field not in _OPTIONAL)
        for field in COMMANDS | _OPTIONAL
    }
    host = reader.host(directory.name, Texts(**found), _sysctls(directory), place)  # type: ignore[arg-type]  # wanted ones are there
    return host._replace(leases=_leases(directory))


def _leases(directory: Path) -> tuple[Address, ...]:
    """Return the addresses that host-local's files are named by, as ls(1) prints them; other files are passed over."""
    data = _read(directory / "pods.txt", escaped(str(directory / "pods.txt")), wanted=False) or b""
    found = []
    for name in data.decode(errors="replace").split():
        with suppress(ValueError):
            found.append(parse_address(name))
    return tuple(found)


def _sysctls(directory: Path) -> dict[str, int]:
    for name, parse in (
        ("sysctl.json", sysctls_json),
        ("sysctl.txt", lambda data, place: sysctls(data.decode(errors="replace"), place)),
    ):
        place = escaped(str(directory / name))
        data = _read(directory / name, place, wanted=False)
        if data is not None:
            return parse(data, place)
    return {}


def _read(path: Path, place: str, *, wanted: bool) -> bytes | None:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise TablesError(f"{place}: is not a file")
        if found.st_size > _LARGEST:
            raise TablesError(f"{place}: is larger than any table (1 GiB)")
        return path.read_bytes()
    except FileNotFoundError:
        if not wanted:
            return None
        raise TablesError(f"{place}: is missing; on that node type: {COMMANDS[path.stem]} > {path.name}") from None
    except OSError as error:
        raise TablesError(f"{place}: {error.strerror}") from None
