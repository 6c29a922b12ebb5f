"""The real CNI plugins take the configuration: pods get addresses of both families, reach each other, and go again."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from podroutes.host.files import HostFiles
from podroutes.lab import syscalls
from podroutes.model.address import parse_prefix
from podroutes.persist.cni_config import pods_outside, render

CIDRS = [parse_prefix("10.200.0.0/24"), parse_prefix("fd00:200::/64")]


class Runtime:
    """A container runtime, as far as it calls plugins: https://www.cni.dev/docs/spec/#section-2-execution-protocol."""

    def __init__(self, plugins: Path, state: Path) -> None:
        self.plugins = plugins
        self.root = state
        (state / "var/lib").mkdir(parents=True)

    def call(self, command: str, network: dict, pod: subprocess.Popen, result: dict | None = None) -> dict:
        """Call the plugins of NETWORK in the order of COMMAND; return the last result."""
        plugins = network["plugins"]
        for plugin in reversed(plugins) if command == "DEL" else plugins:
            configuration = {"cniVersion": network["cniVersion"], "name": network["name"], **plugin}
            configuration |= {"prevResult": result} if result else {}
            result = self._plugin(command, configuration, pod) or result
        return result or {}

    def _plugin(self, command: str, configuration: dict, pod: subprocess.Popen) -> dict | None:
        environment = {
            "PATH": os.environ["PATH"],
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": f"pod{pod.pid}",
            "CNI_NETNS": f"/proc/{pod.pid}/ns/net",
            "CNI_IFNAME": "lo" if configuration["type"] == "loopback" else "eth0",
            "CNI_PATH": str(self.plugins),
        }
        inside = 'mount --bind "$0/var/lib" /var/lib && exec "$@"'
        words = ["unshare", "--mount", "sh", "-c", inside, str(self.root), str(self.plugins / configuration["type"])]
        done = subprocess.run(
            words, input=json.dumps(configuration), env=environment, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{configuration['type']} {command}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.fixture
def pods(bare) -> Iterator[list[subprocess.Popen]]:
    """Two network namespaces; the test itself is in the node's."""
    made = [
        subprocess.Popen(["unshare", "--net", "sh", "-c", "echo made; exec sleep 1000"], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for pod in made:
        assert pod.stdout
        pod.stdout.readline()
    yield made
    for pod in made:
        pod.kill()
        pod.communicate()


def ip(pod: subprocess.Popen | None, *words: str) -> list[dict]:
    """Return what ip(8) prints in a pod, or on the node."""
    inside = ["nsenter", "--net", "--target", str(pod.pid)] if pod else []
    return json.loads(subprocess.run([*inside, "ip", "-j", *words], capture_output=True, check=True).stdout or "[]")


@contextmanager
def inside(pod: subprocess.Popen) -> Iterator[None]:
    """Be in the network namespace of a pod."""
    spaces = [os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", f"/proc/{pod.pid}/ns/net")]
    try:
        syscalls.setns(spaces[1], syscalls.NEWNET)
        yield
    finally:
        syscalls.setns(spaces[0], syscalls.NEWNET)
        for space in spaces:
            os.close(space)


@pytest.mark.parametrize("cidrs", [CIDRS, CIDRS[:1], CIDRS[1:]], ids=["dual stack", "IPv4", "IPv6"])
def test_pods_come_talk_and_go(plugins, pods, tmp_path, cidrs):
    network, loopback = (json.loads(file.text) for file in render(cidrs, mtu=1400, chained=()))
    runtime = Runtime(plugins, tmp_path / "machine")
    results = [runtime.call("ADD", network, pod) for pod in pods]
    for pod, result in zip(pods, results, strict=True):
        runtime.call("ADD", loopback, pod)
        runtime.call("CHECK", network, pod, result)

    for number, (pod, result) in enumerate(zip(pods, results, strict=True)):
        assert len(result["ips"]) == len(cidrs)
        assert all(
            cidr.covers(parse_prefix(f"{entry['address'].partition('/')[0]}/{32 if cidr.version == 4 else 128}"))
            for cidr, entry in zip(cidrs, result["ips"], strict=True)
        )
        (link,) = ip(pod, "link", "show", "eth0")
        assert link["mtu"] == 1400
        defaults = [*ip(pod, "route", "show", "default"), *ip(pod, "-6", "route", "show", "default")]
        assert len(defaults) == len(cidrs), f"pod {number} has a default route of each family"
        assert "UP" in ip(pod, "link", "show", "lo")[0]["flags"]
    for entry in results[1]["ips"]:
        target = entry["address"].partition("/")[0]
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        with inside(pods[1]):
            server = socket.create_server((target, 0), family=family)
        with inside(pods[0]), server:
            socket.create_connection((target, server.getsockname()[1]), timeout=5).close()

    assert pods_outside(HostFiles(runtime.root), cidrs) == []
    assert len(pods_outside(HostFiles(runtime.root), [parse_prefix("10.99.0.0/24")])) == 2 * len(cidrs)
    for pod, result in zip(pods, results, strict=True):
        runtime.call("DEL", network, pod, result)
    assert pods_outside(HostFiles(runtime.root), [parse_prefix("10.99.0.0/24")]) == []
    assert all("eth0" not in link["ifname"] for link in ip(pods[0], "link"))
