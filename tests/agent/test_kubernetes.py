"""An agent of a cluster whose API server does what API servers do: whatever that is, it ends in sync and no route is lost meanwhile."""

import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from agent.conftest import Agent, kill, until
from podroutes.kernel.watch import KernelWatch
from podroutes.lab.api.faults import KINDS, Fault
from podroutes.lab.api.message import Request
from podroutes.lab.api.server import Server
from podroutes.lab.api.service import NodeApi

R1, R2, R3 = (f"10.200.{i}.0/24 via 192.168.8.2{i}" for i in (1, 2, 3))


def document(number, last=None, pods=None):
    """Return worker-NUMBER as a Node."""
    address = {"type": "InternalIP", "address": f"192.168.8.{20 + number if last is None else last}"}
    cidr = f"10.200.{number if pods is None else pods}.0/24"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"worker-{number}"},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        "status": {"addresses": [address]},
    }


# An agent that waits for milliseconds where others wait for seconds before they ask again.
IMPATIENT = """
import sys
from pathlib import Path
from podroutes.cli import main
from podroutes.kubernetes import client, reflector
reflector._FIRST, reflector._LONGEST, reflector._LONGEST_SMALL = 0.001, 0.02, 0.02
reflector._SPREAD_SMALL = reflector._SPREAD_LARGE = 0.02
reflector.Reflector._fail.__defaults__ = (0.0, 0.02)
if "hasty" in sys.argv[1]:
    from podroutes.plan import held_deletions as hold
    hold.AGAIN = 0.2
sys.exit(main(sys.argv[2:]))
"""


class Cluster:
    """Nodes behind an API server that can be stopped, started and made to fail."""

    def __init__(self):
        self.api = NodeApi()
        # While it is stopped no client may be given its port by connect(2): it is none of net.ipv4.ip_local_port_range.
        self.server = Server(self.api, ("127.0.0.1", 6443))
        self.server.start()

    def ask(self, verb, path, body=None, kind="application/json"):
        """Do what a client may do, faults aside."""
        data = json.dumps(body).encode() if body is not None else b""
        answer = self.api.answer(Request(verb, f"/api/v1/nodes{path}", {}, {"content-type": kind}, data))
        assert answer.status < 300, b"".join(answer.pieces)

    def join(self, number, **where):
        """Create worker-NUMBER."""
        self.api.add(document(number, **where))

    def leave(self, number):
        """Delete worker-NUMBER."""
        self.ask("DELETE", f"/worker-{number}")

    def move(self, number, last):
        """Give worker-NUMBER the address that ends in LAST."""
        patch = {"status": document(number, last)["status"]}
        self.ask("PATCH", f"/worker-{number}/status", patch, "application/merge-patch+json")

    def beat(self, number, count):
        """Write the status of worker-NUMBER COUNT times, as a kubelet does, with nothing new in it."""
        for beat in range(count):
            heartbeat = {
                "type": "Ready",
                "status": "True",
                "lastHeartbeatTime": f"2026-01-01T00:{beat // 60:02}:{beat % 60:02}Z",
            }
            patch = {"status": {"conditions": [heartbeat]}}
            self.ask("PATCH", f"/worker-{number}/status", patch, "application/merge-patch+json")

    def begin_anew(self):
        """Lose everything but the address: an etcd set back to the beginning."""
        self.server.stop()
        self.api = NodeApi()
        self.server = Server(self.api, self.server.address)


@pytest.fixture
def api(worker):
    made = Cluster()
    for number in (0, 1, 2):
        made.join(number)
    yield made
    made.api.faults.clear()
    made.server.stop()


@pytest.fixture
def begin(api, tmp_path):
    """Start an agent of that cluster."""
    started = []
    config = tmp_path / "kubeconfig"
    cluster = {"name": "lab", "cluster": {"server": api.server.url}}
    context = {"name": "lab", "context": {"cluster": "lab", "user": ""}}
    config.write_text(json.dumps({"clusters": [cluster], "contexts": [context], "current-context": "lab"}))

    def start(*options, impatience="seldom"):
        command = [sys.executable, "-c", IMPATIENT, impatience, "agent", "--kubernetes", "--kubeconfig", str(config)]
        command += ["--node", "worker-0", "--state-dir", str(tmp_path / "state"), "--log", "json", *options]
        log = tmp_path / "agent.log"
        output = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        actions = [output, (os.POSIX_SPAWN_DUP2, 1, 2)]
        started.append(Agent(os.posix_spawn(command[0], command, os.environ, file_actions=actions), log))
        return started[-1]

    yield start
    kill(started)


@pytest.fixture
def never_deleted(worker):
    """Listen to the kernel; in the end, no route of ours was ever deleted, not even for a moment."""
    with KernelWatch(0) as watch:
        yield
        heard = watch.read({worker.index("ens18"): "ens18"})
    assert heard.deleted == ()
    assert heard.foreign_changes, "the agent's own routes were announced, so that a deletion would have been"


