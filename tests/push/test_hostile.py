"""A machine that lies, shouts or says nothing harms nobody but itself, and is told apart in one line."""

import json

import pytest

from support.waiting import until

NASTY = "\x1b]0;owned\x07\x1b[2J"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (
            "printf '\\033[2Jgo away\\n'; cat >/dev/null",
            r"its answer is cut off or not what was asked for: \"\\x1b[2Jgo away\"",
        ),
        ("cat /dev/zero", "it sends more than 64 MiB; hung up"),
        ("cat /dev/zero >&2", "it sends more than 4 MiB; hung up"),
        ("sleep 600", "no answer within 10 s"),
        ("kill -9 $PPID", "the connection was lost"),
        ("exit 7", "its answer is cut off or not what was asked for"),
    ],
)
def test_a_machine_that_answers_nonsense_is_an_error_of_its_own(site, command, says):
    site.again("worker-1", f"ForceCommand={command}")
    done = site.push("plan", "--timeout", "10" if command == "sleep 600" else "100")
    assert done.status == 1
    assert done.err.startswith(f"error worker-1: {says}".replace('\\"', '"').replace("\\\\", "\\"))
    assert (done.err.count("\n"), done.err.count("\x1b")) == (1, 0)
    assert done.out.count("Plan: 2 to add") == 2


def lying_ip(site, answer: str) -> None:
    """Have ``ip -j route`` on worker-1 print ANSWER."""
    directory = site.home / "lies"
    directory.mkdir(exist_ok=True)
    (directory / "answer").write_text(answer)
    (directory / "ip").write_text(
        f'#!/bin/sh\ncase "$*" in "-N -j route"*) cat {directory}/answer ;; *) exec /usr/sbin/ip "$@" ;; esac\n'
    )
    (directory / "ip").chmod(0o755)
    site.again("worker-1", f"SetEnv=PATH={directory}:/usr/bin:/bin")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[{",
        '{"dst": 1}',
        '[{"dst": "default", "gateway": "$(reboot)"}]',
        json.dumps([{"dst": f"10.0.0.0/24{NASTY}", "dev": "ens18"}]),
        '[{"dst": "default", "dev": ["ens18"]}]',
        "[" * 100_000,
        '[{"dst": "10.0.0.0/24", "metric": ' + "9" * 5000 + "}]",
    ],
)
def test_tables_that_are_none_are_one_line(site, answer):
    lying_ip(site, answer)
    done = site.push("plan", "--limit", "worker-1")
    if answer:
        assert (done.status, done.err.count("\n"), done.err.count("\x1b")) == (1, 1, 0)
        assert done.err.startswith("error worker-1: ip -N -j route show table all: ")
    else:  # a machine without routes reaches nobody
        assert (done.status, done.out.count("to add")) == (1, 0)


def test_a_device_name_that_ip_would_misread_is_never_sent(site):
    """The kernel lets a device be called anything without a slash, colon or blank."""
    site.on("worker-1", "ip", "link", "add", 'a"#$(id)', "type", "veth", "peer", "name", "there")
    site.on("worker-1", "sh", "-c", """ip addr add 192.168.9.1/24 dev 'a"#$(id)'; ip link set there up""")
    site.on("worker-1", "ip", "link", "set", 'a"#$(id)', "up")
    text = site.inventory.read_text()
    site.inventory.write_text("192.168.9.20 a a 10.200.0.0/24\n192.168.8.21 worker-1 worker-1 10.200.1.0/24\n")
    try:
        until(lambda: "LOWER_UP" in site.on("worker-1", "ip", "link", "show", 'a"#$(id)'))
        done = site.push("apply", "--limit", "worker-1")
    finally:
        site.inventory.write_text(text)
        site.on("worker-1", "ip", "link", "del", "there")
    assert done.status == 1
    assert 'the device "a"#$(id)" has a name that ip -batch would misread; rename it' in done.err
    assert site.routes("worker-1") == []


def test_a_machine_without_iproute2_is_told_what_it_needs(site):
    lying_ip(site, "")
    (site.home / "lies" / "ip").write_text("#!/bin/sh\necho 'ip: no such thing' >&2\nexit 127\n")
    done = site.push("plan", "--limit", "worker-1")
    assert (done.status, done.err) == (
        1,
        "error worker-1: `ip -j -d link` failed: ip: no such thing; the node needs iproute2\n",
    )


def test_an_interrupted_dump_is_read_again(site):
    lying_ip(site, "")
    (site.home / "lies" / "ip").write_text(
        '#!/bin/sh\n[ -e /run/podroutes/calm ] || { [ "$3" = rule ] && : >/run/podroutes/calm; '
        "echo 'Dump was interrupted and may be inconsistent.' >&2; }\n"
        'exec /usr/sbin/ip "$@"\n'
    )
    before = site.logins("worker-1")
    assert site.push("plan", "--limit", "worker-1").status == 2
    assert site.logins("worker-1") - before == 1


def test_nothing_of_an_inventory_is_a_word_of_a_command(site, tmp_path):
    """Not even in a ProxyCommand, where ssh(1) would put the host's name into a shell."""
    names = ["$(touch owned)", "-oProxyCommand=touch owned", "a;touch owned", "`touch owned`", NASTY]
    nodes = [
        {"name": name, "internalIP": "192.168.8.20", "podCIDR": f"10.200.{n}.0/24"} for n, name in enumerate(names)
    ]
    inventory = tmp_path / "nodes.json"
    inventory.write_text(json.dumps({"nodes": nodes}))
    (site.home / "config").write_text("Host *\n  ProxyCommand sh -c 'touch %n; exit 1'\n")
    kept, site.inventory = site.inventory, inventory
    try:
        done = site.push("plan", "--ssh-config", str(site.home / "config"))
        plain = site.push("plan")
    finally:
        site.inventory = kept
    for each in (done, plain):
        assert (each.status, "\x1b" in each.err + each.out) == (1, False)
    assert list(site.home.rglob("*owned*")) == []
