"""Packet filters that drop pod traffic, made by the real nft(8) and iptables(8)."""

import random
import subprocess
import sys

import pytest

BASE = "add table inet guard; add chain inet guard forward {{ type filter hook forward priority 0; policy {}; }}"


@pytest.fixture
def guarded(healthy, filters):
    """Return the machine, and a function that gives it nftables rules."""

    def nft(*rules: str, policy: str = "drop") -> None:
        lines = [*BASE.format(policy).split("; add ", 1)]
        lines[1] = f"add {lines[1]}"
        healthy.run(*(f"nft '{line}'" for line in lines), *(f"nft 'add {rule}'" for rule in rules))

    healthy.nft = nft
    return healthy


def test_a_policy_that_drops_is_found_and_cured(guarded):
    guarded.nft("rule inet guard forward ct state established,related accept")
    finding = guarded.examine().finding("forward-chain-drops")
    assert "table inet guard, chain forward: policy drop" in finding["evidence"][0]
    guarded.run(*finding["fix"])
    report = guarded.examine()
    assert "ip6 saddr fd01::/64" in report.finding("forward-chain-drops")["fix"][0], "IPv6 is dropped as well"
    guarded.cured("forward-chain-drops")


@pytest.mark.parametrize(
    "rule",
    [
        "rule inet guard forward ip saddr 10.200.0.0/22 accept; add rule inet guard forward ip6 saddr fd01::/62 accept",
        "rule inet guard forward iifname { ens18, cni0 } accept",
        'rule inet guard forward iifname "cni*" accept; add rule inet guard forward oifname "cni*" accept',
        "rule inet guard forward ct state vmap { new : accept, invalid : drop }",
        "rule inet guard forward ip saddr 10.200.0.0-10.200.2.255 accept; add rule inet guard forward meta nfproto ipv6 accept",
        "rule inet guard forward meta mark 0 accept",
        "rule inet guard forward meta l4proto { tcp, udp } accept",
        "chain inet guard pods; add rule inet guard pods accept; add rule inet guard forward jump pods",
        # What cannot be judged is taken to favour pods.
        "set inet guard a { type ipv4_addr; }; add rule inet guard forward ip saddr @a accept; add rule inet guard forward ip6 hoplimit 9 accept",
    ],
)
def test_a_filter_that_lets_pods_pass_is_none(guarded, rule):
    guarded.nft(*rule.split("; add "))
    assert guarded.examine().codes == []


@pytest.mark.parametrize(
    "rule",
    [
        "rule inet guard forward iifname ens18 drop",
        "rule inet guard forward ip daddr 10.200.0.0/24 reject",
        "rule inet guard forward ct state vmap { new : drop, established : accept }",
        "chain inet guard no; add rule inet guard no ct state new drop; add rule inet guard forward goto no",
        "rule inet guard forward meta mark != 7 drop",
    ],
)
def test_a_rule_that_drops_is_found_under_any_policy(guarded, rule):
    guarded.nft(*rule.split("; add "), policy="accept")
    assert "rule: handle" in guarded.examine().finding("forward-chain-drops")["evidence"][0]


@pytest.mark.parametrize(
    "rule",
    [
        "rule inet guard forward tcp dport 23 drop",
        "rule inet guard forward ct state invalid drop",
        "rule inet guard forward iifname docker0 drop",
        "rule inet guard forward ip saddr 10.99.0.0/16 drop",
        "rule inet guard forward return; add rule inet guard forward drop",
    ],
)
def test_a_rule_that_drops_something_else_is_none(guarded, rule):
    guarded.nft(*rule.split("; add "), policy="accept")
    assert guarded.examine().codes == []


@pytest.mark.parametrize("form", ["nft", "legacy"])
def test_docker_is_found_whichever_iptables_it_uses(healthy, filters, form):
    """What Docker 28 sets on a host where it turned forwarding on itself."""
    iptables = f"iptables-{form}"
    healthy.run(
        f"{iptables} -P FORWARD DROP",
        f"{iptables} -N DOCKER-USER",
        f"{iptables} -N DOCKER-FORWARD",
        f"{iptables} -A FORWARD -j DOCKER-USER",
        f"{iptables} -A FORWARD -j DOCKER-FORWARD",
        f"{iptables} -A DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        f"{iptables} -A DOCKER-FORWARD -i docker0 ! -o docker0 -j ACCEPT",
        f"{iptables} -A FORWARD -m mark --mark 0x4000/0x4000 -m comment --comment 'kubernetes forwarding rules' -j ACCEPT",
    )
    finding = healthy.cured("forward-chain-drops")
    assert "table ip filter, chain FORWARD: policy drop" in finding["evidence"][0]


