"""Whatever the user or the host does is one line that says what to do, and leaves nothing."""

import errno
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podroutes.errors import LabError
from podroutes.lab.forbidden import reason
from podroutes.lab.topology import fitted, namespaces
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.cluster import Cluster, Node

WORKER = "{name: a, internalIP: 10.0.0.1, podCIDR: 10.1.0.0/24}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "--nodes", "0"], "a lab has 1 to 1000 nodes"),
        (["up", "--nodes", "1001"], "a lab has 1 to 1000 nodes"),
        (["up", "--nodes", "many"], '--nodes "many": wanted a whole number'),
        (["up", "--name", "\x1b[31m"], r'"\x1b[31m" cannot name a lab'),
        (["up", "--name", ""], "cannot name a lab"),
        (["up", "--name", "x" * 61], "cannot name a lab"),
        (["up", "-i", "/no/such/file"], "/no/such/file"),
        (["up", "-i", "nodes.yaml", "--ipv6"], "leave out --nodes, --ipv6"),
        (["exec", "worker-0", "--", "ls"], "podroutes lab up`"),
        (["exec", "worker-0"], "say where and what to run: lab exec NODE -- CMD"),
        (["exec", "--", "ls"], "say where and what to run: lab exec NODE -- CMD"),
        (["exec", "worker-0", "--name", "x", "--", "ls"], "options go before"),
        (["ping"], "podroutes lab up`"),
        (["inventory"], "podroutes lab up`"),
        (["status", "--name", "none"], 'no lab "none" of this user is up'),
        (["demo", "--nodes", "1"], "at least 2 nodes"),
    ],
)
def test_a_wrong_command_line(root, words, said):
    complaint = root("lab", *words, status=1).stderr
    assert said in complaint
    assert complaint.startswith("podroutes: ")
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ("{name: a/b, internalIP: 10.0.0.1}", "cannot name a namespace"),
        ("{name: .., internalIP: 10.0.0.1}", "cannot name a namespace"),
        ('{name: "a\\u001b[31mb", internalIP: 10.0.0.1}', r"a\x1b[31mb"),
        (f"{{name: {'a' * 201}, internalIP: 10.0.0.1}}", "at most 200 bytes"),
        ("{name: switch, internalIP: 10.0.0.1}", 'not "switch"'),
        ("{name: a, podCIDR: 10.1.0.0/24}", "has no InternalIP"),
        ("{name: a, internalIP: 10.0.0.1, interface: lo}", 'interface "lo" cannot be made'),
        ("{name: a, internalIP: 10.0.0.1, interface: sixteen-and-more}", "up to 15 letters"),
        ("{name: a, internalIP: 10.0.0.1, podCIDR: 10.1.0.0/31}", "no room for a gateway and a pod"),
        ("{name: a, internalIP: 10.0.0.1, podCIDR: 10.1.0.1/24}", "host bits set"),
        ("{name: a, internalIP: 10.0.0.1, podCIDR: 10.0.0.0/24}", "overlaps 10.0.0.0/24, the one LAN"),
        (f"{WORKER}\n- {{name: a, internalIP: 10.0.0.2}}", 'nodes.yaml:3: the name "a"'),
        (f"{WORKER}\n- {{name: b, internalIP: 10.0.0.1}}", 'InternalIP "10.0.0.1" of node "b" is already that of "a"'),
        (
            f"{WORKER}\n- {{name: b, internalIP: 10.0.0.2, podCIDR: 10.1.0.0/16}}",
            '10.1.0.0/24 of "a" overlaps 10.1.0.0/16 of "b"',
        ),
        (f"{WORKER}\n- {{name: b, internalIP: 10.9.0.2}}", "InternalIPs closer together"),
    ],
)
def test_an_inventory_that_no_lab_can_be_made_of(root, tmp_path, nodes, said):
    (tmp_path / "nodes.yaml").write_text(f"nodes:\n- {nodes}\n")
    complaint = root("lab", "up", "-i", "nodes.yaml", status=1, cwd=tmp_path).stderr
    assert said in complaint
    assert complaint.count("\n") == 1
    assert root("lab", "status").stdout.startswith("no lab is up")


def test_an_unknown_machine_is_answered_with_the_nearest(lab):
    complaint = lab("exec", "wroker-1", "--", "ls", status=1).stderr
    assert "did you mean worker-1? It has worker-0, worker-1, worker-2," in complaint
    assert f'the lab "{lab.name}" is already up' in lab("up", status=1).stderr


def test_no_ip_command(root, tmp_path, monkeypatch):
    monkeypatch.setattr("podroutes.lab.holder.search_path", lambda: str(tmp_path))
    from podroutes.lab.holder import start  # noqa: PLC0415

    with pytest.raises(LabError, match="install iproute2"):
        start(Cluster(()), None)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("max_net_namespaces", "user.max_net_namespaces is 0"),
        ("max_mnt_namespaces", "user.max_mnt_namespaces is 0"),
    ],
)
def test_a_host_that_allows_no_namespaces(root, name, limit, said):
    """The real refusal of the kernel, in a user namespace whose limit is nought."""
    script = f'echo 0 > /proc/sys/user/{limit}; exec "$@"'
    words = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        script,
        "sh",
        *root.command,
        "lab",
        "up",
        "--name",
        name,
    ]
    refused = subprocess.run(words, env=root.environment, capture_output=True, encoding="utf-8", check=False)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_host_that_runs_out_of_namespaces_in_the_middle(root, name):
    script = 'echo 4 > /proc/sys/user/max_net_namespaces; exec "$@"'
    words = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        script,
        "sh",
        *root.command,
        "lab",
        "up",
        "--name",
        name,
    ]
    refused = subprocess.run(words, env=root.environment, capture_output=True, encoding="utf-8", check=False)
    assert refused.returncode == 1
    assert "cannot make the network namespace of worker-2: No space left on device" in refused.stderr


@pytest.mark.parametrize(
    ("number", "settings", "said"),
    [
        (errno.EPERM, {"kernel/unprivileged_userns_clone": "0"}, "kernel.unprivileged_userns_clone=1"),
        (
            errno.EPERM,
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            errno.EACCES,
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (errno.ENOSPC, {"user/max_user_namespaces": "0"}, "user.max_user_namespaces=10000"),
        (errno.ENOSPC, {"user/max_user_namespaces": "9"}, "all are in use"),
        (errno.EINVAL, {}, "CONFIG_USER_NS"),
        (errno.EPERM, {}, "seccomp"),
    ],
)
def test_every_way_to_forbid_namespaces_has_its_own_advice(number, settings, said):
    found = reason(OSError(number, os.strerror(number)), lambda path: settings.get(path.removeprefix("/proc/sys/")))
    assert said in found
    assert "\n" not in found


@given(names=st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
def test_every_name_is_refused_or_is_a_file_name_of_its_own(names):
    nodes = [
        Node(name, (parse_address(f"192.168.8.{20 + index}"),), (parse_prefix(f"10.200.{index}.0/24"),))
        for index, name in enumerate(names)
    ]
    try:
        cluster = fitted(Cluster(tuple(nodes)))
    except LabError as error:
        assert str(error).isprintable()  # noqa: PT017  one line, whatever the name
        return
    found = namespaces(cluster)
    assert len(set(found)) == 2 * len(nodes) + 1
    for name in found:
        assert name not in {".", ".."}
        assert not set(name) & set("/\0 \n\t\"'\\#")
        assert len(name.encode()) < 256
