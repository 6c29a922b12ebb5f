"""A thread that works when it is woken, and again after a pause if its work requests it."""

import threading
from collections.abc import Callable


class WorkerThread:
    """Calls WORK in a thread called NAME. WORK returns the seconds until it is called again, None for never."""

    def __init__(self, name: str, work: Callable[[], float | None]) -> None:
        self.closing = False  # this is the last call of WORK
        self._work = work
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Call WORK soon. May be called from any thread; several calls may become one."""
        self._woken.set()

    def close(self) -> None:
        """Call WORK once more, and end."""
        self.closing = True
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        pause: float | None = None
        while True:
            self._woken.wait(pause)
            self._woken.clear()
            last = self.closing
            pause = self._work()
            if last:
                return
