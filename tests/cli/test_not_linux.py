"""On a system that is not Linux a workstation's commands work, and all others say in one line that they need Linux.

``support.darwin`` models that system: it says what it takes from the interpreter, and why.
"""

import json
import re
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kubernetes.speaking import Say, Script, closed_port, node, page, serving
from podroutes.cli.parser import build_parser
from podroutes.persist import BACKENDS
from support import darwin

ROOT = Path(__file__).parents[2]
NODES = """\
nodes:
- {name: worker-0, internalIP: 192.168.8.20, podCIDR: 10.200.0.0/24, interface: ens18}
- {name: worker-1, internalIP: 192.168.8.21, podCIDR: 10.200.1.0/24, interface: ens18}
"""
# Modules that speak to a Linux kernel, all of them behind `require_linux`.
LINUX_ONLY = {
    "agent/sd_notify.py",
    "kernel/netlink.py",
    "kernel/listening.py",
    "lab/api/server.py",
    "lab/pinging.py",
    "lab/registry.py",
    "lab/stopwatch.py",
    "host/ping.py",
    "host/arp.py",
    "host/echo.py",
    "host/agent_lock.py",
}
INVENTORY = ["-i", "nodes.yaml"]
Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return darwin.environment(tmp_path_factory.mktemp("darwin"))


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Return a function that runs podroutes on macOS, in a directory with an inventory and tables."""
    (tmp_path / "nodes.yaml").write_text(NODES)
    _write_tables(tmp_path / "tables")

    def run(*words: str, status: int | None = 0, **more: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "podroutes", *words],
            env=environment | {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)} | more,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert status in (done.returncode, None), done.stdout + done.stderr
        return done

    return run


def _write_tables(directory: Path) -> None:
    """Write what ip(8) prints on two workers that have their routes."""
    for own, other in ((0, 1), (1, 0)):
        tables = directory / f"worker-{own}"
        tables.mkdir(parents=True)
        lan, pods = f"192.168.8.2{own}", f"10.200.{own}"
        up = {"flags": ["UP", "LOWER_UP"], "operstate": "UP"}
        links = [{"ifindex": place, "ifname": name, **up} for place, name in enumerate(("lo", "ens18", "cni0"), 1)]
        addresses = [
            {"ifindex": 2, "ifname": "ens18", "addr_info": [{"family": "inet", "local": lan, "prefixlen": 24}]},
            {"ifindex": 3, "ifname": "cni0", "addr_info": [{"family": "inet", "local": f"{pods}.1", "prefixlen": 24}]},
        ]
        routes = [
            {"dst": "192.168.8.0/24", "dev": "ens18", "protocol": "kernel", "scope": "link", "prefsrc": lan},
            {"dst": f"{pods}.0/24", "dev": "cni0", "protocol": "kernel", "scope": "link", "prefsrc": f"{pods}.1"},
            {"dst": f"10.200.{other}.0/24", "gateway": f"192.168.8.2{other}", "dev": "ens18", "protocol": "107"},
            *(
                {"type": "local", "dst": local, "dev": dev, "table": "local", "protocol": "kernel", "scope": "host"}
                for local, dev in ((lan, "ens18"), (f"{pods}.1", "cni0"))
            ),
        ]
        rules = [
            {"priority": priority, "src": "all", "table": table}
            for priority, table in ((0, "local"), (32766, "main"), (32767, "default"))
        ]
        for name, content in {"link": links, "addr": addresses, "route": routes, "rule": rules, "rule6": []}.items():
            (tables / f"{name}.json").write_text(json.dumps(content))
        (tables / "sysctl.json").write_text(
            json.dumps({"net.ipv4.ip_forward": 1, "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.cni0.rp_filter": 0})
        )


def _certify(directory: Path) -> None:
    """Make a certificate of its own authority, for the server on loopback and for its client."""
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=x -keyout key -out certificate"
    )
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *words.split(), *names], cwd=directory, check=True, capture_output=True)


def _tls(directory: Path) -> ssl.SSLContext:
    """Return a server that wants to see the certificate which it has itself."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(directory / "certificate", directory / "key")
    made.load_verify_locations(directory / "certificate")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def test_the_model_takes_away_what_it_says(environment: dict[str, str]):
    missing = darwin.missing()
    for module, names in darwin.MUST_GO.items():
        here = vars(__import__(module))
        assert {name for name in names if name in here} <= set(missing[module]), module
    asks = f"import importlib, os; print([(m, n) for m, names in {missing}.items() for n in names if hasattr(importlib.import_module(m), n)])"
    asks += "; print(os.path.exists('/proc/self'), os.path.exists('/sys'), os.uname().sysname)"
    done = subprocess.run([sys.executable, "-c", asks], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "False False Darwin"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["plan", "--all", *INVENTORY], 2, "+ 10.200.1.0/24 via 192.168.8.21 dev ens18"),
        (["plan", "--all", "-o", "json", *INVENTORY], 2, '"dst": "10.200.1.0/24"'),
        *((["render", name, "--node", "worker-0", *INVENTORY], 0, "podroutes") for name in BACKENDS),
        (["render", "ip", "--node", "worker-0", *INVENTORY], 0, "ip route add 10.200.1.0/24"),
        (["render", "netplan", "--all", "--directory", "out", *INVENTORY], 0, "out/worker-1/etc/netplan/"),
        (["verify", "--tables", "tables", *INVENTORY], 0, "proven"),
        (["verify", "--tables", "tables", "--html", "page.html", *INVENTORY], 0, "proven"),
        (["trace", "10.200.0.2", "10.200.1.2", "--tables", "tables", *INVENTORY], 0, "10.200.1.0/24"),
        (["lab", "demo"], 0, "a lab needs Linux, and this is macOS: run it in a Linux virtual machine"),
        (["lab", "demo"], 0, "proven: 3 nodes, 3 pod CIDRs, 6 pairs"),
        (["--version"], 0, "podroutes"),
        (["version"], 0, "podroutes"),
        (["help", "plan"], 0, "podroutes plan"),
        (["config"], 0, ""),
        *((["completion", shell], 0, "podroutes") for shell in ("bash", "zsh", "fish")),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_a_workstation_does_works(run: Run, words: list[str], status: int, said: str):
    assert said in run(*words, status=status).stdout


