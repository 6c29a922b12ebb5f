"""What machines are sent and what they answer, as values: no machine needed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podroutes.errors import PushError
from podroutes.host.iproute_json import Reader
from podroutes.host.local_tables import read_here
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.fib import Fib
from podroutes.model.persisted import File, FileChange
from podroutes.model.plan import Change, Plan
from podroutes.model.route import NextHop
from podroutes.push import responses, scripts
from podroutes.push.remote_command import frames, order
from podroutes.views.iproute import batch
from support.notation import route

OLD, NEW = (
    route("10.200.1.0/24 via 192.168.8.99 dev ens18 metric 7"),
    route("10.200.1.0/24 via 192.168.8.21 dev ens18 metric 7"),
)


def plan(*changes: Change, files: tuple[FileChange, ...] = ()) -> Plan:
    return Plan("worker-0", changes, 0, (), files)


def test_every_change_is_undone_by_the_line_as_far_from_the_end():
    gone = route("10.200.9.0/24 via 192.168.8.29 dev ens18")
    made = order(plan(Change("add", gone._replace(metric=3)), Change("replace", NEW, "w", OLD), Change("delete", gone)))
    assert made.apply == (
        "route add 10.200.9.0/24 proto 107 metric 3 via 192.168.8.29 dev ens18",
        "route change 10.200.1.0/24 proto 107 metric 7 via 192.168.8.21 dev ens18",
        "route del 10.200.9.0/24 proto 107 via 192.168.8.29 dev ens18",
    )
    assert made.undo == (
        "route add 10.200.9.0/24 proto 107 via 192.168.8.29 dev ens18",
        "route change 10.200.1.0/24 proto 107 metric 7 via 192.168.8.99 dev ens18",
        "route del 10.200.9.0/24 proto 107 metric 3 via 192.168.8.29 dev ens18",
    )


@pytest.mark.parametrize("dev", ["a b", 'a"b', "a'b", "a\\b", "a#b", "a\nb", "a" * 16, "ä", ""])
def test_a_device_name_is_one_word_of_ip_or_the_plan_is_refused(dev):
    change = Change("add", NEW._replace(next_hops=(NextHop(NEW.via, dev),)))
    if dev:
        with pytest.raises(PushError, match="would misread"):
            order(plan(change))
    else:
        assert order(plan(change)).apply[0].endswith("via 192.168.8.21")


@pytest.mark.parametrize("path", ["/etc/a b", "/etc/../b", "/etc/a\nb", "etc/a", "/etc/-a", "/etc/$(id)", "/etc/.a"])
def test_a_file_name_is_one_word_of_a_script_or_the_plan_is_refused(path):
    with pytest.raises(PushError, match="cannot be handed"):
        order(plan(files=(FileChange("create", File(path, ""), "networkd"),)))


def test_a_plan_is_sent_as_sizes_and_bytes_and_begins_with_its_token():
    files = (
        FileChange("create", File("/etc/a", "ä\n", 0o755), "ifupdown"),
        FileChange("delete", File("/etc/b", ""), ""),
    )
    sent = frames(order(plan(Change("add", NEW), files=files)), "0123456789abcdef", 30)
    assert sent.startswith(b"0123456789abcdef 30\npart %d 600 keeper\n" % len(scripts.KEEPER))
    assert sent.endswith(b"write 3 755 /etc/a\n\xc3\xa4\ndelete 0 644 /etc/b\nend 0 0 -\n")


@pytest.mark.parametrize("name", ["READ", "COMMIT", "KEEPER", "DECIDE"])
def test_a_script_is_sh_to_every_shell(name):
    text = scripts.read_script() if name == "READ" else getattr(scripts, name)
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    tool = Path(sys.executable).with_name("shellcheck")
    if not tool.exists():
        pytest.skip("shellcheck is not in the environment")
    # Words that `read` skips over have names, too (SC2034).
    checked = subprocess.run(
        [tool, "-s", "sh", "-e", "SC2034", "-"], input=text, text=True, capture_output=True, check=False
    )
    assert checked.stdout == ""


@pytest.mark.usefixtures("worker")
def test_tables_over_ssh_are_the_snapshot_of_the_kernel(worker):
    """Ours and others', of both families, with every oddity that decides about a plan."""
    lines = [
        "route add 10.200.1.0/24 via 192.168.8.21 proto 107",
        "route add 10.200.0.0/16 via 192.168.8.22 proto 107 metric 5",
        "route add 10.200.1.0/24 via 192.168.8.22 proto 107 metric 9",
        "route add 10.200.2.0/24 via 192.168.8.22 proto static",
        "route add 10.200.3.0/24 tos 4 via 192.168.8.22 proto 107",
        "route add blackhole 10.200.4.0/24 proto 107",
        "route add 10.200.5.0/24 proto 107 nexthop via 192.168.8.21 nexthop via 192.168.8.22",
        "route add 10.200.6.0/24 via 192.168.8.22 src 192.168.8.20 proto 107",
        "route add 10.200.7.0/24 via 192.168.8.22 proto 107 table 7",
        "route add fd00:1::/64 via fd00::21 proto 107",
        "route add fd00:2::/64 proto 107 nexthop via fd00::21 nexthop via fd00::22",
    ]
    worker.ip(*lines)
    with NetlinkKernel() as kernel:
        there = kernel.snapshot()
    here = responses.fib(read_here("worker-0", Reader()))
    assert here.plain == there.plain
    assert sorted(here.others, key=repr) == sorted(there.others, key=repr)
    assert {each for each in here.addresses if ":" not in str(each.address)} <= set(there.addresses)
    assert sorted(here.links) == sorted(there.links)


