"""systemd on any distribution: a oneshot unit that runs ``podroutes apply`` at boot, systemd.service(5).

The unit does not contain the routes: at boot they are planned from the inventory. A drop-in for multi-user.target starts it, as
`systemctl enable` would do with a symbolic link.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from podroutes.host.files import HostFiles
from podroutes.model.configured import ConfiguredRoute
from podroutes.model.fib import Link
from podroutes.model.persisted import File, PersistedRoute, RenderContext
from podroutes.model.route import PROTOCOL as OURS
from podroutes.persist import GONE, THERE, boot
from podroutes.persist.file_format import HEADER, safe

if TYPE_CHECKING:
    from podroutes.persist.configured import Reader

MANAGER, DAEMON = "systemd", ""
UNIT, WANTS = "/etc/systemd/system/podroutes.service", "/etc/systemd/system/multi-user.target.d/50-podroutes.conf"
PLACES = (UNIT, WANTS)
PROTOCOL = OURS
_LEFT = "as the device's manager has it"  # the unit runs at boot alone
SURVIVES = {"reboot": THERE, "manager": _LEFT, "lease": _LEFT, "carrier": _LEFT, "link": GONE}
ROUTE = None
RELOAD = (("systemctl", "daemon-reload"),)
REREAD = RELOAD
READS: tuple[str, ...] = ()
SECRETS = (
    "/etc/systemd/system/*.service",
    "/etc/systemd/system/*.service.d/*.conf",
    "/usr/local/lib/systemd/system/*.service",
    "/run/systemd/system/*.service",
)
NEEDED: tuple[str, ...] = ()
RUNS_PODROUTES = True
_START = r"(?m)^ExecStart=(.*)$"
_WORD = r'"(?:[^"\\]|\\.)*"|\S+'
_FILES = ("--inventory", "--kubeconfig")
_VOLATILE = ("/tmp/", "/run/", "/dev/shm/", "/var/run/")  # noqa: S108  file-hierarchy(7): empty after a boot
_UNIT = """
[Unit]
Description=Routes to the pods of the other nodes
Documentation=man:podroutes(1)
Wants=network-online.target
After=network-online.target
# A network that comes up late is tried for again, for ten minutes.
StartLimitIntervalSec=600
StartLimitBurst=20

[Service]
Type=oneshot
RemainAfterExit=yes
Restart=on-failure
RestartSec=30
ExecStart={command}
"""


def render(routes: Sequence[PersistedRoute], context: RenderContext) -> tuple[File, ...]:  # noqa: ARG001, they follow from the inventory
    """Return the unit that runs ``context.command``, and the drop-in that starts it at boot."""
    command = " ".join(map(_quoted, context.command))
    return (
        File(UNIT, HEADER + _UNIT.format(command=command)),
        File(WANTS, HEADER + "\n[Unit]\nWants=podroutes.service\n"),
    )


def _quoted(word: str) -> str:
    """Return WORD quoted for systemd, systemd.service(5), "COMMAND LINES"."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = plain.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return plain if plain == word and not set(word) & set(" \t\n;'") else f'"{plain}"'


def away(dev: str) -> str:
    """Return the name of DEV on a remote machine."""
    return safe(dev)


def place(root: HostFiles, link: Link, links: Sequence[Link]) -> str:  # noqa: ARG001, the unit asks for no device
    """Return the device's name: the unit supports all devices."""
    return safe(link.name)


def hindrance(root: HostFiles, link: Link, there: Mapping[str, File]) -> str:  # noqa: ARG001, the unit is for every device
    """Return what the unit misses at a boot: a part of it, or a file of the command that it runs."""
    if not there:
        return ""
    for path in (UNIT, WANTS):
        if path not in there:
            return f"{path} is missing"
    match = re.search(_START, there[UNIT].text)
    words = [_plain(word) for word in re.findall(_WORD, match[1])] if match else []
    for word, path in pairwise(["", *words]):
        if word not in ("", *_FILES):
            continue
        if path.startswith(_VOLATILE):
            return f"podroutes.service reads {path}, and a boot empties {path.split('/')[1]}"
        if not word and root.directory != "/":
            continue  # the program of another machine
        if not root.path(path).exists():
            return f"podroutes.service needs {path}, which is not there"
    return boot.masked(root, "podroutes.service")


def _plain(word: str) -> str:
    """Return what systemd makes of WORD, as far as ``_quoted`` writes it."""
    text = re.sub(r'\\(["\\])', r"\1", word[1:-1]) if word.startswith('"') else word
    return text.replace("%%", "%").replace("$$", "$")


def running(root: HostFiles, link: Link) -> str:  # noqa: ARG001, a unit has no device
    """Return "": ``detect`` falls back to this backend if there is no manager."""
    return ""


configured = running


claims = running


def configured_routes(reader: "Reader") -> Iterator[ConfiguredRoute]:
    """Yield the routes of commands in the administrator's own units."""
    from podroutes.persist.shell_routes import joined, shell_routes  # noqa: PLC0415, only where files of ours are written

    for path in reader.glob(*SECRETS):
        if not _is_wanted(reader.root, path):
            continue
        for number, line in joined(reader.read(path)):
            key, _, command = line.partition("=")
            if key.strip().startswith("Exec"):
                words = command.strip().lstrip("-@:+!")
                yield from (shell_route._replace(line=number) for shell_route in shell_routes(words, path, "systemd"))


def _is_wanted(root: HostFiles, path: str) -> bool:
    """Return whether something starts the unit of PATH, or a timer of its name, at boot; true for a machine whose links are not known."""
    if root.directory != "/" or not root.path("/run/systemd/system").is_dir():
        return True
    stem = path.partition(".service")[0].rpartition("/")[2]
    links = (f"{place}/*.{kind}/{stem}.*" for place in boot.UNITS for kind in ("wants", "requires", "upholds"))
    return any(True for link in links for _ in root.glob(link))


def check(root: HostFiles, files: Sequence[File]) -> str:
    """Check the unit with ``systemd-analyze verify`` in a temporary directory."""
    from podroutes.host.scratch import scratch  # noqa: PLC0415, only for what writes

    with scratch() as directory:
        unit = directory / "podroutes.service"
        unit.write_text(files[0].text, encoding="utf-8")
        done = root.run(("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)))
    return done[1].splitlines()[0] if done and done[0] and done[1] else ""
