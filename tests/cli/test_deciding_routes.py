"""plan, apply and show speak of the route that decides where packets go, and advise what helps."""

from pathlib import Path

import pytest

from podroutes.cli import main

MACHINES = """\
192.168.8.20 worker-0.kubernetes.local worker-0 10.200.0.0/24
192.168.8.21 worker-1.kubernetes.local worker-1 10.200.1.0/24
192.168.8.22 worker-2.kubernetes.local worker-2 10.200.2.0/24
"""
DUAL = """\
nodes:
- {name: worker-0, internalIP: "fd00::20", podCIDR: "fd00:200::/64"}
- {name: worker-1, internalIP: "fd00::21", podCIDR: "fd00:200:1::/64"}
"""


@pytest.fixture
def run(worker, tmp_path, capsys):
    """Run a command on worker-0; return exit status, and all that it says."""

    def run(*words, inventory=MACHINES):
        path = tmp_path / "nodes"
        path.write_text(inventory)
        status = main([*words, "-i", str(path), "--node", "worker-0"])
        out, err = capsys.readouterr()
        return status, out + err

    return run


def decided(worker, destination):
    """Return where a packet to DESTINATION goes."""
    return worker.show(f"route get {destination}")[0]


def test_a_route_in_front_of_ours_that_leads_elsewhere_is_an_error(run, worker):
    worker.ip(
        "route add 10.200.1.0/24 via 192.168.8.99 proto static",
        "route append 10.200.1.0/24 via 192.168.8.21 proto 107",
    )
    assert "via 192.168.8.99" in decided(worker, "10.200.1.5")
    for words in ("plan",), ("apply",), ("apply", "--adopt"), ("show",):
        status, said = run(*words)
        assert status != 0, words
        assert "192.168.8.99" in said, words
        assert "as wanted" not in said, words
        assert "--adopt" not in said, "it would take over nothing"
    assert "ip route del 10.200.1.0/24 via 192.168.8.99" in run("plan")[1]


def test_a_blackhole_in_front_of_ours_is_an_error(run, worker):
    worker.ip(
        "route add blackhole 10.200.1.0/24 proto static", "route add 10.200.1.0/24 via 192.168.8.21 proto 107 metric 50"
    )
    status, said = run("plan")
    assert status in (1, 2)
    assert "blackhole" in said
    assert "as wanted" not in said


def test_an_ipv6_route_that_shares_the_flows_with_ours_is_an_error(run, worker):
    """The kernel makes one route with two next hops of them: half of the flows go elsewhere."""
    worker.ip(
        "route add fd00:200:1::/64 via fd00::99 dev ens18 proto static",
        "route append fd00:200:1::/64 via fd00::21 dev ens18 proto 107",
    )
    status, said = run("plan", inventory=DUAL)
    assert status != 0
    assert "fd00::99" in said
    assert "as wanted" not in said


def test_a_route_behind_ours_that_leads_elsewhere_decides_nothing(run, worker):
    worker.ip(
        "route add 10.200.1.0/24 via 192.168.8.21 proto 107",
        "route add 10.200.2.0/24 via 192.168.8.22 proto 107",
        "route add 10.200.1.0/24 via 192.168.8.99 proto static metric 90",
    )
    assert "via 192.168.8.21" in decided(worker, "10.200.1.5")
    assert run("plan")[0] == 0


@pytest.mark.parametrize(
    ("route", "differs"),
    [
        ("via 192.168.8.21 src 192.168.8.20", ["src 192.168.8.20"]),
        ("via 192.168.8.21 mtu 1400", ["mtu 1400"]),
        ("nexthop via 192.168.8.21 nexthop via 192.168.8.24", ["192.168.8.21", "192.168.8.24"]),
        ("nexthop via 192.168.8.23 weight 2 nexthop via 192.168.8.24", ["192.168.8.23", "192.168.8.24"]),
        ("via 192.168.8.99", ["192.168.8.99"]),
    ],
)
def test_what_adopting_would_refuse_is_told_by_what_differs(run, worker, route, differs):
    worker.ip(f"route add 10.200.1.0/24 {route}")
    before = worker.show("route show 10.200.1.0/24")
    for words in ("plan",), ("apply", "--adopt"):
        _, said = run(*words)
        assert [each for each in differs if each not in said] == []
        assert "routed directly" not in said
        assert "--adopt" not in said
    assert worker.show("route show 10.200.1.0/24") == before


