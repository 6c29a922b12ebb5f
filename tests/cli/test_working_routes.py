"""A mistake in the inventory takes no working route away: what cannot be read or is contested is kept, and said."""

import json
import subprocess
from pathlib import Path

import pytest

from podroutes.cli import main
from podroutes.lab import syscalls

GOOD = """\
nodes:
- name: worker-0
  internalIP: 192.168.8.20
  podCIDR: 10.200.0.0/24
- name: worker-1
  internalIP: 192.168.8.21
  podCIDR: 10.200.1.0/24
- name: worker-2
  internalIP: 192.168.8.22
  podCIDR: 10.200.2.0/24
"""
ONE, TWO = (f"10.200.{i}.0/24 via 192.168.8.2{i} dev ens18" for i in (1, 2))
FLAP = "link set ens18 down", "link set ens18 up"


@pytest.fixture
def run(worker, tmp_path, capsys):
    """Run a command on worker-0 with an inventory of TEXT; return exit status, standard output and standard error."""

    def run(command, text, *words):
        path = tmp_path / "nodes.yaml"
        path.write_text(text)
        try:
            status = main([command, "-i", str(path), "--node", "worker-0", *words])
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def ours(worker):
    """Return our routes as ip(8) shows them."""
    return lambda: worker.show("route show proto 107")


def kept(text, *, name):
    """Return one corrupted inventory."""
    return pytest.param(text, id=name)


CORRUPTED = [
    kept(GOOD.replace("podCIDR: 10.200.1.", "podcidr: 10.200.1."), name="podcidr"),
    kept(GOOD.replace("podCIDR: 10.200.1.", "podCidr: 10.200.1."), name="podCidr"),
    kept(GOOD.replace("podCIDR: 10.200.1.", "pod_cidr: 10.200.1."), name="pod_cidr"),
    kept(GOOD.replace("podCIDR: 10.200.1.", "podCDIRs: 10.200.1."), name="podCDIRs"),
    kept(GOOD.replace("internalIP: 192.168.8.21", "ip: 192.168.8.21"), name="ip"),
    kept(GOOD.replace("internalIP: 192.168.8.21", "internalIp: 192.168.8.21"), name="internalIp"),
    kept(GOOD.replace("internalIP: 192.168.8.21", "address: 192.168.8.21"), name="address"),
    kept(GOOD.replace("192.168.8.21", "192.168.8.21/24"), name="an address with a prefix length"),
    kept(GOOD.replace("192.168.8.21", "192.168.8.021"), name="an address with a leading zero"),
    kept(GOOD.replace("10.200.1.0/24", "10.200.1.0/244"), name="a prefix length that is too long"),
    kept(GOOD.replace("10.200.1.0/24", "10.200.1.7/24"), name="host bits"),
    kept(GOOD.replace("10.200.1.0/24", "10.200.l.0/24"), name="a letter for a digit"),
    kept(
        GOOD.replace("podCIDR: 10.200.1.0/24", "podcidr: 10.200.1.0/24").replace("192.168.8.21", "192.168.8.21/24"),
        name="neither podCIDR nor address can be read",
    ),
]


@pytest.mark.parametrize("corrupted", CORRUPTED)
def test_the_route_of_a_node_that_cannot_be_read_is_kept_and_said(run, ours, worker, corrupted):
    assert run("apply", GOOD)[0] == 0
    status, _, err = run("plan", corrupted)
    assert status == 2, "a kept route is no agreement"
    assert "worker-1" in err
    status, _, err = run("apply", corrupted)
    assert ours() == [ONE, TWO]
    assert status == 1
    assert "worker-1" in err
    worker.ip(*FLAP)
    assert ours() == []
    run("apply", corrupted)
    assert ours() == [ONE, TWO], "and put back after a flap"


def test_the_ipv6_route_of_a_node_that_cannot_be_read_is_kept(run, worker):
    six = GOOD.replace("192.168.8.", "fd00::").replace("10.200.", "fd00:200:").replace(".0/24", "::/64")
    show = lambda: [line.partition(" dev")[0] for line in worker.show("-6 route show proto 107")]  # noqa: E731
    assert run("apply", six)[0] == 0
    before = show()
    assert before == ["fd00:200:1::/64 via fd00::21", "fd00:200:2::/64 via fd00::22"]
    assert run("apply", six.replace("fd00:200:1::/64", "fd00:200:1::1/64"))[0] == 1
    assert show() == before


