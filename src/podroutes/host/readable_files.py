"""The files of one machine: those of this one, or of a directory that stands in for it. What cannot be read is remembered."""

import errno
import os
from pathlib import Path

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ESRCH, errno.ENODEV}  # also what goes while we look


class Files:
    """Everything below one directory, named by the absolute paths that the machine itself would use."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.refused: dict[str, str] = {}  # what exists and could not be read, with the reason

    def path(self, name: str) -> Path:
        """Return where the machine's NAME is for us."""
        return self.root / name.lstrip("/")

    def read(self, name: str) -> str | None:
        """Return the text of NAME; None where there is no such file, or where it is refused."""
        try:
            return self.path(name).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            if error.errno not in _ABSENT:
                self.refused[name] = error.strerror or str(error)
            return None

    def glob(self, pattern: str) -> list[str]:
        """Return the names that match PATTERN, sorted."""
        return [f"/{path.relative_to(self.root)}" for path in sorted(self.root.glob(pattern.lstrip("/")))]

    def mode(self, name: str) -> int:
        """Return the permissions of NAME, all of them where it is gone."""
        try:
            return self.path(name).stat().st_mode & 0o7777
        except OSError:
            return 0o7777

    def same_network(self, process: str) -> bool:
        """Whether PROCESS (its directory in /proc) is in our network namespace, or does not let us see which it is in."""
        try:
            return os.path.samefile(self.path(f"{process}/ns/net"), "/proc/thread-self/ns/net")  # noqa: PTH121
        except OSError as error:
            return error.errno in (errno.EACCES, errno.EPERM)
