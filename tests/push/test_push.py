"""A push to machines that are well, and to some that are not."""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from podroutes import __version__
from podroutes.cli import main
from support import darwin
from support.openssh import Done, Site
from support.schemas import faults
from support.waiting import until

ALL = {
    "worker-0": ["10.200.1.0/24 via 192.168.8.21 dev ens18", "10.200.2.0/24 via 192.168.8.22 dev ens18"],
    "worker-1": ["10.200.0.0/24 via 192.168.8.20 dev ens18", "10.200.2.0/24 via 192.168.8.22 dev ens18"],
    "worker-2": ["10.200.0.0/24 via 192.168.8.20 dev ens18", "10.200.1.0/24 via 192.168.8.21 dev ens18"],
}


def routes(site: Site) -> dict[str, list[str]]:
    return {node: site.routes(node) for node in site.addresses}


def logins(site: Site) -> dict[str, int]:
    return {node: site.logins(node) for node in site.addresses}


def since(site: Site, before: dict[str, int]) -> list[int]:
    return [count - before[node] for node, count in logins(site).items()]


def test_a_plan_shows_what_each_machine_lacks_and_changes_nothing(site):
    before = logins(site)
    done = site.push("plan")
    assert (done.status, done.err) == (2, "")
    assert "worker-1\n  + 10.200.0.0/24 via 192.168.8.20 dev ens18  worker-0\n" in done.out
    assert done.out.count("Plan: 2 to add, 0 to replace, 0 to delete, 0 unchanged.") == 3
    assert set(map(len, routes(site).values())) == {0}
    assert since(site, before) == [1, 1, 1]


def test_apply_makes_the_pods_of_all_machines_reach_each_other(site):
    before = logins(site)
    done = site.push("apply")
    assert (done.status, routes(site)) == (0, ALL)
    assert "Apply complete: 3 of 3 nodes changed, 0 in sync already." in done.out
    assert since(site, before) == [2, 2, 2]  # one to change a machine, one to see that it still answers
    assert site.podroutes("lab", "ping", "--name", site.name).returncode == 0


def test_a_second_push_changes_nothing_and_opens_one_connection_a_machine(site):
    site.push("apply")
    before = logins(site)
    done = site.push("apply", "-o", "json")
    assert done.status == 0
    assert {(each["in_sync"], each["state"], each["connections"]) for each in done.nodes.values()} == {
        (True, "unchanged", 1)
    }
    assert since(site, before) == [1, 1, 1]


def test_the_plan_is_the_one_that_the_machine_itself_makes(site):
    site.on("worker-0", "ip", "route", "add", "10.200.1.0/24", "via", "192.168.8.22", "proto", "107")
    site.on("worker-0", "ip", "route", "add", "10.200.9.0/24", "via", "192.168.8.22", "proto", "107")
    pushed = site.push("plan", "--limit", "worker-0", "-o", "json").nodes["worker-0"]
    words = f"lab exec --name {site.name} worker-0 -- {sys.executable} -m podroutes plan -o json -i {site.inventory}"
    here = json.loads(site.podroutes(*words.split()).stdout)
    assert here.pop("apiVersion") == "podroutes/v1"
    assert {key: pushed[key] for key in here} == here
    assert [change["action"] for change in pushed["changes"]] == ["replace", "add", "delete"]


def test_a_push_replaces_and_deletes(site):
    test_the_plan_is_the_one_that_the_machine_itself_makes(site)
    assert site.push("apply").status == 0
    assert routes(site) == ALL


def test_what_others_hold_stays_and_the_rest_goes_ahead(site):
    site.on("worker-0", "ip", "route", "add", "10.200.1.0/24", "via", "192.168.8.99", "proto", "static")
    done = site.push("apply")
    assert done.status == 1
    assert "foreign-route" in done.err
    assert site.routes("worker-0") == ALL["worker-0"][1:]
    assert "via 192.168.8.99" in site.on("worker-0", "ip", "route", "show", "10.200.1.0/24")
    site.on("worker-0", "ip", "route", "del", "10.200.1.0/24")


