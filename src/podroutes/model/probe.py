"""Results of probes with real packets."""

from typing import NamedTuple

from podroutes.model.address import Address


class Probed(NamedTuple):
    """Packets from the machine ``source`` to an address of ``node``: times are in milliseconds, ``mtu`` in bytes.

    ``mtu`` is the largest packet that was answered without being fragmented, None where it was not measured. ``how`` is ``icmp``, or
    ``udp`` where only a closed UDP port answered. ``error`` is what stands against it: an ICMP error, or of this machine.
    ``pod``: a pod was asked; else the node itself answers, and whether it forwards is not tested.
    """

    source: str
    node: str
    target: Address
    sent: int = 0
    received: int = 0
    fastest: float = 0.0
    mean: float = 0.0
    mtu: int | None = None
    how: str = "icmp"
    error: str = ""
    pod: bool = True

    @property
    def answered(self) -> bool:
        """Whether any packet was."""
        return self.received > 0

    @property
    def asked(self) -> bool:
        """Whether there was time to send a packet."""
        return self.sent > 0

    @property
    def lost(self) -> bool:
        """Whether packets were sent and none was answered."""
        return self.asked and not self.answered


class Disagreement(NamedTuple):
    """Proof and packets say different things about one pair."""

    probed: Probed
    proven: bool
