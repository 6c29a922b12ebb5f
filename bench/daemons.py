"""BIRD and FRR: fetched as Debian packages into a private folder, run from there, never installed."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench import scene
from bench.sandbox import SCRATCH, cover
from bench.wire import Wire, words
from podroutes.model.address import Address, Prefix

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "peers"
_PACKAGES = ("bird2", "frr")
_BIRD, _ZSTATIC = 12, 196  # RTPROT_BIRD; RTPROT_ZSTATIC, linux/rtnetlink.h
_PATIENCE = 120.0  # seconds


class UnavailableError(Exception):
    """The packages cannot be had here; the text says why."""


def fetch() -> None:
    """Unpack the packages and the libraries that this system lacks into CACHE, unless they are there already.

    Raises UnavailableError. Package lists go into the folder too: nothing of the system is changed.
    """
    if (CACHE / "root").exists():
        return
    for tool in ("apt-get", "dpkg"):
        if not shutil.which(tool):
            raise UnavailableError(f"{tool} is not on this system")
    shutil.rmtree(CACHE, ignore_errors=True)
    for folder in ("lists/partial", "archives/partial", "unpacked"):
        (CACHE / folder).mkdir(parents=True)
    private = (f"Dir::State::lists={CACHE}/lists", f"Dir::Cache={CACHE}", "APT::Sandbox::User=", "Debug::NoLocking=1")
    apt = ["apt-get", "-q", *(f"-o{option}" for option in private)]
    _tell(*apt, "update")
    simulated = _tell(*apt, "--simulate", "--no-install-recommends", "install", *_PACKAGES)
    names = {line.split()[1] for line in simulated.splitlines() if line.startswith("Inst ")} | {*_PACKAGES}
    _tell(*apt, "download", *sorted(names), cwd=CACHE)
    for package in CACHE.glob("*.deb"):
        _tell("dpkg", "-x", str(package), str(CACHE / "unpacked"))
    (CACHE / "unpacked").rename(CACHE / "root")


def _tell(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError((done.stderr.strip() or f"{command[0]} failed").splitlines()[-1])
    return done.stdout


class Daemon(NamedTuple):
    """A routing daemon that is unpacked."""

    name: str
    version: str
    program: Path

    def path(self, relative: str) -> str:
        """Return where a file of its packages is."""
        return str(CACHE / "root" / relative)


def available() -> list[Daemon]:
    """Return the daemons that are unpacked and start on this system."""
    found = []
    for name, program in (("BIRD", "usr/sbin/bird"), ("FRR", "usr/lib/frr/zebra")):
        path = CACHE / "root" / program
        with suppress(OSError, subprocess.CalledProcessError):
            said = subprocess.run([path, "--version"], env=_env(), capture_output=True, text=True, check=True)
            words_said = (said.stdout + said.stderr).split()
            found.append(Daemon(name, next(word for word in words_said if word[0].isdigit()), path))
    return found


def _env() -> dict[str, str]:
    libraries = {str(path.parent) for path in (CACHE / "root" / "usr" / "lib").rglob("*.so*")}
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(libraries))}


def _await(vias: Iterable[int], protocol: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the kernel has a route through each of VIAS; looking takes at most a sixth of the time."""
    wire, wanted = Wire(), words(vias)
    deadline = time.perf_counter() + _PATIENCE
    while True:
        begin = time.perf_counter()
        if wire.arrived(wanted, protocol) >= len(wanted):
            return
        if begin > deadline or process.poll() is not None:
            raise RuntimeError(f"{process.args!r}: gave up waiting for its routes")
        time.sleep(max(0.001, 5 * (time.perf_counter() - begin)))


@contextmanager
def _running(*command: str) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(command, env=_env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _vias(count: int, *, moved: bool = False) -> list[int]:
    return [scene.via(n, moved=moved) for n in range(count)]


class Bird:
    """BIRD 2 with static routes and the kernel protocol."""

    def __init__(self, daemon: Daemon, count: int) -> None:
        self._count = count
        self._config, self._socket = SCRATCH / "bird.conf", SCRATCH / "bird.ctl"
        self._birdc = daemon.path("usr/sbin/birdc")
        self._start = (str(daemon.program), "-f", "-c", str(self._config), "-s", str(self._socket))

    def _configure(self, *, moved: bool) -> None:
        with self._config.open("w") as file:
            file.write("router id 172.16.0.1;\nprotocol device {}\n")
            file.write("protocol kernel { ipv4 { import none; export all; }; }\nprotocol static { ipv4;\n")
            for n in range(self._count):
                gateway = Address(4, scene.via(n, moved=moved))
                file.write(f"route {Prefix(4, scene.dst(n), scene.LENGTH)} via {gateway};\n")
            file.write("}\n")

    def full_sync(self) -> float:
        """Return seconds from starting the daemon until the kernel has its routes."""
        self._configure(moved=False)
        begin = time.perf_counter()
        with _running(*self._start) as process:
            _await(_vias(self._count), _BIRD, process)
            return time.perf_counter() - begin

    def move_all(self) -> float:
        """Return seconds from ``birdc configure`` until the kernel has the new gateways."""
        self._configure(moved=False)
        with _running(*self._start) as process:
            _await(_vias(self._count), _BIRD, process)
            self._configure(moved=True)
            begin = time.perf_counter()
            command = [self._birdc, "-s", str(self._socket), "configure"]
            subprocess.run(command, env=_env(), check=True, stdout=subprocess.DEVNULL)
            _await(_vias(self._count, moved=True), _BIRD, process)
            return time.perf_counter() - begin


class Frr:
    """FRR's zebra and staticd."""

    def __init__(self, daemon: Daemon, count: int) -> None:
        self._count = count
        self._zebra, self._static = str(daemon.program), daemon.path("usr/lib/frr/staticd")
        self._common = ("-u", "root", "-g", "root", "-P", "0", "-z", f"{SCRATCH}/zserv", "--vty_socket", str(SCRATCH))

    def full_sync(self) -> float:
        """Return seconds from starting staticd beside a running zebra until the kernel has its routes."""
        config = SCRATCH / "staticd.conf"
        with config.open("w") as file:
            file.write("XFRR_start_configuration\n")
            for n in range(self._count):
                file.write(
                    f"ip route {Prefix(4, scene.dst(n), scene.LENGTH)} {Address(4, scene.via(n))} {scene.DEVICE}\n"
                )
            file.write("XFRR_end_configuration\n")
        empty = SCRATCH / "zebra.conf"
        empty.write_text("")
        (SCRATCH / "zserv").unlink(missing_ok=True)
        with _running(self._zebra, "-f", str(empty), "-i", f"{SCRATCH}/zebra.pid", *self._common):
            _until((SCRATCH / "zserv").exists)
            begin = time.perf_counter()
            with _running(self._static, "-f", str(config), "-i", f"{SCRATCH}/staticd.pid", *self._common) as process:
                _await(_vias(self._count), _ZSTATIC, process)
                return time.perf_counter() - begin


def _until(true: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + 10
    while not true():
        if time.perf_counter() > deadline:
            raise RuntimeError("zebra did not come up")
        time.sleep(0.01)


def accommodate() -> None:
    """Give FRR the groups that it asks for by name, with us in them, and the folder where it keeps temporary files."""
    groups = "".join(f"{name}:x:{number}:root\n" for name, number in (("frr", 64001), ("frrvty", 64002)))
    cover("/etc/group", groups + Path("/etc/group").read_text())  # the first entry of a name is the one that counts
    Path("/run/frr").mkdir(exist_ok=True)