@pytest.fixture
def only(site):
    """Let the inventory have these nodes only."""
    whole = site.inventory.read_text()

    def write(*names):
        cluster = yaml.safe_load(whole)
        nodes = [node for node in cluster["nodes"] if node["name"] in names]
        site.inventory.write_text(json.dumps({**cluster, "nodes": nodes}))

    yield write
    site.inventory.write_text(whole)


@pytest.fixture
def alone(site, only):
    """Apply three nodes, and let the inventory have worker-0 alone."""
    site.push("apply")
    only("worker-0")


@pytest.mark.usefixtures("alone")
def test_what_many_nodes_would_lose_is_held_and_let_go_when_that_is_said(site):
    done = site.push("plan")
    assert (done.status, done.out.count("held\n")) == (2, 2)
    for words in ("apply",), ("apply", "--yes"), ("apply", "--allow-mass-delete=1"):
        done = site.push(*words)
        assert (done.status, site.routes("worker-0")) == (1, ALL["worker-0"]), words
        assert "mass-delete: 2 routes of 2 would go at once" in done.err
        assert "podroutes push apply --allow-mass-delete=2" in done.err
    done = site.push("apply", "-o", "json")
    assert (done.status, len(done.nodes["worker-0"]["held"])) == (1, 2)
    assert site.push("apply", "--allow-mass-delete=2").status == 0
    assert site.routes("worker-0") == []


def test_the_machine_remembers_what_went(site, only):
    """One node goes, and no other for ten minutes: what counts is on the machine, whoever deletes."""
    site.push("apply")
    only("worker-0", "worker-1")
    assert site.push("apply", "--limit", "worker-0").status == 0
    assert site.routes("worker-0") == ALL["worker-0"][:1]
    assert '"192.168.8.22"' in site.on("worker-0", "cat", "/var/lib/podroutes/deleted.json")
    only("worker-0")
    done = site.push("apply")
    assert (done.status, site.routes("worker-0")) == (1, ALL["worker-0"][:1])
    assert "1 more went in the last 10 minutes" in done.err
    site.on("worker-0", "rm", "/var/lib/podroutes/deleted.json")


def test_remove_takes_back_what_is_ours_and_nothing_else(site):
    site.push("apply")
    site.on("worker-2", "ip", "route", "add", "10.77.0.0/16", "via", "192.168.8.20", "proto", "static")
    site.on("worker-2", "ip", "route", "add", "blackhole", "10.78.0.0/16", "proto", "107", "table", "77")
    done = site.push("remove")
    assert (done.status, set(map(len, routes(site).values()))) == (0, {0})
    assert site.on("worker-2", "ip", "route", "show", "table", "77") == ""
    assert "10.77.0.0/16" in site.on("worker-2", "ip", "route", "show")
    site.on("worker-2", "ip", "route", "del", "10.77.0.0/16")


def test_verify_proves_from_the_tables_of_all_machines(site, tmp_path):
    site.push("apply")
    done = site.push("verify", "--html", str(tmp_path / "page.html"))
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("proven: 3 nodes, 3 pod CIDRs, 6 pairs: every pod CIDR is reachable from every node\n")
    assert "read over SSH" in (tmp_path / "page.html").read_text()
    site.on("worker-1", "ip", "route", "del", "10.200.2.0/24")
    done = site.push("verify", "-o", "json")
    assert done.status == 2
    assert [(each["code"], each["node"]) for each in json.loads(done.out)["findings"]] == [("no-route", "worker-1")]


def test_only_the_nodes_of_limit_are_connected_to(site):
    before = logins(site)
    assert site.push("apply", "--limit", "*-1,worker-2").status == 0
    assert since(site, before) == [0, 2, 2]
    done = site.push("apply", "--limit", "worker-7")
    assert (done.status, done.err) == (
        1,
        'podroutes: --limit: no node is named "worker-7"; there are "worker-0", "worker-1" and "worker-2"\n',
    )


def test_a_machine_that_is_down_stops_no_other(site):
    site.stop("worker-1")
    done = site.push("apply", "-o", "json", "--timeout", "5")
    assert done.status == 1
    assert {node: each["state"] for node, each in done.nodes.items()} == {
        "worker-0": "applied",
        "worker-1": "unchanged",
        "worker-2": "applied",
    }
    assert "cannot connect" in done.nodes["worker-1"]["error"]
    verified = site.push("verify")
    assert verified.status == 1
    assert "worker-1: cannot connect" in verified.err
    assert "not seen: collect the tables of worker-1" in verified.out


