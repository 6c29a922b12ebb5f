"""``apply`` asks before the routes of many nodes go, keeps them where nobody can answer, and does everything else."""

import json
import os
import pty
import subprocess
import sys

import pytest

from podroutes.cli import main
from podroutes.persist import deletions

OWN = "192.168.8.20 w0.k worker-0 10.200.0.0/24\n"


def inventory(*numbers):
    return OWN + "".join(f"192.168.8.{20 + n} w{n}.k worker-{n} 10.200.{n}.0/24\n" for n in numbers)


@pytest.fixture
def machines(tmp_path):
    """Write the inventory that `podroutes` reads."""
    path = tmp_path / "machines.txt"

    def write(*numbers):
        path.write_text(inventory(*numbers))

    write(1, 2, 3, 4, 5)
    return write


@pytest.fixture
def podroutes(machines, tmp_path, capsys):
    """Run a command; return exit status, standard output and standard error."""

    def run(*words):
        status = main([*words, "-i", str(tmp_path / "machines.txt"), "--node", "worker-0"])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def shrunk(worker, podroutes, machines):
    """Apply five nodes, of which the inventory then has two."""
    podroutes("apply")
    machines(1, 2)


def routed(worker):
    """Return which nodes have a route."""
    return [int(line.split(".")[2]) for line in worker.show("route show proto 107")]


def test_without_a_terminal_they_stay_and_the_rest_is_done(worker, podroutes, machines):
    podroutes("apply")
    machines(1, 2, 6)
    status, out, err = podroutes("apply")
    assert (status, routed(worker)) == (1, [1, 2, 3, 4, 5, 6])
    assert "  ! 10.200.4.0/24 via 192.168.8.24 dev ens18  worker-4  held\n" in out
    assert out.endswith("Apply incomplete: 1 added, 0 replaced, 0 deleted, 3 held, 2 unchanged; 1 error.\n")
    assert "mass-delete: 3 routes of 5 would go at once: " in err
    assert 'lists no podCIDR for "worker-3", "worker-4" and "worker-5"' in err
    assert "--allow-mass-delete=3" in err


def test_a_plan_shows_what_would_be_held(worker, podroutes, machines):
    podroutes("apply")
    machines(1, 2)
    status, out, _ = podroutes("plan")
    assert (status, routed(worker)) == (2, [1, 2, 3, 4, 5])
    assert out.count("held\n") == 3
    assert out.endswith("No changes. 2 routes in place, 3 held; 1 error.\n")
    status, out, _ = podroutes("plan", "-o", "json")
    document = json.loads(out)
    assert (status, document["in_sync"], document["changes"]) == (2, False, [])
    assert [(each["action"], each["dst"]) for each in document["held"]] == [
        ("delete", f"10.200.{n}.0/24") for n in (3, 4, 5)
    ]


@pytest.mark.parametrize(("option", "left"), [("=3", [1, 2]), ("", [1, 2]), ("=all", [1, 2]), ("=2", [1, 2, 3, 4, 5])])
def test_so_many_go_as_the_command_line_allows(worker, podroutes, machines, option, left):
    podroutes("apply")
    machines(1, 2)
    assert podroutes("apply", f"--allow-mass-delete{option}")[0] == (0 if left == [1, 2] else 1)
    assert routed(worker) == left


def test_one_node_goes_without_a_word_and_the_next_one_counts_with_it(worker, podroutes, machines):
    machines(1, 2, 3)
    podroutes("apply")
    machines(1, 2)
    assert podroutes("apply")[0] == 0
    machines(1)
    status, _, err = podroutes("apply")
    assert (status, routed(worker)) == (1, [1, 2])
    assert "1 route of 2 would go at once, 1 more went in the last 10 minutes" in err


def test_remove_means_it(worker, podroutes):
    podroutes("apply")
    assert main(["remove"]) == 0
    assert routed(worker) == []


def test_what_cannot_be_remembered_is_said(worker, podroutes, machines, tmp_path):
    (tmp_path / "file").write_text("")
    machines(1, 2, 3)
    podroutes("apply")
    machines(1, 2)
    status, _, err = podroutes("apply", "--state-dir", str(tmp_path / "file" / "state"))
    assert (status, routed(worker)) == (0, [1, 2])
    assert "deleted.json: Not a directory: the next run does not know what went now\n" in err
    assert "routes.json: Not a directory: which routes stood is not known after a boot\n" in err


