"""A thread that works when it is woken, and again after a pause where its work asks for that."""

import threading
from collections.abc import Callable


class WorkerThread:
    """Calls WORK in a thread called NAME. WORK returns after how many seconds it is called again unasked, None for never."""

    def __init__(self, name: str, work: Callable[[], float | None]) -> None:
        self.closing = False  # WORK is called for the last time
        self._work = work
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have WORK called soon, from any thread; several calls may become one."""
        self._woken.set()

    def close(self) -> None:
        """Have WORK called once more, and end."""
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