@pytest.fixture
def known(site):
    """Return the file of known hosts, which is put back."""
    path = site.home / ".ssh" / "known_hosts"
    text = path.read_text()
    yield path
    path.write_text(text)


def test_a_machine_with_another_host_key_is_not_talked_to(site, known):
    site.keygen(site.home / "other")
    key = " ".join((site.home / "other.pub").read_text().split()[:2])
    known.write_text(re.sub(r"(?m)^192\.168\.8\.21 .*$", f"192.168.8.21 {key}", known.read_text()))
    before = logins(site)
    done = site.push("plan")
    assert done.status == 1
    assert "error worker-1: its host key is not the one that is known, or none is" in done.err
    assert since(site, before) == [1, 0, 1]


def test_an_unknown_host_is_not_talked_to(site, known):
    known.write_text("")
    before = logins(site)
    assert site.push("plan").status == 1
    assert since(site, before) == [0, 0, 0]


def test_a_host_is_known_by_its_node_name_as_well(site, known):
    key = known.read_text().splitlines()[0].partition(" ")[2]
    known.write_text(f"worker-* {key}\n")
    assert site.push("plan").status == 2


def test_a_user_key_that_is_not_accepted_is_one_line(site):
    site.again("worker-2", "AuthorizedKeysFile=/etc/keys/none")
    done = site.push("plan")
    assert done.status == 1
    assert re.search(r"^error worker-2: it does not let us in: .*; no key of ours is accepted", done.err, re.MULTILINE)


def test_the_ssh_configuration_is_honoured(site):
    """Host, HostName, Port, IdentityFile, UserKnownHostsFile, Include and ProxyJump, through one connection to the jump host."""
    key = site.home / "another"
    site.keygen(key)
    site.on("worker-2", "sh", "-c", f"cat {key}.pub >/etc/keys/another")
    site.again("worker-2", "Port=2222", "AuthorizedKeysFile=/etc/keys/another")
    known = " ".join((site.home / "host.pub").read_text().split()[:2])
    (site.home / "known").write_text(f"[192.168.8.22]:2222 {known}\n[worker-1]:22,192.168.8.21,bastion {known}\n")
    (site.home / "more").write_text(f"Host worker-2\n  Port 2222\n  IdentityFile {key}\n")
    (site.home / "config").write_text(
        f"Include {site.home}/more\nHost bastion\n  HostName 192.168.8.20\n  HostKeyAlias bastion\n"
        f"Host worker-*\n  ProxyJump bastion\nHost *\n  UserKnownHostsFile {site.home}/known\n  User root\n"
    )
    before = logins(site)
    done = site.push("plan", "--limit", "worker-1,worker-2", "--ssh-config", str(site.home / "config"))
    assert (done.status, done.err) == (2, "")
    assert since(site, before) == [1, 1, 1]
    assert "from 192.168.8.20 port" in site.log("worker-2").read_text()


def test_certificates_stand_for_keys_on_both_sides(site, known):
    authority, key = site.home / "authority", site.home / "certified"
    for path in (authority, key):
        site.keygen(path)
    sign = ["ssh-keygen", "-q", "-s", authority, "-I", "test"]
    subprocess.run([*sign, "-n", "root", f"{key}.pub"], check=True)
    subprocess.run([*sign, "-h", "-n", "worker-1", f"{site.home}/host.pub"], check=True)
    site.on("worker-1", "sh", "-c", f"cat {authority}.pub >/etc/keys/authority")
    site.again(
        "worker-1", "TrustedUserCAKeys=/etc/keys/authority", "AuthorizedKeysFile=none",
        f"HostCertificate={site.home}/host-cert.pub",
    )  # fmt: skip
    known.write_text(f"@cert-authority worker-* {authority.with_suffix('.pub').read_text()}")
    (site.home / "config").write_text(f"Host *\n  IdentityFile {key}\n  CertificateFile {key}-cert.pub\n")
    done = site.push("plan", "--limit", "worker-1", "--ssh-config", str(site.home / "config"))
    assert (done.status, done.err) == (2, "")


