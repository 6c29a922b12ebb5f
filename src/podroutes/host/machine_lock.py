"""The one lock of a machine for whatever changes its routes and files: apply, remove, the agent, and push.

It is an abstract socket, unix(7): one a network namespace, as the routes are, and gone with its process. Who holds it is in the name of
a second one. push runs a shell script on the machine, which cannot make such a socket: it holds flock(2) on a file, which is taken here
as well where it exists, and looks for the socket in /proc/net/unix.
"""

import fcntl
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from podroutes.errors import LockedError
from podroutes.host.agent_lock import changes_routes, peer
from podroutes.model.text import escaped

NAME = "podroutes/write"  # as /proc/net/unix has it, behind a "@"
PUSH = "/run/podroutes/push.lock"
_SOCKETS = Path("/proc/net/unix")
_HOLDER = re.compile(rf"@{NAME}/(\w+)/(\d+)$", re.MULTILINE)
_PAUSE = 0.1  # seconds between two looks at a file that push has locked
_QUEUE = 1024  # processes that may wait at once
_TRIES, _MOMENT = 5, 0.01  # looks, and seconds between them, at a name that nobody answers for


@contextmanager
def locked(command: str, patience: float, tell: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the lock for COMMAND, one word, which may be waited for PATIENCE seconds: then LockedError says who has it.

    TELL is given who that is before it is waited for.
    """
    end, reported = time.monotonic() + patience, False
    with ExitStack() as opened:
        while not _take(command, opened):
            who = _holder()
            rest = end - time.monotonic()
            if rest <= 0:
                raise LockedError(f"{who} is changing the routes of this machine; try again when it is done")
            if not reported:
                tell(who)
                reported = True
            _wait(rest)
        yield


def _take(command: str, opened: ExitStack) -> bool:
    """Take the lock, to be given back with OPENED; whether that could be done. It is never held while the file is waited for."""
    with ExitStack() as mine:
        lock = mine.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        if not _bind(lock) or not _take_file(command, mine):
            return False
        sign = mine.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with suppress(OSError):
            sign.bind(f"\0{NAME}/{command}/{os.getpid()}".encode())
        opened.push(mine.pop_all())
    return True


def _bind(lock: socket.socket) -> bool:
    """Give LOCK the name; false where one of ours has it. A stranger who has it must not keep us from our work."""
    for _ in range(_TRIES):
        try:
            lock.bind(f"\0{NAME}".encode())
            lock.listen(_QUEUE)
        except OSError:
            held = _is_held()
            if held is not None:
                return not held
            time.sleep(_MOMENT)
        else:
            return True
    return True  # somebody has the name and does not listen: ours do


def _take_file(command: str, mine: ExitStack) -> bool:
    """Take the file of push, where there is one that we may open; false where push has it."""
    try:
        file = mine.enter_context(Path(PUSH).open("r+b"))  # noqa: SIM115, closed with the lock
    except OSError:  # nobody has pushed since the boot, or we are not root
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with suppress(OSError):  # it is a word to whoever waits
        file.truncate()
        file.write(f"podroutes {command} (process {os.getpid()})\n".encode())
        file.flush()
    return True


def _is_held() -> bool | None:
    """Whether one of ours has the socket; None where nobody answers: it was given back, or is about to listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_PAUSE)
        try:
            client.connect(f"\0{NAME}".encode())
        except ConnectionRefusedError:
            return None
        except OSError:  # too many wait already
            return True
        return changes_routes(*peer(client))


def _holder() -> str:
    """Return who has the lock, as far as it can be told."""
    with suppress(OSError):
        if match := _HOLDER.search(_SOCKETS.read_text(errors="replace")):
            return f"podroutes {match[1]} (process {match[2]})"
    with suppress(OSError):
        if text := Path(PUSH).read_text(errors="replace").strip():
            return escaped(text[:200])
    return "another podroutes"


def _wait(seconds: float) -> None:
    """Wait for as long as the socket is held, at most SECONDS: its end closes the connection to it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(seconds)
        try:
            client.connect(f"\0{NAME}".encode())
            client.recv(1)
        except ConnectionRefusedError:  # it is push that holds its file
            time.sleep(min(_PAUSE, seconds))
        except OSError:
            pass
