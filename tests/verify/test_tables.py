"""Tables from files: what ip(8) prints is read as it is, and what is wrong with a file is told in one line that names it."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podroutes.host import TablesError, iproute_routes
from podroutes.host.iproute_json import Reader, Texts
from podroutes.host.local_tables import COMMANDS, read_here
from podroutes.host.table_files import read_directory
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.forwarding_path import Flow
from podroutes.model.host import DEFAULT_RULES, Rule
from podroutes.verify.lookup import Tables

GOOD = {
    "link": '[{"ifindex":2,"ifname":"ens18","flags":["UP","LOWER_UP"]},{}]',
    "addr": '[{"ifindex":2,"ifname":"ens18","addr_info":[{"family":"inet","local":"192.168.8.20","prefixlen":24},{}]}]',
    "route": '[{"dst":"10.200.1.0/24","gateway":"192.168.8.21","dev":"ens18","protocol":"podroutes","flags":[]}]',
    "rule": '[{"priority":0,"src":"all","table":"local"},{"priority":32766,"src":"all","table":"main"},{"priority":32767,"src":"all","table":"default"}]',
}


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "worker-0").mkdir()
    for name, text in GOOD.items():
        (tmp_path / "worker-0" / f"{name}.json").write_text(text)
    return tmp_path


def test_the_files_of_a_directory_make_a_machine(directory):
    (host,) = read_directory(str(directory))
    assert (host.name, host.rules, host.sysctls) == ("worker-0", DEFAULT_RULES, {})
    assert [(str(route.dst), str(route.via), route.protocol) for route in host.routes] == [
        ("10.200.1.0/24", "192.168.8.21", 107)
    ]


def test_what_is_read_here_is_what_is_read_from_files(worker, tmp_path):
    worker.ip(
        "route add 10.200.3.0/24 nexthop via 192.168.8.22 weight 3 nexthop via 192.168.8.23",
        "route add 10.200.2.0/24 via 192.168.8.22 tos 0x10 metric 5",
        "route add throw 10.200.6.0/24 table 100",
        "route add 10.8.0.0/16 via inet6 fd00::9 dev ens18",
        "route add fd00:1::/64 via fd00::21 dev ens18 pref high",
        "route add unreachable fd00:5::/64 metric 5",
        "rule add not from 10.200.0.0/24 fwmark 0x1/0xff iif ens18 lookup 100 suppress_prefixlength 0",
        "rule add pref 50 goto 32766",
        "rule add pref 60 ipproto tcp lookup 100",
    )
    (tmp_path / "here").mkdir()
    live = None
    while live != (now := read_here("here", Reader())):  # a link that has just come up changes its state once more
        live = now
        for name, command in COMMANDS.items():
            (tmp_path / "here" / f"{name}.json").write_bytes(
                subprocess.run(command.split(), check=True, capture_output=True).stdout
            )
    (host,) = read_directory(str(tmp_path))
    assert host == live._replace(sysctls={})
    assert len([hop for route in host.routes if str(route.dst) == "10.200.3.0/24" for hop in route.next_hops]) == 2
    assert {each.preference for each in host.peculiar.values()} == {1}
    first, *_, last = [rule for rule in host.rules[4] if 0 < rule.priority < 32766]
    assert (first.action, first.target, host.rules[4][2].unmodelled) == ("goto", 32766, "ipproto")
    source = parse_prefix("10.200.0.0/24")
    assert last == Rule(
        32765, table=100, src=source, iif="ens18", mark=1, mask=255, inverted=True, suppress_prefixlength=0
    )
    assert live.forwards(4, "ens18") is False
    assert live.owns(parse_address("192.168.8.20")) == "ens18"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("route.json", None, "route.json: is missing; on that node type: ip -N -j route show table all > route.json"),
        ("route.json", "", "is empty; collect it again"),
        ("route.json", GOOD["route"][:-9], "is not what ip -j prints"),
        ("route.json", '{"dst":"10.0.0.0/8"}', "is not what ip -j prints"),
        (
            "addr.json",
            '[{"ifname":"e","addr_info":[{"family":"inet","local":"1.2.3.4","prefixlen":99}]}]',
            "prefixlen 99",
        ),
        ("link.json", '[{"ifname":"e"}]', "lacks 'flags'"),
        ("link.json", "[" * 100_000, "is not what ip -j prints"),
        ("sysctl.txt", "net.ipv4.ip_forward: 1", "sysctl.txt:1:"),
        ("sysctl.json", "[]", "sysctl.json: is not"),
    ],
)
def test_a_file_that_is_wrong_is_named_in_one_line(directory, name, text, says):
    path = directory / "worker-0" / name
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)
    with pytest.raises(TablesError) as caught:
        read_directory(str(directory))
    message = str(caught.value)
    assert says in message
    assert f"worker-0/{name}" in message
    assert message.isprintable()
    assert len(message) < 500


ELSEWHERE, HERE = parse_address("10.9.9.9"), parse_address("10.200.1.7")


@pytest.mark.parametrize(
    ("name", "text", "says", "costs"),
    [
        ("route.json", "[1]", "is not an object", (True, True)),
        ("route.json", '[{"dst":"10.200.1.7/24"}]', "has host bits set", (True, True)),
        ("route.json", '[{"type":"odd","dst":"10.200.1.0/24"}]', 'type "odd" is not known', (False, True)),
        ("route.json", '[{"gateway":"1.2.3.4"}]', "lacks 'dst'", (True, True)),
        ("route.json", '[{"dst":"10.200.1.0/24","metric":"\\u001b[2J"}]', "\\x1b[2J", (False, True)),
        ("route.json", '[{"dst":"10.200.1.0/24","nhid":7}]', "", (False, True)),
        ("route.json", '[{"dst":"10.200.1.0/24","tos":"odd","dev":"ens18"}]', "", (False, True)),
        ("rule.json", '[{"priority":"x"}]', "is not what ip -j prints", (True, True)),
        ("route.json", GOOD["route"], None, (False, False)),
    ],
)
def test_what_is_not_understood_costs_what_it_may_decide(directory, name, text, says, costs):
    (directory / "worker-0" / name).write_text(text)
    (host,) = read_directory(str(directory))
    assert len(host.unread) == bool(says)
    assert all(f"worker-0/{name}" in each and says in each and each.isprintable() for each in host.unread)
    kinds = [Tables(host, 4).decide(Flow(dst)).kind for dst in (ELSEWHERE, HERE)]
    assert tuple(kind == "unknown" for kind in kinds) == costs


def test_traffic_classes_are_read_by_name_and_by_number(directory):
    routes = [
        {"dst": f"10.{n}.0.0/16", "tos": tos, "dev": "ens18"} for n, tos in enumerate(("AF11", "EF", "0x10", "CS6"))
    ]
    (directory / "worker-0" / "route.json").write_text(json.dumps(routes))
    (host,) = read_directory(str(directory))
    assert [route.tos for route in host.routes] == [0x28, 0xB8, 0x10, 0xC0]


@pytest.mark.parametrize("mode", ["0", "1"])
def test_routes_by_nexthop_objects_lead_where_the_objects_do(worker, mode):
    Path("/proc/sys/net/ipv4/nexthop_compat_mode").write_text(mode, encoding="ascii")
    worker.ip(
        "nexthop add id 5 via 192.168.8.21 dev ens18",
        "nexthop add id 6 via 192.168.8.22 dev ens18",
        "nexthop add id 7 group 5/6",
        "nexthop add id 8 blackhole",
        "route add 10.200.1.0/24 nhid 5",
        "route add 10.200.2.0/24 nhid 7",
        "route add 10.200.3.0/24 nhid 8",
    )
    found = {str(route.dst): route for route in read_here("here", Reader()).routes}
    assert str(found["10.200.1.0/24"].via) == "192.168.8.21"
    assert [str(hop.via) for hop in found["10.200.2.0/24"].next_hops] == ["192.168.8.21", "192.168.8.22"]
    assert found["10.200.3.0/24"].kind == "blackhole"


def test_a_pipe_is_not_waited_for(directory):
    (directory / "worker-0" / "route.json").unlink()
    os.mkfifo(directory / "worker-0" / "route.json")
    with pytest.raises(TablesError, match=r"route\.json: is not a file"):
        read_directory(str(directory))


def test_no_directory_and_an_empty_one_are_told(tmp_path):
    with pytest.raises(TablesError, match="has no directory in it"):
        read_directory(str(tmp_path))
    with pytest.raises(TablesError, match="No such file"):
        read_directory(str(tmp_path / "none"))


def test_sysctls_are_read_as_sysctl_prints_them(directory):
    (directory / "worker-0" / "sysctl.txt").write_text(
        "net.ipv4.ip_forward = 1\nnet.ipv4.conf.eth0/100.rp_filter = 2\nnet.ipv4.conf.all.rp_filter = 1\n"
    )
    (host,) = read_directory(str(directory))
    assert (host.forwards(4, "ens18"), host.reverse_path("eth0.100"), host.reverse_path("ens18")) == (True, 2, None)


def test_equal_routes_of_many_machines_are_one_object(directory):
    (directory / "worker-1").mkdir()
    for name, text in GOOD.items():
        (directory / "worker-1" / f"{name}.json").write_text(text)
    one, other = read_directory(str(directory))
    assert one.routes[0] is other.routes[0]


plan_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "dst gateway dev type table metric flags nexthops via from src priority iif addr_info local prefixlen ifname ifindex".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(["link", "addr", "route", "rule", "rule6", "route6"]),
    st.lists(plan_json, max_size=3).map(json.dumps) | st.text() | st.binary(),
)
@settings(max_examples=300)
def test_whatever_a_file_holds_is_a_machine_or_one_clear_error(field, content):
    data = content.encode(errors="replace") if isinstance(content, str) else content
    texts = Texts(**{name: text.encode() for name, text in GOOD.items()})._replace(**{field: data})
    said = f"x/{field}.json"
    try:
        Reader().host("x", texts, {}, lambda name: f"x/{name}.json")
    except TablesError as error:
        said = str(error)
    assert f"x/{field}.json" in said
    assert said.isprintable()


ROUTES = [
    {"dst": "10.200.1.0/24", "gateway": "192.168.8.21", "dev": "ens18", "flags": []},
    {
        "dst": "10.200.2.0/24",
        "metrics": [{"mtu": 1400}, {"advmss": 1200}],
        "flags": [],
        "nexthops": [
            {"gateway": "192.168.8.21", "dev": "ens18", "weight": 1, "flags": []},
            {"gateway": "192.168.8.22", "dev": "ens18", "weight": 1, "flags": []},
        ],
    },
    {"dst": "10.200.3.0/24", "gateway": "192.168.8.23", "dev": "ens18", "flags": []},
]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["as ip prints it", "as others do"])
def test_tables_that_differ_in_a_few_lines_share_their_routes(separators, monkeypatch):
    """However a list is printed it reads the same; what was decoded for one machine is not decoded for the next."""
    reader, decoded = iproute_routes.Routes(), []
    parse = iproute_routes.parsed
    monkeypatch.setattr(iproute_routes, "parsed", lambda *given: decoded.append(given) or parse(*given))

    def read(*routes):
        text = json.dumps(routes, separators=separators).encode()
        numbers = reader.read(text, iproute_routes.Objects([], ""), "here", [])
        return [reader.routes[number] for number in numbers]

    first = read(*ROUTES)
    assert [(str(route.dst), len(route.next_hops)) for route in first] == [
        ("10.200.1.0/24", 1),
        ("10.200.2.0/24", 2),
        ("10.200.3.0/24", 1),
    ]
    assert first[1].metrics == (("mtu", 1400), ("advmss", 1200))
    assert len(decoded) == 3
    second = read(ROUTES[1], ROUTES[0], {**ROUTES[2], "gateway": "192.168.8.99"})
    assert len(decoded) == 4
    assert [id(route) for route in second[:2]] == [id(first[1]), id(first[0])]
    assert str(second[2].via) == "192.168.8.99"
    assert read() == []


def test_a_route_that_is_not_understood_is_said_once():
    reader, unread = iproute_routes.Routes(), []
    text = json.dumps([{"dst": "10.200.1.0/33"}, *ROUTES], separators=(",", ":")).encode()
    assert len(reader.read(text, iproute_routes.Objects([], ""), "here", unread)) == 4
    assert len(unread) == 1