def test_nodes_join_move_and_leave(begin, api, routes):
    agent = begin().ready()
    assert routes() == [R1, R2]
    api.join(3)
    until(lambda: routes() == [R1, R2, R3])
    api.move(3, 93)
    until(lambda: routes() == [R1, R2, "10.200.3.0/24 via 192.168.8.93"])
    api.leave(3)
    until(lambda: routes() == [R1, R2])
    assert agent.status()["source"]["lists"] == 1


def test_heartbeats_that_change_nothing_lead_to_nothing(begin, api):
    agent = begin().ready()
    passes = agent.status()["counters"]["passes"]
    api.beat(1, 300)
    api.join(3)
    until(lambda: agent.status()["source"]["changes"] == 1)
    assert agent.status()["source"]["heartbeats"] == 300
    assert set(agent.status()["counters"]["passes"]) == set(passes), "the one pass is that of the node that joined"


def test_counters_are_those_of_now(begin, api):
    """Nothing else happens that would be reported, and the next bookmark is a minute away."""
    agent = begin().ready()
    api.beat(1, 300)
    until(lambda: agent.status()["source"]["heartbeats"] == 300)


def test_a_name_that_is_used_again_is_the_new_node(begin, api, routes):
    begin().ready()
    api.leave(1)
    api.join(1, last=99)
    until(lambda: routes() == ["10.200.1.0/24 via 192.168.8.99", R2])


@pytest.mark.usefixtures("never_deleted")
def test_the_api_may_be_down_at_any_time(begin, api, routes):
    begin().ready()
    for number in range(3, 6):
        api.server.stop()
        api.join(number)
        api.server.start()
        until(lambda number=number: f"10.200.{number}.0/24 via 192.168.8.{20 + number}" in routes())
    assert len(routes()) == 5


@pytest.mark.usefixtures("never_deleted")
def test_an_api_that_was_down_at_the_start_is_waited_for(begin, api, routes):
    api.server.stop()
    agent = begin()
    until(lambda: agent.status().get("source", {}).get("error"))
    assert agent.ask("/readyz")[0] == 503
    api.server.start()
    agent.ready()
    assert routes() == [R1, R2]


def test_routes_come_from_the_last_good_state_while_the_api_is_down(begin, api, routes, worker, tmp_path):
    agent = begin().ready()
    until((tmp_path / "state" / "nodes.yaml").exists)
    agent.end()
    worker.flush("proto 107")
    api.server.stop()
    begin()
    until(lambda: routes() == [R1, R2])


FAULTS = [
    *(
        Fault(kind=kind, verb=verb, count=2)
        for kind in sorted(set(KINDS) - {"stall", "status", "empty"})
        for verb in ("watch", "list")
    ),
    *(Fault(kind=kind, verb="watch", count=2, after=after) for kind in ("cut", "truncate") for after in (1, 100, 1000)),
    *(Fault(kind="status", status=status, count=3) for status in (400, 401, 403, 404, 410, 422, 429, 500, 503, 504)),
    Fault(kind="gone", count=8),
]


@pytest.mark.usefixtures("never_deleted")
@pytest.mark.parametrize(
    "fault", FAULTS, ids=lambda fault: f"{fault.kind}-{fault.verb}-{fault.status}-{fault.after}-{fault.count}"
)
def test_no_fault_loses_a_route_and_all_are_overcome(begin, api, routes, fault):
    """At the start and in the middle; half a line as the last word as well."""
    api.api.faults.add(fault)
    begin("--listen", "none")
    until(lambda: routes() == [R1, R2])
    api.api.faults.add(fault)
    api.api.hang_up(b'{"type":"ADDED","object":{"kind":"No')
    api.join(3)
    until(lambda: routes() == [R1, R2, R3])


@pytest.mark.usefixtures("never_deleted")
def test_an_empty_answer_is_not_no_nodes(begin, api, routes):
    agent = begin().ready()
    for verb in ("watch", "list"):
        api.api.faults.add(Fault(kind="empty", verb=verb))
    os.kill(agent.pid, signal.SIGHUP)
    until(lambda: agent.status()["hold"])
    assert routes() == [R1, R2]


@pytest.mark.usefixtures("never_deleted")
def test_an_api_that_begins_anew_is_listed_anew(begin, api, routes):
    """What it knew lies in the future of such a server, which says so when it is asked on reconnecting."""
    agent = begin().ready()
    api.beat(1, 50)
    api.begin_anew()
    for number in (0, 1, 2, 3):
        api.join(number)
    api.server.start()
    until(lambda: routes() == [R1, R2, R3])
    assert agent.status()["source"]["lists"] >= 2


def test_nodes_that_are_all_deleted_are_held_and_go_loudly_when_none_returns(begin, api, routes):
    """What `kubectl delete node --all` does, with a short minute."""
    for number in range(3, 7):
        api.join(number)
    agent = begin(impatience="hasty").ready()
    for number in range(7):
        api.leave(number)
    until(lambda: agent.events("deletion held"))
    until(lambda: routes() == [])
    until(lambda: agent.status()["hold"] is None)
    assert agent.status()["released"]["reason"] == "watched"
    assert {each["level"] for each in agent.events("mass deletion")} == {"warning"}


