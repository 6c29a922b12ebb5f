"""Labs as people make them: by the command line, as root and as a user without privileges."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

import podroutes
from support.users import unprivileged

_names = (f"test-{os.getpid()}-{number}" for number in itertools.count())


class Tool(NamedTuple):
    """A way to start podroutes: the words before its own, its environment, and the directory."""

    command: list[str]
    environment: dict[str, str]
    cwd: str = "."

    def __call__(self, *words: str, status: int | None = 0, stdin: str = "", **keywords) -> subprocess.CompletedProcess:
        """Run ``podroutes WORDS``; its exit status has to be STATUS (None: any), and a traceback is never right."""
        done = subprocess.run(
            [*self.command, *words],
            **{
                "env": self.environment,
                "cwd": self.cwd,
                "input": stdin,
                "capture_output": True,
                "encoding": "utf-8",
                **keywords,
            },
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert status is None or done.returncode == status, done.stdout + done.stderr
        return done

    def popen(self, *words: str, **keywords) -> subprocess.Popen:
        """Start ``podroutes WORDS``."""
        return subprocess.Popen([*self.command, *words], env=self.environment, cwd=self.cwd, **keywords)


class Lab(NamedTuple):
    """A lab that is up."""

    tool: Tool
    name: str

    def __call__(self, verb: str, *words: str, **keywords) -> subprocess.CompletedProcess:
        """Run ``podroutes lab VERB --name NAME WORDS``."""
        return self.tool("lab", verb, "--name", self.name, *words, **keywords)

    def on(self, node: str, *command: str, **keywords) -> str:
        """Run COMMAND on NODE and return what it printed."""
        return self("exec", node, "--", *command, **keywords).stdout.strip()


@pytest.fixture
def root() -> Tool:
    """Return podroutes as root."""
    return Tool([sys.executable, "-m", "podroutes"], _environment(Path(podroutes.__file__).parents[1]))


@pytest.fixture
def nobody(readable: Path, python: str) -> Tool:
    """Return podroutes as a user without privileges."""
    return Tool([*unprivileged(), python, "-m", "podroutes"], _environment(readable), "/")


@pytest.fixture(params=["root", "nobody"])
def tool(request: pytest.FixtureRequest) -> Tool:
    """Return podroutes as root, then as a user without privileges."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def name() -> str:
    """Return a name that no other lab has."""
    return next(_names)


@pytest.fixture
def lab(tool: Tool, name: str) -> Iterator[Lab]:
    """Make a lab of three machines."""
    with made(tool, name) as found:
        yield found


@pytest.fixture
def make(tool: Tool, name: str) -> Callable[..., AbstractContextManager[Lab]]:
    """Return a function of options to `lab up` that makes a lab for the length of a block."""
    return partial(made, tool, name)


@contextmanager
def made(tool: Tool, name: str, *options: str, stdin: str = "") -> Iterator[Lab]:
    """Make a lab and end it again."""
    found = Lab(tool, name)
    found("up", *options, stdin=stdin)
    try:
        yield found
    finally:
        found("down")


def _environment(path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PODROUTES_")}
    return {**kept, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}
