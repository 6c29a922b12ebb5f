"""What ssh(1) takes from a configuration and from known hosts, a push takes, too."""

import subprocess

import pytest

from push.test_sudo import RULES, SETTLE
from support.debian import UnavailableError, packages

LIMIT = ("--limit", "worker-0", "--timeout", "10")
FD = "fd00::21"


@pytest.fixture
def files(site):
    """Return ~/.ssh/config, which is there for one test, and known_hosts, which is put back."""
    config, known = site.home / ".ssh" / "config", site.home / ".ssh" / "known_hosts"
    text = known.read_text()
    yield config, known
    config.unlink(missing_ok=True)
    known.write_text(text)


def host(site, *lines):
    """Return the stanza of worker-0 with LINES."""
    options = "".join(f"  {line}\n" for line in lines)
    return f"Host worker-0\n  HostName {site.addresses['worker-0']}\n  User root\n{options}"


def plans(site, *words):
    """Push a plan to worker-0, which has to come through without a word on standard error."""
    done = site.push("plan", *LIMIT, *words)
    assert (done.status, done.err) == (2, "")


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_an_identity_file_that_is_not_there_is_passed_over(site, files, first):
    config, _ = files
    lines = ["IdentityFile ~/.ssh/id_rsa", f"IdentityFile {site.key}"]
    config.write_text(host(site, *(lines if first else lines[::-1])))
    plans(site)


def test_a_single_identity_file_that_is_not_there_is_named(site, files):
    config, _ = files
    config.write_text(host(site, "IdentityFile ~/.ssh/id_rsa", "IdentitiesOnly yes"))
    done = site.push("plan", *LIMIT)
    assert done.status == 1
    assert "id_rsa" in done.err


@pytest.mark.parametrize("uri", ["ssh://root@{}:22", "ssh://root@{}"])
def test_a_jump_host_may_be_a_uri(site, files, uri):
    config, known = files
    jump = site.addresses["worker-1"]
    config.write_text(
        host(site, f"IdentityFile {site.key}", f"ProxyJump {uri.format(jump)}")
        + f"Host {jump}\n  IdentityFile {site.key}\n  UserKnownHostsFile {known}\n"
    )
    before = site.logins("worker-1")
    plans(site)
    assert site.logins("worker-1") == before + 1


@pytest.mark.parametrize("jump", ["root@[fd00::21]:22", "ssh://root@[fd00::21]:22", "[fd00::21]"])
def test_a_jump_host_may_be_an_ipv6_address(site, files, jump):
    config, known = files
    key = known.read_text().splitlines()[0].partition(" ")[2]
    known.write_text(f"{known.read_text()}fd00::21 {key}\n")
    site.on("worker-1", "ip", "addr", "add", f"{FD}/64", "dev", "ens18", "nodad", check=False)
    site.on(
        "switch", "ip", "addr", "add", "fd00::9/64", "dev", site.on("switch", "sh", "-c", _LAN), "nodad", check=False
    )
    assert site.on("switch", "bash", "-c", f": </dev/tcp/{FD}/22 && echo yes") == "yes"
    config.write_text(
        host(site, f"IdentityFile {site.key}", f"ProxyJump {jump}")
        + f"Host {FD}\n  User root\n  IdentityFile {site.key}\n"
    )
    before = site.logins("worker-1")
    plans(site)
    assert site.logins("worker-1") == before + 1


_LAN = "ip -o -4 addr show | awk '$4 ~ /^192.168.8/ {print $2; exit}'"


def test_what_vagrant_ssh_config_prints_is_enough(site, files):
    config, _ = files
    lines = ["UserKnownHostsFile /dev/null", "StrictHostKeyChecking no", f"IdentityFile {site.key}"]
    config.write_text(host(site, *lines))
    plans(site)


def test_a_host_may_be_known_to_the_whole_machine(site, files):
    _, known = files
    etc = site.home / "etc"
    (etc / "ssh").mkdir(parents=True, exist_ok=True)
    (etc / "ssh" / "ssh_known_hosts").write_text(known.read_text())
    known.unlink()
    script = f'mount -t overlay -o "lowerdir={etc}:/etc" overlay /etc && exec "$@"'
    *lab, python, _, _, push, plan = site.command("plan")[:-2]
    inside = ["unshare", "-m", "sh", "-c", script, "sh", python, "-m", "podroutes", push, plan, *LIMIT]
    done = subprocess.run(
        [*lab, *inside, "-i", str(site.inventory)],
        env=site.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "")


def test_the_file_that_the_whole_machine_knows_hosts_by_may_be_another(site, files):
    config, known = files
    (site.home / "global").write_text(known.read_text())
    known.unlink()
    config.write_text(host(site, f"GlobalKnownHostsFile {site.home}/global", f"IdentityFile {site.key}"))
    plans(site)


def test_a_host_may_be_known_by_the_fqdn_of_machines_txt(site, files):
    _, known = files
    keys = [line.partition(" ")[2] for line in known.read_text().splitlines()]
    known.write_text("".join(f"worker-{i}.kubernetes.local {key}\n" for i, key in enumerate(keys)))
    machines = site.home / "machines.txt"
    rows = (
        f"{address} {node}.kubernetes.local {node} 10.200.{i}.0/24\n"
        for i, (node, address) in enumerate(site.addresses.items())
    )
    machines.write_text("".join(rows))
    done = subprocess.run(
        [*site.command("plan")[:-2], *LIMIT, "-i", str(machines)],
        env=site.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "")


@pytest.fixture
def csh(site, tmp_path_factory):
    """Give root and operator of worker-0 tcsh as their login shell."""
    tree = tmp_path_factory.mktemp("csh")
    try:
        for package in packages("csh"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(tree)], check=True)
    except UnavailableError as why:
        pytest.skip(str(why))
    for path in (tree, *tree.parents[:-2]):
        path.chmod(path.stat().st_mode | 0o055)
    shell = next(path for path in (tree / "bin/tcsh", tree / "usr/bin/tcsh") if path.exists())
    site.again("worker-0", before=f"sed -i -E 's,^((root|operator):.*):[^:]*$,\\1:{shell},' /etc/passwd")
    site.on("worker-0", "sh", "-c", SETTLE, "sh", RULES["without a password"])


@pytest.mark.usefixtures("csh")
def test_a_login_shell_may_be_csh(site):
    """It would take a script of several lines for commands of its own."""
    done = site.push("apply", "--yes", *LIMIT, "--user", "operator", "--sudo")
    assert (done.status, len(site.routes("worker-0"))) == (0, 2), done
    done = site.push("plan", *LIMIT)
    assert (done.status, done.err) == (0, "")
