"""Real packets by an ordinary user: ICMP where the kernel lets this user's group send it, a clear word where it does not."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from podroutes.host import ProbeError, probe_rounds
from podroutes.host.probe_rounds import ProbeSource, probe, sample
from podroutes.lab import syscalls
from podroutes.model.address import parse_address
from support.users import NOBODY, others
from support.waiting import until

TARGETS = {4: [("worker-1", parse_address("10.200.1.1"))], 6: [("worker-1", parse_address("fd00:200:1::1"))]}


@pytest.fixture
def here(bare):
    """Put worker-1's addresses where packets of an ordinary size alone get through."""
    bare.ip(
        "link set lo up mtu 1400",
        "addr add 10.200.1.1/32 dev lo",
        "addr add fd00:200:1::1/128 dev lo nodad",
    )
    # A worker of the kernel adds the local route: addrconf_dad_work().
    until(lambda: bare.show("-6 route show table local fd00:200:1::1"), "the IPv6 address can be used")


def probed_by_nobody(version, *, allowed):
    """Probe as a user without privileges, whose group may send ICMP where ALLOWED; return the results or what was said."""
    group = 0 if others() else NOBODY
    groups = f"{group} {group}" if allowed else "1 0"
    Path("/proc/sys/net/ipv4/ping_group_range").write_text(groups, encoding="ascii")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if others():
            syscalls.unshare(syscalls.NEWUSER)  # which leaves no capability over this network namespace
        else:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        try:
            vantage = ProbeSource("worker-0", [version])
            said = [each._asdict() for each in probe([vantage], TARGETS[version], lambda _done, _all: None)]
        except ProbeError as error:
            said = str(error)
        os.write(writing, json.dumps(said, default=str).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(said)


@pytest.mark.parametrize("version", [4, 6])
def test_a_user_whose_group_may_ping_needs_no_privilege(here, version):
    (result,) = probed_by_nobody(version, allowed=True)
    assert (result["sent"], result["received"], result["how"], result["mtu"]) == (3, 3, "icmp", 1400)


@pytest.mark.parametrize("version", [4, 6])
def test_a_user_who_may_not_is_told_what_it_takes(here, version):
    said = probed_by_nobody(version, allowed=False)
    assert said.startswith("cannot send ICMP (")
    assert "CAP_NET_RAW" in said
    assert 'sysctl -w net.ipv4.ping_group_range="0 2147483647"' in said


def test_what_ignores_icmp_answers_to_udp_with_its_path_mtu(here):
    Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("1", encoding="ascii")
    (result,) = probed_by_nobody(4, allowed=True)
    assert (result["sent"], result["received"], result["how"], result["mtu"]) == (4, 1, "udp", 1400)


def test_what_was_not_asked_is_not_lost(here, monkeypatch):
    monkeypatch.setattr(probe_rounds, "LONGEST", 0.0)
    vantage = ProbeSource("worker-0", [4])
    (result,) = probe([vantage], TARGETS[4], lambda _done, _all: None)
    vantage.close()
    assert (result.sent, result.mtu, result.error) == (0, None, "not asked")


def test_a_size_that_was_not_measured_is_none(here, monkeypatch):
    vantage = ProbeSource("worker-0", [4])
    sweeping = probe_rounds._Rounds([vantage], TARGETS[4], lambda _done, _all: None)
    ask = sweeping._ask

    def late(sizes, *, counted):
        sweeping.deadline = 0.0 if not counted else sweeping.deadline
        return ask(sizes, counted=counted)

    monkeypatch.setattr(sweeping, "_ask", late)
    (result,) = sweeping.run()
    vantage.close()
    assert (result.received, result.mtu) == (3, None)


def test_every_beginning_of_a_sample_is_fair():
    nodes = [f"worker-{number}" for number in range(7)]
    targets = [(name, parse_address(f"10.200.{number}.2")) for number, name in enumerate(nodes)]
    pairs = list(sample(nodes, targets))
    assert len(pairs) == len(set(pairs)) == 42
    for count in range(len(pairs)):
        sources = Counter(source for source, _, _ in pairs[:count])
        asked = Counter(node for _, node, _ in pairs[:count])
        assert max(sources.values(), default=0) - min(map(sources.__getitem__, nodes)) <= 1
        assert max(asked.values(), default=0) - min(map(asked.__getitem__, nodes)) <= 1


def test_of_too_many_pairs_a_sample_is_asked(here, monkeypatch):
    monkeypatch.setattr(probe_rounds, "MOST", 1)
    vantage = ProbeSource("worker-0", [4])
    results = probe([vantage], [*TARGETS[4], ("worker-2", parse_address("10.200.2.1"))], lambda _done, _all: None)
    vantage.close()
    assert len(results) == 1


def test_packets_go_out_from_the_address_that_is_named(here, bare):
    bare.ip("addr add 10.200.0.1/32 dev lo")
    vantage = ProbeSource("worker-0", [4], {4: parse_address("10.200.0.1")})
    names = {each.socket.getsockname()[0] for each in vantage.ping_sockets.values()}
    vantage.close()
    assert names == {"10.200.0.1"}


def test_an_answer_that_comes_late_is_no_loss(here, monkeypatch):
    """A round waits for a second; what is answered in the next one counts for the packet that was sent."""
    monkeypatch.setattr(probe_rounds, "PATIENCE", 0.0)
    vantage = ProbeSource("worker-0", [4])
    (result,) = probe([vantage], TARGETS[4], lambda _done, _all: None)
    vantage.close()
    assert result.received >= 2