def test_keys_come_from_the_agent(site):
    key = site.home / ".ssh" / "id_ed25519"
    socket = site.home / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        until(socket.exists)
        subprocess.run(["ssh-add", "-q", key], env=site.environment(SSH_AUTH_SOCK=str(socket)), check=True)
        key.rename(site.home / "hidden")
        assert site.push("plan").status == 1
        assert site.push("plan", SSH_AUTH_SOCK=str(socket)).status == 2
    finally:
        (site.home / "hidden").rename(key)
        agent.terminate()
        agent.wait()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--ssh-config", "nowhere"], '--ssh-config "nowhere": there is no such file'),
        (["--parallel", "0"], "--parallel: '0' is not a whole number from 1 to 1000"),
        (["--limit", "\x1b[2J"], '--limit: no node is named "\\x1b[2J"; there are "a"'),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_1(tmp_path, capsys, words, says):
    (tmp_path / "machines.txt").write_text("192.168.8.20 a a 10.200.0.0/24\n")
    try:
        status = main(["push", "plan", "-i", str(tmp_path / "machines.txt"), *words])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"podroutes: {says}")


def test_without_asyncssh_one_line_says_how_to_get_it(tmp_path, capsys, monkeypatch):
    (tmp_path / "machines.txt").write_text("192.168.8.20 a a 10.200.0.0/24\n")
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    assert main(["push", "plan", "-i", str(tmp_path / "machines.txt")]) == 1
    assert capsys.readouterr().err == (
        "podroutes: push needs the package asyncssh: install podroutes-push_*.deb where podroutes came as a .deb, "
        f"or the wheel with its extra: pip install './podroutes-{__version__}-py3-none-any.whl[push]'\n"
    )


def test_fifty_machines(tree, tmp_path):
    site = Site(f"push-{os.getpid()}-fifty", tree, tmp_path / "home", 50)
    try:
        before = logins(site)
        done = site.push("apply", "-o", "json")
        assert done.status == 0
        assert {each["state"] for each in done.nodes.values()} == {"applied"}
        assert set(since(site, before)) <= {2, 3}, (
            "fifty sshd on one machine may lose a connection, which is made again"
        )
        before = logins(site)
        assert site.push("apply").status == 0
        assert set(since(site, before)) == {1}
        assert "proven: 50 nodes, 50 pod CIDRs, 2450 pairs" in site.push("verify").out
    finally:
        site.close()


def test_a_workstation_that_is_not_linux_pushes_as_well(site, tmp_path):
    """What ``support.darwin`` takes away is what CPython does not have on macOS."""
    mac = darwin.environment(tmp_path)
    system = ["env", f"PYTHONPATH={mac['PYTHONPATH']}", f"PATH={mac['PATH']}"]

    def push(*words: str) -> Done:
        python = [sys.executable, "-m", "podroutes"]
        enter = [*python, "lab", "exec", "--name", site.name, "switch", "--"]
        command = [*enter, *system, *python, "push", *words, "-i", str(site.inventory)]
        done = subprocess.run(
            command,
            env=site.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    planned = push("plan")
    assert (planned.status, planned.err) == (2, "")
    applied = push("apply")
    assert (applied.status, routes(site)) == (0, ALL), applied.err
    assert push("verify").status == 0
    site.on("worker-1", "ip", "route", "del", "10.200.0.0/24")
    assert push("verify").status == 2
    assert push("remove").status == 0
    assert set(map(len, routes(site).values())) == {0}


def test_documents_are_what_the_schema_says(site):
    site.on("worker-0", "ip", "route", "add", "10.200.9.0/24", "via", "192.168.8.22", "proto", "107")
    for words, name in (("plan", "push"), ("apply", "push"), ("verify", "verify"), ("remove", "push")):
        assert faults(name, json.loads(site.push(words, "-o", "json").out)) == []
    site.stop("worker-1")
    assert faults("push", json.loads(site.push("apply", "-o", "json").out)) == []
