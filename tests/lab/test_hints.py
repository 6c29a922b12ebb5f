"""What a lab prints to be typed works as it is printed, however podroutes was started; and inside it is a command."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.conftest import Tool, made

SCRIPT = Path(sys.executable).with_name("podroutes")  # what installing it makes


@pytest.fixture
def directory() -> Iterator[Path]:
    """Return a directory that every user can write in."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o777)
        yield Path(path)


def hints(printed: str) -> list[str]:
    return [found[1] for line in printed.splitlines() if (found := re.match(r"(?:try|end|   ) {3}(\S.*)", line))]


def start(tool: Tool, words: list[str], directory: Path) -> Tool:
    """Return podroutes as WORDS start it, where PATH has no podroutes."""
    directories = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(each for each in directories if not shutil.which("podroutes", path=each))
    return Tool(words or tool.command, {**tool.environment, "PATH": path, "PWD": str(directory)})


@pytest.mark.parametrize("how", ["module", "script", "relative", "path"])
def test_every_command_that_up_prints_works(root, name, directory, how):
    words = {"module": [], "script": [str(SCRIPT)], "relative": ["bin/podroutes"], "path": ["podroutes"]}[how]
    (directory / "bin").mkdir()
    (directory / "bin" / "podroutes").symlink_to(SCRIPT)
    tool = start(root, words, directory)
    if how == "path":
        tool.environment["PATH"] = f"{directory}/bin:{tool.environment['PATH']}"
    printed = subprocess.run(
        [*tool.command, "lab", "up", "--name", name, "--nodes", "2"],
        env=tool.environment,
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    try:
        statuses = [
            subprocess.run(
                ["sh", "-c", line], env=tool.environment, cwd=directory, capture_output=True, check=False
            ).returncode
            for line in hints(printed)
        ]
    finally:
        root("lab", "down", "--name", name)
    # No pod is reached yet, an inventory, a plan with changes, applied everywhere, gone.
    assert statuses == [1, 0, 2, 0, 0], printed
    shown = {"path": "podroutes", "relative": "bin/podroutes"}.get(how, str(SCRIPT))
    assert f"try   {shown} lab ping" in printed


def test_inside_podroutes_is_a_command_and_the_very_one_that_was_started(tool, make):
    bare = tool._replace(environment={**tool.environment, "PATH": "/usr/bin:/bin"})
    with make("--nodes", "1") as lab:
        for where in ("worker-0", "pod@worker-0", "switch"):
            shown = bare(
                "lab", "exec", "--name", lab.name, where, "--", "sh", "-c", "command -v podroutes; podroutes --version"
            )
            assert shown.stdout.splitlines() == ["/run/bin/podroutes", tool("--version").stdout.strip()]
        asked = bare("lab", "exec", "--name", lab.name, "worker-0", "--", "cat", "/run/bin/podroutes").stdout
        assert asked == f'#!/bin/sh\nexec {tool.command[-3]} -P -m podroutes "$@"\n'


def test_a_directory_with_a_podroutes_of_its_own_is_no_trap(root, name, directory):
    (directory / "podroutes.py").write_text("raise SystemExit('the wrong one')\n")
    with made(root._replace(command=[sys.executable, "-P", "-m", "podroutes"]), name, "--nodes", "1") as lab:
        assert lab.on("worker-0", "podroutes", "--version", cwd=directory).startswith("podroutes ")


def test_a_current_directory_that_is_gone_is_no_reason_to_fail(root, directory):
    script = 'mkdir gone; cd gone; rmdir ../gone; exec "$@"'
    words = ["sh", "-c", script, "sh", str(SCRIPT), "lab", "status"]
    shown = subprocess.run(
        words, env=root.environment, cwd=directory, capture_output=True, text=True, check=True
    ).stdout
    assert shown == f"no lab is up: make one with `{SCRIPT} lab up`\n"
