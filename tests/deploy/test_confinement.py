"""An agent with what manifest and unit leave it, on a real kernel: one capability, no further ones, one directory to write to."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from agent.conftest import Agent, kill, until, write
from deploy.manifests import agent as container
from deploy.manifests import plain
from deploy.test_unit import UNIT, settings
from podroutes.host import agent_lock
from support.users import NOBODY, others  # it stands for the user that systemd makes up

ONE = "10.200.1.0/24 via 192.168.8.21 dev ens18"
# What a container engine and systemd do: the whole tree read-only, and the state directory mounted into it.
MOUNTS = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"'


class Powers(NamedTuple):
    """Who the agent is, and what it may."""

    user: int
    capability: str  # as setpriv(1) names it
    ambient: bool  # else it is root's

    @property
    def setpriv(self) -> list[str]:
        """Return the command that gives up everything else."""
        only = f"-all,+{self.capability}"
        kept = [f"--inh-caps={only}", f"--ambient-caps={only}"] if self.ambient else ["--inh-caps=-all"]
        who = [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        return ["setpriv", *who, "--no-new-privs", f"--bounding-set={only}", *kept]


def of_the_manifest() -> Powers:
    context = container(plain())["securityContext"]
    (capability,) = context["capabilities"]["add"]
    return Powers(context["runAsUser"], capability.lower(), ambient=False)


def of_the_unit() -> Powers:
    (capability,) = settings(UNIT)["AmbientCapabilities"]
    return Powers(NOBODY, capability.removeprefix("CAP_").lower(), ambient=True)


@pytest.fixture(params=[of_the_manifest, of_the_unit], ids=lambda powers: powers.__name__)
def powers(request) -> Powers:
    if why := others():
        pytest.skip(why)
    return request.param()


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory that every user can look into, which pytest's own are not."""
    with TemporaryDirectory(prefix="podroutes-") as directory:
        path = Path(directory)
        path.chmod(0o755)
        yield path


@pytest.fixture
def confined(worker, place, powers, readable, python) -> Iterator[Agent]:
    """Start an agent of worker-0 that knows worker-1 and has POWERS."""
    state, nodes, log = place / "state", place / "nodes.json", place / "agent.log"
    write(nodes, "worker-0 192.168.8.20 10.200.0.0/24", "worker-1 192.168.8.21 10.200.1.0/24")
    state.mkdir()
    os.chown(state, powers.user, powers.user)
    started = [python, "-m", "podroutes", "agent", "-i", str(nodes), "--node", "worker-0", "--state-dir"]
    words = ["unshare", "--mount", "sh", "-ec", MOUNTS, str(state), *powers.setpriv, *started, str(state)]
    environment = {**os.environ, "PYTHONPATH": str(readable), "PYTHONDONTWRITEBYTECODE": "1"}
    into = [(os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT, 0o644), (os.POSIX_SPAWN_DUP2, 1, 2)]
    agent = Agent(os.posix_spawnp(words[0], words, environment, file_actions=into), log)
    yield agent
    kill([agent])


def said(place: Path) -> str:
    """Return all that the agent, or what starts it, has said."""
    return (place / "agent.log").read_text()


def test_it_keeps_routes_and_state(confined, powers, place, worker):
    until(lambda: confined.ask("/readyz")[0] == 200, lambda: f"ready; it said: {said(place)}")
    assert worker.show("route show proto 107") == [ONE]
    worker.ip("route del 10.200.1.0/24")
    until(lambda: worker.show("route show proto 107") == [ONE])
    until(lambda: list((place / "state").iterdir()))
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{confined.pid}/status").read_text().splitlines())
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {1 << 12}  # CAP_NET_ADMIN
    assert (status["NoNewPrivs"], status["Uid"].split()) == ("1", [str(powers.user)] * 4)
    assert agent_lock.running() == confined.pid, "so that nothing is removed behind its back"
    assert confined.end() == 0
    assert worker.show("route show proto 107") == [ONE]
    assert [each["level"] for each in confined.log() if each["level"] not in ("info", "debug")] == []


def test_root_can_confirm_what_it_holds(confined, place, worker):
    until(lambda: confined.ask("/readyz")[0] == 200, lambda: f"ready; it said: {said(place)}")
    write(place / "nodes.json", *(f"worker-{n} 192.168.8.2{n} 10.200.{n}.0/24" for n in range(6)))
    until(lambda: len(worker.show("route show proto 107")) == 5)
    write(place / "nodes.json", *(f"worker-{n} 192.168.8.2{n} 10.200.{n}.0/24" for n in range(2)))
    until(lambda: confined.status()["hold"])
    command = [sys.executable, "-m", "podroutes", "confirm"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
    until(lambda: worker.show("route show proto 107") == [ONE])


PRETENDER = r"""
import socket
with socket.socket(socket.AF_UNIX) as name:
    name.bind("\0podroutes/agent")
    name.listen()
    print(flush=True)
    input()
"""


@pytest.mark.parametrize(
    "further", [[], ["unshare", "--user", "--map-root-user"]], ids=["powerless", "powerful-in-a-namespace-of-its-own"]
)
def test_nobody_who_could_not_change_routes_is_taken_for_an_agent(worker, further, python):
    who = [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ]
    words = [*who, *further, python, "-c", PRETENDER]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pretender:
        if pretender.stdout.readline() != b"\n":
            pytest.skip(others() or "an unprivileged user cannot make a user namespace here")
        assert agent_lock.running() is None
        pretender.communicate(b"\n")
