"""Standard streams that are closed or full, and agents of other versions: one line, no traceback."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from podroutes.cli import main


def podroutes(redirection, *words):
    line = f'"$@" {redirection}'
    command = ["sh", "-c", line, "sh", sys.executable, "-m", "podroutes", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_full_disk_is_told_in_one_line():
    done = podroutes(">/dev/full", "version")
    assert (done.returncode, done.stderr) == (1, "podroutes: standard output: No space left on device\n")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&-", ">&- 2>&- <&-"])
def test_who_closes_a_stream_does_without_it(redirection):
    done = podroutes(redirection, "version")
    assert done.returncode == 0
    assert done.stderr == ""
    done = podroutes(redirection, "plan", "-i", "/nowhere")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("output", ["json", "yaml"])
@pytest.mark.parametrize("redirection", [">/dev/full", "| head -c 0"])
def test_a_failure_whose_document_nobody_takes_is_one_line(redirection, output):
    done = podroutes(redirection, "plan", "-i", "/nowhere", "-o", output)
    assert done.stderr.startswith("podroutes: /nowhere: cannot be read")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "body", [{}, {"ready": True}, {"source": 7}, [], "x", {"source": {}, "routes": [], "counters": {}}]
)
def test_the_answer_of_another_version_is_told_in_one_line(worker, body):
    class Handler(BaseHTTPRequestHandler):
        server_version = "podroutes/9"

        def do_GET(self):
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 9107), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        done = podroutes("", "status")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is of another version" in done.stderr or "is not a podroutes agent" in done.stderr


def test_too_few_open_files_are_told_in_one_line():
    line = 'ulimit -n 5; exec "$@"'
    for words in (["version"], ["lab", "up", "--name", "few"], ["plan", "--all", "-i", "/nowhere"]):
        done = subprocess.run(
            ["sh", "-c", line, "sh", sys.executable, "-m", "podroutes", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") <= 1
        assert "standard output" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("apply -i -", "changes made so far stay, run it again for the rest"),
        ("plan -i -", "nothing was changed"),
        ("verify -i -", "nothing was changed"),
        ("lab up -i -", "`podroutes lab status` tells whether the lab is up, `podroutes lab down` ends it"),
    ],
)
def test_ctrl_c_says_what_is_left(words, said, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("podroutes.inventory.load", interrupt)
    assert main(words.split()) == 130
    assert capsys.readouterr().err == f"podroutes: interrupted; {said}\n"
