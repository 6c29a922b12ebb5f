"""Which routes stood, and whose they were, is remembered whole or not at all."""

import os
import time

import pytest

from podroutes.errors import PersistError
from podroutes.model.address import parse_address, parse_prefix
from podroutes.model.saved_route import SavedRoute
from podroutes.persist import saved_routes

NOW = time.time()
ROUTES = (
    SavedRoute(
        parse_prefix("10.200.1.0/24"), parse_address("192.168.8.21"), "ens18", "worker-1", "uid-1", 1750000000.0
    ),
    SavedRoute(parse_prefix("fd00:1::/64"), parse_address("fd00::21"), "ens18", 'wörker "2"'),
)


def test_what_was_saved_is_what_is_read(tmp_path):
    saved_routes.save(tmp_path / "new", "worker-0", ROUTES, NOW)
    assert saved_routes.load(tmp_path / "new", "worker-0") == ROUTES


def test_what_another_node_saved_is_not_ours(tmp_path):
    saved_routes.save(tmp_path, "worker-0", ROUTES, NOW)
    assert saved_routes.load(tmp_path, "worker-9") == ()


def test_where_nothing_was_saved_there_is_nothing(tmp_path):
    assert saved_routes.load(tmp_path / "missing", "worker-0") == ()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"routes": []}', '{"node": "worker-0", "routes": [{}]}', '{"node": "worker-0", "routes": 7}'],
)
def test_a_damaged_file_is_told_apart_from_none(tmp_path, text):
    (tmp_path / saved_routes.NAME).write_text(text)
    with pytest.raises(PersistError, match="is damaged"):
        saved_routes.load(tmp_path, "worker-0")


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    saved_routes.save(tmp_path, "worker-0", ROUTES, NOW)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        saved_routes.save(tmp_path, "worker-0", ROUTES[:1], NOW)
    assert [each.name for each in tmp_path.iterdir()] == [saved_routes.NAME]
    assert saved_routes.load(tmp_path, "worker-0") == ROUTES


def test_what_is_written_already_is_written_again_after_a_day_only(tmp_path):
    saved_routes.save(tmp_path, "worker-0", ROUTES, NOW)
    path = tmp_path / saved_routes.NAME
    os.utime(path, (NOW - 500, NOW - 500))
    before = path.stat().st_mtime_ns
    saved_routes.save(tmp_path, "worker-0", [route._replace(seen=NOW) for route in ROUTES], NOW)
    assert path.stat().st_mtime_ns == before
    os.utime(path, (NOW - 90000, NOW - 90000))
    saved_routes.save(tmp_path, "worker-0", ROUTES, NOW)
    assert path.stat().st_mtime > NOW - 90000
    saved_routes.save(tmp_path, "worker-0", ROUTES[:1], NOW)
    assert saved_routes.load(tmp_path, "worker-0") == ROUTES[:1]