def test_a_restored_backup_takes_no_route_however_long_it_lasts(begin, api, routes):
    """Nodes that joined since are unknown to it; its versions are older, which is what tells."""
    for number in range(3, 9):
        api.join(number)
    api.beat(1, 50)
    agent = begin(impatience="hasty").ready()
    everything = routes()
    api.begin_anew()
    for number in (0, 1, 2):
        api.join(number)
    api.server.start()
    held = until(lambda: agent.status()["hold"])
    assert (held["routes"], held["until"]) == (6, None)
    for _ in range(3):
        before = agent.status()["source"]["lists"]
        os.kill(agent.pid, signal.SIGHUP)
        until(lambda before=before: agent.status()["source"]["lists"] > before)
    assert routes() == everything
    for number in range(3, 9):
        api.join(number)
    until(lambda: agent.status()["hold"] is None)
    assert (routes(), agent.status()["released"]) == (everything, None)


def told(api, path):
    answer = api.api.answer(Request("GET", path, {}, {}, b""))
    return json.loads(b"".join(answer.pieces))


def condition(api):
    """Return what worker-0 says about its network."""
    found = told(api, "/api/v1/nodes/worker-0")["status"].get("conditions", [])
    return [(each["status"], each["reason"]) for each in found if each["type"] == "NetworkUnavailable"]


def test_a_cluster_that_wants_to_know_is_told(begin, api, worker):
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")  # of the worker's namespace
    agent = begin("--events", "--set-condition").ready()
    until(lambda: condition(api) == [("False", "PodroutesInSync")])
    worker.ip("link set ens18 down")
    until(lambda: condition(api) == [("True", "PodroutesOutOfSync")])
    api.join(9, pods=0)  # our own podCIDR
    api.join(8, pods=7)
    api.join(7)  # the two fight over one, which the older has, and that is not ours to tell
    until(lambda: {each["code"] for each in agent.status()["problems"]} == {"link-down", "duplicate-pod-cidr"})

    def events():
        found = told(api, "/api/v1/namespaces/default/events")["items"]
        return sorted((each["involvedObject"]["name"], each["reason"], each["message"].split(":")[0]) for each in found)

    until(lambda: len(events()) == 4)
    assert {(name, what) for name, what, _ in events()} == {("worker-0", "LinkDown"), ("worker-0", "DuplicatePodCidr")}
    worker.ip("link set ens18 up")
    until(lambda: condition(api) == [("False", "PodroutesInSync")])
    assert len(events()) == 4, "the same is not told again"


def test_the_condition_of_somebody_else_is_left_alone(begin, api):
    theirs = {"type": "NetworkUnavailable", "status": "True", "reason": "NoRouteCreated", "message": "cloud"}
    api.ask("PATCH", "/worker-0/status", {"status": {"conditions": [theirs]}}, "application/merge-patch+json")
    agent = begin("--set-condition").ready()
    until(lambda: agent.events("condition left alone"))
    assert condition(api) == [("True", "NoRouteCreated")]


def test_what_a_cluster_does_not_let_us_tell_stops_nothing(begin, api, routes):
    for verb in ("create", "patch"):
        api.api.faults.add(Fault(kind="status", verb=verb, status=403, count=1000))
    agent = begin("--events", "--set-condition").ready()
    until(lambda: agent.events("cluster not told"))
    api.join(3)
    until(lambda: routes() == [R1, R2, R3])


def test_chaos_ends_in_sync(begin, api, routes, worker):
    """Everything at once: churn, faults, an API that goes and comes, stolen routes, killed agents."""
    chance = random.Random(11)
    worker.ip("route add 172.16.0.0/12 via 192.168.8.2 proto bird")
    there = {1: 21, 2: 22}
    agent = begin("--allow-mass-delete")
    for _ in range(150):
        number = chance.randrange(1, 30)
        action = chance.choice("churn churn churn churn steal flap fault hang down kill".split())
        if action == "churn" and number not in there:
            there[number] = chance.choice([20, 120]) + number
            api.join(number, last=there[number])
        elif action == "churn":
            api.leave(number)
            del there[number]
        elif action == "steal":
            worker.flush("proto 107")
        elif action == "flap":
            worker.ip("link set ens18 down", "link set ens18 up")
        elif action == "fault":
            api.api.faults.add(chance.choice([fault for fault in FAULTS if fault.verb]))
        elif action == "hang":
            api.api.hang_up(b'{"type":' * chance.randrange(2))
        elif action == "down":
            api.server.stop()
            api.server.start()
        else:
            agent.end(signal.SIGKILL)
            agent = begin("--allow-mass-delete")
    wanted = sorted(f"10.200.{number}.0/24 via 192.168.8.{last}" for number, last in there.items())
    until(lambda: sorted(routes()) == wanted, f"{sorted(routes())} {wanted}")
    until(lambda: agent.status().get("ready"))
