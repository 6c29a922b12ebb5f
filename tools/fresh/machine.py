"""A tree as a machine: mount, PID, UTS and IPC namespaces of its own, and where programs run, a network of its own, too."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from fresh.host import Host

_ENTER = Path(__file__).with_name("enter.sh")
_ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_USER_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"  # Debian's /etc/profile
USER = "stranger"


class Done(NamedTuple):
    """What a command came to."""

    status: int
    seconds: float
    cpu: float  # seconds of processor time, its children's included
    output: str


class Machine:
    """A minimal system in TREE."""

    def __init__(self, tree: Path, host: Host) -> None:
        self.tree, self._host = tree, host
        for source, inside in host.files.items():
            target = tree / inside.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(source, target)
        (tree / "etc/apt/apt.conf.d/80outside").write_text(host.apt)
        (tree / "etc/hostname").write_text("stranger\n")
        (tree / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # installed daemons are not started
        (tree / "usr/sbin/policy-rc.d").chmod(0o755)

    def root(self, directory: str, *words: str, online: bool = False) -> Done:
        """Run WORDS as root in DIRECTORY, with this machine's network but no power over it when ONLINE, else with none."""
        dropped = ["setpriv", "--bounding-set=-net_admin,-sys_admin,-sys_module"] if online else []
        return self._run(directory, [*dropped, *words], home="/root", path=_ROOT_PATH, online=online)

    def user(self, directory: str, *words: str, online: bool = False) -> Done:
        """Run WORDS as an ordinary user in DIRECTORY."""
        become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
        return self._run(directory, [*become, *words], home=f"/home/{USER}", path=_USER_PATH, online=online)

    def _run(self, directory: str, words: list[str], *, home: str, path: str, online: bool) -> Done:
        spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", *["--net"] * (not online)]
        environment = {"HOME": home, "PATH": path, "TERM": "dumb", **(self._host.variables if online else {})}
        inside = ["env", "-i", *(f"{key}={value}" for key, value in environment.items())]
        shell = ["sh", "-c", 'cd "$0" && exec "$@"', directory, *words]
        begin, before = time.monotonic(), os.times()
        done = subprocess.run(
            [*spaces, "sh", str(_ENTER), str(self.tree), *inside, *shell],
            env={"PATH": _ROOT_PATH, "BINDS": " ".join(self._host.binds)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return Done(done.returncode, time.monotonic() - begin, cpu, done.stdout)

    def packages(self) -> dict[str, int]:
        """Return the installed packages, each with its size in KiB."""
        listed = self.root("/", "dpkg-query", "-W", "-f", "${Package} ${Installed-Size}\n").output
        return {name: int(size or 0) for name, _, size in (line.partition(" ") for line in listed.splitlines())}
