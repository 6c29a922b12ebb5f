"""Constants of the kernel's user API that more than one part of podroutes knows. Those of rtnetlink messages alone are in ``rtnl``."""

from enum import IntEnum, IntFlag


class RouteProtocol(IntEnum):
    """RTPROT_* of linux/rtnetlink.h: who added a route. Ours is ``model.route.PROTOCOL``."""

    KERNEL = 2  # connected routes, and those of an address
    BOOT = 3  # ip(8), unless it is told otherwise
    STATIC = 4
    RA = 9  # an IPv6 router advertisement


class Table(IntEnum):
    """RT_TABLE_* of linux/rtnetlink.h: the routing tables that every machine has."""

    DEFAULT = 253
    MAIN = 254
    LOCAL = 255


class Scope(IntEnum):
    """RT_SCOPE_* of linux/rtnetlink.h: the distance to a destination. IPv6 has no scopes."""

    UNIVERSE = 0
    LINK = 253  # a route without a gateway
    HOST = 254
    NOWHERE = 255  # in a request to delete: any


class NextHopFlag(IntFlag):
    """RTNH_F_* of linux/rtnetlink.h: the state of a next hop."""

    DEAD = 1
    PERVASIVE = 2
    ONLINK = 4
    LINKDOWN = 16


class Capability(IntEnum):
    """CAP_* of linux/capability.h, as bits of CapEff in /proc/PID/status; capabilities(7)."""

    NET_ADMIN = 12
