"""What is read of a machine: every file that a backend looks at, and of files with secrets in them nothing but routes."""

import subprocess
from pathlib import Path

import pytest

from podroutes.persist import BACKENDS, backend
from podroutes.persist.configured import CALLED, READS
from podroutes.push.responses import sections
from podroutes.push.scripts import read_script

PROFILE = (
    "[wifi-security]\npsk=hunter2\n[ipv4]\nroute1=10.200.1.0/24,192.168.8.21\n[connection]\ninterface-name=ens18\n"
)
MASKED = b"[wifi-security]\n\n[ipv4]\nroute1=10.200.1.0/24,192.168.8.21\n[connection]\ninterface-name=ens18\n"


@pytest.mark.parametrize("name", BACKENDS)
def test_every_file_that_a_backend_looks_at_is_read(name):
    chosen = backend(name)
    words = read_script().split()
    assert {*chosen.PLACES, *chosen.READS, *chosen.SECRETS, *READS, *CALLED} <= set(words)


def test_secrets_stay_on_the_machine_and_lines_keep_their_numbers(tmp_path):
    path = tmp_path / "lan.nmconnection"
    path.write_text(PROFILE)
    script = read_script()
    function = script[script.index("masked() {") :].split("\n}\n")[0] + "\n}\n"
    say = "say() { printf '\\n@ %s\\n' \"$*\"; }\n"
    done = subprocess.run(["sh", "-c", f"{say}{function}masked {path}"], capture_output=True, check=True)
    ((_, body),) = sections(done.stdout)
    assert b"".join(line[1:] + b"\n" for line in body.splitlines()) == MASKED
    assert b"hunter2" not in done.stdout
    assert Path(path).read_text() == PROFILE


def test_of_programs_scripts_with_routes_alone_are_read(tmp_path):
    for name, data in {
        "pods": b"#!/bin/sh\nip route add 10.200.1.0/24 via 192.168.8.21\n",
        "other": b"#!/bin/sh\necho 1\n",
        "elf": b"\x7fELF route",
        "zero": b"\0route",
    }.items():
        (tmp_path / name).write_bytes(data)
    script = read_script()
    functions = "".join(
        script[script.index(f"{name}() {{") :].split("\n}\n")[0] + "\n}\n" for name in ("file", "scripts")
    )
    say = "say() { printf '\\n@ %s\\n' \"$*\"; }\n"
    done = subprocess.run(["sh", "-c", f"{say}{functions}scripts {tmp_path}/*"], capture_output=True, check=True)
    assert [words[-1] for words, _ in sections(done.stdout)] == [f"{tmp_path}/pods"]
    assert not done.stderr