def test_what_is_identical_is_adopted_as_advised(run, worker):
    worker.ip("route add 10.200.1.0/24 via 192.168.8.21 proto static")
    assert "apply --adopt" in run("plan")[1]
    assert run("apply", "--adopt")[0] == 0
    assert run("plan")[0] == 0


def test_routes_that_are_all_somebody_elses_are_no_dead_end(run, worker):
    worker.ip("route add 10.200.1.0/24 via 192.168.8.21", "route add 10.200.2.0/24 via 192.168.8.22")
    status, said = run("apply", "--persist", "auto")
    assert status == 1
    assert "--adopt --persist auto" in said


def test_the_own_pod_cidr_as_a_route_is_a_problem_with_the_command_that_cures_it(run, worker):
    """Typed before the bridge was made, it stands in front of the bridge's own."""
    worker.ip(
        "link add cni0 type bridge",
        "link set cni0 up",
        "route add 10.200.0.0/24 via 192.168.8.20",
        "addr add 10.200.0.1/24 dev cni0",
    )
    assert "cni0" not in decided(worker, "10.200.0.5")
    status, said = run("plan")
    assert status in (1, 2)
    assert "10.200.0.0/24" in said
    assert "agrees" not in said
    assert "ip route del 10.200.0.0/24 via 192.168.8.20" in said
    worker.ip("route del 10.200.0.0/24 via 192.168.8.20")
    run("apply")
    assert run("plan")[0] == 0


@pytest.mark.parametrize(
    "route", ["10.200.0.0/24 via 192.168.8.99 proto static", "10.200.0.128/25 via 192.168.8.21 proto static"]
)
def test_a_route_that_takes_the_own_pods_elsewhere_is_a_problem(run, worker, route):
    worker.ip(
        "link add cni0 type bridge",
        "link set cni0 up",
        "addr add 10.200.0.1/24 dev cni0 noprefixroute",
        f"route add {route}",
    )
    run("apply")
    status, said = run("plan")
    assert status in (1, 2)
    assert route.partition(" proto")[0] in said


def test_an_ipv6_route_that_takes_the_own_pods_elsewhere_is_a_problem(run, worker):
    worker.ip("route add fd00:200::/64 via fd00::99 dev ens18 proto static")
    run("apply", inventory=DUAL)
    status, said = run("plan", inventory=DUAL)
    assert status in (1, 2)
    assert "fd00:200::/64 via fd00::99" in said


@pytest.fixture
def vpn(worker, run):
    """Give worker-0 its routes, and a VPN whose table stands before main."""
    assert run("apply")[0] == 0
    worker.ip(
        "link add vpn0 type veth peer name vpn-wire",
        "link set vpn0 up",
        "link set vpn-wire up",
        "addr add 100.64.0.19/32 dev vpn0",
        "route add default dev vpn0 table 52",
        "route add throw 192.168.8.0/24 table 52",
        "rule add pref 5270 lookup 52",
    )
    assert "dev vpn0" in decided(worker, "10.200.1.5")
    return worker


@pytest.mark.parametrize("words", [("plan",), ("show",), ("apply",)])
def test_a_rule_before_the_main_table_that_takes_the_traffic_is_named(run, vpn, words):
    status, said = run(*words)
    assert status != 0
    assert "5270" in said
    assert "table 52" in said
    assert "podroutes apply" not in said, "it would change nothing"


@pytest.mark.parametrize(
    "rule", ["from 203.0.113.7 lookup 100", "fwmark 0x1 lookup 100", "to 172.16.0.0/12 lookup 100"]
)
def test_a_rule_that_concerns_no_pod_is_no_reason(run, worker, rule):
    worker.ip("route add default via 192.168.8.1 dev ens18 table 100", f"rule add {rule} pref 1000")
    run("apply")
    assert run("plan")[0] == 0
    assert run("show")[0] == 0


@pytest.mark.parametrize("mode", ["1", "0"])
def test_routes_of_others_through_nexthop_objects_are_read_whole(run, worker, mode):
    Path("/proc/sys/net/ipv4/nexthop_compat_mode").write_text(mode)
    worker.ip(
        "nexthop add id 5 via 192.168.8.21 dev ens18",
        "nexthop add id 6 via 192.168.8.99 dev ens18",
        "nexthop add id 7 group 5/6",
        "route add 10.200.1.0/24 nhid 5 proto 186",
        "route add 10.200.2.0/24 nhid 7 proto 186",
    )
    _, said = run("plan")
    one, two = (
        next(line for line in said.splitlines() if f"{dst} is already" in line)
        for dst in ("10.200.1.0/24", "10.200.2.0/24")
    )
    assert "via 192.168.8.21 dev ens18" in one
    assert "192.168.8.21" in two
    assert "192.168.8.99" in two
    assert "directly" not in said


