"""Record the dumps that test_messages.py reads: run it as root in an empty network namespace (``unshare -n``)."""

import socket
import subprocess
import sys
from pathlib import Path

from podroutes.rtnl import constants as nl
from podroutes.rtnl.decode import RouteDump
from podroutes.rtnl.encode import routes_request

SETUP = """
link set lo up
link add ens18 index 7 type veth peer name wire index 8
link set wire up
link set ens18 up
addr add 192.168.8.20/24 dev ens18
addr add fd00::20/64 dev ens18 nodad
route add default via 192.168.8.1 proto static
route add blackhole 10.1.0.0/16 proto 107
route add 10.2.0.0/16 proto 107 nexthop via 192.168.8.21 nexthop via 192.168.8.22
route add 10.200.30.128/25 via 192.168.8.9 dev ens18
"""


def main() -> None:
    """Make the table, and write each datagram of its dumps as a line of hexadecimal digits."""
    lines = SETUP.strip().splitlines()
    lines += [
        f"route add 10.{200 + (i >> 8)}.{i & 255}.0/24 via 192.168.8.{21 + i % 200} proto 107" for i in range(500)
    ]
    lines += [f"route add 10.210.{i}.0/24 via 192.168.8.{21 + i} proto 107 metric {i + 1}" for i in range(100)]
    lines += [f"route add fd00:200:{i:x}::/64 via fd00::{i + 33:x} proto 107" for i in range(300)]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    for name, version in (("ipv4", 4), ("ipv6", 6)):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
            kernel.setsockopt(nl.SOL_NETLINK, nl.NETLINK_GET_STRICT_CHK, 1)
            kernel.send(routes_request(1, version, table=254))
            datagrams, dump = [], RouteDump(version, {})
            while not datagrams or dump.feed(datagrams[-1]) is None:
                datagrams.append(kernel.recv(1 << 16))
        Path(sys.argv[1], f"{name}.hex").write_text("\n".join(each.hex() for each in datagrams) + "\n")


if __name__ == "__main__":
    main()
