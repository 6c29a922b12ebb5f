"""pyroute2 in a process of its own: ``python -m bench.pyroute2_peer add|batch|replace|dump N``, prints seconds.

Its import is not counted; routes have the form that podroutes gives them.
"""

import socket
import sys
import time

from pyroute2 import IPRoute
from pyroute2.iproute.linux import IPBatch

from bench import scene
from podroutes.model.address import Address, Prefix
from podroutes.model.route import PROTOCOL

_CHUNK = 100  # messages a send, each with an acknowledgement


def main(verb: str, count: int) -> float:
    """Do VERB for COUNT routes; return seconds."""
    with IPRoute() as door:
        index = door.link_lookup(ifname=scene.DEVICE)[0]
        requests = [
            {
                "dst": str(Prefix(4, scene.dst(n), scene.LENGTH)),
                "gateway": str(Address(4, scene.via(n, moved=verb == "replace"))),
                "oif": index,
                "proto": PROTOCOL,
                "priority": scene.metric(n, count),
            }
            for n in range(count)
        ]
        begin = time.perf_counter()
        if verb == "dump":
            found = len([*door.get_routes(family=socket.AF_INET, table=254)])
            if found < count:
                raise SystemExit(f"{found} routes of {count}")
        elif verb == "batch":
            _batch(requests)
        else:
            for request in requests:
                door.route(verb, **request)
        return time.perf_counter() - begin


def _batch(requests: list[dict[str, object]]) -> None:
    """Let pyroute2 make the messages, and send them over a plain socket, which costs least."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as raw, IPBatch() as compiler:
        for first in range(0, len(requests), _CHUNK):
            chunk = requests[first : first + _CHUNK]
            for request in chunk:
                compiler.route("add", **request)
            raw.send(compiler.asyncore.batch)
            compiler.reset()
            for _ in chunk:
                raw.recv(1 << 16)


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2])))  # noqa: T201, the result