def test_a_rule_of_iptables_is_quoted(healthy, filters):
    rule = '-A FORWARD -s 10.200.0.0/255.255.0.0 -m comment --comment "no \\"pods\\"" -j REJECT'
    healthy.run(f"iptables-legacy {rule}", "ip6tables-legacy -A FORWARD -i ens+ -p tcp -j DROP")
    four, six = healthy.examine().document["findings"]
    assert 'rule: -A FORWARD -s 10.200.0.0/16 -m comment --comment "no \\"pods\\"" -j REJECT' in four["evidence"][0]
    assert "rule: -A FORWARD -i ens+ -p tcp -j DROP" in six["evidence"][0]
    healthy.run(*four["fix"], *six["fix"])
    assert healthy.examine().codes == []


CONNECT = """
import socket, sys
s = socket.socket()
s.settimeout(0.25)
s.bind((sys.argv[1], 0))
try:
    s.connect((sys.argv[2], 9))
except ConnectionRefusedError:
    print("answered")
except OSError:
    print("lost")
"""
RULES = (
    """
ip saddr 10.200.0.0/24 accept|ip daddr 10.200.0.0/24 accept|ip saddr 10.200.1.0/24 drop|ip daddr 10.200.1.0-10.200.1.9 reject with icmp admin-prohibited
iifname ens18 accept|oifname "ens*" drop|iifname != cni0 return|meta l4proto udp drop|meta mark 0 accept|tcp dport 23 drop
ct state new jump pods|ct state invalid drop|ct state vmap { established : drop, new : jump pods }|ip saddr { 10.200.0.2, 10.9.0.0/16 } goto pods
""".strip()
    .replace("\n", "|")
    .split("|")
)


def answered(machine, src, dst):
    """Whether a connection that MACHINE opens from SRC is answered by DST."""
    words = ["nsenter", "--net", "--target", str(machine.process.pid), sys.executable, "-c", CONNECT, src, dst]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout == "answered\n"


@pytest.mark.parametrize("seed", range(12))
def test_its_verdict_is_that_of_real_packets(healthy, filters, seed, worker):
    """Chains of random rules: what is found is what a connection in one of the two directions runs into."""
    other, pod = healthy.segment.machines[1], healthy.segment.join()
    worker.ip(f"link add host0 master cni0 up type veth peer name pod0 netns {pod.process.pid}")
    pod.ip("link set pod0 up", "addr add 10.200.0.2/24 dev pod0", "route add default via 10.200.0.1")
    other.ip(
        "link set lo up", "addr add 10.200.1.2/32 dev lo", "route add 10.200.0.0/24 via 192.168.8.20 src 10.200.1.2"
    )
    assert answered(other, "10.200.1.2", "10.200.0.2"), "before there is a filter"
    chance = random.Random(seed)
    policy = chance.choice(["accept", "drop"])
    lines = [
        "table ip guard",
        f"chain ip guard forward {{ type filter hook forward priority 0; policy {policy}; }}",
        "chain ip guard pods",
        "rule ip guard forward ct state established,related accept",
        *(f"rule ip guard pods {rule}" for rule in chance.sample(RULES[:10], 2)),
        *(f"rule ip guard forward {rule}" for rule in chance.sample(RULES, 4)),
    ]
    subprocess.run(["nft", "-f", "-"], input="".join(f"add {line}\n" for line in lines), text=True, check=True)
    passes = answered(other, "10.200.1.2", "10.200.0.2") and answered(pod, "10.200.0.2", "10.200.1.2")
    assert healthy.examine().codes == ([] if passes else ["forward-chain-drops"]), lines


@pytest.mark.parametrize(
    "rule",
    [
        'chain inet guard pre { type filter hook prerouting priority -300; }; add rule inet guard pre iifname "ens18" ip saddr 10.200.0.0/16 drop',
        "chain inet guard pre { type filter hook prerouting priority -150; }; add rule inet guard pre ip6 daddr fd01::/64 drop",
        'chain inet guard post { type filter hook postrouting priority 0; }; add rule inet guard post oifname "ens18" ip saddr 10.200.0.0/24 drop',
        "chain inet guard pre { type filter hook prerouting priority -300; policy drop; }",
    ],
)
def test_a_filter_before_or_behind_forwarding_that_drops_pod_traffic_is_found(guarded, rule):
    guarded.nft(*rule.split("; add "), policy="accept")
    report = guarded.examine()
    assert report.status == 2
    assert "guard" in str(report.document["findings"])


