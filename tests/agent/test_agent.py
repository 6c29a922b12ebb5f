"""An agent on a real kernel: whatever happens to nodes, links, routes, disk and process, it ends in sync and touches nothing else."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest

from agent.conftest import until
from podroutes.agent import endpoint, service
from podroutes.host import agent_lock
from podroutes.host.machine_lock import locked
from podroutes.kernel.watch import KernelWatch
from podroutes.plan import held_deletions
from support.users import others

OWN = "worker-0 192.168.8.20 10.200.0.0/24"
ONE, TWO, THREE = (f"worker-{i} 192.168.8.2{i} 10.200.{i}.0/24" for i in (1, 2, 3))
R1, R2, R3 = (f"10.200.{i}.0/24 via 192.168.8.2{i}" for i in (1, 2, 3))


@pytest.fixture
def bystanders(worker):
    """Routes of other people; whatever happened, they are there in the end."""
    worker.ip(
        "route add default via 192.168.8.1 proto static",
        "route add 172.16.0.0/12 via 192.168.8.2 proto bird",
        "route add 10.201.0.0/16 via 192.168.8.3 proto 80 metric 7",
        "route add 10.200.77.0/24 via 192.168.8.4 table 77 proto 107",  # ours by number, but in a table that is not
    )

    def others():
        return sorted(
            line
            for line in worker.show("route show table all")
            if ("proto 107" not in line or "table 77" in line)
            and "ff00::/8" not in line  # comes when a link is up at last
        )

    until(lambda: "local fd00::20 " in "".join(others()))  # comes when the carrier has been noticed
    before = others()
    yield
    assert others() == before


@pytest.mark.usefixtures("bystanders")
def test_nodes_come_go_and_move(start, nodes, routes):
    nodes(OWN, ONE)
    start().ready()
    assert routes() == [R1]
    nodes(OWN, ONE, TWO)
    until(lambda: routes() == [R1, R2])
    nodes(OWN, "worker-1 192.168.8.99 10.200.1.0/24", TWO)
    until(lambda: routes() == ["10.200.1.0/24 via 192.168.8.99", R2])
    nodes(OWN, TWO)
    until(lambda: routes() == [R2])


@pytest.mark.usefixtures("bystanders")
def test_what_is_deleted_or_altered_is_put_right(start, nodes, routes, worker):
    nodes(OWN, ONE, TWO)
    agent = start().ready()
    worker.ip("route del 10.200.1.0/24")
    until(lambda: routes() == [R1, R2])
    worker.ip("route replace 10.200.2.0/24 via 192.168.8.66 proto 107")
    until(lambda: routes() == [R1, R2])
    worker.ip("route add 10.200.9.0/24 via 192.168.8.66 proto 107")
    until(lambda: routes() == [R1, R2])
    worker.flush("proto 107")
    until(lambda: routes() == [R1, R2])
    assert agent.status()["counters"]["healed"] >= 3


def test_a_route_is_back_before_the_whole_is_compared(start, nodes, worker):
    """Between the deletion and the return nothing else is asked of the kernel: no pass begins, as that would be counted."""
    nodes(OWN, ONE, TWO)
    agent = start().ready()
    passes = agent.status()["counters"]["passes"].get("kernel", 0)
    with KernelWatch(0) as watch:
        worker.ip("route del 10.200.1.0/24")
        until(lambda: watch.read({}).added)
    assert agent.status()["counters"]["passes"].get("kernel", 0) == passes


def test_a_hundred_link_flaps(start, nodes, routes, worker):
    worker.ip("route add blackhole 172.16.0.0/12 proto bird")
    nodes(OWN, ONE, TWO)
    agent = start().ready()
    for _ in range(100):
        worker.ip("link set ens18 down", "link set ens18 up")
    until(lambda: routes() == [R1, R2])
    until(lambda: agent.status()["problems"] == [])
    assert worker.show("route show proto bird") == ["blackhole 172.16.0.0/12"]


def test_an_address_that_goes_takes_routes_without_a_word_and_they_come_back(start, nodes, routes, worker):
    nodes(OWN, ONE)
    agent = start().ready()
    worker.ip("addr del 192.168.8.20/24 dev ens18")
    until(lambda: [each["code"] for each in agent.status()["problems"]] == ["next-hop-off-link"])
    assert routes() == []
    worker.ip("addr add 192.168.8.20/24 dev ens18")
    until(lambda: routes() == [R1])


def test_a_lost_carrier_is_no_reason_to_touch_anything(start, nodes, worker, routes):
    nodes(OWN, ONE)
    agent = start().ready()
    changes = agent.status()["counters"]["changes"]
    worker.ip("link set wire down")
    until(lambda: [each["code"] for each in agent.status()["problems"]] == ["link-down"])
    worker.ip("link set wire up")
    until(lambda: agent.status()["problems"] == [])
    assert agent.status()["counters"]["changes"] == changes
    assert routes() == [R1]


@pytest.mark.usefixtures("bystanders")
def test_a_rival_that_takes_our_prefix_keeps_it_until_it_leaves(start, nodes, routes, worker):
    nodes(OWN, ONE, TWO)
    agent = start().ready()
    worker.ip("route replace 10.200.1.0/24 via 192.168.8.50 proto bird")
    until(lambda: [each["code"] for each in agent.status()["problems"]] == ["foreign-route"])
    assert routes() == [R2]
    worker.ip("route del 10.200.1.0/24 proto bird")
    until(lambda: routes() == [R1, R2])


@pytest.mark.usefixtures("bystanders")
def test_a_rival_that_deletes_again_and_again_is_not_fought(start, nodes, routes, worker):
    nodes(OWN, ONE, TWO)
    agent = start().ready()
    for _ in range(3):
        until(lambda: routes() == [R1, R2])
        worker.ip("route del 10.200.1.0/24")
    contested = until(lambda: agent.status()["contested"])
    assert [(each["dst"], each["losses"]) for each in contested] == [("10.200.1.0/24", 3)]
    until(lambda: agent.events("route contested"))
    until(lambda: routes() == [R1, R2], "it is put back, only later")


@pytest.mark.usefixtures("bystanders")
def test_a_broken_edit_leaves_the_last_good_one_in_force(start, nodes, routes, tmp_path):
    nodes(OWN, ONE)
    agent = start().ready()
    (tmp_path / "nodes.json").write_text('{"nodes": [{"name": "worker-0", "inter')
    until(lambda: not agent.status()["source"]["connected"])
    assert routes() == [R1]
    (tmp_path / "nodes.json").unlink()
    until(lambda: "No such file" in (agent.status()["source"]["error"] or ""))
    assert routes() == [R1]
    nodes(OWN, ONE, TWO)
    until(lambda: routes() == [R1, R2])
    until(lambda: [each["level"] for each in agent.events("source lost")] == ["warning"])


@pytest.mark.usefixtures("bystanders")
def test_routes_outlive_the_agent_and_come_from_its_state_before_the_source_answers(
    start, nodes, routes, worker, tmp_path
):
    nodes(OWN, ONE, TWO)
    agent = start().ready()
    until((tmp_path / "state" / "nodes.yaml").exists)
    assert agent.end() == 0
    assert routes() == [R1, R2]
    (tmp_path / "nodes.json").unlink()
    worker.flush("proto 107")
    agent = start()
    until(lambda: routes() == [R1, R2])
    assert agent.ask("/readyz")[0] == 503
    assert agent.ask("/livez") == (200, "ok\n")
    nodes(OWN, TWO)
    agent.ready()
    until(lambda: routes() == [R2])


def test_a_damaged_state_is_told_and_not_used(start, nodes, routes, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "nodes.yaml").write_text("# half a st")
    nodes(OWN, ONE)
    agent = start().ready()
    assert routes() == [R1]
    until(lambda: agent.events("state not used"))
    assert "damaged" in agent.events("state not used")[0]["error"]


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_state_directory_that_cannot_be_written_stops_nothing(start, nodes, routes, tmp_path, trouble):
    state = tmp_path / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", state], check=True)
    try:
        if trouble == "full":
            (state / "ballast").write_bytes(bytes(4096))
        else:
            subprocess.run(["mount", "-o", "remount,bind,ro", state], check=True)
        nodes(OWN, ONE)
        agent = start().ready()
        error = until(lambda: agent.status()["state_error"])
        assert ("No space left" if trouble == "full" else "Read-only") in error
        nodes(OWN, ONE, TWO)
        until(lambda: routes() == [R1, R2])
        agent.end()
    finally:
        subprocess.run(["umount", state], check=True)


@pytest.mark.usefixtures("bystanders")
def test_killed_two_hundred_times_in_the_middle_of_things_it_ends_in_sync(start, nodes, routes, worker):
    chance = random.Random(7)
    everybody = [f"n{i} 192.168.8.{100 + i} 10.200.{100 + i}.0/24" for i in range(20)]
    for _ in range(200):
        nodes(OWN, *(each for each in everybody if chance.random() < 0.8))
        agent = start("--listen", "none", "--allow-mass-delete")
        if chance.random() < 0.5:
            worker.flush("root 10.200.96.0/19 proto 107")
        signal.sigtimedwait([], chance.random() * 0.03)
        agent.end(signal.SIGKILL)
    nodes(OWN, ONE, TWO)
    start("--allow-mass-delete").ready()
    until(lambda: routes() == [R1, R2])


@pytest.mark.usefixtures("bystanders")
def test_a_wall_clock_that_jumps_changes_nothing(start, nodes, routes, worker):
    def jumping():
        chance = random.Random(3)
        time.time = lambda: chance.uniform(0, 4e9)

    nodes(OWN, ONE, TWO)
    agent = start(prepare=jumping).ready()
    for _ in range(2):
        worker.ip("route del 10.200.1.0/24")
        until(lambda: routes() == [R1, R2])
    nodes(OWN, TWO)
    until(lambda: routes() == [R2])
    assert agent.ask("/livez") == (200, "ok\n")


def test_many_deletions_are_held_and_told(start, nodes, routes):
    many = [f"n{i} 192.168.8.{100 + i} 10.200.{100 + i}.0/24" for i in range(9)]
    nodes(OWN, *many)
    agent = start().ready()
    nodes(OWN, *many[:2], THREE)
    held = until(lambda: agent.status()["hold"])
    assert (held["routes"], held["nodes"], held["until"]) == (7, [f"n{i}" for i in range(2, 9)], None)
    assert len(routes()) == 10, "what is new is there, what would go is held"
    (line,) = until(lambda: agent.events("deletion held"))
    assert (line["routes"], line["digest"]) == (7, held["digest"])
    assert f"podroutes confirm {held['digest']}" in podroutes("status").stdout


def test_what_went_before_a_restart_counts_after_it(start, nodes, routes):
    many = [f"n{i} 192.168.8.{100 + i} 10.200.{100 + i}.0/24" for i in range(9)]
    nodes(OWN, *many)
    agent = start().ready()
    nodes(OWN, *many[:6])
    until(lambda: len(routes()) == 6)
    agent.end()
    nodes(OWN, *many[:5])
    agent = start().ready()
    assert len(routes()) == 6
    assert agent.status()["hold"]["nodes"] == ["n5"]


def test_a_file_that_is_written_again_and_a_signal_confirm_nothing(start, nodes, routes):
    def a_short_minute():
        held_deletions.AGAIN = 0.01

    many = [f"n{i} 192.168.8.{100 + i} 10.200.{100 + i}.0/24" for i in range(9)]
    nodes(OWN, *many)
    agent = start(prepare=a_short_minute).ready()
    nodes(OWN, many[0])
    until(lambda: agent.status()["hold"])
    for _ in range(2):
        before = agent.status()["source"]["lists"]
        nodes(OWN, many[0])
        until(lambda before=before: agent.status()["source"]["lists"] > before)
        before = agent.status()["counters"]["passes"].get("asked", 0)
        os.kill(agent.pid, signal.SIGHUP)
        until(lambda before=before: agent.status()["counters"]["passes"].get("asked", 0) > before)
    assert len(routes()) == 9
    nodes(OWN, *many)
    until(lambda: agent.status()["hold"] is None)
    until(lambda: agent.events("hold ended"))


def test_root_confirms_what_is_held(start, nodes, routes):
    nodes(OWN, *(f"n{i} 192.168.8.{100 + i} 10.200.{100 + i}.0/24" for i in range(9)))
    agent = start().ready()
    done = podroutes("confirm")
    assert (done.returncode, done.stderr) == (1, "podroutes: nothing is held\n")
    nodes(OWN, ONE)
    held = until(lambda: agent.status()["hold"])
    done = podroutes("confirm", "0123456789ab")
    assert (done.returncode, len(routes())) == (1, 10)
    assert done.stderr == (
        f"podroutes: what is held is {held['digest']}, and not 0123456789ab: look again (`podroutes status`)\n"
    )
    done = podroutes("confirm", held["digest"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"9 routes of n0, n1, n2, n3, n4, … (9 in all) ({held['digest']}) deleted now\n"
    until(lambda: routes() == [R1])
    until(lambda: agent.status()["hold"] is None)
    assert agent.status()["released"]["reason"] == "confirmed"
    assert agent.status()["counters"]["releases"] == {"confirmed": 9}
    (line,) = until(lambda: agent.events("mass deletion"))
    assert (line["routes"], line["reason"]) == (9, "confirmed")


@pytest.mark.parametrize("dropped", [["--reuid=65534"], ["--bounding-set=-net_admin", "--inh-caps=-net_admin"]])
def test_nobody_else_confirms_anything(start, nodes, routes, dropped, readable, python):
    if "--reuid=65534" in dropped and (why := others()):
        pytest.skip(why)
    nodes(OWN, *(f"n{i} 192.168.8.{100 + i} 10.200.{100 + i}.0/24" for i in range(9)))
    agent = start().ready()
    nodes(OWN, ONE)
    until(lambda: agent.status()["hold"])
    program = "from podroutes.agent.control import confirm; print(confirm(''))"
    words = ["setpriv", *dropped, python, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(readable)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd="/")
    assert (done.returncode, len(routes())) == (1, 10)
    assert "only root may do that" in done.stderr


@pytest.mark.usefixtures("worker")
def test_where_no_agent_is_there_is_nothing_to_confirm():
    done = podroutes("confirm")
    assert (done.returncode, done.stderr) == (1, "podroutes: no agent runs here: start one with `podroutes agent`\n")


def test_announcements_that_were_lost_are_made_up_for(start, nodes, routes, worker):
    """While it is stopped, more happens than its socket can hold."""
    nodes(OWN, ONE, TWO)
    agent = start().ready()
    os.kill(agent.pid, signal.SIGSTOP)
    worker.ip(
        *("route add 10.66.0.0/16 via 192.168.8.9 proto bird", "route del 10.66.0.0/16") * 12000,
        "route del 10.200.1.0/24",
    )
    os.kill(agent.pid, signal.SIGCONT)
    until(lambda: routes() == [R1, R2])
    assert agent.status()["counters"]["overflows"] >= 1


def test_it_tells_its_supervisor_how_it_is(start, nodes, notified, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    nodes(OWN, ONE)
    agent = start()
    told = []
    while "WATCHDOG=1" not in told or "STATUS=1 of 1 routes installed" not in told:
        told += notified.recv(4096).decode().splitlines()
    assert told[0] == "READY=1"
    agent.end()
    while told[-1] != "STOPPING=1":
        told += notified.recv(4096).decode().splitlines()


def test_a_signal_has_it_look_again(start, nodes, notified):
    nodes(OWN, ONE)
    agent = start().ready()
    before = agent.status()["source"]["lists"]
    os.kill(agent.pid, signal.SIGHUP)
    until(lambda: agent.status()["source"]["lists"] == before + 1)
    until(lambda: agent.status()["counters"]["passes"].get("asked"))


def complaint(tmp_path):
    """Return what an agent that did not start said."""
    (line,) = [line for line in (tmp_path / "agent.log").read_text().splitlines() if line.startswith("podroutes: ")]
    return line.removeprefix("podroutes: ")


def test_there_are_never_two_agents(start, nodes, tmp_path):
    nodes(OWN, ONE)
    first = start().ready()
    assert start("--listen", "none").ended() == 1
    said = f"an agent (process {first.pid}) keeps the routes of this machine already: `podroutes status` asks it"
    assert complaint(tmp_path) == said


def test_connections_of_others_keep_nobody_from_the_agent(start, nodes, tmp_path):
    """Any user of the machine may connect to the socket, and say nothing."""
    nodes(OWN, ONE)
    first = start().ready()
    with ExitStack() as stack:
        for _ in range(300):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(agent_lock._NAME)  # waits where nobody takes connections
        done = podroutes("confirm")
        assert done.stderr == "podroutes: nothing is held\n"
        assert start("--listen", "none").ended() == 1
    assert f"an agent (process {first.pid})" in complaint(tmp_path)


@pytest.mark.parametrize("name", ["nodes.yaml", "routes.json", "deleted.json"])
def test_what_stands_in_the_place_of_the_state_is_not_waited_for(start, nodes, routes, tmp_path, name):
    (tmp_path / "state").mkdir()
    os.mkfifo(tmp_path / "state" / name)
    nodes(OWN, ONE)
    agent = start().ready()
    assert routes() == [R1]
    until(lambda: f"{name}: cannot be read: Not a regular file" in agent.events("state not used")[0]["error"])
    assert agent.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_it_loads_ends_it_in_good_order_or_not_at_all(number):
    """The package of the agent is replaced by a signal."""
    program = (
        "import os, signal, sys\n"
        "sys.argv[1:] = ['agent', '--resync', '0']\n"
        "sys.meta_path.insert(0, type('Finder', (), {'find_spec': staticmethod(lambda name, *_:"
        f" os.kill(os.getpid(), {int(number)}) if name == 'podroutes.cli.parser' else None)}}))\n"
        "from podroutes.cli import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == (1 if number == signal.SIGHUP else 0)
    assert ("wanted a number of seconds" in done.stderr) == (number == signal.SIGHUP)


def test_an_address_that_is_taken_is_told_and_the_routes_are_kept(start, nodes, routes):
    def hurry():
        endpoint._RETRY = 0.01
        stranger.close()  # the copy of the fork

    nodes(OWN, ONE)
    with socket.create_server(("127.0.0.1", 9107)) as stranger:
        agent = start(prepare=hurry)
        until(lambda: routes() == [R1])
        (line,) = until(lambda: agent.events("endpoint unavailable"))
        assert line["error"].startswith("--listen 127.0.0.1:9107: Address already in use; ")
    agent.ready()
    until(lambda: agent.events("endpoint available"))
    assert agent.status()["listen_error"] is None


def test_nothing_is_removed_while_an_agent_would_put_it_back(start, nodes, routes):
    nodes(OWN, ONE)
    agent = start().ready()
    done = podroutes("remove")
    assert done.returncode == 1
    assert f"an agent (process {agent.pid}) is running here and would put the routes back: stop it first" in done.stderr
    assert routes() == [R1]
    agent.end()
    assert podroutes("remove").returncode == 0
    assert routes() == []


def podroutes(*words):
    return subprocess.run([sys.executable, "-m", "podroutes", *words], capture_output=True, text=True, check=False)


def test_status_asks_it_for_a_person(start, nodes, worker):
    nodes(OWN, ONE)
    start().ready()
    done = podroutes("status")
    assert (done.returncode, done.stdout.splitlines()[0], done.stderr) == (0, "worker-0  in sync", "")
    worker.ip("link set ens18 down")
    done = until(lambda: (found := podroutes("status")).returncode == 2 and found)
    assert "link-down" in done.stdout


@pytest.mark.usefixtures("worker")
def test_where_no_agent_is_status_says_so_in_one_line():
    done = podroutes("status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("podroutes: no agent answers on 127.0.0.1:9107: Connection refused; start one with")
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\n\r\nhello", b"HTTP/1.1 200 OK\r\n\r\n{}", b""]
)
def test_a_stranger_in_the_agents_place_is_told_in_plain_words(answer):
    with socket.create_server(("127.0.0.1", 9107)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        done = podroutes("status")
        thread.join()
    complaint = "podroutes: what answers on 127.0.0.1:9107 is not a podroutes agent: name its address with --listen\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", complaint)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--listen", "9107"], "wanted ADDRESS:PORT"),
        (["--resync", "0"], "wanted a number of seconds greater than 0"),
        (["--resync", "soon"], '--resync "soon": wanted a number'),
        (["--events"], "they go with --kubernetes"),
        (["--kubernetes"], "wanted one source of nodes, a file or a cluster"),
        (["-i", "-"], "standard input cannot be read twice"),
    ],
)
@pytest.mark.usefixtures("worker")
def test_what_cannot_be_is_one_line(options, complaint, tmp_path):
    done = podroutes("agent", "-i", str(tmp_path / "nodes.json"), "--state-dir", str(tmp_path / "state"), *options)
    assert done.returncode == 1
    assert complaint in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_loop_ends_it_in_good_order(start, nodes, number):
    claim = service.agent_lock.claim

    def interrupted():
        service.agent_lock.claim = lambda: os.kill(os.getpid(), number) or claim()

    nodes(OWN, ONE)
    assert start(prepare=interrupted).ended() == 0


def test_a_request_to_look_again_before_the_loop_ends_nothing(start, nodes):
    claim = service.agent_lock.claim

    def hurried():
        service.agent_lock.claim = lambda: os.kill(os.getpid(), signal.SIGHUP) or claim()

    nodes(OWN, ONE)
    start(prepare=hurried).ready()


def test_while_somebody_else_changes_the_machine_the_agent_waits_and_says_for_whom(start, nodes, routes, worker):
    nodes(OWN, ONE)
    agent = start("--resync", "1").ready()
    with locked("apply", 60):
        worker.ip("route del 10.200.1.0/24 proto 107")
        (line, *_) = until(lambda: agent.events("pass failed"))
        assert f"podroutes apply (process {os.getpid()}) is changing" in line["error"]
        assert routes() == []
    until(lambda: routes() == [R1])
