"""Finds an interface's id in the administrator's netplan files, and runs netplan on them together with ours."""

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.fib import Link
from podroutes.model.persisted import File
from podroutes.model.text import listing, printable
from podroutes.persist.file_format import is_ours

_DIRECTORIES = (
    "/lib/netplan",
    "/etc/netplan",
    "/run/netplan",
)  # of files with the same name the last directory's counts, netplan(5)
_CLOUD_CONFIGS = ("/etc/cloud/cloud.cfg", "/etc/cloud/cloud.cfg.d/*.cfg")
# `network: {config: disabled}` turns off cloud-init's network configuration; see its documentation
_NETWORK_DISABLED = re.compile(r"^network:\s*(?:\{\s*|\n\s+)config:\s*['\"]?disabled", re.MULTILINE)
_SECTIONS = ("ethernets", "wifis", "bonds", "bridges", "vlans", "tunnels", "modems", "dummy-devices", "vrfs")


def find(root: HostFiles, link: Link, links: Sequence[Link]) -> str:
    """Return ``SECTION.ID`` of LINK. Raises PersistError if no id or several match it, or the id also matches another of LINKS.

    An unknown id must never be written: netplan would create a new interface without the addresses of the old one.
    """
    definitions = {
        f"{section}.{name}": body
        for section, interfaces in _merged(root).items()
        for name, body in interfaces.items()
        if _is_about(root, link.name, name, body)
    }
    dev = printable(link.name)
    if not definitions:
        raise PersistError(f"no interface of /etc/netplan is {dev}: netplan does not manage it; try --persist auto")
    if len(definitions) > 1:
        raise PersistError(
            f"netplan has {listing(list(definitions))} for the one interface {dev}: leave one of them, or use --persist networkd"
        )
    ((place, body),) = definitions.items()
    name = place.partition(".")[2]
    others = [other.name for other in links if other != link and _is_about(root, other.name, name, body)]
    if others:
        raise PersistError(
            f"netplan's {place} is for {listing(sorted(map(printable, others)))} as well as for {dev}: routes under it would come up on "
            f"all of them. Give {dev} an id of its own there, or use --persist systemd"
        )
    return place


def matching(root: HostFiles, id_: str, devices: Iterable[str]) -> list[str]:
    """Return those of DEVICES that the id ID_ is about; all of the administrator's files together say so."""
    try:
        bodies = [body for interfaces in _merged(root).values() for name, body in interfaces.items() if name == id_]
    except PersistError:  # a file that is no YAML is told elsewhere
        return []
    return [dev for dev in devices if any(_is_about(root, dev, id_, body) for body in bodies)]


def generated(root: HostFiles, link: Link) -> str | None:
    """Return the .network file that netplan makes of its files for LINK, "" where none is about it, None where they cannot be read."""
    try:
        merged = _merged(root)
    except PersistError:
        return None
    for interfaces in merged.values():
        for id_, body in interfaces.items():
            if _is_about(root, link.name, id_, body):
                return f"10-netplan-{id_}.network"
    return ""


def made_by_cloud_init(root: HostFiles, place: str) -> str:
    """Return the file in which cloud-init defines PLACE (``SECTION.ID``) and may rename it at a boot, "" if there is none."""
    section, _, id_ = place.partition(".")
    for pattern in _CLOUD_CONFIGS:
        for path in root.glob(pattern):
            if _NETWORK_DISABLED.search(root.read(path) or ""):
                return ""
    for path, text in _files(root):
        interfaces = _network(path, text).get(section)
        if "cloud-init" in path and isinstance(interfaces, dict) and id_ in map(str, interfaces):
            return path
    return ""


def _merged(root: HostFiles) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the interfaces by section and id, merged like netplan: later files override earlier ones."""
    sections: dict[str, dict[str, dict[str, Any]]] = {}
    for name, text in _files(root):
        for section, interfaces in _network(name, text).items():
            if section in _SECTIONS and isinstance(interfaces, dict):
                for id_, body in interfaces.items():
                    merged = sections.setdefault(section, {}).setdefault(str(id_), {})
                    merged.update(body if isinstance(body, dict) else {})
    return sections


def _files(root: HostFiles) -> Iterator[tuple[str, str]]:
    """Yield name and text of the administrator's files in netplan's order."""
    paths = {PurePosixPath(name).name: name for directory in _DIRECTORIES for name in root.glob(f"{directory}/*.yaml")}
    for _, name in sorted(paths.items()):
        text = root.read(name) or ""
        if not is_ours(text):
            yield name, text


def _network(name: str, text: str) -> dict[str, Any]:
    import yaml  # noqa: PLC0415, heavy

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PersistError(f"{name} is not YAML ({' '.join(str(error).split())}); see `netplan generate`") from None
    network = document.get("network") if isinstance(document, dict) else None
    return network if isinstance(network, dict) else {}


def _is_about(root: HostFiles, dev: str, name: str, body: dict[str, Any]) -> bool:
    if body.get("set-name") == dev:
        return True
    match = body.get("match")
    if not isinstance(match, dict):
        return name == dev
    if "set-name" in body:
        return False  # another name
    facts = {
        "name": dev,
        "macaddress": (root.read(f"/sys/class/net/{dev}/address") or "").strip().lower(),
        "driver": root.path(f"/sys/class/net/{dev}/device/driver").resolve().name,
    }
    wanted = {key: match[key] if isinstance(match[key], list) else [match[key]] for key in facts if key in match}
    return all(
        any(
            fnmatchcase(facts[key], str(pattern).lower() if key == "macaddress" else str(pattern))
            for pattern in patterns
        )
        for key, patterns in wanted.items()
    )


def generate(root: HostFiles, files: Sequence[File], wanted: Iterable[str]) -> str:
    """Run netplan on the administrator's files and FILES in a temporary directory; return "" if the result has the routes WANTED, else the error."""
    from podroutes.host.scratch import scratch  # noqa: PLC0415, only for what writes

    with scratch() as top:
        directory = str(top)
        for name, text in [*_files(root), *((file.path, file.text) for file in files)]:
            path = top / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        done = root.run(("netplan", "generate", "--root-dir", directory))
        if done is None:
            return ""
        if done[0]:
            return done[1].replace(directory, "").splitlines()[0] if done[1] else "netplan generate fails on it"
        made = "".join(path.read_text(encoding="utf-8") for path in sorted(top.glob("run/**/*")) if path.is_file())
        lost = [dst for dst in wanted if dst not in made]
        return f"netplan leaves out the route to {listing(lost)}" if lost else ""
