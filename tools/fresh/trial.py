"""What the README says to type on a machine, and what came of each line."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fresh.machine import USER, Done, Machine

_GIVEN = ("git",)  # who has cloned a repository has it
_TYPE = re.compile(r"type: sudo (apt-get .*)")


class Step(NamedTuple):
    """A line that was typed."""

    what: str
    done: Done
    notes: list[str]


class Trial(NamedTuple):
    """All of it for one user on one machine."""

    release: str
    who: str
    steps: list[Step]

    @property
    def failed(self) -> bool:
        """Whether anything did not work."""
        return any(step.done.status for step in self.steps)


def clone(checkout: Path, target: Path) -> None:
    """Make TARGET a clone of what is committed in CHECKOUT, with what is changed or new there."""
    git = ["git", "-c", "safe.directory=*"]
    subprocess.run([*git, "clone", "-q", "--no-hardlinks", str(checkout), str(target)], check=True)
    changes = subprocess.run([*git, "diff", "--binary", "HEAD"], cwd=checkout, capture_output=True, check=True).stdout
    if changes:
        subprocess.run([*git, "apply", "--index", "-"], cwd=target, input=changes, check=True)
    listing = [*git, "ls-files", "-z", "--others", "--exclude-standard"]
    new = subprocess.run(listing, cwd=checkout, capture_output=True, text=True, check=True).stdout
    for name in filter(None, new.split("\0")):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(checkout / name, target / name)
    subprocess.run([*git, "add", "--all"], cwd=target, check=True)


class Stranger:
    """Somebody who has just cloned the repository into DIRECTORY of MACHINE."""

    def __init__(self, machine: Machine, checkout: Path, who: str, directory: str) -> None:
        self.machine, self.who, self.directory = machine, who, directory
        self.steps: list[Step] = []
        machine.root("/", "apt-get", "-qq", "update", online=True)
        machine.root("/", "apt-get", "-qq", "install", "-y", "--no-install-recommends", *_GIVEN, online=True)
        self._known, self._archives = machine.packages(), self._debs()
        if who == "user":
            machine.root("/", "useradd", "--create-home", "--shell", "/bin/bash", USER)
        inside = machine.tree / directory.lstrip("/")
        clone(checkout, inside)
        if who == "user":
            machine.root("/", "chown", "-R", f"{USER}:", directory)

    def type(self, line: str, *, online: bool = False) -> Done:
        """Type LINE; where it asks for packages, have root install them and type it again."""
        acts = {"user": self.machine.user, "container": self.machine.container}
        act = partial(acts.get(self.who, self.machine.root), online=online)
        done = act(self.directory, "bash", "-c", line)
        asked = _TYPE.search(done.output) if done.status and online and self.who == "user" else None
        if asked:
            given = self.machine.root("/", "sh", "-c", asked[1].replace("sudo ", ""), online=True)
            self.steps.append(Step(asked[0], given, []))
            done = act(self.directory, "bash", "-c", line)
        self.steps.append(Step(line, done, []))
        return done

    def note(self, *texts: str) -> None:
        """Add to the last line what came of it."""
        self.steps[-1].notes.extend(line for text in texts for line in text.splitlines())

    def installed(self) -> str:
        """Return the packages that have come since the clone, with their size."""
        new = {name: size for name, size in self.machine.packages().items() if name not in self._known}
        self._known |= new
        return f"{len(new)} packages, {sum(new.values()) / 1024:.0f} MiB: {' '.join(sorted(new))}" if new else ""

    def downloaded(self) -> str:
        """Return how many bytes came for the packages since the last call, and are to come for what runs podroutes."""
        before, self._archives = self._archives, self._debs()
        packages = sum(size for name, size in self._archives.items() if name not in before)
        act = self.machine.user if self.who == "user" else self.machine.root
        pip = f"{self.directory}/.venv/bin/python -m pip download -q --no-deps --require-hashes -r requirements.txt"
        listed = f"dir=$(mktemp -d) && {pip} -d $dir && stat -c %s $dir/*; rm -rf $dir"
        wheels = sum(
            int(line)
            for line in act(self.directory, "bash", "-c", listed, online=True).output.split()
            if line.isdigit()
        )
        return f"downloaded {(packages + wheels) / 1e6:.1f} MB: {packages / 1e6:.1f} of Debian's, {wheels / 1e6:.1f} of Python's packages"

    def _debs(self) -> dict[str, int]:
        """Return the packages that apt has downloaded, with their size in bytes."""
        return {path.name: path.stat().st_size for path in (self.machine.tree / "var/cache/apt/archives").glob("*.deb")}

    def size(self, name: str) -> str:
        """Return how much NAME in the checkout holds."""
        path = self.machine.tree / self.directory.lstrip("/") / name
        total = sum(each.lstat().st_blocks for each in path.rglob("*")) * 512 if path.exists() else 0
        return f"{name} {total / 1024 / 1024:.0f} MiB"

    def results(self, name: str) -> str:
        """Return what the tests came to, as JUnit's file NAME of the checkout has it."""
        path = self.machine.tree / self.directory.lstrip("/") / name
        if not path.exists():
            return "no results"
        cases = list(ET.parse(path).getroot().iter("testcase"))  # noqa: S314, our own file
        failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
        reasons = Counter(
            (skipped.get("message") or "").strip()
            for case in cases
            if (skipped := case.find("skipped")) is not None and skipped.get("type") != "pytest.xfail"
        )
        lines = [
            f"{len(cases) - len(failed) - reasons.total()} passed, {len(failed)} failed, {reasons.total()} skipped"
        ]
        lines += [f"failed: {case.get('classname')}::{case.get('name')}" for case in failed]
        lines += [f"skipped {count}: {reason}" for reason, count in reasons.most_common()]
        return "\n".join(lines)


def drop(tree: Path) -> None:
    """Delete a machine's files."""
    shutil.rmtree(tree)
