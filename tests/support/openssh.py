"""Machines of a lab with sshd on each, and a workstation with a key that opens them: OpenSSH as Debian packs it, unpacked."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from support.debian import packages
from support.waiting import PATIENCE, until

# Debian's packages over the system's own; a user who may become root, and sshd's own; a place for keys that every user can read.
_SET_UP = """\
mount -t overlay -o "lowerdir=$TREE/usr:/usr" overlay /usr || exit 1
{
    sed -E 's,^(root:.*):[^:]*:([^:]*)$,\\1:/:\\2,' /etc/passwd # a home whose start files are not the tester's
    grep -q ^sshd: /etc/passwd || echo sshd:x:105:65534::/run/sshd:/usr/sbin/nologin
    grep -q ^operator: /etc/passwd || echo operator:*:1500:65534::/:/bin/sh
} >/etc/passwd.new
mv -f /etc/passwd.new /etc/passwd # the file itself may belong to a user whom our user namespace does not have
mkdir -p /run/sshd /etc/keys /etc/pam.d
cp "$KEYS" /etc/keys/authorized
chmod 755 /etc/keys
chmod 644 /etc/keys/authorized
eval "$BEFORE"
exec /usr/sbin/sshd -f /dev/null -E "$LOGS/$(uname -n).log" "$@"
"""
# Stands between sshd and what is asked for: counts the commands of a machine, and fails at the one whose number it is told.
_GATE = """\
#!/bin/sh
number=$(($(cat /run/podroutes/number 2>/dev/null || echo 0) + 1))
echo "$number" >/run/podroutes/number
fault=$(cat /run/podroutes/fault 2>/dev/null)
case $fault in
"before $number") kill -9 "$PPID"; exit ;;
"late $number") kill -9 "$PPID"; sleep 2; sh -c "$SSH_ORIGINAL_COMMAND" >/dev/null; : >/run/podroutes/over; exit ;;
"after $number") sh -c "$SSH_ORIGINAL_COMMAND" >/run/podroutes/answer; kill -9 "$PPID"; exit ;;
"hold $number") while [ ! -e /run/podroutes/go ]; do sleep 0.1; done ;;
"slow $number") sleep 3; exec sh -c "$SSH_ORIGINAL_COMMAND" ;;
"dead from ${number}" | "dead") echo dead >/run/podroutes/fault; sleep 600 ;;
"hang from ${number}" | "hang")
    echo hang >/run/podroutes/fault
    while ! ls /run/podroutes/push.*/decided/back; do sleep 1; done >/dev/null 2>&1
    ;;
