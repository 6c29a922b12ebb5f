"""Reads the ``routes:`` of the administrator's netplan files, each with its line, netplan(5).

netplan joins the lists of routes of one id from all files, so all of them are made.
"""

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

import yaml

from podroutes.model.configured import ConfiguredRoute
from podroutes.persist.configured import Reader
from podroutes.persist.netplan_ids import matching
from podroutes.persist.shell_routes import destination, gateway

_DIRECTORIES = (
    "/lib/netplan",
    "/etc/netplan",
    "/run/netplan",
)  # of files with the same name the last directory's counts
_MAIN = {"254", "main"}


def netplan_routes(reader: Reader) -> Iterator[ConfiguredRoute]:
    """Yield the routes of the main table; a file that is no YAML is remembered as not read."""
    paths = {PurePosixPath(path).name: path for name in _DIRECTORIES for path in reader.glob(f"{name}/*.yaml")}
    for _, path in sorted(paths.items()):
        try:
            document = yaml.compose(reader.read(path), Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            reader.unread[path] = f"{path} is not YAML ({' '.join(str(error).split())}); see `netplan generate`"
            continue
        for section in _sections(document):
            for name, interface in _entries(section).items():
                rows = list(_routes(path, name, interface))
                if rows and _entry(interface, "match"):
                    rows = list(_on_devices(reader, name, rows))
                yield from rows


def _sections(document: yaml.Node | None) -> Iterator[yaml.Node]:
    """Yield the sections of interfaces, without ``vrfs``, whose routes are in a table of their own."""
    yield from (section for name, section in _entries(_entry(document, "network")).items() if name != "vrfs")


def _on_devices(reader: Reader, name: str, rows: list[ConfiguredRoute]) -> Iterator[ConfiguredRoute]:
    """Yield ROWS, of an id that matches by something else than its name, with their device; none where it matches no device here."""
    devices = reader.devices().values()
    if not devices:  # nothing is known of them
        yield from rows
        return
    devices_of_id = matching(reader.root, name, devices)
    dev = devices_of_id[0] if len(devices_of_id) == 1 else None
    yield from (row._replace(dev=dev) for row in (rows if devices_of_id else ()))


def _routes(path: str, name: str, interface: yaml.Node) -> Iterator[ConfiguredRoute]:
    entry = _entry(interface, "routes")
    for item in entry.value if isinstance(entry, yaml.SequenceNode) else ():
        route = _route(path, name, interface, item)
        if route:
            yield route


def _route(path: str, name: str, interface: yaml.Node, item: yaml.Node) -> ConfiguredRoute | None:
    values = {key: node.value for key, node in _entries(item).items() if isinstance(node, yaml.ScalarNode)}
    dst = destination(values.get("to", ""), masks=True)
    if dst is None or values.get("table", "254") not in _MAIN:
        return None
    weight = values.get("metric", "")
    return ConfiguredRoute(
        path,
        _entries(item)["to"].start_mark.line + 1,
        dst,
        gateway(values.get("via")),
        None if _entry(interface, "match") else name,
        int(weight) if weight.isdigit() else None,
        values.get("type", "unicast"),
        "netplan",
    )


def without_routes(text: str, lines: Collection[ConfiguredRoute]) -> str:
    """Return TEXT, a netplan file, without the items of its ``routes:`` at LINES. An empty list stays, as ``[]``."""
    cuts: list[tuple[int, int, str]] = []
    path = next((line.path for line in lines), "")
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    for section in _sections(document):
        for name, interface in _entries(section).items():
            for key, items in interface.value if isinstance(interface, yaml.MappingNode) else ():
                if key.value == "routes" and isinstance(items, yaml.SequenceNode):
                    gone = [_is_in(_route(path, name, interface, item), lines) for item in items.value]
                    cuts += _cuts(text, key, items, gone)
    for start, end, new in sorted(cuts, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _is_in(route: ConfiguredRoute | None, lines: Collection[ConfiguredRoute]) -> bool:
    """Whether ROUTE is one of LINES, which know the device as well."""
    return route is not None and any(line._replace(dev=route.dev) == route for line in lines)


def _cuts(text: str, key: yaml.Node, items: yaml.SequenceNode, gone: list[bool]) -> Iterator[tuple[int, int, str]]:
    """Yield the parts of TEXT to replace and their replacements, for those of ITEMS that are GONE."""
    if not any(gone):
        return
    remaining = [item for item, leaves in zip(items.value, gone, strict=True) if not leaves]
    if not remaining:
        yield key.end_mark.index, _end(items), ": []"
    elif items.flow_style:
        parts = [text[item.start_mark.index : item.end_mark.index] for item in remaining]
        yield items.start_mark.index, items.end_mark.index, f"[{', '.join(parts)}]"
    else:
        for item, leaves in zip(items.value, gone, strict=True):
            if leaves:
                start = text.rfind("\n", 0, item.start_mark.index) + 1
                end = text.find("\n", _end(item))
                yield start, len(text) if end < 0 else end + 1, ""


def _end(node: yaml.Node) -> int:
    """Return the position of the last character of NODE, without the trailing blank lines that the parser includes."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style:
        return int(node.end_mark.index)
    children = [child for pair in node.value for child in (pair if isinstance(pair, tuple) else (pair,))]
    return max(map(_end, children), default=int(node.end_mark.index))


def _entries(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """Return the entries of a mapping by key; none for other nodes."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _entry(node: yaml.Node | None, key: str) -> yaml.Node | None:
    return _entries(node).get(key)
