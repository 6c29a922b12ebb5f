"""Many nodes are a line each, with the totals; every change is there on request."""

import json
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from podroutes.cli import main
from podroutes.host import progress
from podroutes.model.plan import Change, Plan
from podroutes.model.push import NOT_BEGUN, Pushed
from podroutes.views import push as views
from podroutes.views.style import Style
from support.notation import route

PLAIN = Style(enabled=False)


@pytest.fixture
def nodes(tmp_path):
    """Return a function that writes an inventory of so many nodes."""

    def write(count):
        path = tmp_path / "machines.txt"
        path.write_text("".join(f"192.168.8.{n + 1} w{n}.local w{n} 10.200.{n}.0/24\n" for n in range(count)))
        return str(path)

    return write


@pytest.fixture
def say(capsys):
    return lambda *words: (main(list(words)), *capsys.readouterr())


def test_from_20_nodes_on_plan_all_is_a_line_each(nodes, say):
    status, out, err = say("plan", "--all", "-i", nodes(20), "--interface", "ens18")
    assert (status, err) == (2, "")
    lines = out.splitlines()
    assert lines[0] == "w0   Plan: 19 to add, 0 to replace, 0 to delete, 0 unchanged."
    assert len(lines) == 22
    assert lines[-1] == "380 routes on 20 nodes. --full shows each."


def test_full_shows_each_and_so_do_few_nodes(nodes, say):
    assert say("plan", "--all", "--full", "-i", nodes(20))[1].count("  + ") == 380
    assert say("plan", "--all", "-i", nodes(19))[1].count("  + ") == 342


def test_json_has_everything(nodes, say):
    document = json.loads(say("plan", "--all", "-o", "json", "-i", nodes(20))[1])
    assert sum(len(each["changes"]) for each in document["nodes"]) == 380


def test_conflicts_are_told_once(nodes, say):
    path = nodes(20)
    with Path(path).open("a", encoding="utf-8") as file:
        file.write("192.168.8.99 x.local x 10.200.7.0/24\n")
    _, out, err = say("plan", "--all", "-i", path)
    assert "routes on 21 nodes. --full shows each." in out.splitlines()[-1]
    assert err.count("duplicate-pod-cidr") == 1
    assert say("plan", "--all", "-q", "-i", path)[1] == ""


def pushed(node, *actions):
    changes = tuple(
        Change(action, route(f"10.200.{n}.0/24 via 192.168.8.{n} dev ens18")) for n, action in enumerate(actions)
    )
    return Pushed(node, plan=Plan(node, changes, 7, ()))


def test_a_push_is_a_table_of_plans_and_a_total():
    all_pushed = [
        pushed("w1", "add", "add", "delete"),
        pushed("worker-2"),
        pushed("w3", "replace"),
        Pushed("w4", error="away"),
    ]
    assert list(views.plans(all_pushed, PLAIN)) == [
        "w1        Plan: 2 to add, 0 to replace, 1 to delete, 7 unchanged.",
        "worker-2  No changes. worker-2 agrees with the inventory: 7 routes in place.",
        "w3        Plan: 0 to add, 1 to replace, 0 to delete, 7 unchanged.",
    ]
    assert views.total(all_pushed) == "4 routes on 2 nodes: 2 to add, 1 to replace, 1 to delete."


class Terminal(StringIO):
    """A terminal that keeps what is written."""

    def isatty(self):
        """Be one."""
        return True

    @property
    def text(self):
        """All that was written."""
        return self.getvalue()


@pytest.fixture
def stderr(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=terminal))  # pytest puts its own in place of sys.stderr
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)
    return terminal


def test_a_bar_is_shown_when_it_takes_long_and_goes_away(stderr):
    now = 0.0
    with progress.Progress("planning", 4, clock=lambda: now) as bar:
        bar.step("w0")
        assert stderr.text == ""
        now = 1.5
        bar.step("w1")
        assert stderr.text == "planning [############............] 2/4 w1"
        now = 1.55
        bar.step("w2")  # not so soon again
        assert "w2" not in stderr.text
    assert stderr.text.endswith("\r\x1b[K")


def test_a_bar_fits_the_terminal_and_is_none_in_a_pipe(stderr, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    with progress.Progress("reading", 2, after=0) as bar:
        bar.step("w" * 100)
    assert max(map(len, stderr.text.replace("\x1b[K", "").split("\r"))) == 59
    before = stderr.text
    monkeypatch.setenv("TERM", "dumb")
    with progress.Progress("reading", 2, after=0) as bar:
        bar.step("w")
    assert stderr.text == before


def test_what_was_not_begun_is_counted_apart_from_what_failed():
    left = [
        Pushed("w1", "applied", plan=pushed("w1", "add").plan),
        Pushed("w2", error="cannot connect"),
        Pushed("w3", error=f"{NOT_BEGUN}a canary failed"),
    ]
    assert views.summary(left, "Apply") == (
        "Apply incomplete: 1 of 3 nodes changed, 0 in sync already, 1 failed, 1 not begun. "
        "Correct what failed, then run it again: it goes on where it ended."
    )
    assert views.summary(left[:1], "Apply") == "Apply complete: 1 of 1 node changed, 0 in sync already."
