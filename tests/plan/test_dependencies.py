"""What a machine depends on is found where it stands, and counts only as far as a path leads there."""

import sys

import pytest

from podroutes.host.dependencies import read_dependencies
from podroutes.host.files import HostFiles
from podroutes.host.ssh_peers import ssh_peers
from podroutes.kernel.memory import MemoryKernel
from podroutes.model.address import parse_address
from podroutes.model.dependencies import Dependency
from podroutes.plan.claims import examine
from podroutes.plan.planning import plan_here
from podroutes.plan.settle import Context
from support.notation import address, cluster, link, route

DEFAULT = "0.0.0.0/0 via 192.168.8.1 dev ens18 proto static"
ONE = "10.200.1.0/24 via 192.168.8.21 dev ens18"


def found(root, server="", **environ):
    return [
        (str(each.address), each.name)
        for each in read_dependencies(server, HostFiles(root), environ or {"SSH_CLIENT": "x"})
    ]


def test_name_servers_the_session_and_the_api_server_are_found(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text("search x\nnameserver 127.0.0.53\nnameserver 192.168.8.53\n")
    (tmp_path / "run/systemd/resolve").mkdir(parents=True)
    (tmp_path / "run/systemd/resolve/resolv.conf").write_text("nameserver 192.168.8.54\nnameserver fe80::1%2\n")
    session = {"SSH_CONNECTION": "203.0.113.9 50000 192.168.8.20 22"}
    assert found(tmp_path, "https://192.168.8.10:6443", **session) == [
        ("203.0.113.9", "the peer of this SSH session"),
        ("192.168.8.10", "the API server"),
        ("192.168.8.53", "the name server"),
        ("192.168.8.54", "the name server"),
    ]


def test_the_metadata_server_is_that_of_the_cloud_that_the_machine_is_in(tmp_path):
    assert found(tmp_path) == []
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/sys_vendor").write_text("Alibaba Cloud\n")
    assert found(tmp_path) == [("100.100.100.200", "the cloud's metadata server")]


@pytest.mark.parametrize(
    ("routes", "limits", "certain", "routed"),
    [
        ((DEFAULT,), {}, False, False),
        ((), {}, False, True),
        ((DEFAULT, ONE), {}, False, True),
        ((DEFAULT,), {"pod_cidrs": "10.200.0.0/16"}, False, True),
        ((DEFAULT,), {"pod_cidrs": "10.200.0.0/16"}, True, False),
        (("10.200.1.5/32 via 192.168.8.9 dev ens18 proto static",), {}, False, True),
    ],
    ids=["a path leads there", "none", "our own route", "limits say pods", "but it answers now", "a narrower path"],
)
def test_a_dependency_counts_where_its_path_is_taken(routes, limits, certain, routed):
    nodes = cluster("worker-0 192.168.8.20 10.200.0.0/24", "worker-1 192.168.8.21 10.200.1.0/24", **limits)
    kernel = MemoryKernel([link("ens18")], [address("192.168.8.20/24 dev ens18")], map(route, routes))
    needs = (Dependency(parse_address("10.200.1.5"), "the name server", certain),)
    plan = plan_here(examine(nodes), nodes.nodes[0], kernel.snapshot(), context=Context(dependencies=needs)).plan
    assert kernel.apply(plan.changes) == {}
    assert (route(ONE) in kernel.routes) == routed
    assert [problem.code for problem in plan.problems] == ([] if routed else ["pod-cidr-covers-dependency"])


def _proc(root, rows, *, rows6=(), servers=()):
    """Lay out what proc(5) shows of TCP connections: ROWS, and of processes: SERVERS with pid, name and inode."""
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    line = "   0: {} {} {} 00000000:00000000 00:00000000 00000000     0        0 {} 1 0 20 4 24 10 -1\n"
    (root / "thread-self/net").mkdir(parents=True)
    for name, each in (("tcp", rows), ("tcp6", rows6)):
        (root / "thread-self/net" / name).write_text(head + "".join(line.format(*row) for row in each))
    for pid, name, inode in servers:
        (root / pid / "fd").mkdir(parents=True)
        (root / pid / "comm").write_text(f"{name}\n")
        (root / pid / "fd/3").symlink_to(f"socket:[{inode}]")


def test_the_peers_of_ssh_servers_are_found_without_any_variable(tmp_path):
    """Neither that of sudo, which hides SSH_CONNECTION, nor that of a multiplexer, which has an earlier session's."""
    words = lambda text: b"".join(  # noqa: E731
        int.from_bytes(parse_address(text).value.to_bytes(16 if ":" in text else 4, "big")[i : i + 4], sys.byteorder)
        .to_bytes(4, "big")
        for i in range(0, 16 if ":" in text else 4, 4)
    ).hex().upper()  # fmt: skip
    here, here6, mapped = words("192.168.8.20"), words("fd00:8::20"), "0000000000000000" + words("::ffff")[-8:]
    _proc(
        tmp_path,
        [
            (f"{here}:0016", f"{words('203.0.113.9')}:C350", "01", "11"),
            (f"{here}:0016", "00000000:0000", "0A", "12"),  # listens
            (f"{here}:08AE", f"{words('203.0.113.10')}:C351", "01", "13"),  # sshd on port 2222
            (f"{here}:1F90", f"{words('203.0.113.11')}:C352", "01", "14"),  # somebody else's connection
            (f"{here}:0016", f"{words('203.0.113.12')}:C353", "06", "0"),  # TIME_WAIT
        ],
        rows6=[
            (f"{here6}:0016", f"{words('fd00:9::7')}:C354", "01", "15"),
            (f"{mapped}{here}:0016", f"{mapped}{words('203.0.113.13')}:C355", "01", "16"),
        ],
        servers=[("100", "sshd", "13"), ("101", "nginx", "14")],
    )
    assert [str(each) for each in ssh_peers(tmp_path)] == ["203.0.113.9", "203.0.113.10", "fd00:9::7", "203.0.113.13"]
