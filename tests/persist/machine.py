"""A machine to try network managers on, in namespaces of its own.

Its files are this system's with the managers' packages over them, or only packages of another release.
What is written goes into memory. A reboot keeps the files in /etc and /var and nothing else: another network namespace, another /run.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from podroutes.lab import syscalls
from support.waiting import until

CHECKOUT = Path(__file__).parents[2]
MACHINES = """\
192.168.8.20 worker-0.kubernetes.local worker-0 10.200.0.0/24
192.168.8.21 worker-1.kubernetes.local worker-1 10.200.1.0/24
192.168.8.22 worker-2.kubernetes.local worker-2 10.200.2.0/24
"""
DUAL = """\
nodes:
- {name: worker-0, internalIPs: [192.168.8.20, "fd00::20"], podCIDRs: [10.200.0.0/24, "fd00:10:200::/64"]}
- {name: worker-1, internalIPs: [192.168.8.21, "fd00::21"], podCIDRs: [10.200.1.0/24, "fd00:10:201::/64"]}
- {name: worker-2, internalIPs: [192.168.8.22, "fd00::22"], podCIDRs: [10.200.2.0/24, "fd00:10:202::/64"]}
"""
INVENTORY = "/etc/podroutes/nodes"
SEED = ("10.200.1.0/24 via 192.168.8.21", "10.200.2.0/24 via 192.168.8.22")
SIX = ("fd00:10:201::/64 via fd00::21", "fd00:10:202::/64 via fd00::22")
_EMPTY = (
    "etc/netplan etc/systemd/network run/systemd/network etc/network/interfaces.d etc/NetworkManager/system-connections "
    "etc/NetworkManager/conf.d var/lib/NetworkManager etc/podroutes"
).split()


PROGRAMS = "/usr/local/machine"  # that stand in for others
_DIRECTORIES = (
    '[ -e "$0/directories" ] || { find usr -xdev -type d -print0 | (cd "$0" && xargs -0 mkdir -p && : >directories); }'
)
# What process 1 does for `systemctl daemon-reload`, which `netplan generate` asks it for since 1.2: systemd.generator(7).
_SYSTEMCTL = """\
#!/bin/sh
[ "$1" = daemon-reload ] || exec /usr/bin/systemctl "$@"
cd /run/systemd || exit
rm -rf generator generator.early generator.late
mkdir generator generator.early generator.late
exec /usr/lib/systemd/system-generators/netplan "$PWD/generator" "$PWD/generator.early" "$PWD/generator.late"
"""


class Machine:
    """worker-0 with one network card, ens18, and no address: that is the manager's business."""

    def __init__(self, memory: Path, tree: Path, *, alone: bool) -> None:
        """Boot it from TREE over this system's files, or from TREE ALONE: then Python and its libraries are Debian's, too."""
        self.root = memory / "root"
        self.alone = alone
        self.python = "/usr/bin/python3" if alone else sys.executable
        self.source = CHECKOUT / "src"
        self._written = memory / "upper"
        self._run = self.root / "run"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log = (memory / "log").open("ab")
        for name in ("root", "upper", "work"):
            (memory / name).mkdir()
        if alone:
            self._overlay("", str(tree))
        else:
            self._system(tree)
        for name in _EMPTY:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        syscalls.mount("/dev", f"{self.root}/dev", flags=syscalls.MS_BIND | syscalls.MS_REC)
        try:
            syscalls.mount("proc", f"{self.root}/proc", "proc")
        except PermissionError:  # root of a user namespace only
            syscalls.mount("/proc", f"{self.root}/proc", flags=syscalls.MS_BIND | syscalls.MS_REC)
        for path in (self.source,) if alone else (CHECKOUT, Path(sys.prefix)):
            inside = self.root / path.relative_to("/")
            inside.mkdir(parents=True, exist_ok=True)
            if not any(inside.iterdir()):  # it lies on another file system than /
                syscalls.mount(str(path), str(inside), flags=syscalls.MS_BIND)
        self._user("systemd-network", 998)
        self._user("messagebus", 997)
        self.chroot("ldconfig")  # netplan looks for its library in the cache
        self.write(INVENTORY, MACHINES)
        self.write(f"{PROGRAMS}/systemctl", _SYSTEMCTL, 0o755)
        self.write("/etc/machine-id", f"{1:032x}\n")  # what DHCP clients make their identity of
        self._boot()

    def _system(self, tree: Path) -> None:
        """Lay TREE over this system's files, a directory of / each.

        The root of a user namespace can neither lay anything over / as a whole nor change files of users that are not in there.
        """
        syscalls.mount("tmpfs", str(self.root), "tmpfs", data="mode=755")
        for name in ("bin", "lib", "lib32", "lib64", "sbin"):
            if Path("/", name).is_symlink():
                (self.root / name).symlink_to(f"usr/{name}")
        etc = tree.with_name("etc")  # a copy, as far as it can be read
        if not etc.exists():
            subprocess.run(["cp", "-r", "/etc", etc], stderr=subprocess.DEVNULL, check=False)
        if (
            Path("/usr").stat().st_uid
        ):  # a user's who is not in here: nobody can make a file in its directories, so they are made anew
            subprocess.run(["sh", "-c", _DIRECTORIES, tree], cwd="/", stderr=subprocess.DEVNULL, check=True)
        for name, below in (("usr", ":/usr"), ("etc", f":{etc}"), ("var", "")):
            (tree / name).mkdir(exist_ok=True)
            self._overlay(name, f"{tree / name}{below}")
        for name in ("dev", "proc", "run", "sys", "tmp"):
            (self.root / name).mkdir()
        (self.root / "var/run").symlink_to("/run")

    def _overlay(self, name: str, layers: str) -> None:
        """Make directory NAME of the machine from LAYERS, upper ones first, and one of its own."""
        written, work, merged = (top / name for top in (self._written, self._written.with_name("work"), self.root))
        for path in (written, work, merged):
            path.mkdir(exist_ok=True)
        syscalls.mount("overlay", str(merged), "overlay", data=f"lowerdir={layers},upperdir={written},workdir={work}")

    def _user(self, name: str, number: int) -> None:
        """Make the user that a daemon runs as, where this system has none."""
        for file, line in (("passwd", "{0}:x:{1}:{1}::/:/bin/sh\n"), ("group", "{0}:x:{1}:\n")):
            path = self.root / "etc" / file
            known = path.read_text() if path.exists() else line.format("root", 0)
            if f"\n{name}:" not in known:
                path.write_text(known + line.format(name, number))

    def _boot(self) -> None:
        syscalls.unshare(syscalls.NEWNET)
        syscalls.mount("tmpfs", str(self._run), "tmpfs", data="mode=755")
        syscalls.mount("sysfs", f"{self.root}/sys", "sysfs")
        Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")  # nobody else is there to have the address
        self.ip(
            "link set lo up",
            "link add ens18 address 52:54:00:12:34:56 type veth peer name wire",
            "link set wire addrgenmode none",
            "link set wire up",
        )
        for name in ("dbus", "network", "systemd/network", "systemd/netif", "udev/data"):
            (self._run / name).mkdir(parents=True)
        self.chroot("chown", "systemd-network:", "/run/systemd/netif")
        for name in ("links", "leases", "lldp"):
            (self._run / "systemd/netif" / name).mkdir()
            self.chroot("chown", "systemd-network:", f"/run/systemd/netif/{name}")
        # Without these networkd takes itself for a container's, and does not wait for what udev has to say of a link.
        (self._run / "udev/control").touch()
        for index in range(1, 10):  # those that a manager makes, too
            known = "I:1\nE:ID_NET_DRIVER=veth\n" + ("E:NM_UNMANAGED=1\n" if index == self.index("wire") else "")
            (self._run / "udev/data" / f"n{index}").write_text(known)

    def reboot(self) -> None:
        """Lose everything but files."""
        self.stop()
        for name in ("sys", "run"):
            subprocess.run(["umount", "-l", f"{self.root}/{name}"], check=True)
        self._boot()

    def close(self) -> None:
        """End what runs here, and let go of the files."""
        self.stop()
        subprocess.run(["umount", "-l", str(self.root)], check=True)
        self._log.close()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the machine."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def read(self, path: str) -> str:
        """Read a file of the machine."""
        return (self.root / path.lstrip("/")).read_text()

    def exists(self, path: str) -> bool:
        """Whether the machine has the file."""
        return (self.root / path.lstrip("/")).exists()

    def chroot(self, *words: str, check: bool = True, **environment: str) -> str:
        """Run a command on the machine; return what it prints."""
        done = subprocess.run(
            self._inside(*words),
            text=True,
            capture_output=True,
            check=False,
            env=self._environment(environment),
        )
        if check and done.returncode:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def start(self, *words: str, beyond: int = 0) -> subprocess.Popen[bytes]:
        """Start a daemon of the machine, or of one on the other end of the wire: in the network of process BEYOND."""
        network = ("nsenter", "-t", str(beyond), "-n") if beyond else ()
        process = subprocess.Popen(
            (*network, *self._inside(*words)), stdout=self._log, stderr=self._log, env=self._environment({})
        )
        self._processes.append(process)
        return process

    def stop(self, *processes: subprocess.Popen[bytes]) -> None:
        """End PROCESSES, or all."""
        for process in processes or tuple(self._processes):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._processes.remove(process)

    def _inside(self, *words: str) -> tuple[str, ...]:
        return ("chroot", str(self.root), *words)

    @staticmethod
    def _environment(more: dict[str, str]) -> dict[str, str]:
        known = {
            "PATH": f"{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C",
            "PYTHONPATH": str(CHECKOUT / "src"),
        }
        return known | {"SYSTEMD_IGNORE_CHROOT": "1"} | more  # in which networkctl would not do anything

    def neighbours(self, *addresses: str) -> int:
        """Put machines that answer pings onto the other end of the wire; return a process in their network."""
        other = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._processes.append(other)
        inside = ["nsenter", "-t", str(other.pid), "-n", "ip"]
        self.wait(lambda: Path(f"/proc/{other.pid}/comm").read_text().strip() == "sleep", "a namespace")
        subprocess.run(["ip", "link", "set", "wire", "netns", str(other.pid)], check=True)
        subprocess.run([*inside, "link", "set", "wire", "up"], check=True)
        for address in addresses:
            subprocess.run([*inside, "addr", "add", f"{address}/24", "dev", "wire"], check=True)
        return other.pid

    def podroutes(self, *words: str, status: int | None = 0, **environment: str) -> str:
        """Run podroutes on the machine as worker-0; return what it prints."""
        source = () if words[0] == "remove" else ("-i", INVENTORY, "--node", "worker-0")
        command = (self.python, "-m", "podroutes", *words, *source)
        done = subprocess.run(
            self._inside(*command), text=True, capture_output=True, check=False, env=self._environment(environment)
        )
        said = done.stdout + done.stderr
        assert status is None or done.returncode == status, f"{words}: {done.returncode}\n{said}"
        return said

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """Start podroutes on the machine with exactly these WORDS."""
        inside = self._inside(self.python, "-m", "podroutes", *words)
        return subprocess.Popen(inside, stdout=self._log, stderr=self._log, env=self._environment({}))

    def json(self, *words: str) -> dict:
        """Run podroutes on the machine; return the JSON that it prints."""
        return json.loads(self.podroutes(*words, "-o", "json", status=None).partition("\npodroutes:")[0])

    def ip(self, *commands: str) -> None:
        """Run ip(8) with each of COMMANDS."""
        subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)

    def flap(self, link: str) -> None:
        """Take LINK down and up again; of wire it is ens18's carrier that comes and goes."""
        self.ip(f"link set {link} down")
        time.sleep(1)
        self.ip(f"link set {link} up")

    def index(self, link: str) -> int:
        """Return the interface index of LINK."""
        return socket.if_nametoindex(link)

    def files(self) -> dict[str, str]:
        """Return the text of every file in /etc that is not as it came with a package."""
        found = (path for path in (self._written / "etc").rglob("*") if path.is_file())
        return {str(path.relative_to(self._written)): path.read_text(errors="replace") for path in found}

    def stamps(self) -> dict[str, int]:
        """Return when each configuration file was written."""
        return {path: (self.root / path).stat().st_mtime_ns for path in self.files()}

    def show(self, words: str) -> list[str]:
        """Return the lines that ``ip WORDS`` prints."""
        shown = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=True).stdout
        return [line.rstrip() for line in shown.splitlines()]

    def routes(self) -> list[tuple[str, str]]:
        """Return the routes to pods in the kernel's main table, each with its protocol: all of them, whoever made them."""
        rows = [
            row
            for version in "46"
            for row in json.loads("".join(self.show(f"-{version} -j route show table main")) or "[]")
        ]
        pods = [row for row in rows if row["dst"].startswith(("10.200.", "fd00:10:"))]
        return sorted((f"{row['dst']} via {row.get('gateway')}", str(row.get("protocol", "boot"))) for row in pods)

    def wait(self, what: Callable[[], bool], why: str, hold: float = 0) -> None:
        """Wait until WHAT is so, and has been for HOLD seconds."""

        def otherwise() -> str:
            return f"{why}; the table is {self.show('route')} {self.show('-6 route')} {self.log()}"

        until(what, otherwise, hold=hold)

    def version(self) -> int:
        """Return the version of systemd."""
        return int(self.chroot("networkctl", "--version").split()[1])

    def log(self, *, whole: bool = False) -> str:
        """Return the end of what the daemons said, or the WHOLE of it."""
        self._log.flush()
        text = Path(self._log.name).read_text(errors="replace")
        return text if whole else text[-3000:]
