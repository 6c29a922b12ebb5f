"""What the machines run: constant texts for sh(1). Whatever differs between machines reaches them on standard input.

They stand in the folder ``shell``. They need sh, ip(8), and the coreutils and util-linux (or busybox) that every system with sshd
has. What they print is in sections: a line that begins with ``@``, behind an empty one, names the section that follows.
docs/design/push.md tells the whole conversation.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from podroutes.host.dependencies import FILES as DEPENDENCY_FILES
from podroutes.host.sysctls import SETTINGS, SYSCTLS
from podroutes.persist import BACKENDS, backends, cni_config, deletions, saved_routes
from podroutes.persist.configured import CALLED, READS
from podroutes.persist.owned import SHARED

_DIRECTORY = Path(__file__).with_name("shell")


def _text(name: str) -> str:
    return (_DIRECTORY / f"{name}.sh").read_text(encoding="utf-8")


def read_script() -> str:
    """Return READ: what prints tables, sysctls and files of a machine. Which files is what the backends say that they read."""
    return _read_script(tuple(BACKENDS.items()))


@cache
def _read_script(_: tuple[tuple[str, str], ...]) -> str:
    variables = "".join(f"{name}=' {' '.join(patterns)} '\n" for name, patterns in _patterns().items())
    return _text("head") + variables + _text("read")


def _patterns() -> dict[str, Iterable[str]]:
    """Return the patterns of paths that READ expands on the machine, by the variable that has them there."""
    known = backends().values()
    persistent_files = [
        place for name in known if not name.RUNS_PODROUTES for place in name.PLACES
    ]  # what makes routes last
    state = (f"{deletions.DIRECTORY}/{name}" for name in (deletions.NAME, saved_routes.NAME))
    return {
        "sysctls": (f"/proc/sys/net/{each}" for each in (*SYSCTLS, *SETTINGS)),
        "kept": persistent_files,
        "always": (*persistent_files, *SHARED, *DEPENDENCY_FILES, *state),
        "asked": (*(place for name in known if name.RUNS_PODROUTES for place in name.PLACES), *cni_config.READS),
        "exists": cni_config.EXISTS,
        "administrators": (*dict.fromkeys(place for name in known for place in name.READS), *READS),
        "called": CALLED,
        "secret": (place for name in known for place in name.SECRETS),
    }


def is_needed(path: str) -> bool:
    """Return whether there is no plan without the file PATH: it is in a place of ours, or its backend says so."""
    patterns = (pattern for backend in backends().values() for pattern in (*backend.PLACES, *backend.NEEDED))
    return any(fnmatchcase(path, pattern) for pattern in patterns)


COMMIT = _text("head") + _text("commit")
KEEPER = _text("keeper")
DECIDE = _text("head") + _text("decide")
