"""The ``routes:`` of the administrator's netplan files, each with its line, netplan(5).

netplan puts the lists of routes of one id together, whichever files they are in, so that every one of them is made.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

import yaml

from podroutes.model.configured import ConfiguredRoute
from podroutes.persist.configured import Reader
from podroutes.persist.shell_routes import destination, gateway

_DIRECTORIES = ("/lib/netplan", "/etc/netplan", "/run/netplan")  # of files with one name the last counts
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
        for section in _entries(_entry(document, "network")).values():
            for name, interface in _entries(section).items():
                yield from _routes(path, name, interface)


def _routes(path: str, name: str, interface: yaml.Node) -> Iterator[ConfiguredRoute]:
    found = _entry(interface, "routes")
    for item in found.value if isinstance(found, yaml.SequenceNode) else ():
        values = {key: node.value for key, node in _entries(item).items() if isinstance(node, yaml.ScalarNode)}
        dst = destination(values.get("to", ""))
        if dst is None or values.get("table", "254") not in _MAIN:
            continue
        weight = values.get("metric", "")
        dev = None if _entry(interface, "match") else name
        line = _entries(item)["to"].start_mark.line + 1
        metric = int(weight) if weight.isdigit() else None
        yield ConfiguredRoute(
            path, line, dst, gateway(values.get("via")), dev, metric, values.get("type", "unicast"), "netplan"
        )


def _entries(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """Return the entries of a mapping by key; nothing for any other node."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _entry(node: yaml.Node | None, key: str) -> yaml.Node | None:
    return _entries(node).get(key)
