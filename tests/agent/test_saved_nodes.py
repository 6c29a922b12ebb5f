"""The last good state: what was kept is what is read, and nothing else is."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podroutes import inventory
from podroutes.agent import saved_nodes
from podroutes.errors import InventoryError
from podroutes.model.cluster import Unread
from support.notation import SEED, cluster

LIMITED = cluster(
    "worker-0 192.168.8.20,fd00::20 10.200.0.0/24,fd00:1::/64",
    "server 192.168.8.10",
    "odd -",
    pod_cidrs="10.200.0.0/16,fd00::/8",
    node_cidrs="192.168.8.0/24",
    service_cidrs="10.32.0.0/24",
)


def facts(found):
    """Return CLUSTER without what is about the source: lines, names of it."""
    return [each._replace(line=None) for each in found.nodes], found[1:4]


@pytest.mark.parametrize("nodes", [SEED, LIMITED, SEED._replace(nodes=(SEED.nodes[0]._replace(interface="ens18"),))])
def test_what_is_kept_is_what_is_read(nodes, tmp_path):
    saved_nodes.save(tmp_path / "new", nodes)
    found = saved_nodes.load(tmp_path / "new")
    assert found
    assert (facts(found.cluster), found.problems) == (facts(nodes), ())


def test_what_could_not_be_read_of_a_node_and_its_age_are_kept_as_well(tmp_path):
    unread = (Unread("internalIP", "x"), Unread("podCIDR", "y"))
    nodes = SEED.nodes[0]._replace(unread=unread), SEED.nodes[1]._replace(created="2026-01-02T03:04:05Z", uid="7")
    saved_nodes.save(tmp_path, SEED._replace(nodes=nodes))
    found = saved_nodes.load(tmp_path)
    assert found
    broken, old = found.cluster.nodes
    assert [each.field for each in broken.unread] == ["internalIP", "podCIDR"]
    assert (broken.internal_ips, broken.pod_cidrs) == (SEED.nodes[0].internal_ips, SEED.nodes[0].pod_cidrs)
    assert (old.created, old.uid, old.unread) == ("2026-01-02T03:04:05Z", "7", ())


def test_any_command_can_read_it(tmp_path):
    saved_nodes.save(tmp_path, SEED)
    assert facts(inventory.load(str(tmp_path / saved_nodes.NAME)).cluster) == facts(SEED)


def test_where_nothing_was_kept_there_is_nothing(tmp_path):
    assert saved_nodes.load(tmp_path) is None


@given(st.data())
def test_whatever_is_changed_in_it_is_noticed(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("state")
    saved_nodes.save(directory, SEED)
    path = directory / saved_nodes.NAME
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 2))
    damage = data.draw(st.sampled_from(["cut", "flip"]))
    byte = data.draw(st.integers(1, 255))
    broken = (
        content[:place] if damage == "cut" else content[:place] + bytes([content[place] ^ byte]) + content[place + 1 :]
    )
    path.write_bytes(broken)
    with pytest.raises(InventoryError, match=r"nodes\.yaml: (is damaged|cannot be read)"):
        saved_nodes.load(directory)


def test_a_write_that_fails_leaves_the_old_state(tmp_path, monkeypatch):
    saved_nodes.save(tmp_path, SEED)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        saved_nodes.save(tmp_path, LIMITED)
    assert [each.name for each in tmp_path.iterdir()] == [saved_nodes.NAME]
    found = saved_nodes.load(tmp_path)
    assert found
    assert facts(found.cluster) == facts(SEED)


class Reports:
    """What a keeper reported; the n-th can be waited for."""

    def __init__(self):
        self.all = []
        self.more = threading.Condition()

    def __call__(self, error):
        """Take a report."""
        with self.more:
            self.all.append(error)
            self.more.notify_all()

    def wait(self, count):
        """Return all reports, once there are COUNT."""
        with self.more:
            assert self.more.wait_for(lambda: len(self.all) >= count, 20)
        return self.all


def test_the_keeper_writes_the_newest_and_ends_with_it_written(tmp_path):
    keeper = saved_nodes.StateWriter(tmp_path, lambda _: None)
    for count in range(1, 4):
        keeper.keep(SEED._replace(nodes=SEED.nodes[:count]))
    keeper.close()
    found = saved_nodes.load(tmp_path)
    assert found
    assert facts(found.cluster) == facts(SEED)


def test_a_place_that_cannot_be_written_is_told_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_nodes, "_RETRY", 0.01)
    directory = Path(tmp_path, "file", "below")
    directory.parent.write_text("in the way")
    reports = Reports()
    keeper = saved_nodes.StateWriter(directory, reports)
    keeper.keep(SEED)
    assert "Not a directory" in reports.wait(2)[1]
    directory.parent.unlink()
    with reports.more:
        assert reports.more.wait_for(lambda: reports.all[-1] == "", 20)
    keeper.close()
    assert saved_nodes.load(directory)
