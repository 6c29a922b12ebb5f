"""Tells systemd how the service is doing: sd_notify(3), which is one datagram to the socket that it names."""

import os
import socket
from contextlib import suppress


class ServiceManager:
    """The service manager that started us, if there is one; without one all of this does nothing."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        patience = os.environ.get("WATCHDOG_USEC", "")
        meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        # Half of what it waits, as sd_watchdog_enabled(3) recommends.
        self.interval = int(patience) / 2e6 if patience.isdigit() and meant and self._address else 0.0

    def tell(self, *assignments: str) -> None:
        """Send ASSIGNMENTS such as ``READY=1``; a manager that cannot be reached is no reason to fail."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.sendto("\n".join(assignments).encode(), address)
