"""The documentation says what the program does: its reference is the program's own, its examples are run."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from podroutes.cli.parser import build_parser
from podroutes.model.problem import CODES

DOCS = Path(__file__).parents[2] / "docs"


def load_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = load_reference()


@pytest.fixture
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, no_environment: None) -> None:
    """Let what the documentation types keep its state here, not in this machine's /var/lib."""
    monkeypatch.setenv("PODROUTES_STATE_DIR", str(tmp_path_factory.mktemp("state")))


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tester's own options out of the parser's defaults."""
    for name in [name for name in os.environ if name.startswith("PODROUTES_") or name == "NODE_NAME"]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("path", reference.PAGES, ids=lambda path: path.name)
def test_a_generated_page_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == reference.PAGES[path](), "type: ./dev man"


def test_the_problem_table_has_every_code_with_its_meaning_and_fix() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (.+) \|$", read("problems.md"), re.MULTILINE)
    assert {code: (meaning, fix) for code, meaning, fix in rows} == CODES


def test_the_man_page_is_clean_roff() -> None:
    """Macros are known ones: no line of text is taken for one."""
    macros = {line.split()[0] for line in read("man/podroutes.1").splitlines() if line.startswith((".", "'"))}
    assert macros <= {".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BR", ".BI", ".I", ".RI", ".IR", ".br", ".nf", ".fi"}


def parsers(parser: Any) -> Iterator[Any]:
    yield parser
    for sub in reference.subcommands(parser).values():
        yield from parsers(sub)


def test_every_command_and_option_is_documented_and_no_other() -> None:
    page, parser = read("commands.md"), build_parser()
    lab = reference.subcommands(parser)["lab"]
    actions = [action for each in parsers(parser) for action in reference.arguments(each)]
    options = {name for action in actions for name in action.option_strings if name.startswith("--")}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", page)) == options
    rows = {row.split()[0] for row in re.findall(r"^\| `([a-z ]+)` \| ", page.partition("## Options")[0], re.MULTILINE)}
    assert rows == set(reference.subcommands(parser))
    assert set(re.findall(r"`(?:podroutes )?lab ([a-z]+)", page)) == set(reference.subcommands(lab))


def sessions(page: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of the page's console blocks, with the lines that it says are printed."""
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            typed, *printed = command.splitlines()
            yield typed, printed


@pytest.mark.usefixtures("worker", "own_state")
def test_the_quickstart_happens_as_it_is_told(tmp_path: Path) -> None:
    page = read("quickstart.md")
    nodes = re.search(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert nodes
    (tmp_path / "machines.txt").write_text(nodes[1], encoding="utf-8")
    podroutes = f'podroutes() {{ "{sys.executable}" -m podroutes "$@"; }}'
    subprocess.run(["ip", "route", "add", "default", "via", "192.168.8.1", "proto", "static"], check=True)
    happened = []
    for typed, _ in sessions(page):
        done = subprocess.run(
            ["sh", "-c", f"{podroutes}\n{typed}"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        happened.append((typed, [line.rstrip() for line in done.stdout.splitlines()]))
    assert happened == list(sessions(page))
    assert len(happened) > 8


@pytest.mark.usefixtures("worker", "own_state")
def test_the_session_of_the_readme_happens_as_it_is_told(tmp_path: Path) -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    machines = re.search(r"^\$ cat machines.txt.*\n((?:\d.*\n)+)", readme, re.MULTILINE)
    assert machines
    (tmp_path / "machines.txt").write_text(machines[1], encoding="utf-8")
    block = next(block for block in BLOCK.findall(readme) if block.startswith("worker-0$ "))
    sessions = re.split(r"^worker-0\$ ", block, flags=re.MULTILINE)[1:]
    assert len(sessions) == 3
    for session in sessions:
        typed, *told = session.rstrip().splitlines()
        command = typed.removeprefix("sudo ").replace("podroutes", f"{sys.executable} -m podroutes", 1)
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
        lines = [line.rstrip() for line in done.stdout.splitlines()]
        assert done.stderr == ""
        assert lines[-1:] == told[-1:] if "…" in told else lines == told


PAGES = sorted(
    [*(DOCS.parent / name for name in ("README.md", "examples/README.md", "SECURITY.md")), *DOCS.glob("**/*.md")]
)
BLOCK = re.compile(r"^```(?:console|sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^(?:[\w-]*[$#] ?)?(?:sudo )?(?:kubectl )?podroutes ([^|;>&…\n]*)", re.MULTILINE)


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the parser has against WORDS."""
    try:
        build_parser().parse_args(words)
    except SystemExit as stop:
        return capsys.readouterr().err if stop.code else ""
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_is_one_that_podroutes_takes(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for words in TYPED.findall(block):
            assert refusal(shlex.split(words, comments=True), capsys) == "", words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
