"""ifupdown and ifupdown2: a script that ifup(8) runs when an interface is up, interfaces(5). It never fails.

A failure would make ifup fail and skip later scripts. A second ``iface`` stanza can run before the address exists. The name has
no dot, since run-parts(8) skips names with dots.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.configured import ConfiguredRoute
from podroutes.model.fib import Link
from podroutes.model.persisted import File, PersistedRoute, RenderContext
from podroutes.model.route import PROTOCOL as OURS
from podroutes.persist import EVENTS, GONE, THERE, boot
from podroutes.persist.file_format import HEADER, SCRIPT_ROUTE, hook, is_ours, safe
from podroutes.persist.shell_check import syntax

if TYPE_CHECKING:
    from podroutes.persist.configured import Reader

MANAGER, DAEMON = "ifupdown", ""
PATH = "/etc/network/if-up.d/podroutes"
PLACES = (PATH,)
PROTOCOL = OURS
SURVIVES = {**dict.fromkeys(EVENTS, THERE), "carrier": f"{THERE} (they never go)", "link": GONE}
ROUTE = SCRIPT_ROUTE
RELOAD: tuple[tuple[str, ...], ...] = ()  # ifup searches scripts each time
REREAD = RELOAD  # the same for interfaces(5)
_INTERFACES = "/etc/network/interfaces"
_DEFAULT_SOURCE = "/etc/network/interfaces.d/*"  # Debian's default file sources it; ifupdown-ng always does
_IFUPDOWN2 = "/etc/network/ifupdown2/ifupdown2.conf"
_METHOD = r"(?m)^\s*iface\s+(\S+)\s+inet6?\s+(\w+)"
_NO_SCRIPTS = r"(?m)^\s*addon_scripts_support\s*=\s*0\s*$"
_COMMANDS = {"up", "post-up", "pre-up"}  # options with commands to run when an interface comes up, interfaces(5)
_SOURCES = {"source", "source-directory"}
_RUN_PARTS = r"[A-Za-z0-9_-]+"  # names of scripts that are run, run-parts(8)
_SCRIPTS = ("/etc/network/if-up.d/*", "/etc/network/if-pre-up.d/*")
_DEFAULTS = "/etc/default/networking"
_NOT_AT_BOOT = r"(?m)^\s*CONFIGURE_INTERFACES=[\"']?no"  # networking.service of Debian
_STATE = "/run/network/ifstate"
_STATE_NG = "/run/ifstate"  # of ifupdown-ng
READS = (
    _STATE,
    _STATE_NG,
    _INTERFACES,
    _DEFAULT_SOURCE,
    "/run/network/interfaces.d/*",
    _DEFAULTS,
    *_SCRIPTS,
    _IFUPDOWN2,
)
SECRETS: tuple[str, ...] = ()
NEEDED: tuple[str, ...] = ()
RUNS_PODROUTES = False


def render(routes: Sequence[PersistedRoute], context: RenderContext) -> tuple[File, ...]:
    """Return the script. It runs once for each family of the interface, and IPv6 routes wait for the second run."""
    # An address may belong to an alias, ens18:1, whose hooks run after those of ens18.
    lines = ["PATH=$PATH:/usr/sbin:/sbin", "exec >&2", *hook("${IFACE%%:*}", routes, context.places), "exit 0"]
    return (File(PATH, "#!/bin/sh\n" + HEADER + "\n".join(lines) + "\n", 0o755),)


def away(dev: str) -> str:
    """Return the name of DEV on a machine that we are not on."""
    return safe(dev)


def place(root: HostFiles, link: Link, links: Sequence[Link]) -> str:  # noqa: ARG001, a script asks for its device
    """Return the device's name, if a stanza configures it and scripts are run for it."""
    if not (
        has_stanza(root, link.name) or running(root, link)
    ):  # a stanza may have another name: mapping, and /pattern/=name
        raise PersistError(
            f"no `iface {safe(link.name)}` in {_INTERFACES} or what it sources: ifupdown does not know it"
        )
    if re.search(_NO_SCRIPTS, root.read(_IFUPDOWN2) or "") and root.path("/usr/share/ifupdown2").is_dir():
        raise PersistError(
            f"ifupdown2 runs no scripts here ({_IFUPDOWN2}: addon_scripts_support=0): set it to 1, or use --persist systemd"
        )
    return safe(link.name)


def hindrance(root: HostFiles, link: Link, there: Mapping[str, File]) -> str:
    """Return what keeps ifup(8) from our script at a boot: that nothing brings LINK up, or that scripts may not be run."""
    if not _is_brought_up(root, link.name):
        return (
            f"no `auto {safe(link.name)}` or `allow-hotplug {safe(link.name)}` in {_INTERFACES}: nothing brings it up"
        )
    if re.search(_NOT_AT_BOOT, root.read(_DEFAULTS) or ""):
        return f"{_DEFAULTS} says CONFIGURE_INTERFACES=no"
    return boot.not_executable(there) or boot.not_started(root, "networking")


