"""The files and tools of one machine: those of this one, or of a directory that stands in for it."""

import errno
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path  # every `plan` looks for files of ours, and nearly none finds any

from podroutes.errors import PersistError

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ESRCH, errno.ENODEV}  # also what goes while we look
_OWN_NETWORK = "/proc/thread-self/ns/net"


class HostFiles:
    """Everything below one directory, named by the absolute paths that the machine itself would use."""

    def __init__(self, directory: "str | Path" = "/") -> None:
        self.directory = os.fspath(directory)
        self.refused: dict[str, str] = {}  # what exists and ``peek`` could not read, with the reason

    def path(self, name: str) -> "Path":
        """Return where the machine's NAME is for us."""
        from pathlib import Path  # noqa: PLC0415, see above

        return Path(self.directory, name.lstrip("/"))

    def _join(self, name: str) -> str:
        return f"{self.directory.rstrip('/')}/{name.lstrip('/')}"

    def read(self, name: str) -> str | None:
        """Return the text of NAME, None where there is no such file; PersistError when it cannot be read."""
        try:
            with open(self._join(name), encoding="utf-8", errors="replace") as file:  # noqa: PTH123, pathlib again
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise PersistError(f"{name}: {error.strerror}; run it with sudo") from error

    def peek(self, name: str) -> str | None:
        """Return the text of NAME; None where there is no such file, or where it cannot be read, which ``refused`` has then."""
        try:
            with open(self._join(name), encoding="utf-8", errors="replace") as file:  # noqa: PTH123, pathlib again
                return file.read()
        except OSError as error:
            if error.errno not in _ABSENT:
                self.refused[name] = error.strerror or str(error)
            return None

    def same_network(self, process: str) -> bool:
        """Return whether PROCESS, an id, is in our network namespace, or does not let us see which one it is in."""
        try:
            return os.path.samefile(self._join(f"/proc/{process}/ns/net"), _OWN_NETWORK)  # noqa: PTH121
        except OSError as error:
            return error.errno in (errno.EACCES, errno.EPERM)

    def mode(self, name: str) -> int:
        """Return the permissions of NAME."""
        return self.path(name).stat().st_mode & 0o7777

    def is_roots(self, name: str) -> bool:
        """Whether NAME belongs to root, or will; in a directory that stands in for a machine every file does."""
        path = self.path(name)
        return self.directory != "/" or not path.exists() or path.stat().st_uid == 0

    def glob(self, pattern: str) -> Iterator[str]:
        """Yield the names that match PATTERN, sorted."""
        if "*" not in pattern:
            if os.path.lexists(self._join(pattern)):
                yield pattern
            return
        if self._matches_nothing(pattern):
            return
        from glob import glob  # noqa: PLC0415, few ask for it

        yield from (f"/{name}" for name in sorted(glob(pattern.lstrip("/"), root_dir=self.directory)))  # noqa: PTH207

    def _matches_nothing(self, pattern: str) -> bool:
        """Whether no name in the directory in front of the first * fits, as on nearly every machine; that takes no module more."""
        head, _, rest = pattern[: pattern.index("*")].rpartition("/")
        before, _, after = (rest + pattern[pattern.index("*") :]).partition("/")[0].partition("*")
        try:
            names = os.listdir(self._join(head))  # noqa: PTH208, pathlib again
        except OSError:
            return True
        return not set("*?[") & {*before, *after} and not any(
            name.startswith(before) and name.endswith(after) for name in names
        )

    def run(self, words: Sequence[str], text: str = "") -> tuple[int, str] | None:
        """Run a tool of this machine with TEXT as its input; return status and output, None where it is not installed.

        A directory that stands in for a machine has no tools: ours would talk about this one.
        """
        from podroutes.host.tools import run  # noqa: PLC0415, only for what writes

        if self.directory != "/":
            return None
        try:
            done = run(words, text=text)
        except OSError as error:
            raise PersistError(f"cannot run {words[0]}: {error.strerror}") from error
        return (done.status, (done.out + done.err).decode(errors="replace").strip()) if done else None


def keyfile(text: str) -> dict[str, str]:
    """Return the ``KEY=value`` lines of TEXT, which is how both systemd and NetworkManager keep their state."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}