@pytest.mark.parametrize(
    "words", ["plan --all", "render ip --node a", "verify --tables tables", "trace a b --tables tables"]
)
def test_nodes_come_from_a_cluster_as_well(run: Run, tmp_path: Path, words: str):
    """With a client's certificate, too, which OpenSSL wants to read from a file."""
    tables = tmp_path / "tables"
    for own, name in (("worker-0", "a"), ("worker-1", "b")):
        (tables / own).rename(tables / name)
    _certify(tmp_path)
    nodes = page(node("a", "10.200.0.0/24", "192.168.8.20"), node("b", "10.200.1.0/24", "192.168.8.21"))
    with serving(Script(Say(body=nodes)), _tls(tmp_path)) as script:
        cluster = {"server": script.url, "certificate-authority": "certificate"}
        user = {"client-certificate": "certificate", "client-key": "key"}
        (tmp_path / "config").write_text(json.dumps({
            "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x",
        }))  # fmt: skip
        more = () if "verify" in words or "trace" in words else ("--interface", "ens18")
        status = 2 if words.startswith("plan") else 0
        run(*words.split(), "--kubernetes", "--kubeconfig", "config", *more, status=status)
    assert list(tmp_path.glob("podroutes-*")) == []  # the key does not stay


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["plan", *INVENTORY], "`podroutes plan --all`"),
        (["apply", *INVENTORY], "`podroutes push apply`"),
        (["show", *INVENTORY], "`podroutes push plan`"),
        (["remove"], "`podroutes push remove`"),
        (["agent", *INVENTORY], "`podroutes push apply`"),
        (["confirm"], "on the node"),
        (["doctor"], "`podroutes push verify`"),
        (["verify", *INVENTORY], "--tables"),
        (["verify", "--probe", *INVENTORY], "`podroutes push verify`"),
        (["verify", "--lab"], "--tables"),
        (["trace", "10.200.0.2", "10.200.1.2", *INVENTORY], "--tables"),
        (["lab", "up"], "`podroutes lab demo`"),
        (["lab", "status"], "Linux virtual machine"),
        (["lab", "down", "--all"], "Linux virtual machine"),
        (["lab", "exec", "worker-0", "--", "ls"], "Linux virtual machine"),
        (["lab", "ping"], "Linux virtual machine"),
        (["lab", "inventory"], "Linux virtual machine"),
        (["lab", "kubeconfig"], "Linux virtual machine"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_needs_linux_says_so_in_one_line_and_what_does_instead(run: Run, words: list[str], instead: str):
    done = run(*words, status=1)
    assert re.fullmatch(r"podroutes: .* needs Linux, and this is macOS: .*\n", done.stderr)
    assert instead in done.stderr
    assert done.stdout == ""


def test_status_asks_an_agent_wherever_it_is(run: Run):
    assert "no agent answers on 127.0.0.1:" in run("status", "--listen", f"127.0.0.1:{closed_port()}", status=1).stderr


def test_every_command_explains_itself_and_none_ends_in_a_traceback(run: Run):
    commands = next(action for action in build_parser()._actions if action.choices).choices
    for name in commands:
        assert f"podroutes {name}" in run(name, "--help").stdout
        run(name, status=None)


def test_only_modules_that_need_linux_use_what_linux_has(tmp_path: Path):
    """As a type checker sees it that is told of the other platform."""
    words = ["-m", "mypy", "--platform", "darwin", "--cache-dir", str(tmp_path), "--no-error-summary", "src"]
    checked = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    errors = [
        re.fullmatch(r"src/podroutes/(\S+):\d+: error: .*\[(\S+)\]", line) for line in checked.stdout.splitlines()
    ]
    assert None not in errors, checked.stdout + checked.stderr
    assert {(error[1], error[2]) for error in errors if error} == {(name, "attr-defined") for name in LINUX_ONLY}
