"""A healthy machine to make ill: worker-0 on a real segment with worker-1 and worker-2, its files in a directory of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from podroutes.cli import doctor as examination
from podroutes.cli import main
from podroutes.cli.commands import doctor as command
from podroutes.host import arp
from podroutes.host.files import HostFiles
from support.unpacked import packages_or_skip

INVENTORY = """\
nodes:
- {name: worker-0, internalIPs: [192.168.8.20, "fd00::20"], podCIDRs: [10.200.0.0/24, "fd01::/64"]}
- {name: worker-1, internalIPs: [192.168.8.21, "fd00::21"], podCIDRs: [10.200.1.0/24, "fd01:0:0:1::/64"]}
- {name: worker-2, internalIPs: [192.168.8.22, "fd00::22"], podCIDRs: [10.200.2.0/24, "fd01:0:0:2::/64"]}
"""


class Machine:
    """A network namespace beside the test's, kept by a process that sleeps in it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
        while Path(f"/proc/{self.process.pid}/ns/net").samefile("/proc/thread-self/ns/net"):
            time.sleep(0.001)  # until unshare(1) has done it

    def run(self, *words: str, stdin: str | None = None) -> None:
        """Run a command there."""
        subprocess.run(
            ["nsenter", "--net", "--target", str(self.process.pid), *words], input=stdin, text=True, check=True
        )

    def ip(self, *commands: str) -> None:
        """Run ip(8) there with each of COMMANDS."""
        self.run("ip", "-batch", "-", stdin="\n".join(commands))

    def end(self) -> None:
        """End it, and with it the namespace."""
        self.process.kill()
        self.process.wait()


class Segment:
    """A switch that the worker's wire is plugged into, and the machines on it."""

    def __init__(self) -> None:
        self.switch = Machine()
        self.machines = [self.switch]
        subprocess.run(["ip", "link", "set", "wire", "netns", str(self.switch.process.pid)], check=True)
        self.switch.ip("link add sw type bridge", "link set sw up", "link set wire master sw", "link set wire up")

    def join(self, *addresses: str) -> Machine:
        """Add a machine with ADDRESSES."""
        machine = Machine()
        port = f"port{len(self.machines)}"
        self.machines.append(machine)
        self.switch.ip(
            f"link add {port} type veth peer name eth0 netns {machine.process.pid}",
            f"link set {port} master sw",
            f"link set {port} up",
        )
        given = (f"addr add {each} dev eth0{' nodad' * (':' in each)}" for each in addresses)
        machine.ip("link set eth0 addrgenmode none", "link set eth0 up", *given)
        return machine

    def end(self) -> None:
        """End all machines."""
        for machine in self.machines:
            machine.end()


class Report(NamedTuple):
    """What the doctor said."""

    status: int
    document: dict[str, Any]

    @property
    def codes(self) -> list[str]:
        """The codes of all findings."""
        return [each["code"] for each in self.document["findings"]]

    def finding(self, code: str) -> dict[str, Any]:
        """Return the only finding, which has to be of CODE."""
        assert self.codes == [code], self.document["findings"]
        assert self.document["findings"][0]["evidence"], "a finding tells how it is known"
        return self.document["findings"][0]


class MachineContext:
    """worker-0. Its files are those below ``root``, where /proc/sys is the real one."""

    def __init__(self, root: Path, inventory: Path, segment: Segment, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.inventory, self.segment, self._capsys = root, inventory, segment, capsys

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write one of its files."""
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def run(self, *commands: str) -> None:
        """Type COMMANDS into its shell, where podroutes is installed."""
        shell = f'set -e\npodroutes() {{ "{sys.executable}" -m podroutes "$@"; }}\n'
        for each in commands:
            typed = each.replace("/etc/", f"{self.root}/etc/")
            done = subprocess.run(["sh", "-c", shell + typed], capture_output=True, text=True, check=False)
            assert done.returncode == 0, (each, done.stderr)

    def examine(self, *words: str, inventory: bool = True) -> Report:
        """Have it examined, with the inventory unless told otherwise."""
        source = ["-i", str(self.inventory), "--node", "worker-0"] if inventory else []
        status = main(["doctor", "-o", "json", *source, *words])
        return Report(status, json.loads(self._capsys.readouterr().out))

    def cured(self, code: str) -> dict[str, Any]:
        """Find CODE and nothing else, type what it says, find nothing; return the finding."""
        report = self.examine()
        finding = report.finding(code)
        assert report.status == (0 if finding["severity"] == "info" else 2)
        assert finding["fix"], "there is something to type"
        self.run(*finding["fix"])
        assert self.examine().codes == []
        return finding


@pytest.fixture
def healthy(worker, tmp_path, monkeypatch, capsys) -> Iterator[MachineContext]:
    """Put the test onto a worker-0 that pods can be reached on, beside worker-1 and worker-2."""
    root, inventory = tmp_path / "root", tmp_path / "nodes.yaml"
    (root / "proc").mkdir(parents=True)
    (root / "proc" / "sys").symlink_to("/proc/sys")
    inventory.write_text(INVENTORY)
    for module in (command, examination):
        monkeypatch.setattr(module, "HostFiles", lambda: HostFiles(root))
    monkeypatch.setattr(arp, "_WAIT", 0.05)  # nobody here is further away than a few microseconds
    monkeypatch.delenv("NODE_NAME", raising=False)
    segment = Segment()
    try:
        for number in (1, 2):
            segment.join(f"192.168.8.2{number}/24", f"fd00::2{number}/64")
        context = MachineContext(root, inventory, segment, capsys)
        context.write("/etc/iproute2/rt_protos.d/podroutes.conf", "107 podroutes\n")
        worker.ip(
            "link add cni0 address 02:00:00:00:00:01 type bridge",
            "link set cni0 addrgenmode none",
            "link set cni0 up",
            "addr add 10.200.0.1/24 dev cni0",
            "addr add fd01::1/64 dev cni0 nodad",
        )
        context.run(
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0",
            "sysctl -qw net.ipv4.conf.ens18.rp_filter=0 net.ipv4.conf.cni0.rp_filter=0",
        )
        assert main(["apply", "-i", str(inventory), "--node", "worker-0"]) == 0
        capsys.readouterr()
        yield context
    finally:
        segment.end()


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory) -> Path:
    """Return a directory with nft(8) and iptables(8), which come from Debian's packages and are installed nowhere."""
    root = tmp_path_factory.mktemp("filters")
    packages = packages_or_skip("filters")
    for package in packages:
        subprocess.run(["dpkg", "-x", package, root], check=True)
    return root


@pytest.fixture
def filters(unpacked, monkeypatch, tmp_path) -> Path:
    """Put nft(8) and iptables(8) on the PATH; the latter's lock is not the machine's, which a user may not open."""
    monkeypatch.setenv("XTABLES_LOCKFILE", str(tmp_path / "xtables.lock"))
    libraries = next((unpacked / "usr/lib").glob("*-linux-gnu*"))
    monkeypatch.setenv("PATH", f"{unpacked}/usr/sbin:{os.environ['PATH']}")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(libraries))
    monkeypatch.setenv("XTABLES_LIBDIR", str(libraries / "xtables"))
    return unpacked
