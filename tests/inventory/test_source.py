"""Whatever the path leads to, there is an inventory or one clear line."""

import io
import os
import sys

import pytest

from inventory.documents import read, refusal
from podroutes.errors import InventoryError
from podroutes.inventory import load, source

NODE = b"192.168.8.20 worker-0.kubernetes.local worker-0\n"


def refused(path: str) -> str:
    """Return the one line that refuses PATH."""
    with pytest.raises(InventoryError) as error:
        load(path)
    assert str(error.value).isprintable()
    return str(error.value)


def test_a_file_is_called_by_its_path(tmp_path):
    (tmp_path / "machines.yaml").write_bytes(NODE)
    cluster = load(str(tmp_path / "machines.yaml")).cluster
    assert cluster.place(cluster.nodes[0]) == f"{tmp_path}/machines.yaml:1"


def test_a_dash_is_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(NODE)))
    assert load("-").cluster.source == "standard input"


def test_closed_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert refused("-") == "standard input: is closed; give a path with --inventory"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/nowhere/at all", "/nowhere/at all: cannot be read: No such file or directory"),
        ("", "the empty path: cannot be read: No such file or directory"),
        ("/", "/: cannot be read: Is a directory"),
        ("a\0b", r"a\x00b: cannot be read: not a path"),
        ("\x1b[31m", r"\x1b[31m: cannot be read: No such file or directory"),
        ("x" * 5_000, "cannot be read: File name too long"),
        ("/dev/null", "/dev/null: is empty; wanted nodes (YAML, JSON or machines.txt)"),
        (
            "/dev/zero",
            "/dev/zero: holds NUL bytes, so it is binary or UTF-16; wanted UTF-8 text: YAML, JSON or machines.txt",
        ),
        ("/proc/self/mem", "/proc/self/mem: cannot be read: Input/output error"),
    ],
)
def test_a_path_that_is_no_inventory(path, why):
    assert why in refused(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "nodes: is empty; wanted nodes (YAML, JSON or machines.txt)"),
        (b"\xef\xbb\xbf", "nodes: is empty; wanted nodes (YAML, JSON or machines.txt)"),
        (b" \n\t\n", "nodes: holds no nodes"),
        (b"# nothing yet\n", "nodes: holds no nodes"),
        (b"\x7fELF\x02\x01\x01\0", "holds NUL bytes"),
        ("nodes: []".encode("utf-16"), "holds NUL bytes, so it is binary or UTF-16"),
        (NODE + b"10.0.0.1 caf\xe9 b\n", "nodes:2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"nodes:\n- name: \xff\n", "nodes:2: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b'{"nodes": [\n{"name": "\xff"}]}', "nodes:2: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b'{"kind": "Node", "metadata":\n{"name": "\xff"}}', "nodes:2: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"\nhello\n", "nodes:2: is neither YAML nor JSON nor a machine (IPV4 FQDN HOST [POD_SUBNET])"),
        (b"<html>", "nodes:1: is neither YAML nor JSON nor a machine (IPV4 FQDN HOST [POD_SUBNET])"),
        (b"worker-0 192.168.8.20\n", "nodes:1: is neither YAML nor JSON nor a machine (IPV4 FQDN HOST [POD_SUBNET])"),
    ],
)
def test_content_that_is_no_inventory(data, why):
    assert why in refusal(data)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(source.LIMIT + 1)  # sparse
    assert refused(str(path)) == f"{path}: is larger than 4,096 MiB, and no inventory is"


@pytest.mark.parametrize("limit", ["LIMIT", "WHOLE"])
def test_a_stream_that_does_not_end_is_given_up(monkeypatch, limit):
    monkeypatch.setattr(source, limit, 10 * source.CHUNK)
    taken = []

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            taken.append(size)
            return b"# yes\n" * (size // 6 + 1)

    with pytest.raises(InventoryError, match="is larger than"):
        load("-", Endless())
    assert len(taken) == 10


def test_a_pipe_that_delivers_little_by_little(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    if not os.fork():
        with path.open("wb", buffering=0) as pipe:
            for byte in NODE:
                pipe.write(bytes([byte]))
        os._exit(0)
    assert load(str(path)).cluster.nodes[0].name == "worker-0"
    os.wait()


def test_no_permission(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    assert refused(str(tmp_path)).startswith(f"{tmp_path}: cannot be read: Permission denied")


def test_no_memory(monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("podroutes.inventory.quick.machines", exhausted)
    assert refusal(NODE) == "nodes: does not fit into memory"


def test_the_name_of_a_stream_is_what_messages_call_it():
    assert read(NODE, "cluster\x1b.yaml").cluster.source == r"cluster\x1b.yaml"