@pytest.mark.parametrize("text", ["{", '{"deleted": [{}]}', '{"deleted": [{"dst": "x", "node": "", "at": 0}]}', "[]"])
def test_a_damaged_memory_is_said_and_stops_nothing(worker, podroutes, tmp_path, text):
    (tmp_path / deletions.NAME).write_text(text)
    status, _, err = podroutes("apply", "--state-dir", str(tmp_path))
    assert (status, routed(worker)) == (0, [1, 2, 3, 4, 5])
    assert "deleted.json: is damaged" in err


class Terminal:
    """``podroutes apply`` on a terminal of its own, its standard input from elsewhere where INPUT is given."""

    def __init__(self, path, *words, stdin=None):
        self._master, slave = pty.openpty()
        command = [sys.executable, "-m", "podroutes", "apply", "-i", path, "--node", "worker-0", *words]
        if stdin is not None:  # the first terminal that the leader of a session opens is the one of the session
            lead = "import os, sys; os.open(sys.argv[1], os.O_RDWR); os.execv(sys.argv[2], sys.argv[2:])"
            command = [sys.executable, "-c", lead, os.ttyname(slave), *command]
        self.process = subprocess.Popen(
            command,
            stdin=slave if stdin is None else subprocess.PIPE,
            stdout=slave,
            stderr=slave,
            start_new_session=stdin is not None,
        )
        if stdin is not None:
            with self.process.stdin as pipe:
                pipe.write(stdin.encode())
        os.close(slave)
        self.shown = ""

    def until(self, text):
        """Read until TEXT is shown."""
        while text not in self.shown:
            self.shown += os.read(self._master, 4096).decode()

    def answer(self, text):
        """Type TEXT at the question, and return the exit status."""
        self.until("[y/N] ")
        os.write(self._master, text.encode())
        return self.end()

    def end(self):
        """Read to the end; return the exit status."""
        while True:
            try:
                self.shown += os.read(self._master, 4096).decode()
            except OSError:  # EIO: nobody has the other end any more
                os.close(self._master)
                return self.process.wait()


@pytest.mark.parametrize(
    ("answer", "status", "left"),
    [("y\n", 0, [1, 2]), ("yes\n", 0, [1, 2]), ("n\n", 1, [1, 2, 3, 4, 5]), ("\n", 1, [1, 2, 3, 4, 5])],
)
@pytest.mark.usefixtures("shrunk")
def test_on_a_terminal_it_asks_once(worker, tmp_path, answer, status, left):
    terminal = Terminal(str(tmp_path / "machines.txt"))
    assert (terminal.answer(answer), routed(worker)) == (status, left)
    assert terminal.shown.count("[y/N]") == 1
    question = terminal.shown.partition("[y/N]")[0]
    assert "10.200.5.0/24 via 192.168.8.25 dev ens18" in question
    assert "3 routes of 5 would go at once" in question


def test_an_inventory_on_standard_input_is_asked_about_on_the_terminal(worker, podroutes, tmp_path):
    podroutes("apply")
    terminal = Terminal("-", stdin=inventory(1, 2))
    assert (terminal.answer("y\n"), routed(worker)) == (0, [1, 2])


def test_where_nothing_is_held_nothing_is_asked(worker, podroutes, machines, tmp_path):
    podroutes("apply")
    machines(1, 2, 3, 4)
    terminal = Terminal(str(tmp_path / "machines.txt"))
    assert (terminal.end(), "[y/N]" in terminal.shown, routed(worker)) == (0, False, [1, 2, 3, 4])


def test_programs_are_never_asked(worker, podroutes, machines, tmp_path):
    podroutes("apply")
    machines(1, 2)
    terminal = Terminal(str(tmp_path / "machines.txt"), "-o", "json")
    assert (terminal.end(), "[y/N]" in terminal.shown, routed(worker)) == (1, False, [1, 2, 3, 4, 5])