esac
exec sh -c "$SSH_ORIGINAL_COMMAND"
"""
# Keepers that wait yet go back at once.
_FORGET = """\
cd /run/podroutes || exit 0
for each in push.*/; do [ ! -d "$each" ] || : >"$each/hurry"; done
[ ! -e push.lock ] || flock -w 20 push.lock true
ip route flush proto 107
rm -rf push.*/ fault go
"""


class Done(NamedTuple):
    """What a push came to."""

    status: int
    out: str
    err: str

    @property
    def nodes(self) -> dict[str, dict]:
        """What it says of each node, where it was told to print JSON."""
        return {each["node"]: each for each in json.loads(self.out)["nodes"]}


def unpack(directory: Path) -> Path:
    """Unpack sshd and sudo with the libraries that this system lacks."""
    for package in packages("ssh"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(directory)], check=True)
    return directory


class Site:
    """A lab of machines that let us in, and the workstation's home, on the lab's switch."""

    def __init__(self, name: str, tree: Path, home: Path, nodes: int, *options: str) -> None:
        self.name, self.tree, self.home = name, tree, home
        self.executable = sys.executable
        self._changed: set[str] = set()  # machines whose sshd is another one than in the beginning
        (home / ".ssh").mkdir(parents=True)
        self.podroutes("lab", "up", "--name", name, "--nodes", str(nodes), *options, check=True)
        inventory = self.podroutes("lab", "inventory", "--name", name, check=True).stdout
        self.inventory = home / "nodes.yaml"
        self.inventory.write_text(inventory)
        status = json.loads(self.podroutes("lab", "status", "--name", name, "-o", "json", check=True).stdout)
        self.addresses = {each["name"]: each["internalIPs"][0] for each in status["labs"][0]["nodes"]}
        self.key = home / ".ssh" / "id_ed25519"
        self.keygen(self.key)
        self.keygen(home / "host")
        public = (home / "host.pub").read_text().split()[:2]
        lines = [f"{address} {' '.join(public)}" for address in self.addresses.values()]
        (home / ".ssh" / "known_hosts").write_text("\n".join(lines) + "\n")
        shutil.copy(f"{self.key}.pub", home / "authorized_keys")
        self.gate = home / "gate"
        self.gate.write_text(_GATE)
        self.gate.chmod(0o755)
        self.serve("--all")
        for node in self.addresses:
            until(lambda node=node: self.log(node).exists() and "listening" in self.log(node).read_text())

    def serve(self, node: str, *options: str, before: str = "") -> None:
        """Start sshd on NODE with OPTIONS of sshd_config(5), BEFORE which a shell does something in its mount namespace."""
        words = [
            *options, f"HostKey={self.home}/host", "AuthorizedKeysFile=/etc/keys/authorized", "StrictModes=no", "UsePAM=no",
            "PidFile=/run/podroutes/sshd.pid", "LogLevel=VERBOSE", "PasswordAuthentication=no", "MaxStartups=100",
        ]  # fmt: skip
        sets = [word for option in words for word in ("-o", option)]
        known = {"TREE": self.tree, "KEYS": self.home / "authorized_keys", "LOGS": self.home, "BEFORE": before}
        variables = [f"{key}={value}" for key, value in known.items()]
        self.on(node, "env", *variables, "sh", "-c", _SET_UP, "sshd", *sets)

    def again(self, node: str, *options: str, before: str = "") -> None:
        """End sshd on NODE and start it with other OPTIONS."""
        self.stop(node)
        self.serve(node, *options, before=before)

    def restore(self) -> None:
        """Give every machine the sshd again that it had in the beginning."""
        for node in sorted(self._changed):
            self.on(
                node, "sh", "-c", "[ ! -e /run/podroutes/sshd.pid ] || kill $(cat /run/podroutes/sshd.pid)", check=False
            )
            until(lambda node=node: not self.on(node, "ss", "-Hltn", "sport = :22"))
            self.serve(node)
        self._changed.clear()

    def fault(self, node: str, text: str) -> None:
        """Have NODE do TEXT at the command with that number, counted from now."""
        self.on(node, "sh", "-c", 'rm -f /run/podroutes/number; echo "$1" >/run/podroutes/fault', "sh", text)

    def gated(self, node: str, text: str) -> None:
        """Put the gate before sshd's commands on NODE, with a fault."""
        self.fault(node, text)
        self.again(node, f"ForceCommand={self.gate}")

    def log(self, node: str) -> Path:
        """Return where the sshd of NODE writes what it does."""
        return self.home / f"{node}.log"

    def logins(self, node: str) -> int:
        """Return how often anybody logged in on NODE."""
        return self.log(node).read_text().count("Accepted publickey for")

    def stop(self, node: str) -> None:
        """End sshd on NODE, and every connection to it."""
        self._changed.add(node)
        self.on(node, "sh", "-c", "kill $(cat /run/podroutes/sshd.pid)")
        until(lambda: not self.on(node, "ss", "-Hltn", "sport = :22"))

    def on(self, node: str, *words: str, check: bool = True) -> str:
        """Run a command on NODE; return what it prints."""
        done = self.podroutes("lab", "exec", "--name", self.name, node, "--", *words)
        assert not (check and done.returncode), done.stdout + done.stderr
        return done.stdout.strip()

    def begin_on(self, node: str, *words: str) -> subprocess.Popen[str]:
        """Start a command on NODE, whose input and output are ours."""
        command = [sys.executable, "-m", "podroutes", "lab", "exec", "--name", self.name, node, "--", *words]
        return subprocess.Popen(
            command, env=self.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def routes(self, node: str) -> list[str]:
        """Return the routes of ours on NODE."""
        return [line.rstrip() for line in self.on(node, "ip", "route", "show", "proto", "107").splitlines()]

    def push(self, *words: str, **environment: str) -> Done:
        """Run ``podroutes push WORDS`` on the workstation; a traceback is never right."""
        done = subprocess.run(
            self.command(*words), env=self.environment(**environment), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str) -> "Running":
        """Start ``podroutes push WORDS`` on the workstation."""
        return Running(self.command(*words), self.environment())

    def command(self, *words: str) -> list[str]:
        """Return the command of a push from the switch."""
        python = [sys.executable, "-m", "podroutes"]
        return [
            *python,
            "lab",
            "exec",
            "--name",
            self.name,
            "switch",
            "--",
            *python,
            "push",
            *words,
            "-i",
            str(self.inventory),
        ]

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

    def forget(self) -> None:
        """Take the routes of ours away everywhere, and what pushes have left."""
        self.on("--all", "sh", "-c", _FORGET)

    def close(self) -> None:
        """End the lab with everything in it."""
        self.podroutes("lab", "down", "--name", self.name)

    @staticmethod
    def keygen(path: Path) -> None:
        """Make a pair of keys at PATH."""
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


class Running:
    """A push that goes on."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip

    def interrupt(self) -> None:
        """Do what Ctrl-C does to everything that a terminal runs."""
        os.killpg(self._process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End the workstation's side at once."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def done(self) -> Done:
        """Wait for its end."""
        out, err = self._process.communicate(timeout=PATIENCE * 2)
        assert "Traceback" not in err
        return Done(self._process.returncode, out, err)
