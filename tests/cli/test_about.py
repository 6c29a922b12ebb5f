"""The commands about the program itself: help, version, config; and its name as a plugin of kubectl."""

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest

from podroutes import __version__
from podroutes.cli import kubectl, main
from podroutes.cli.parser import build_parser, subcommands
from podroutes.model.finding import FINDINGS, Finding
from podroutes.model.problem import CODES
from podroutes.model.proof import CAUSES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capsys):
    """Run a command; return its exit status, standard output and standard error."""

    def command(*words):
        try:
            status = main(list(words))
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return command


def test_help_of_a_command_is_what_its_help_option_prints(run):
    for words in ([], ["plan"], ["lab", "up"], ["push", "apply"], *([name] for name in subcommands(build_parser()))):
        assert run("help", *words) == run(*words, "--help")


def test_help_explains_every_code_with_what_to_do(run):
    for code, fix in (
        *((code, fix) for table in (CODES, CAUSES) for code, (_, fix) in table.items()),
        *((code, kind.advice) for code, kind in FINDINGS.items()),
    ):
        status, out, err = run("help", code)
        assert (status, err) == (0, "")
        assert f"fix: {fix}\n" in out


def test_a_code_of_two_tables_is_explained_twice(run):
    _, out, _ = run("help", "link-down")
    assert out.count("link-down: ") == 2
    assert CODES["link-down"][0] in out
    assert CAUSES["link-down"][0] in out


def test_no_code_has_the_name_of_a_command():
    assert not {*CODES, *CAUSES, *FINDINGS} & set(subcommands(build_parser()))


def test_help_names_what_was_probably_meant(run):
    assert run("help", "foregn-route") == (
        1,
        "",
        'podroutes: help: "foregn-route" is neither a command nor a code; did you mean foreign-route?\n',
    )


def test_what_a_finding_refers_to_is_a_command_that_explains_it(run):
    for code in FINDINGS:
        program, *words = Finding(code, "", ()).documentation.split()
        assert program == "podroutes"
        assert run(*words)[0] == 0


def test_version(run):
    status, out, _ = run("version")
    assert status == 0
    assert out.splitlines()[0] == f"podroutes {__version__}"
    document = json.loads(run("version", "-o", "json")[1])
    assert document["version"] == __version__
    assert document["executable"] == sys.executable
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for each in (*required["dependencies"], *required["optional-dependencies"]["push"]):
        assert each.partition(">")[0] in document["packages"]


def test_config_names_the_option_of_each_variable_and_variables_that_nothing_reads(run, monkeypatch):
    for name in [
        *(name for name in os.environ if name.startswith("PODROUTES_")),
        "NODE_NAME",
        "KUBECONFIG",
        "NO_COLOR",
    ]:
        monkeypatch.delenv(name, raising=False)
    assert run("config") == (0, "No option is set by the environment.\n", "")
    monkeypatch.setenv("PODROUTES_INVENTORY", "machines.txt")
    monkeypatch.setenv("PODROUTES_INVENTROY", "machines.txt")
    monkeypatch.setenv("NODE_NAME", "worker-0")
    assert run("config")[1].splitlines() == [
        "NODE_NAME=worker-0  --node, where PODROUTES_NODE is not set",
        "PODROUTES_INVENTORY=machines.txt  --inventory",
        "PODROUTES_INVENTROY=machines.txt  no option reads it; did you mean PODROUTES_INVENTORY?",
    ]
    (_, _, unread) = json.loads(run("config", "-o", "json")[1])["environment"]
    assert unread == {"name": "PODROUTES_INVENTROY", "value": "machines.txt", "option": None}


def test_as_a_plugin_it_calls_itself_kubectl_podroutes(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["kubectl-podroutes", "plan", "--help"])
    with pytest.raises(SystemExit) as stop:
        kubectl()
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("usage: kubectl podroutes plan ")
    monkeypatch.setattr(sys, "argv", ["kubectl-podroutes", "plan", "--nonsense"])
    assert kubectl() == 1
    assert "(see `kubectl podroutes plan --help`)" in capsys.readouterr().err
