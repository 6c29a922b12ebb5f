"""``push --masquerade --sysctl --cni``: the packet filter, sysctls and CNI files of machines, confirmed or taken back like routes."""

import json

import pytest

from doctor.conftest import unpacked  # noqa: F401  a fixture
from push.test_confirmation import FIRST, QUICK

LEASES = "/var/lib/cni/networks/podroutes"
CNI = "/etc/cni/net.d/10-podroutes.conflist"
FORWARDING = "/proc/sys/net/ipv4/ip_forward"


class Nft:
    """Runs nft(8) on worker-0, whose sshd has it on its PATH."""

    def __init__(self, site, variables):
        self._site, self._words = site, [f"{name}={value}" for name, value in variables.items()]
        self._set = f"SetEnv={' '.join(self._words)}"
        site.again("worker-0", self._set)

    def __call__(self, *command):
        """Return what it prints."""
        return self._site.on("worker-0", "env", *self._words, "nft", *command, check=False)

    def gated(self):
        """Put the gate before sshd's commands."""
        self._site.again("worker-0", self._set, f"ForceCommand={self._site.gate}")


@pytest.fixture
def nft(site, unpacked):  # noqa: F811
    libraries = next((unpacked / "usr/lib").glob("*-linux-gnu*"))
    variables = {"PATH": f"{unpacked}/usr/sbin:/usr/bin:/bin", "LD_LIBRARY_PATH": str(libraries)}
    found = Nft(site, variables)
    yield found
    found("flush", "ruleset")
    site.on(
        "worker-0", "sh", "-c", f"rm -rf /etc/cni /etc/podroutes /etc/sysctl.d/90* /var/lib/cni; echo 1 >{FORWARDING}"
    )


def settings(done):
    """Return the settings that change on worker-0."""
    return [(each["action"], each["name"]) for each in done.nodes["worker-0"].get("host", ())]


def test_it_is_made_kept_and_taken_away(site, nft):
    site.on("worker-0", "sh", "-c", f"echo 0 >{FORWARDING}")
    wanted = [("set", "net.ipv4.ip_forward"), ("create", "inet podroutes")]
    planned = site.push("plan", *FIRST, "--masquerade", "--sysctl")
    assert settings(planned) == wanted
    assert nft("list", "ruleset") == ""
    done = site.push("apply", *FIRST, "--masquerade", "--sysctl")
    assert (done.status, done.nodes["worker-0"]["state"], settings(done)) == (0, "applied", wanted)
    assert "masquerade fully-random" in nft("list", "table", "inet", "podroutes")
    assert site.on("worker-0", "cat", FORWARDING) == "1"
    assert "masquerade" in site.on("worker-0", "cat", "/etc/podroutes/masquerade.nft")
    assert site.push("plan", *FIRST).nodes["worker-0"]["in_sync"]
    nft("flush", "ruleset")
    assert settings(site.push("apply", *FIRST)) == [("create", "inet podroutes")]
    assert site.push("remove", *FIRST).status == 0
    assert nft("list", "ruleset") == ""
    assert site.on("worker-0", "cat", FORWARDING) == "0"
    assert site.on("worker-0", "ls", "/etc/podroutes") == ""


def test_a_machine_that_is_not_confirmed_goes_back(site, nft):
    assert site.push("apply", *FIRST, "--masquerade").status == 0
    nft("add", "element", "inet", "podroutes", "cluster4", "{ 198.51.100.0/24 }")
    before = nft("list", "ruleset")
    site.on("worker-0", "sh", "-c", f"echo 0 >{FORWARDING}")
    site.fault("worker-0", "hang from 3")
    nft.gated()
    done = site.push("apply", *FIRST, "--masquerade", "both", "--sysctl", *QUICK)
    assert done.nodes["worker-0"]["state"] == "rolled-back", done.nodes["worker-0"]["error"]
    assert nft("list", "ruleset") == before
    assert site.on("worker-0", "cat", FORWARDING) == "0"
    assert site.on("worker-0", "ls", "/etc/sysctl.d/90-podroutes.conf", check=False) == ""


def test_a_machine_without_a_table_has_none_after_going_back(site, nft):
    site.fault("worker-0", "hang from 3")
    nft.gated()
    done = site.push("apply", *FIRST, "--masquerade", *QUICK)
    assert done.nodes["worker-0"]["state"] == "rolled-back", done.nodes["worker-0"]["error"]
    assert nft("list", "ruleset") == ""
    assert site.on("worker-0", "ls", "/etc/podroutes") == ""


def test_without_nft_there_it_is_an_error(site):
    done = site.push("apply", *FIRST, "--masquerade")
    assert done.status == 1
    assert "nft is not installed" in done.nodes["worker-0"]["error"]
    assert site.routes("worker-0") == []


def test_the_cni_configuration_knows_the_pods_of_the_machine(site, nft):
    done = site.push("apply", *FIRST, "--cni")
    assert (done.status, done.nodes["worker-0"]["state"]) == (0, "applied")
    network = json.loads(site.on("worker-0", "cat", CNI))
    assert network["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.200.0.0/24"}]]
    assert network["plugins"][0]["mtu"] == 1500
    assert "cni-no-host-ports" in {problem["code"] for problem in done.nodes["worker-0"]["problems"]}
    site.on("worker-0", "sh", "-c", f"mkdir -p {LEASES} && touch {LEASES}/10.99.0.5")
    refused = site.push("apply", *FIRST, "--cni")
    assert "10.99.0.5; delete these pods first" in refused.nodes["worker-0"]["error"]
    forced = site.push("plan", *FIRST, "--cni", "--force")
    assert forced.nodes["worker-0"]["in_sync"]
    assert site.push("remove", *FIRST).status == 0
    assert site.on("worker-0", "ls", "/etc/cni/net.d") == ""