@pytest.mark.parametrize(
    "route", ["10.200.1.128/25 via 192.168.8.22 proto static", "blackhole 10.200.1.7/32 proto bird"]
)
def test_a_route_to_a_part_of_another_pod_cidr_is_a_problem_with_the_command_that_cures_it(run, worker, route):
    assert run("apply")[0] == 0
    worker.ip(f"route add {route}")
    status, said = run("plan")
    assert status == 1
    assert "part-routed-elsewhere" in said
    command = said.partition("where it is not needed: `")[2].partition("`")[0]
    assert run("show")[0] == 2
    worker.ip(command.removeprefix("ip "))
    assert run("plan")[0] == 0
    assert run("show")[0] == 0


def test_the_commands_that_are_advised_have_the_main_table_asked_first(run, vpn):
    _, said = run("plan")
    commands = [part for part in said.split("`") if part.startswith("ip rule add")]
    vpn.ip(*(command.removeprefix("ip ") for command in commands))
    assert "dev ens18" in decided(vpn, "10.200.1.5")
    assert run("plan")[0] == 0
    assert run("show")[0] == 0


def test_the_table_of_a_second_card_concerns_what_the_machine_itself_sends(run, worker):
    """Packets of pods are not from the machine's address; a connection that the machine opens is looked up again with it."""
    worker.ip(
        "route add default via 192.168.8.1 dev ens18 table 100", "rule add from 192.168.8.20 lookup 100 pref 1000"
    )
    run("apply")
    status, said = run("plan")
    assert status == 0
    assert "warning rule-takes-pods: policy rule 1000 (lookup 100) takes what this machine itself sends" in said


def test_a_rule_in_a_table_with_a_large_number_is_read(run, vpn):
    vpn.ip(
        "rule del pref 5270",
        "route flush table 52",
        "route add default dev vpn0 table 70000",
        "route add throw 192.168.8.0/24 table 70000",
        "rule add pref 5270 lookup 70000",
    )
    status, said = run("plan")
    assert status == 1
    assert "table 70000" in said


def test_the_default_route_alone_of_a_vpn_takes_no_pods(run, worker):
    """wg-quick(8) has the main table asked first for all but its default route."""
    run("apply")
    worker.ip(
        "link add vpn0 type veth peer name vpn-wire",
        "link set vpn0 up",
        "link set vpn-wire up",
        "route add default dev vpn0 table 51820",
        "rule add not fwmark 51820 lookup 51820 pref 32764",
        "rule add lookup main suppress_prefixlength 0 pref 32763",
    )
    assert "dev ens18" in decided(worker, "10.200.1.5")
    assert run("plan")[0] == 0
    assert run("show")[0] == 0


def test_a_point_to_point_link_that_is_down_is_told_as_that(run, worker):
    worker.ip(
        "link add ppp0 type veth peer name far0",
        "link set far0 up",
        "link set ppp0 up",
        "addr add 10.9.0.1 peer 10.9.0.2/32 dev ppp0",
    )
    machines = MACHINES.replace("192.168.8.21", "10.9.0.2")
    assert run("apply", inventory=machines)[0] == 0
    assert "dev ppp0" in decided(worker, "10.200.1.5")
    worker.ip("link set ppp0 down")
    _, said = run("plan", inventory=machines)
    assert "link-down" in said
    assert "next-hop-off-link" not in said


def test_an_agent_in_the_network_of_a_pod_is_told(run, worker):
    worker.ip("addr flush dev ens18", "addr add 10.200.0.7/24 dev ens18", "link set ens18 up")
    status, said = run("plan")
    assert status != 0
    assert "not-the-machines-network" in said
    assert "hostNetwork: true" in said


def test_a_machine_whose_internal_ip_is_elsewhere_is_no_pod(run, worker):
    """Behind a translating router the InternalIP may be one that the machine has not."""
    worker.ip(
        "addr flush dev ens18", "addr add 172.16.0.9/24 dev ens18", "link add cni0 type bridge", "link set cni0 up"
    )
    worker.ip("addr add 10.200.0.1/24 dev cni0")
    assert "not-the-machines-network" not in run("plan")[1]