def _is_brought_up(root: HostFiles, dev: str) -> bool:
    """Whether ``auto`` or ``allow-hotplug``, which may have patterns of fnmatch(3), names DEV or an alias of it, interfaces(5)."""
    from fnmatch import fnmatchcase  # noqa: PLC0415, only here

    from podroutes.persist.configured import Reader  # noqa: PLC0415, which knows all managers

    reader = Reader(root)
    for path in (*_interfaces(reader), *reader.glob(_DEFAULT_SOURCE)):
        for line in reader.read(path).splitlines():
            word, *names = line.split() or [""]
            if word == "auto" or word.startswith("allow-"):
                patterns = [name.partition("=")[0].partition(":")[0].strip("/") for name in names]
                if any(fnmatchcase(dev, pattern) for pattern in patterns):
                    return True
    return False


def has_stanza(root: HostFiles, dev: str) -> bool:
    """Return whether /etc/network/interfaces, or a file that it sources, configures DEV or an alias of it."""
    from podroutes.persist.configured import Reader  # noqa: PLC0415, which knows all managers

    stanza = re.compile(rf"^[ \t]*iface[ \t]+{re.escape(dev)}(?::\S+)?(?!\S)", re.MULTILINE)
    reader = Reader(root)
    return any(stanza.search(reader.read(path)) for path in (*_interfaces(reader), *reader.glob(_DEFAULT_SOURCE)))


def running(root: HostFiles, link: Link) -> str:
    """Return the state file in which ifup(8) recorded that it brought LINK up; ifupdown2 has another one."""
    for path in (_STATE, _STATE_NG):
        if link.name in (line.split("=")[0] for line in (root.read(path) or "").splitlines()):
            return f"{path} has {link.name}"
    return ""


def configured(root: HostFiles, link: Link) -> str:
    """Return the file with a stanza for LINK."""
    return f"{_INTERFACES} has a stanza for {link.name}" if has_stanza(root, link.name) else ""


def claims(root: HostFiles, link: Link) -> str:
    """Return which file has a stanza that gives LINK addresses."""
    from podroutes.persist.configured import Reader  # noqa: PLC0415, which knows all managers

    reader = Reader(root)
    for path in dict.fromkeys((*_interfaces(reader), *reader.glob(_DEFAULT_SOURCE))):
        if any(name == link.name and method != "manual" for name, method in re.findall(_METHOD, root.peek(path) or "")):
            return f"{path} has a stanza for {link.name}"
    return ""


def configured_routes(reader: "Reader") -> Iterator[ConfiguredRoute]:
    """Yield the routes of ``up`` lines of interfaces(5) and its sourced files, and of scripts in if-up.d."""
    from podroutes.persist.shell_routes import joined, shell_routes  # noqa: PLC0415, only where files of ours are written

    devices = set(reader.devices().values())
    for path in _interfaces(reader):
        dev = None
        for number, line in joined(reader.read(path)):
            word, rest = [*line.split(None, 1), "", ""][:2]
            if word == "iface":
                dev = rest.split()[0] if rest.split() else None
            elif word in _COMMANDS:
                rows = shell_routes(rest, path, "ifupdown", _device(dev, devices))
                for row in rows:
                    yield row._replace(
                        line=number, dev=row.dev or dev, by_gateway=row.dev is None and row.via is not None
                    )
    every = reader.root.path("/usr/share/ifupdown2").is_dir()  # it runs what run-parts(8) would pass over
    for path in reader.glob(*_SCRIPTS):
        if reader.is_executable(path) and (every or re.fullmatch(_RUN_PARTS, path.rpartition("/")[2])):
            yield from shell_routes(reader.read(path), path, "ifupdown")


def _device(stanza: str | None, devices: Collection[str]) -> str | None:
    """Return what ``$IFACE`` stands for in STANZA: not its name, where that is a mapping's or what others inherit from."""
    dev = stanza.partition(":")[0] if stanza else None
    return dev if dev in devices or not devices else None


def _interfaces(reader: "Reader") -> Iterator[str]:
    """Yield /etc/network/interfaces and the files that it sources, each once."""
    waiting, seen = [_INTERFACES], set[str]()
    while waiting:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        yield path
        for line in reader.read(path).splitlines():
            word, *patterns = line.split() or [""]
            for pattern in patterns if word in _SOURCES else ():
                absolute = pattern if pattern.startswith("/") else f"{path.rpartition('/')[0]}/{pattern}"
                waiting += sorted(reader.glob(f"{absolute}/*" if word == "source-directory" else absolute))


def check(root: HostFiles, files: Sequence[File]) -> str:
    """Check the script with the shell, and edited files of the administrator with ifquery(8)."""
    return syntax(root, files) or next(
        filter(None, (_queried(root, file) for file in files if not is_ours(file.text))), ""
    )


def _queried(root: HostFiles, file: File) -> str:
    """Return the error of ifupdown's ifquery(8) about FILE; ifupdown2's reads only the installed file."""
    if root.path("/usr/share/ifupdown2").is_dir():
        return ""
    from podroutes.host.scratch import scratch  # noqa: PLC0415, only for what writes

    with scratch() as directory:
        path = directory / "interfaces"
        path.write_text(file.text, encoding="utf-8")
        done = root.run(("ifquery", "--list", "--interfaces", str(path)))
    return done[1].replace(str(path), file.path) if done and done[0] else ""