@pytest.mark.usefixtures("worker")
def test_every_route_can_be_taken_away_and_put_back_by_a_batch(worker):
    """Whatever of ours stands in the kernel, of which ``remove`` has to be undone."""
    test_tables_over_ssh_are_the_snapshot_of_the_kernel(worker)
    before = [each for each in read_here("", Reader()).routes if each.ours]
    worker.ip(*(batch("del", each) for each in before))
    assert [each for each in read_here("", Reader()).routes if each.ours] == []
    worker.ip(*(batch("add", each) for each in reversed(before)))
    after = [each for each in read_here("", Reader()).routes if each.ours]
    assert sorted(after, key=repr) == sorted(before, key=repr)
    assert len(before) == 10


def test_what_ip_says_of_a_batch_is_told_by_line():
    said = (
        b"RTNETLINK answers: File exists\nCommand failed /run/x:1\n"
        b"Error: Nexthop has invalid gateway.\nCommand failed /run/x:4\n"
        b'Cannot find device "d\x1b0"\nCommand failed -:12\nlast words\n'
    )
    assert {line: tuple(why) for line, why in responses.refusals(said).items()} == {
        0: (17, "File exists"),
        3: (0, "Nexthop has invalid gateway"),
        11: (19, 'Cannot find device "d\\x1b0"'),
    }


@given(st.binary(max_size=300))
def test_whatever_a_machine_answers_it_is_a_value_or_one_line(data):
    for answer in (data, b"\n@ uid\n0\n@ link\n" + data + b"\n@ end\n", b"\n@ file 644 " + data + b"\n@ end\n"):
        seen, why = None, "a value"
        try:
            seen = responses.seen("worker-0", answer, data, Reader())
        except PushError as error:
            why = str(error)
        assert re.fullmatch("[ -~\xa1-\U0010ffff]+", why)
        if seen:
            assert isinstance(responses.fib(seen.host), Fib)
            assert all(re.fullmatch(r"(/[\w@+][\w@.:+-]*)+", each.path) for each in seen.files)
        responses.verdict(answer)
        responses.refusals(answer)


@pytest.mark.parametrize(
    "head",
    [
        "file 644 /etc/netplan/../../tmp/x",
        "file 644 /tmp/x",
        "file 644 /etc/netplan/",
        "file 99999 /etc/netplan/a.yaml",
        "file rwx /etc/netplan/a.yaml",
        "file 644",
    ],
)
def test_a_file_of_another_place_is_not_taken(head):
    with pytest.raises(PushError, match="cannot be made sense of"):
        responses.seen("worker-0", f"\n@ {head}\n data\n@ end\n".encode(), b"", Reader())


def test_a_file_comes_as_it_is_whether_or_not_its_last_line_ends():
    data = b"\n@ uid\n0\n\n@ file 600 /etc/netplan/a.yaml\n a: 1\n \n @ end\n\n@ file 644 /etc/network/interfaces\n b\n@ end\n"
    seen = responses.seen("worker-0", data, b"", Reader())
    assert [(each.mode, each.data) for each in seen.files] == [(0o600, b"a: 1\n\n@ end\n"), (0o644, b"b")]