@pytest.mark.parametrize(
    "table",
    [
        'table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname "ens18" masquerade',
        "table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post ip saddr 10.200.0.0/24 masquerade",
        "table ip6 nat; add chain ip6 nat post { type nat hook postrouting priority 100; }; add rule ip6 nat post oifname ens18 masquerade",
        "table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname ens18 snat to 192.168.8.20",
    ],
)
def test_a_masquerade_that_hides_the_pods_addresses_from_other_nodes_is_found(guarded, table):
    guarded.run(*(f"nft 'add {each}'" for each in table.split("; add ")))
    report = guarded.examine()
    assert report.status == 2
    assert "masquerade" in str(report.document["findings"]) or "snat" in str(report.document["findings"])


@pytest.mark.parametrize(
    "rule",
    [
        "ip saddr 10.200.0.0/24 ip daddr != 10.200.0.0/16 masquerade",
        "ip daddr 10.200.0.0/16 return; add rule ip nat post oifname ens18 masquerade",
        'oifname "wan0" masquerade',
    ],
)
def test_a_masquerade_of_what_leaves_the_cluster_is_as_it_should_be(guarded, rule):
    chain = "table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }"
    guarded.run(*(f"nft 'add {each}'" for each in f"{chain}; add rule ip nat post {rule}".split("; add ")))
    assert guarded.examine().codes == []


@pytest.mark.parametrize("form", ["nft", "legacy"])
@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("-t nat -A POSTROUTING -o ens18 -j MASQUERADE --random-fully", "pods-masqueraded"),
        ("-t nat -A POSTROUTING -s 10.200.0.0/24 -j SNAT --to-source 192.168.8.20", "pods-masqueraded"),
        ("-t nat -A PREROUTING -d 10.200.0.0/16 -p tcp -j DNAT --to-destination 10.9.9.9", "pod-traffic-redirected"),
        ("-t raw -A PREROUTING -i ens18 -s 10.200.0.0/16 -j DROP", "filter-drops"),
        ("-t mangle -A POSTROUTING -d 10.200.1.0/24 -j DROP", "filter-drops"),
        ("-t mangle -A FORWARD -d 10.200.1.0/24 -j DROP", "forward-chain-drops"),
    ],
)
def test_every_table_of_iptables_is_looked_at(healthy, filters, form, rule, code):
    healthy.run(f"iptables-{form} {rule}")
    assert healthy.cured(code)["evidence"][0].startswith("iptables-")


@pytest.mark.parametrize(
    "rule",
    [
        "-t nat -A POSTROUTING -s 10.200.0.0/24 ! -d 10.200.0.0/16 -j MASQUERADE",
        "-t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
        "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.9.9.9",
        "-t raw -A PREROUTING -m rpfilter --invert -j DROP",
        "-t mangle -A PREROUTING -m rpfilter --loose --invert -j DROP",
    ],
)
def test_what_iptables_does_to_others_is_no_finding(healthy, filters, rule):
    healthy.run(f"iptables-legacy {rule}")
    assert healthy.examine().codes == []


@pytest.mark.parametrize(
    "tool",
    [
        "iptables-legacy -t raw -A PREROUTING -m rpfilter --invert -j DROP",
        "nft 'add rule inet guard pre meta nfproto ipv4 fib saddr . iif oif missing drop'",
    ],
)
def test_a_reverse_path_filter_of_the_packet_filter_drops_what_comes_in_another_way(healthy, filters, worker, tool):
    healthy.run(
        "nft 'add table inet guard'", "nft 'add chain inet guard pre { type filter hook prerouting priority raw; }'"
    )
    healthy.run(tool)
    assert healthy.examine().codes == [], "the way back is the way that packets come in"
    worker.ip(
        "link add ens19 type veth peer name wire19",
        "link set ens19 up",
        "link set wire19 up",
        "addr add 192.168.9.20/24 dev ens19",
        "route add 10.200.1.0/25 via 192.168.9.21 proto static",
    )
    assert "filter-drops" in healthy.examine().codes


@pytest.mark.parametrize(("device", "codes"), [("ens18", ["filter-drops"]), ("lo", [])])
def test_a_filter_at_a_device_concerns_what_comes_in_there(healthy, filters, device, codes):
    healthy.run(
        "nft 'add table netdev early'",
        f"nft 'add chain netdev early in {{ type filter hook ingress device {device} priority 0; }}'",
        "nft 'add rule netdev early in ip saddr 10.200.0.0/16 drop'",
    )
    assert healthy.examine().codes == codes


def test_a_named_set_is_looked_into(guarded):
    guarded.nft(
        "set inet guard pods { type ipv4_addr; flags interval; elements = { 10.200.0.0/16 }; }", policy="accept"
    )
    guarded.run("nft 'add rule inet guard forward ip saddr @pods drop'")
    assert guarded.examine().codes == ["forward-chain-drops"]