def test_the_same_mistake_in_every_entry_takes_no_route(run, ours):
    run("apply", GOOD)
    assert run("apply", GOOD.replace("podCIDR", "podcidr"), "--allow-mass-delete")[0] == 1
    assert ours() == [ONE, TWO]


def test_what_an_operator_removed_from_an_entry_that_can_be_read_is_removed(run, ours):
    run("apply", GOOD)
    assert run("apply", GOOD.replace("  podCIDR: 10.200.1.0/24\n", ""))[0] == 0
    assert ours() == [TWO]
    run("apply", GOOD)
    assert run("apply", GOOD.replace("10.200.1.0/24", "10.200.9.0/24"))[0] == 0
    assert ours() == [TWO, ONE.replace("10.200.1.", "10.200.9.")]


def test_the_old_next_hop_is_not_kept_for_a_node_that_says_another_address(run, ours):
    run("apply", GOOD)
    corrupted = GOOD.replace("10.200.1.0/24", "10.200.1.7/24").replace("192.168.8.21", "192.168.8.99")
    assert run("apply", corrupted)[0] == 1
    assert ours() == [TWO]


def test_the_next_hop_that_another_node_holds_now_is_not_kept(run, ours):
    run("apply", GOOD)
    corrupted = GOOD.replace("internalIP: 192.168.8.21", "ip: 192.168.8.31") + (
        "- name: worker-9\n  internalIP: 192.168.8.21\n  podCIDR: 10.200.9.0/24\n"
    )
    assert run("apply", corrupted)[0] == 1
    assert ours() == [TWO, "10.200.9.0/24 via 192.168.8.21 dev ens18"]


RIVAL = "- {name: rival, internalIP: 192.168.8.29, podCIDR: 10.200.1.0/24}\n"


@pytest.mark.parametrize(
    "rival",
    [
        RIVAL,
        RIVAL.replace("10.200.1.0/24", "10.200.0.0/16"),
        RIVAL.replace("10.200.1.0/24", "10.200.1.128/25"),
    ],
)
def test_a_contested_route_comes_back_after_a_flap(run, ours, worker, rival):
    run("apply", GOOD)
    run("apply", GOOD + rival)
    assert ONE in ours()
    worker.ip(*FLAP)
    run("apply", GOOD + rival)
    assert ONE in ours()


NOBODY = {
    "the tutorial's hosts": "192.168.8.20 worker-0.k worker-0\n192.168.8.21 worker-1.k worker-1\n192.168.8.22 worker-2.k worker-2\n",
    "kubectl": json.dumps(
        {
            "apiVersion": "v1",
            "kind": "List",
            "items": [
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "metadata": {"name": f"worker-{i}"},
                    "spec": {},
                    "status": {"addresses": [{"type": "InternalIP", "address": f"192.168.8.2{i}"}]},
                }
                for i in range(3)
            ],
        }
    ),
    "our own": "".join(line for line in GOOD.splitlines(keepends=True) if "podCIDR" not in line),
}
LIKELY = {"the tutorial's hosts": "fourth column", "kubectl": "controller manager", "our own": "podCIDR"}


@pytest.mark.parametrize("name", NOBODY)
def test_an_inventory_without_any_pod_cidr_is_an_error_with_its_likely_reason(run, ours, name):
    run("apply", GOOD)
    for words in ("plan",), ("plan", "--all"), ("apply",), ("apply", "--allow-mass-delete"), ("verify",):
        status, out, err = run(words[0], NOBODY[name], *words[1:])
        wanted = 2 if words == ("verify",) else 1
        assert (status, LIKELY[name] in err) == (wanted, True), (words, err)
        assert "proven" not in out.lower(), "no pair is proven"
        assert ours() == [ONE, TWO]


