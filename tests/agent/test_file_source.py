"""An inventory file is read when it has changed and nobody writes it; what cannot be read is tried again, and told."""

import io
import os
import resource
import socket

import pytest

from agent.conftest import until
from podroutes import inventory
from podroutes.agent import source, watched_file
from podroutes.agent.source import FileSource
from podroutes.agent.watched_file import WatchedFile
from podroutes.errors import InventoryError

MACHINES = [f"192.168.8.{20 + i} worker-{i}.local worker-{i} 10.200.{i}.0/24\n" for i in range(20)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "machines.txt"


@pytest.fixture
def looked(path):
    """Return a source of the file at PATH, what it has published and what it has reported."""
    views, reports = [], []
    found = FileSource(str(path), views.append, reports.append)
    return found, views, reports


def names(view):
    return len(view.inventory.cluster.nodes)


def test_a_file_that_is_being_written_is_not_read(path, looked):
    found, views, _ = looked
    path.write_text("".join(MACHINES))
    found._look(asked=False)
    with path.open("w") as file:
        file.writelines(MACHINES[:14])
        file.flush()
        for _ in range(3):
            assert not found._look(asked=False)
            assert not found._look(asked=True)
        file.writelines([*MACHINES[14:], "192.168.8.99 more more 10.200.99.0/24\n"])
    assert [names(view) for view in views] == [20]
    until(lambda: found._look(asked=False) and len(views) == 2)
    assert [names(view) for view in views] == [20, 21]


def test_a_file_that_is_replaced_is_read_at_once(path, looked):
    found, views, _ = looked
    for count in (20, 14):
        new = path.with_suffix(".new")
        new.write_text("".join(MACHINES[:count]))
        new.replace(path)
        assert found._look(asked=False)
        assert names(views[-1]) == count


def test_a_file_that_changed_in_place_is_read_when_two_looks_agree(path, looked, monkeypatch):
    """Somebody appends a line at a time, and has it closed in between."""
    found, views, _ = looked
    path.write_text("".join(MACHINES))
    found._look(asked=False)
    now = [1000.0]
    monkeypatch.setattr(watched_file.time, "monotonic", lambda: now[0])
    path.write_text("")
    for line in MACHINES[:14]:
        with path.open("a") as file:
            file.write(line)
        assert not found._look(asked=False)
        now[0] += 0.9
    monkeypatch.setattr(watched_file.time, "time_ns", lambda: path.stat().st_ctime_ns)
    assert not found._look(asked=False)
    now[0] += 1.0
    assert found._look(asked=False)
    assert [names(view) for view in views] == [20, 14]


def test_where_the_kernel_cannot_tell_two_looks_have_to_agree(path, monkeypatch):
    monkeypatch.setattr(watched_file, "_has_writer", lambda _: None)
    now = [1000.0]
    monkeypatch.setattr(watched_file.time, "monotonic", lambda: now[0])
    path.write_text("x")
    monkeypatch.setattr(watched_file.time, "time_ns", lambda: path.stat().st_ctime_ns)
    file = WatchedFile(str(path))
    with file.look(again=False) as stream:
        assert stream is None
    now[0] += 1.0
    with file.look(again=False) as stream:
        assert stream is not None


def test_a_file_that_changes_while_it_is_read_is_read_again(path):
    path.write_text("x")
    file = WatchedFile(str(path))

    def read():
        with file.look(again=False) as stream:
            assert stream
            path.write_text("other")

    with pytest.raises(InventoryError, match="is being written; reading it again"):
        read()
    with file.look(again=False):
        assert file.written


def special(path, kind):
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["a FIFO", "a directory", "a device"])
def test_what_is_no_regular_file_is_refused_and_does_not_block(path, looked, kind):
    found, views, reports = looked
    special(path, kind)
    found._look(asked=False)
    assert (views, reports[-1].connected) == ([], False)
    assert reports[-1].error == f"{path}: is {kind}; wanted a regular file, which can be read again and again"


def test_a_socket_is_refused_too(tmp_path, looked, path):
    found, _, reports = looked
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        found._look(asked=False)
    assert "cannot be read: No such device or address" in reports[-1].error


def test_whatever_goes_wrong_with_a_file_is_a_failed_read(path, looked, monkeypatch):
    found, views, reports = looked

    def fail(*_):
        raise RuntimeError("beyond all expectations")

    path.write_text("".join(MACHINES))
    with monkeypatch.context() as broken:
        broken.setattr(source.inventory, "load", fail)
        found._look(asked=False)
    assert reports[-1].error == f"{path}: cannot be read: RuntimeError: beyond all expectations"
    found._look(asked=True)
    assert (len(views), reports[-1].connected) == (1, True)


def test_a_file_that_has_nothing_to_read_yet_is_a_failed_read():
    """As /proc/kmsg, which is a regular file by its mode."""

    class Waiting(io.BytesIO):
        def read(self, *_):
            return None

    with pytest.raises(InventoryError, match="kmsg: has nothing to read yet"):
        inventory.load("kmsg", Waiting())


def test_a_failed_read_is_tried_again_later_each_time(path, looked, monkeypatch):
    """The file does not change, and no descriptor is left for a while."""
    found, views, reports = looked
    path.write_text("".join(MACHINES))
    now = [1000.0]
    monkeypatch.setattr(source.time, "monotonic", lambda: now[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        found._look(asked=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in reports[-1].error
    assert reports[-1].retries == 1
    found._look(asked=False)
    assert [names(view) for view in views] == [20]
    assert reports[-1].connected


def test_a_broken_file_is_read_again_although_its_stamp_is_the_same(path, looked, monkeypatch):
    found, _, reports = looked
    path.write_text("neither ( nor )")
    now = [1000.0]
    monkeypatch.setattr(source.time, "monotonic", lambda: now[0])
    reads = []
    for _ in range(120):
        found._look(asked=False)
        reads.append(reports[-1].retries)
        now[0] += 1.0
    assert reads[-1] == 8  # after 0, 1, 3, 7, 15, 31, 61, 91 seconds
    assert len(reports) == 8


def test_a_look_without_end_is_told(looked, monkeypatch):
    found, _, _ = looked
    monkeypatch.setattr(source.time, "monotonic", lambda: 1000.0)
    assert found.stuck_reason() is None
    found._began = 960.0
    assert found.stuck_reason().endswith(": no answer for 40 s: is its file system reachable?")


def test_an_agent_says_that_its_inventory_is_a_fifo_and_goes_on_when_it_is_a_file_again(start, nodes, tmp_path):
    own, one = "worker-0 192.168.8.20 10.200.0.0/24", "worker-1 192.168.8.21 10.200.1.0/24"
    nodes(own, one)
    agent = start().ready()
    (tmp_path / "nodes.json").unlink()
    os.mkfifo(tmp_path / "nodes.json")
    until(lambda: "is a FIFO; wanted a regular file" in agent.ask("/readyz")[1])
    assert not agent.status()["source"]["connected"]
    assert agent.status()["source"]["retries"] >= 1
    nodes(own, one)
    until(lambda: agent.ask("/readyz") == (200, "ok\n"))
