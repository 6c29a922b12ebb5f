"""Reads the static routes of SUSE, ifroute(5): /etc/sysconfig/network/routes and ifroute-DEV, which wicked and NetworkManager's users have.

There is no backend for wicked: ``--persist auto`` takes the systemd unit there.
"""

from collections.abc import Iterator
from itertools import pairwise

from podroutes.model.configured import ConfiguredRoute
from podroutes.persist.shell_routes import destination, gateway

FILES = ("/etc/sysconfig/network/routes", "/etc/sysconfig/network/ifroute-*")
_NONE = ("", "-")
_MAIN = ("main", "254")


def suse_routes(text: str, path: str) -> Iterator[ConfiguredRoute]:
    """Yield the routes of TEXT, the content of PATH: destination, gateway, netmask, interface, type and options in columns, ``-`` for none."""
    own = path.rpartition("/ifroute-")[2] if "/ifroute-" in path else None
    for number, line in enumerate(text.splitlines(), 1):
        head, via, mask, dev, kind, *options = [*line.partition("#")[0].split(), "", "", "", "", ""]
        extra = dict(pairwise(options))
        dst = destination(f"{head}/{mask}" if mask not in _NONE else head, masks=True)
        if dst and extra.get("table", "main") in _MAIN:
            metric = extra.get("metric", "")
            yield ConfiguredRoute(
                path,
                number,
                dst,
                gateway(via),
                own if dev in _NONE else dev,
                int(metric) if metric.isdigit() else None,
                "unicast" if kind in _NONE else kind,
            )
