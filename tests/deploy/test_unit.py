"""The systemd unit: systemd reads it without complaint, it is confined, and what it names exists here."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.manifests import ROOT
from podroutes.cli.parser import build_parser
from support import unpacked
from support.namespaces import SHUT_OUT

UNIT = ROOT / "deploy/systemd/podroutes-agent.service"
DROP_INS = sorted(UNIT.parent.glob("*.conf"))
# What an agent of routes cannot be without; what systemd finds fault with beyond these would be ours to mend.
NEEDED = {
    "CapabilityBoundingSet_CAP_NET_ADMIN",
    "PrivateNetwork",  # it is this machine's routes that it keeps
    "PrivateUsers",  # a capability in a user namespace of its own is none over this machine
    "RestrictAddressFamilies_AF_INET_INET6",
    "RestrictAddressFamilies_AF_NETLINK",
    "RestrictAddressFamilies_AF_UNIX",  # systemd's notifications
    "IPAddressDeny",  # the API server can be anywhere
    "ProcSubset",  # /proc/sys/net tells whether the machine forwards
    "ProtectProc",  # whether who confirms a held deletion has CAP_NET_ADMIN stands there
    "RootDirectoryOrRootImage",  # it is installed like any program
    "DeviceAllow",  # PrivateDevices and ProtectClock leave it the clock, to read
    "AmbientCapabilities",
}


def settings(path: Path) -> dict[str, list[str]]:
    """Return the values of each setting of the file at PATH."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@pytest.fixture(params=[None, *DROP_INS], ids=lambda path: path.stem if path else "alone")
def unit(request, tmp_path) -> Path:
    """Return the unit, alone and with each drop-in, beside a program of the name that it starts."""
    program = tmp_path / "podroutes"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    placed = tmp_path / UNIT.name
    placed.write_text(UNIT.read_text().replace("ExecStart=podroutes", f"ExecStart={program}"))
    if request.param:
        (tmp_path / f"{UNIT.name}.d").mkdir()
        shutil.copy(request.param, tmp_path / f"{UNIT.name}.d")
    return placed


@pytest.fixture(scope="module")
def analyze(request, tmp_path_factory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs systemd-analyze(1): the system's own, or else one that is unpacked; it writes to /run."""
    command = ["systemd-analyze"]
    if why := request.config.stash[SHUT_OUT]:
        if not (shutil.which(command[0]) and os.access("/run", os.W_OK)):
            pytest.skip(why)
    elif shutil.which(command[0]):
        command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$0" "$@"', *command]
    else:
        packages = unpacked.packages_or_skip("managers")
        command = [*unpacked.over(packages, tmp_path_factory.mktemp("systemd")), *command]
    return lambda *words: subprocess.run([*command, *words], capture_output=True, text=True, check=False)


def test_systemd_reads_it_without_complaint(unit, analyze):
    done = analyze("verify", "--man=no", "--recursive-errors=no", unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_would_complain_of_a_misspelt_setting(unit, analyze):
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHomes="))
    assert "ProtectHomes" in analyze("verify", "--man=no", "--recursive-errors=no", unit).stderr


def test_nothing_but_what_it_needs_is_left_open(analyze):
    done = analyze("security", "--offline=true", "--threshold=20", "--json=short", UNIT)
    assert done.returncode == 0, done.stdout  # at most 2.0 of 10 exposed
    exposed = {each["json_field"] for each in json.loads(done.stdout) if each.get("exposure")}
    assert exposed <= NEEDED


def test_one_capability_and_no_user_of_its_own():
    found = settings(UNIT)
    assert found["AmbientCapabilities"] == found["CapabilityBoundingSet"] == ["CAP_NET_ADMIN"]
    assert (found["DynamicUser"], found["NoNewPrivileges"]) == (["yes"], ["yes"])
    assert found["Type"] == ["notify"]


def test_our_command_line_takes_what_it_starts(monkeypatch):
    monkeypatch.delenv("PODROUTES_STATE_DIR")  # a test's own
    found = settings(UNIT)
    assert found["ExecStart"] == ["podroutes agent"]
    asked = build_parser().parse_args(["agent"])
    assert asked.state_dir == f"/var/lib/{found['StateDirectory'][0]}"


@pytest.mark.parametrize("path", [UNIT, *DROP_INS], ids=lambda path: path.name)
def test_every_variable_that_it_names_is_an_option(path, monkeypatch):
    named = set(re.findall(r"PODROUTES_(\w+)=", path.read_text()))
    monkeypatch.delenv("PODROUTES_KUBERNETES", raising=False)
    assert {name.lower() for name in named} <= set(vars(build_parser().parse_args(["agent"])))
