"""Directories of runs that were killed are taken away by the next run; those in use, of others, and of the lab are not."""

import asyncio
import fcntl
import os
import signal

import pytest

from podroutes.host.scratch import scratch
from podroutes.push.ssh import Access, SshClient


@pytest.fixture(autouse=True)
def _temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_directory_goes_at_the_end(tmp_path):
    with scratch() as directory:
        (directory / "file").write_text("text")
        assert list(tmp_path.iterdir()) == [directory]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next_one(tmp_path):
    (tmp_path / "podroutes-files-abcdefgh").mkdir()
    (tmp_path / "podroutes-files-abcdefgh" / "file").write_text("text")
    with scratch() as directory:
        assert list(tmp_path.iterdir()) == [directory]


def test_what_is_in_use_or_not_ours_stays(tmp_path):
    names = [
        "podroutes-files-abcdefgh",
        "podroutes-demo-abcdefgh",
        "other",
        "podroutes-files-12345678",
        "podroutes-abcdefgh",
    ]
    for name in (*names[:3], names[4]):
        (tmp_path / name).mkdir()
    (tmp_path / names[3]).symlink_to(tmp_path / "other")
    lock = os.open(tmp_path / names[0], os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with scratch():
            pass
    finally:
        os.close(lock)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_what_a_killed_push_left_goes_with_the_next_one(tmp_path):
    access = Access(None, None, None, sudo=False, timeout=1)
    child = os.fork()
    if not child:
        _kept = SshClient(access)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    client = SshClient(access)
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 1
    asyncio.run(client.close())
    assert list(tmp_path.iterdir()) == []