def test_no_more_than_one_node_goes_unasked(run, ours):
    """Of a cluster of three; the second within ten minutes is held."""
    many = GOOD + "".join(
        f"- {{name: worker-{i}, internalIP: 192.168.8.2{i}, podCIDR: 10.200.{i}.0/24}}\n" for i in (3, 4, 5)
    )
    head, _, _ = many.partition("- name: worker-1")
    run("apply", many)
    status, _, err = run("apply", head)
    assert (status, len(ours())) == (1, 5)
    assert "--allow-mass-delete" in err
    assert run("apply", head, "--allow-mass-delete=4")[0] == 1
    assert len(ours()) == 5
    assert run("apply", head, "--allow-mass-delete=5")[0] == 0
    assert ours() == []


@pytest.fixture
def jump_host(worker):
    """Give worker-0 a management network that contains worker-1's podCIDR, and its default route there."""
    worker.ip(
        "link add mgmt0 type veth peer name mgmt-wire",
        "link set mgmt-wire up",
        "addr add 10.200.250.20/16 dev mgmt0",
        "link set mgmt0 up",
        "route add default via 10.200.1.9 dev mgmt0",
    )
    return worker


def test_apply_does_not_cut_off_the_default_gateway(run, ours, jump_host):
    assert run("plan", GOOD)[0] in (1, 2)
    status, _, err = run("apply", GOOD)
    assert status == 1
    assert "10.200.1.9" in err
    assert ours() == [TWO]
    assert "dev mgmt0" in jump_host.show("route get 10.200.1.9")[0]


@pytest.mark.parametrize("variable", ["SSH_CONNECTION", "SSH_CLIENT"])
def test_apply_does_not_cut_off_the_ssh_session_that_it_runs_in(run, ours, worker, monkeypatch, variable):
    worker.ip(
        "link add mgmt0 type veth peer name mgmt-wire",
        "link set mgmt-wire up",
        "addr add 172.16.5.20/24 dev mgmt0",
        "link set mgmt0 up",
        "route add 10.200.0.0/16 via 172.16.5.1 dev mgmt0",
    )
    words = {"SSH_CONNECTION": "10.200.2.77 50000 172.16.5.20 22", "SSH_CLIENT": "10.200.2.77 50000 22"}
    monkeypatch.setenv(variable, words[variable])
    status, _, err = run("apply", GOOD)
    assert status == 1
    assert "10.200.2.77" in err
    assert ours() == [ONE]


@pytest.fixture
def resolvers(tmp_path):
    """Return what makes the machine ask name servers; they are forgotten afterwards."""
    place = Path("/etc/resolv.conf").resolve()
    if not place.is_file():
        pytest.skip("this machine has no /etc/resolv.conf to cover for a test")
    file = tmp_path / "resolv.conf"
    file.write_text("")
    syscalls.mount(str(file), str(place), flags=syscalls.MS_BIND)
    yield lambda *servers: file.write_text("".join(f"nameserver {each}\n" for each in servers))
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("claim", ["8.8.8.8/32", "8.0.0.0/8"])
def test_apply_does_not_cut_off_the_name_servers(run, ours, worker, resolvers, claim):
    worker.ip("route add default via 192.168.8.1 dev ens18")
    resolvers("192.168.8.53", "8.8.8.8")
    status, _, err = run("apply", GOOD.replace("10.200.1.0/24", claim))
    assert status == 1
    assert "8.8.8.8" in err
    assert ours() == [TWO]


def test_a_gateway_that_is_reached_by_one_of_our_own_routes_is_no_dependency(run, ours, worker, monkeypatch):
    """A name server or an API server may live in pods."""
    run("apply", GOOD)
    monkeypatch.setenv("SSH_CONNECTION", "10.200.2.77 50000 192.168.8.20 22")
    assert run("apply", GOOD)[0] == 0
    worker.ip("route del 10.200.2.0/24")
    assert run("apply", GOOD)[0] == 0, "without our route nothing leads there"
    assert ours() == [ONE, TWO]


