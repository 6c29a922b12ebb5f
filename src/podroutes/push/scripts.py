"""What the machines run: constant texts for sh(1). Whatever differs between machines reaches them on standard input.

They stand in the folder ``shell``. They need sh, ip(8), and the coreutils and util-linux (or busybox) that every system with sshd
has. What they print is in sections: a line that begins with ``@``, behind an empty one, names the section that follows.
docs/design/push.md tells the whole conversation.
"""

from collections.abc import Iterable
from pathlib import Path

from podroutes.host.dependencies import FILES as DEPENDENCY_FILES
from podroutes.host.sysctls import SYSCTLS
from podroutes.persist import BACKENDS, backend, deletions, saved_routes
from podroutes.persist.configured import SCRIPTS
from podroutes.persist.owned import PLACES

_DIRECTORY = Path(__file__).with_name("shell")


def _text(name: str) -> str:
    return (_DIRECTORY / f"{name}.sh").read_text(encoding="utf-8")


_KEPT = [place for name, places in BACKENDS.items() if name != "systemd" for place in places]  # what makes routes last
# Patterns of paths that READ expands on the machine, by the variable that has them there.
_PATTERNS: dict[str, Iterable[str]] = {
    "sysctls": (f"/proc/sys/net/{each}" for each in SYSCTLS),
    "kept": _KEPT,
    "always": (
        *_KEPT,
        *PLACES[""],
        f"{deletions.DIRECTORY}/{deletions.NAME}",
        *DEPENDENCY_FILES,
        f"{deletions.DIRECTORY}/{saved_routes.NAME}",
    ),
    "asked": BACKENDS["systemd"],
    "administrators": (*dict.fromkeys(place for name in BACKENDS for place in backend(name).READS), *SCRIPTS),
    "secret": (place for name in BACKENDS for place in backend(name).SECRETS),
}
_VARIABLES = "".join(f"{name}=' {' '.join(patterns)} '\n" for name, patterns in _PATTERNS.items())

READ = _text("head") + _VARIABLES + _text("read")
COMMIT = _text("head") + _text("commit")
KEEPER = _text("keeper")
DECIDE = _text("head") + _text("decide")
