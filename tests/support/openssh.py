"""Machines of a lab with sshd on each, and a workstation with a key that opens them: OpenSSH as Debian packs it, unpacked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from support.debian import packages

CHECKOUT = Path(__file__).parents[2]
_SSHD = "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin"  # the user of what it does before anybody is let in
_PATIENCE = 20.0  # seconds for all sshd to listen


def unpack(directory: Path) -> Path:
    """Unpack sshd with the libraries that this system lacks."""
    for package in packages("ssh"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(directory)], check=True)
    return directory


class Site:
    """A lab of machines that let us in, and the workstation's home, on the lab's switch."""

    def __init__(self, name: str, tree: Path, home: Path, nodes: int, *options: str) -> None:
        self.name, self.tree, self.home = name, tree, home
        (home / ".ssh").mkdir(parents=True)
        self.podroutes("lab", "up", "--name", name, "--nodes", str(nodes), *options, check=True)
        inventory = self.podroutes("lab", "inventory", "--name", name, check=True).stdout
        self.inventory = home / "nodes.yaml"
        self.inventory.write_text(inventory)
        status = json.loads(self.podroutes("lab", "status", "--name", name, "-o", "json", check=True).stdout)
        self.addresses = {each["name"]: each["internalIPs"][0] for each in status["labs"][0]["nodes"]}
        self.key = home / ".ssh" / "id_ed25519"
        self._keygen(self.key)
        self._keygen(home / "host")
        public = (home / "host.pub").read_text().split()[:2]
        lines = [f"{address} {' '.join(public)}" for address in self.addresses.values()]
        (home / ".ssh" / "known_hosts").write_text("\n".join(lines) + "\n")
        shutil.copy(f"{self.key}.pub", home / "authorized_keys")
        for node in self.addresses:
            self.serve(node)
        self._wait()

    def serve(self, node: str, *options: str) -> None:
        """Start sshd on NODE with OPTIONS of sshd_config(5)."""
        words = [
            f"HostKey={self.home}/host", f"AuthorizedKeysFile={self.home}/authorized_keys", "StrictModes=no", "UsePAM=no",
            "PidFile=/run/podroutes/sshd.pid", "LogLevel=VERBOSE", "PasswordAuthentication=no", *options,
        ]  # fmt: skip
        sets = [word for option in words for word in ("-o", option)]
        library = next(self.tree.rglob("libwrap.so.0")).parent
        self.on(node, "sh", "-c", f"grep -q ^sshd: /etc/passwd || echo {_SSHD} >>/etc/passwd; mkdir -p /run/sshd")
        command = f"export LD_LIBRARY_PATH={library} && exec {self.tree}/usr/sbin/sshd -f /dev/null"
        self.on(node, "sh", "-c", f'{command} -E {self.log(node)} "$@"', "sshd", *sets)

    def log(self, node: str) -> Path:
        """Return where the sshd of NODE writes what it does."""
        return self.home / f"{node}.log"

    def logins(self, node: str) -> int:
        """Return how often anybody logged in on NODE."""
        return self.log(node).read_text().count("Accepted ")

    def stop(self, node: str) -> None:
        """End sshd on NODE, and every connection to it."""
        self.on(node, "sh", "-c", "kill $(cat /run/podroutes/sshd.pid)")

    def on(self, node: str, *words: str, check: bool = True) -> str:
        """Run a command on NODE; return what it prints."""
        done = self.podroutes("lab", "exec", "--name", self.name, node, "--", *words, check=check)
        return done.stdout.strip()

    def routes(self, node: str) -> list[str]:
        """Return the routes of ours on NODE."""
        return [line.rstrip() for line in self.on(node, "ip", "route", "show", "proto", "107").splitlines()]

    def push(self, *words: str, **keywords) -> subprocess.CompletedProcess:
        """Run ``podroutes push WORDS`` on the workstation."""
        return subprocess.run(self.command(*words), **self.manner(**keywords), check=False)

    def begin(self, *words: str, **keywords) -> subprocess.Popen:
        """Start ``podroutes push WORDS`` on the workstation."""
        return subprocess.Popen(
            self.command(*words), **self.manner(stdout=subprocess.PIPE, stderr=subprocess.PIPE, **keywords)
        )

    def command(self, *words: str) -> list[str]:
        """Return the command of a push from the switch."""
        inside = ["lab", "exec", "--name", self.name, "switch", "--"]
        push = [*words] if words[:1] == ("--",) else ["push", *words, "-i", str(self.inventory)]
        return [sys.executable, "-m", "podroutes", *inside, sys.executable, "-m", "podroutes", *push]

    def manner(self, **keywords) -> dict:
        """Return how processes of the workstation are started."""
        given = {"stdin": subprocess.DEVNULL, "text": True, **keywords}
        if "stdout" not in given:
            given["capture_output"] = True
        return {"env": self.environment(), **given}

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of the workstation."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PODROUTES_", "SSH_"))}
        return {**kept, "HOME": str(self.home), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", **more}

    def podroutes(self, *words: str, check: bool = False) -> subprocess.CompletedProcess:
        """Run podroutes outside of the lab."""
        return subprocess.run(
            [sys.executable, "-m", "podroutes", *words],
            env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=check,
        )  # fmt: skip

    def close(self) -> None:
        """End the lab with everything in it."""
        self.podroutes("lab", "down", "--name", self.name)

    @staticmethod
    def _keygen(path: Path) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)

    def _wait(self) -> None:
        end = time.monotonic() + _PATIENCE
        while not all(self.log(node).exists() and "listening" in self.log(node).read_text() for node in self.addresses):
            assert time.monotonic() < end, "sshd does not start"
            time.sleep(0.1)


def interrupt(process: subprocess.Popen) -> None:
    """Do what Ctrl-C does."""
    process.send_signal(signal.SIGINT)


__all__: Sequence[str] = ["Site", "interrupt", "unpack"]
