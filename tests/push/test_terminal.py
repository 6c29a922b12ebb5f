"""On a terminal it asks before it changes anything, and shows a bar; elsewhere it does neither."""

import os
import select
import subprocess

import pytest

from push.test_push import ALL, alone, only, routes
from support.openssh import Site
from support.waiting import until


class Terminal:
    """A push on a terminal."""

    def __init__(self, site: Site, *words: str) -> None:
        self._master, slave = os.openpty()
        self._process = subprocess.Popen(
            site.command(*words), env=site.environment(TERM="xterm", NO_COLOR="1"),
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.shown = ""

    def until(self, text: str) -> None:
        """Wait until TEXT is shown."""

        def there() -> bool:
            if select.select([self._master], [], [], 0)[0]:
                self.shown += os.read(self._master, 4096).decode()
            return text in self.shown

        until(there)

    def type(self, text: str) -> None:
        """Type TEXT."""
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Wait for the end; return the exit status."""
        while True:
            try:
                self.shown += os.read(self._master, 4096).decode()
            except OSError:  # EIO: nobody has the other end any more
                os.close(self._master)
                return self._process.wait()


@pytest.mark.parametrize("answer", ["n\n", "\n", "yep\n"])
def test_nothing_but_yes_is_an_agreement(site, answer):
    terminal = Terminal(site, "apply")
    terminal.until("Apply this on 3 nodes? [y/N] ")
    terminal.type(answer)
    assert (terminal.end(), routes(site)) == (1, {node: [] for node in ALL})
    assert "nothing was changed" in terminal.shown


def test_the_plan_is_shown_before_the_question_and_bars_around_it(site):
    terminal = Terminal(site, "apply")
    terminal.until("[y/N] ")
    terminal.type("y\n")
    assert (terminal.end(), routes(site)) == (0, ALL)
    shown = terminal.shown
    assert shown.index("+ 10.200.1.0/24 via 192.168.8.21") < shown.index("[y/N]") < shown.index("changing [")
    assert "reading [########################] 3/3" in shown
    assert "changing [########################] 3/3" in shown
    assert "Apply complete: 3 of 3 nodes changed" in shown
    assert site.push("apply").err == ""


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(("answer", "left"), [("y\n", []), ("n\n", ALL["worker-0"])])
def test_it_asks_once_about_the_routes_of_many_nodes_whatever_yes_says(site, answer, left):
    terminal = Terminal(site, "apply", "--yes")
    terminal.until("Delete them? [y/N] ")
    terminal.type(answer)
    assert (terminal.end(), site.routes("worker-0")) == (0 if not left else 1, left)
    assert terminal.shown.count("[y/N]") == 1
    asked = '2 routes on 1 node would go at once: the inventory lists no podCIDR for "192.168.8.21" and "192.168.8.22".'
    assert asked in terminal.shown


@pytest.mark.usefixtures("alone")
def test_ctrl_c_at_that_question_changes_nothing(site):
    terminal = Terminal(site, "apply")
    terminal.until("Delete them? [y/N] ")
    os.killpg(terminal._process.pid, 2)
    assert (terminal.end(), site.routes("worker-0")) == (130, ALL["worker-0"])


def test_where_nothing_is_to_be_changed_nothing_is_asked(site):
    site.push("apply")
    terminal = Terminal(site, "apply")
    assert (terminal.end(), "[y/N]" in terminal.shown) == (0, False)


def test_yes_is_said_beforehand(site):
    terminal = Terminal(site, "apply", "--yes")
    assert (terminal.end(), "[y/N]" in terminal.shown, routes(site)) == (0, False, ALL)


def test_ctrl_c_at_the_question_changes_nothing(site):
    terminal = Terminal(site, "apply")
    terminal.until("[y/N] ")
    os.killpg(terminal._process.pid, 2)
    assert (terminal.end(), routes(site)) == (130, {node: [] for node in ALL})


__all__ = ["alone", "only"]  # fixtures
