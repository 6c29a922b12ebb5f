"""Notifies systemd: sd_notify(3), one datagram to the socket in NOTIFY_SOCKET."""

import os
import socket
from contextlib import suppress


class ServiceManager:
    """The service manager that started this process. Without one all methods do nothing."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        patience = os.environ.get("WATCHDOG_USEC", "")
        meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        # Half of the watchdog interval, as sd_watchdog_enabled(3) recommends.
        self.interval = int(patience) / 2e6 if patience.isdigit() and meant and self._address else 0.0

    def tell(self, *assignments: str) -> None:
        """Send ASSIGNMENTS such as ``READY=1``; errors are ignored."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.sendto("\n".join(assignments).encode(), address)
