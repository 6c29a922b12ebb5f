"""``podroutes doctor`` as a person and as a program meet it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from podroutes.cli import main
from podroutes.doctor import FINDERS
from podroutes.model.finding import FINDINGS
from support.users import unprivileged


def test_text_tells_cause_evidence_fix_and_where_to_read_more(healthy, capsys, filters):
    healthy.run("sysctl -qw net.ipv4.ip_forward=0")
    assert main(["doctor", "-i", str(healthy.inventory), "--node", "worker-0"]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "error ipv4-forwarding-off: this machine does not forward IPv4 packets",
        "  found: net.ipv4.ip_forward = 0",
        "  fix:   sysctl -w net.ipv4.ip_forward=1",
        "  see:   podroutes help ipv4-forwarding-off",
        "worker-0: 1 error.",
    ]
    assert main(["doctor", "--fix", "-i", str(healthy.inventory), "--node", "worker-0"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "fixed ipv4-forwarding-off: net.ipv4.ip_forward = 1 until the next boot; to keep it, write it into /etc/sysctl.d/",
        "worker-0: nothing found that would stop pod traffic.",
    ]


def test_fix_touches_nothing_but_sysctls(healthy, worker, filters):
    worker.ip("route add 10.200.1.128/25 via 192.168.8.22 proto static", "link set ens18 mtu 1400")
    healthy.run(
        "sysctl -qw net.ipv6.conf.all.forwarding=0",
        "nft add table inet guard",
        "nft 'add chain inet guard forward { type filter hook forward priority 0; policy drop; }'",
    )

    def state() -> list[str]:
        ruleset = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
        return [*worker.show("route show"), *worker.show("-6 route show"), *worker.show("rule"), ruleset]

    before, files = state(), {path: path.stat().st_mtime_ns for path in healthy.root.rglob("*") if path.is_file()}
    report = healthy.examine("--fix")
    assert report.status == 2
    assert [each["code"] for each in report.document["repaired"]] == ["ipv6-forwarding-off"]
    assert report.codes == ["forward-chain-drops", "stray-route", "mtu-mismatch"]
    assert state() == before
    assert files == {path: path.stat().st_mtime_ns for path in files}


def test_without_privileges_it_says_what_it_could_not_see(healthy, readable, python):
    healthy.run("sysctl -qw net.ipv4.ip_forward=0")
    words = ["doctor", "--fix", "-o", "json", "-i", "-", "--node", "worker-0"]
    done = subprocess.run(
        [*unprivileged(), python, "-m", "podroutes", *words],
        input=healthy.inventory.read_text(),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(readable)},
        cwd="/",
    )
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    assert "needs the capability CAP_NET_RAW" in document["unexamined"][-1]
    assert [(each["done"], "needs root" in each["error"]) for each in document["repaired"]] == [(False, True)]


def test_what_files_say_does_not_move_the_cursor(healthy, capsys):
    healthy.write("/sys/class/dmi/id/sys_vendor", "Amazon EC2\x1b[31m")
    healthy.write("/etc/cni/net.d/1\x1b[2J.conf", "{}}")
    assert main(["doctor", "-i", str(healthy.inventory), "--node", "worker-0"]) == 0
    out = capsys.readouterr().out
    assert "Amazon EC2\\x1b[31m" in out
    assert "1\\x1b[2J.conf" in out
    assert "\x1b" not in out


def test_a_device_name_that_breaks_the_output_of_ip_is_one_line(healthy, worker, capsys):
    worker.ip("link add evil\x1b[2J type veth peer name wire9")
    assert main(["doctor", "-i", str(healthy.inventory), "--node", "worker-0"]) in (0, 1)
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said


def test_a_machine_of_no_inventory_and_no_tables(bare, capsys):
    """Nothing is configured here; IPv4 is taken to be wanted."""
    subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"], check=True)
    assert main(["doctor"]) == 2
    assert "error ipv4-forwarding-off" in capsys.readouterr().out
    subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
    assert main(["doctor"]) == 0


def test_who_is_not_in_the_inventory_is_told(healthy, capsys):
    assert main(["doctor", "-i", str(healthy.inventory), "--node", "worker-9"]) == 1
    assert 'no node is named "worker-9"' in capsys.readouterr().err


def test_every_finding_is_tried_here_and_made_by_one_function():
    tried = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert {code for code in FINDINGS if f'"{code}"' not in tried} == set()
    modules = {Path(sys.modules[find.__module__].__file__) for find in FINDERS}
    made = re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', "".join(path.read_text() for path in modules))
    assert set(FINDINGS) <= set(made)
