"""Reads the state of machines: their tables as ip(8) prints them, files, tools, and probes with real packets.

``iproute``: the one parser of ``ip -j`` output; ``tables``: that output from files; ``here``: from the machine that we are
on; ``echo``, ``sweep``: real packets.
"""

from podroutes.errors import PodroutesError


class TablesError(PodroutesError):
    """A machine's tables cannot be read: a file is missing, cut off, or not what ip(8) prints."""


class ProbeError(PodroutesError):
    """Packets cannot be sent: no right to, or no address to send them to."""