OWN = [
    pytest.param(GOOD.replace("10.200.0.0/24", "10.200.0.0/16"), id="a netmask that covers all others"),
    pytest.param(GOOD.replace("10.200.0.0/24", "10.200.1.0/24"), id="the podCIDR of another node"),
    pytest.param(GOOD.replace("10.200.0.0/24", "10.200.0.0/23"), id="a netmask that covers one other"),
    pytest.param(GOOD.replace("10.200.0.0/24", "192.168.8.0/24"), id="the nodes' network"),
    pytest.param(
        "cluster: {podCIDRs: [10.200.0.0/16]}\n" + GOOD.replace("10.200.0.0/24", "10.200.0.0/14"),
        id="wider than the limits",
    ),
    pytest.param(GOOD.replace("name: worker-1", "name: worker-0"), id="another node with our name"),
]


@pytest.mark.parametrize("corrupted", OWN)
def test_a_mistake_in_the_entry_of_this_machine_takes_no_route_of_the_others(run, ours, worker, corrupted):
    worker.ip("link add cni0 type bridge", "addr add 10.200.0.1/24 dev cni0", "link set cni0 up")
    assert run("apply", GOOD)[0] == 0
    assert run("plan", corrupted)[0]
    assert run("apply", corrupted)[0] == 1
    assert ours() == [ONE, TWO]
    worker.ip(*FLAP)
    run("apply", corrupted)
    assert ours() == [ONE, TWO], "and put back after a flap"
    assert run("apply", GOOD)[0] == 0


def test_a_route_into_the_network_of_our_own_pods_is_never_kept(run, ours, worker):
    """The pods are here, whoever had the podCIDR before."""
    run("apply", GOOD)
    worker.ip("link add cni0 type bridge", "addr add 10.200.1.1/24 dev cni0", "link set cni0 up")
    run("apply", GOOD.replace("10.200.0.0/24", "10.200.1.0/24"))
    assert ours() == [TWO]


REFUSED = [
    pytest.param("10.200.0.0/16", "", id="covers the podCIDRs of several nodes"),
    pytest.param("10.200.2.0/24", "", id="another node's"),
    pytest.param("192.168.8.0/24", "", id="the nodes' network"),
    pytest.param("10.20.1.0/24", "cluster: {podCIDRs: [10.200.0.0/16]}\n", id="outside the limits"),
    pytest.param("10.32.0.0/24", "cluster: {serviceCIDRs: [10.32.0.0/16]}\n", id="the service range"),
]


@pytest.mark.parametrize(("typed", "limits"), REFUSED)
def test_a_pod_cidr_that_is_refused_does_not_cost_its_node_the_former_one(run, ours, worker, typed, limits):
    assert run("apply", limits + GOOD)[0] == 0
    corrupted = limits + GOOD.replace("10.200.1.0/24", typed)
    status, _, err = run("apply", corrupted)
    assert (status, ours()) == (1, [ONE, TWO])
    assert "worker-1" in err
    worker.ip(*FLAP)
    run("apply", corrupted)
    assert ours() == [ONE, TWO], "and put back after a flap"
    new = limits + GOOD.replace("10.200.1.0/24", "10.200.7.0/24")
    assert run("apply", new)[0] == 0
    assert ours() == [TWO, ONE.replace("10.200.1.", "10.200.7.")], "what can be routed replaces it"


def test_somebody_else_may_have_the_former_pod_cidr_of_a_node_whose_new_one_is_refused(run, ours):
    run("apply", GOOD)
    heir = "- {name: worker-3, internalIP: 192.168.8.23, podCIDR: 10.200.1.0/24}\n"
    assert run("apply", GOOD.replace("10.200.1.0/24", "10.200.0.0/16") + heir)[0] == 1
    assert ours() == [ONE.replace("8.21", "8.23"), TWO]


def test_a_node_that_reports_an_address_of_this_machine_keeps_its_route(run, ours, worker):
    """That it is wrong is certain, where the node is now is not."""
    run("apply", GOOD)
    wrong = GOOD.replace("192.168.8.21", "192.168.8.20")
    status, _, err = run("apply", wrong)
    assert (status, ours()) == (1, [ONE, TWO])
    assert "next-hop-is-self" in err
    worker.ip(*FLAP)
    run("apply", wrong)
    assert ours() == [ONE, TWO]
    run("apply", wrong + "- {name: worker-9, internalIP: 192.168.8.21}\n")
    assert ours() == [TWO], "another node has that address now"
