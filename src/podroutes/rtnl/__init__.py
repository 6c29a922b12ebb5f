"""The rtnetlink protocol without I/O: encodes values as bytes and decodes bytes into values.

Sources: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h; netlink(7), rtnetlink(7); RFC 3549.
All integers are in host byte order, addresses in network byte order.
"""
