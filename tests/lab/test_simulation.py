"""The demo where no lab can be made: it says so in every act, and tells what the real one tells."""

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from lab.conftest import Tool, made
from podroutes.cli.simulation.machines import machines
from podroutes.cli.simulation.stage import LABEL, SimulatedStage
from podroutes.errors import LabError
from podroutes.lab.story import ACTS, tell
from podroutes.lab.topology import default_cluster
from podroutes.model.address import LINK_LOCAL
from podroutes.model.host import Host
from podroutes.views import iproute
from podroutes.views.style import Style
from support.notation import route

WITHOUT_NETWORKS = 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"'


@pytest.fixture
def root_here(root: Tool, tmp_path: Path) -> Tool:
    """Return podroutes as root, with its page below a directory of the test."""
    return root._replace(environment=root.environment | {"TMPDIR": str(tmp_path)})


def test_it_is_told_where_namespaces_are_forbidden_and_says_why_and_what_to_allow(root_here, tmp_path):
    """The real refusal of the kernel, in a user namespace whose limit is nought."""
    words = ["unshare", "--user", "--map-root-user", "sh", "-c", WITHOUT_NETWORKS, "sh", *root_here.command]
    told = root_here._replace(command=words)("lab", "demo").stdout
    assert told.startswith("SIMULATED: no packet is sent.")
    assert told.count("user.max_net_namespaces is 0; set it to 10000") == 2  # first and last
    assert re.findall(r"^\d+\. .*", told, re.MULTILINE) == re.findall(
        rf"^\d+\. .*  {re.escape(LABEL)}$", told, re.MULTILINE
    )
    (page,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert f"as a page: {page}\n" in told
    assert "simulated" in page.read_text()


def test_it_can_be_asked_for_and_touches_nothing(root_here, tmp_path):
    """Options of the environment are for the commands that the reader types."""
    environment = root_here.environment | {
        "PODROUTES_PERSIST": "systemd",
        "PODROUTES_STATE_DIR": str(tmp_path / "state"),
    }
    told = root_here("lab", "demo", "--simulated", env=environment).stdout
    assert told.startswith("SIMULATED")
    assert told.count(LABEL) == len(ACTS)
    assert not (tmp_path / "state").exists()
    assert subprocess.run(["ip", "route"], capture_output=True, check=True).stdout == b""  # of the test's own network


def normal(told: str) -> list[str]:
    """Return what real and simulated demo have in common: all but the label, times, and why a single packet was lost."""
    story = told[told.index("\n1. ") : told.rindex("\n\n")]
    story = story.replace(f"  {LABEL}", "").replace("simulated packets", "packets").replace(", in memory;", ";")
    story = re.sub(r"(packets were not answered:\n)(?:    .*\n)+", r"\1", story)
    return re.sub(r"[0-9.]+ ms after", "… ms after", story).splitlines()


@pytest.mark.parametrize("options", [[], ["--ipv6", "--nodes", "4"]], ids=" ".join)
def test_it_tells_what_the_real_one_tells(root_here, options):
    real, simulated = (root_here("lab", "demo", *options, *more).stdout for more in ((), ("--simulated",)))
    assert normal(simulated) == normal(real)
    assert len(normal(real)) > 80


def portrait(host: Host) -> dict[str, Any]:
    """Return what the proof looks at, without what it never needs: broadcasts, multicasts and link-local addresses."""
    return {
        "links": sorted((link.name, link.up, link.carrier) for link in host.links.values()),
        "masters": sorted(host.masters.items()),
        "addresses": sorted(
            f"{each.address}/{each.length} {each.dev}" for each in host.addresses if not LINK_LOCAL.covers(each.address)
        ),
        "rules": repr(host.rules),
        "routes": sorted(
            f"{iproute.line(each)} {each.protocol}"
            for each in host.routes
            if each.kind in ("unicast", "local") and not LINK_LOCAL.overlaps(each.dst)
        ),
        "forwarding": [host.forwards(version, dev) for version in (4, 6) for dev in ("ens18", "cni0")],
        "reverse_path": [host.reverse_path(dev) for dev in ("ens18", "cni0")],
    }


PORTRAITS = """\
import sys
from lab.test_simulation import portrait
from podroutes.cli.collection import gather
from podroutes.cli.option_values import TableOptions
found = gather(TableOptions(lab=sys.argv[1]))
print({host.name: portrait(host) for host in found.network.hosts.values()})
"""


def test_its_machines_are_those_of_a_lab(root, name):
    with made(root, name, "--nodes", "2", "--ipv6"):
        path = os.pathsep.join((str(Path(__file__).parents[1]), root.environment["PYTHONPATH"]))
        words = [sys.executable, "-c", PORTRAITS, name]
        done = subprocess.run(
            words, env=root.environment | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
        )
    real = eval(done.stdout)  # noqa: S307  our own words
    cluster = default_cluster(2, ipv6=True)
    simulated = {name: portrait(machine.host()) for name, machine in machines(cluster).items()}
    for node in cluster.nodes:
        assert simulated[node.name] == real[node.name]


# --- every claim is checked -------------------------------------------------------------------------------------------


class Lying(SimulatedStage):
    """A stage where, at the Nth command that begins with WORDS, something else happens than the story says."""

    def __init__(self, directory: Path, lie: Any, words: str, count: int = 1) -> None:
        self.cluster = default_cluster(3)
        self.machines = machines(self.cluster)
        super().__init__(directory, Style(enabled=False), self.cluster, self.machines)
        self._lie, self._words, self._left = lie, tuple(words.split()), count

    def play(self, words: tuple[str, ...], on: str | None) -> tuple[int, str]:
        """Play WORDS, and lie about them where it is time to."""
        status, output = super().play(words, on)
        if words[: len(self._words)] == self._words:
            self._left -= 1
            if self._left == 0:
                return self._lie(self, status, output) or (status, output)
        return status, output

    def healing(self, on, dst):
        """Have an agent that does nothing where that is the lie."""
        if self._words == ("heal",):
            agent = self._agents[on][0]
            agent.heal = lambda *_: ()
        return super().healing(on, dst)


def changes(node: str, *words: str):
    def lie(stage: Lying, _status: int, _output: str) -> None:
        stage.machines[node].ip(words)

    return lie


def adds(node: str, text: str):
    def lie(stage: Lying, _status: int, _output: str) -> None:
        stage.machines[node].kernel.routes.append(route(text))

    return lie


def says(old: str, new: str):
    return lambda _stage, status, output: (status, output.replace(old, new))


ELSEWHERE = "10.99.0.0/16 via 192.168.8.22 dev ens18"
RULE = ("rule", "add", "priority", "50", "lookup", "50")


def hides_all(stage: Lying, _status: int, _output: str) -> None:
    stage.machines["worker-2"].ip(("route", "add", "unreachable", "10.200.0.0/24", "table", "50"))
    stage.machines["worker-2"].ip(RULE)


@pytest.mark.parametrize(
    ("lie", "words", "count", "complaint"),
    [
        (says("✗", "✓"), "lab ping", 1, "before there were routes"),
        (lambda *_: (0, ""), "lab ping", 1, "ended with 0, not 1"),
        (adds("worker-0", ELSEWHERE), "podroutes plan", 1, "a plan changed the table"),
        (lambda *_: (1, "no"), "podroutes apply", 1, "ended with 1, not 0: no"),
        (changes("worker-1", "route", "delete", "10.200.0.0/24"), "podroutes apply", 1, "not the tutorial's: worker-1"),
        (adds("worker-2", ELSEWHERE), "podroutes apply", 1, "not the tutorial's: worker-2"),
        (hides_all, "sh", 1, "`lab ping` ended with 1, not 0"),
        (says("✓", "✗"), "lab ping", 2, "do not reach each other"),
        (says("proven", "not proven"), "podroutes verify", 1, "did not prove it"),
        (adds("worker-0", f"{ELSEWHERE} proto static"), "podroutes apply", 2, "a second apply changed the table"),
        (None, "heal", 1, "has no route to 10.200.1.0/24"),
        (says("✗", "·"), "lab ping", 4, "there and back"),
        (says("worker-0", "worker-1"), "podroutes verify", 2, "did not name the one cause"),
        (says("1 fails", "2 fail"), "podroutes verify", 2, "did not name the one cause"),
        (lambda stage, *_: stage.page.unlink(), "podroutes verify", 2, "the page does not show the cause"),
        (hides_all, "ip rule delete", 1, "`lab ping` ended with 1, not 0"),
        (says("proven", "not proven"), "podroutes verify", 3, "not proven again"),
        (lambda *_: (0, ""), "podroutes apply", 3, "ended with 0, not 1"),
        (says("meant podCIDR?", ""), "podroutes apply", 3, "did not name the error"),
        (changes("worker-0", "route", "delete", "10.200.1.0/24"), "podroutes apply", 3, "apply changed the table"),
    ],
)  # fmt: skip
def test_a_claim_that_is_not_true_ends_the_story(tmp_path, lie, words, count, complaint):
    stage = Lying(tmp_path, lie, words, count)
    with redirect_stdout(io.StringIO()), pytest.raises(LabError, match=re.escape(complaint)):
        tell(stage, stage.cluster)


def test_what_is_not_simulated_is_refused(tmp_path):
    stage = Lying(tmp_path, None, "nothing")
    with pytest.raises(LabError, match="not simulated: ip route add 10"):
        stage.machines["worker-0"].ip(("route", "add", "10.0.0.0/8"))
