"""Whole sessions as they look on terminals of 60, 80 and 200 columns, in colour and in the locale C.

They are kept in ``golden``; ``GOLDEN=write pytest tests/cli/test_golden_sessions.py`` writes them anew, to be looked at before they
are committed.
"""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
NODES = """\
nodes:
- {name: worker-0, internalIP: 192.168.8.20, podCIDR: 10.200.0.0/24}
- {name: worker-1, internalIP: 192.168.8.21, podCIDR: 10.200.1.0/24}
- {name: worker-2, internalIP: 192.168.8.22, podCIDR: 10.200.2.0/24}
"""
SESSION = (
    "podroutes",
    "podroutes help confirm",
    "podroutes paln",
    f"podroutes help {'x' * 90}",
    "podroutes plan -i nodes.yaml",
    "podroutes apply -i nodes.yaml",
    "podroutes plan -i nodes.yaml",
    "podroutes show -i nodes.yaml",
    "podroutes status",
    "podroutes remove",
)
LOOKS = {
    "60-columns": (60, {"NO_COLOR": "1", "LC_ALL": "C.UTF-8"}),
    "80-columns": (80, {"NO_COLOR": "1", "LC_ALL": "C.UTF-8"}),
    "200-columns": (200, {"NO_COLOR": "1", "LC_ALL": "C.UTF-8"}),
    "colour": (80, {"LC_ALL": "C.UTF-8"}),
    "locale-c": (80, {"NO_COLOR": "1", "LC_ALL": "C"}),
}


def typed(line, directory, width, environment):
    """Return what LINE prints on a terminal of WIDTH columns, and its exit status."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    words = [sys.executable, "-m", *line.split()]
    process = subprocess.Popen(words, cwd=directory, env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while True:
        try:
            shown += os.read(master, 4096)
        except OSError:  # EIO: nobody has the other end any more
            os.close(master)
            return shown.decode().replace("\r\n", "\n"), process.wait()


@pytest.mark.parametrize("look", LOOKS)
def test_a_session_looks_like_this(worker, tmp_path, look):
    width, variables = LOOKS[look]
    (tmp_path / "nodes.yaml").write_text(NODES)
    worker.ip(
        "route add 10.200.9.0/24 via 192.168.8.29 proto 107", "route add 10.200.2.0/24 via 192.168.8.99 proto 107"
    )
    dropped = ("LC_", "LANG", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "JOURNAL_STREAM")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment = {**kept, "TERM": "xterm-256color", "NODE_NAME": "worker-0", **variables}
    session = ""
    for line in SESSION:
        shown, status = typed(line, tmp_path, width, environment)
        session += f"$ {line}\n{shown}[{status}]\n\n"
    path = GOLDEN / f"{look}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(session, encoding="utf-8")
    assert session == path.read_text(encoding="utf-8")
