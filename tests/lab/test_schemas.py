"""What the lab's commands print is what the schemas of the package say."""

import json
import os
import subprocess
import sys

import pytest

from support.schemas import faults


@pytest.fixture
def lab():
    name = f"schemas-{os.getpid()}"
    yield name
    subprocess.run([sys.executable, "-m", "podroutes", "lab", "down", "--name", name], check=False, capture_output=True)


def say(*words):
    done = subprocess.run([sys.executable, "-m", "podroutes", *words], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("options", [[], ["--ipv6", "--control-plane"], ["--kubernetes"]])
def test_documents_of_a_lab(lab, options):
    assert "up in" in say("lab", "up", "--nodes", "2", "--name", lab, *options)
    for name, words in (("lab-status", ["lab", "status"]), ("lab-ping", ["lab", "ping"])):
        document = json.loads(say(*words, "--name", lab, "-o", "json"))
        assert faults(name, document) == []
    inside = ["lab", "exec", "--name", lab, "worker-0", "--", "podroutes"]
    if "--kubernetes" in options:
        assert faults("status", json.loads(say(*inside, "status", "-o", "json"))) == []
    assert faults("verify", json.loads(say("verify", "--lab", lab, "--probe", "-o", "json"))) == []


def test_documents_of_a_lab_that_is_not_there():
    assert faults("error", json.loads(say("lab", "ping", "--name", "nowhere", "-o", "json"))) == []
    assert (
        faults("lab-status", json.loads(say("lab", "status", "--name", f"nowhere-{os.getpid()}", "-o", "json"))) == []
    )
