"""A system that is not Linux: an interpreter from which everything is taken that CPython does not have on macOS.

What is taken away, and why that models macOS:

- Every name of the modules below that typeshed declares for Linux and not for macOS. typeshed is where type checkers learn
  which names a platform has, and is checked against a real CPython on both; it agrees with the availability notes of the
  CPython documentation. ``MUST_GO`` names those that podroutes could use, each with its note, and is checked against it.
- ``unshare``, ``setns`` and ``prctl`` of the C library, which are system calls of Linux.
- ``/proc`` and ``/sys``, which macOS does not have: whatever looks there finds no such file.
- ``sys.platform``, ``os.uname()`` and the words of ``os.strerror`` are those of macOS.
- ip(8) and ssh(1) are not on PATH.

What it does not model: kqueue (select falls back to poll), and the numbers of errno and socket constants.
"""

import ast
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import mypy

MUST_GO = {
    "os": {
        "copy_file_range": "Linux >= 4.5",
        "eventfd": "Linux >= 2.6.27",
        "getrandom": "Linux >= 3.17",
        "getxattr": "Linux",
        "memfd_create": "Linux >= 3.17",
        "pidfd_open": "Linux >= 5.3",
        "pipe2": "Unix, not macOS",
        "posix_fallocate": "Unix, not macOS",
        "setns": "Linux >= 3.0",
        "splice": "Linux >= 2.6.17",
        "unshare": "Linux >= 2.6.16",
    },
    "resource": {"prlimit": "Linux >= 2.6.36"},
    "select": {"epoll": "Linux >= 2.5.44"},
    "selectors": {"EpollSelector": "where select.epoll is"},
    "signal": {
        "pidfd_send_signal": "Linux >= 5.1",
        "sigtimedwait": "Unix, not macOS",
        "sigwaitinfo": "Unix, not macOS",
    },
    "socket": {
        "AF_NETLINK": "Linux",
        "AF_PACKET": "Linux >= 2.2",
        "MSG_ERRQUEUE": "recvmsg(2) of Linux",
        "SOCK_CLOEXEC": "Linux >= 2.6.27",
        "SOCK_NONBLOCK": "Linux >= 2.6.27",
        **(
            {"SO_BINDTODEVICE": "socket(7) of Linux; typeshed has it for macOS since Python 3.13"}
            if sys.version_info < (3, 13)
            else {}
        ),
        "SO_PEERCRED": "unix(7) of Linux",
        "TCP_KEEPIDLE": "tcp(7) of Linux; macOS has TCP_KEEPALIVE",
        "TCP_USER_TIMEOUT": "tcp(7) of Linux",
    },
    "time": {"CLOCK_BOOTTIME": "Linux >= 2.6.39"},
}
_STUBS = {module: f"{module}.pyi" for module in ("fcntl", "mmap", "termios", *MUST_GO)} | {"os": "os/__init__.pyi"}
_PRELUDE = '''\
"""Run by site.py before anything else: this interpreter is on macOS now. Written by tests/support/darwin.py."""

import ctypes
import errno
import importlib
import os
import sys
import types

for module, names in {missing!r}.items():
    for name in names:
        vars(importlib.import_module(module)).pop(name, None)
sys.modules.pop("selectors", None)  # made anew without epoll
if hasattr(os, "process_cpu_count"):  # Python 3.13; where there is no sched_getaffinity it is this
    os.process_cpu_count = os.cpu_count

uname = os.uname()
sys.platform = "darwin"
os.uname = lambda: os.uname_result(("Darwin", uname.nodename, "24.0.0", "Darwin Kernel Version 24.0.0", "arm64"))
strerror = os.strerror
os.strerror = lambda number: {{errno.ENODEV: "Operation not supported by device"}}.get(number, strerror(number))
sys.modules["_scproxy"] = types.ModuleType("_scproxy")  # the system's proxies, which urllib asks for on macOS
sys.modules["_scproxy"]._get_proxies = sys.modules["_scproxy"]._get_proxy_settings = dict


def dyld_find(name):
    raise ValueError(f"dylib {{name}} could not be found")


for name in ("ctypes.macholib", "ctypes.macholib.dyld"):  # of CPython, but Debian packs it for nobody
    sys.modules[name] = types.ModuleType(name)
sys.modules["ctypes.macholib.dyld"].dyld_find = dyld_find

class CDLL(ctypes.CDLL):
    def __getattr__(self, name):
        if name in ("unshare", "setns", "prctl"):
            raise AttributeError(f"dlsym(RTLD_DEFAULT, {{name}}): symbol not found")
        return super().__getattr__(name)

    def __getitem__(self, name):
        return super().__getitem__("getpid" if str(name).startswith("_dyld_") else name)  # ctypes.util looks it up since Python 3.14


ctypes.CDLL = CDLL


def refuse(path):
    if isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(("/proc", "/sys")):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", os.fsdecode(path))


def guarded(call):
    def look(path, *arguments, **keywords):
        refuse(path)
        return call(path, *arguments, **keywords)

    return look


for name in ("stat", "lstat", "readlink", "access"):
    setattr(os, name, guarded(getattr(os, name)))
sys.addaudithook(lambda event, args: refuse(args[0]) if event in ("open", "os.listdir", "os.scandir") else None)
'''


def missing() -> dict[str, list[str]]:
    """Return what this interpreter has and one of its version on macOS has not, by module."""
    stubs = Path(mypy.__file__).parent / "typeshed" / "stdlib"
    found = {}
    for module, path in _STUBS.items():
        body = ast.parse((stubs / path).read_text(encoding="utf-8")).body
        here = importlib.import_module(module)
        gone = set(_names(body, "linux")) - set(_names(body, "darwin"))
        found[module] = sorted(name for name in gone if hasattr(here, name))
    return found


def _names(body: list[ast.stmt], platform: str) -> Iterator[str]:
    """Yield the names that a stub declares for PLATFORM and this version of Python."""
    for statement in body:
        match statement:
            case ast.If(test, then, otherwise):
                yield from _names(then if _holds(test, platform) else otherwise, platform)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name
            case ast.ImportFrom(names=names):
                yield from (each.asname or each.name for each in names)


def _holds(test: ast.expr, platform: str) -> bool:
    """Evaluate a condition of a stub: all they may ask for is the platform and the version."""
    match test:
        case ast.BoolOp(ast.And(), values):
            return all(_holds(value, platform) for value in values)
        case ast.BoolOp(ast.Or(), values):
            return any(_holds(value, platform) for value in values)
        case ast.Compare(ast.Attribute(attr="platform"), [operator], [ast.Constant(value)]):
            return (platform == value) == isinstance(operator, ast.Eq)
        case ast.Compare(ast.Attribute(attr="version_info"), [ast.GtE()], [wanted]):
            return sys.version_info >= ast.literal_eval(wanted)
        case ast.Compare(ast.Attribute(attr="version_info"), [ast.Lt()], [wanted]):
            return sys.version_info < ast.literal_eval(wanted)
    raise AssertionError(f"a stub asks {ast.unparse(test)}")


def environment(directory: Path) -> dict[str, str]:
    """Return what makes an interpreter start on macOS, with DIRECTORY to write in."""
    (directory / "sitecustomize.py").write_text(_PRELUDE.format(missing=missing()), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PODROUTES_", "NODE_NAME"))}
    path = os.pathsep.join(filter(None, (str(directory), os.environ.get("PYTHONPATH"))))
    return kept | {"PYTHONPATH": path, "PATH": str(directory)}
