"""Help fits the terminal; colour and characters are what the terminal shows."""

import os
import re
import subprocess
import sys

import pytest

from podroutes.cli import examples
from podroutes.cli.parser import build_parser, subcommands

NODES = """\
nodes:
- {name: worker-0, internalIP: 192.168.8.20, podCIDR: 10.200.0.0/24}
- {name: worker-1, internalIP: 192.168.8.21, podCIDR: 10.200.1.0/24}
"""


def walk(parser):
    for each in subcommands(parser).values():
        yield each
        yield from walk(each)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_help_fits_the_terminal(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for parser in (build_parser(), *walk(build_parser())):
        shown = parser.format_help().partition("\nexamples:\n")
        rest = shown[2].partition("\n\n")[2]  # what is to be typed is not broken
        too_wide = [line for line in (shown[0] + rest).splitlines() if len(line) > width and " " in line.strip()]
        assert [line for line in too_wide if not line.startswith(("  ", "usage:"))] == [], parser.prog


def test_every_command_has_examples_which_it_takes():
    known = {each.prog.partition(" ")[2] for each in walk(build_parser())}
    assert set(examples.EXAMPLES) == {"", *known}
    for command in known:
        for line in examples.of(command):
            words = re.search(r"(?<![\w-])podroutes ([^|>)]*)", line)
            if line.startswith("#") or not words:
                continue
            build_parser().parse_args([word.strip("'\"") for word in words[1].split()])


def test_help_says_the_examples_under_the_name_that_was_typed():
    text = build_parser("kubectl podroutes")
    assert "    kubectl podroutes plan -i machines.txt\n" in text.format_help()
    (plan,) = (each for each in walk(text) if each.prog == "kubectl podroutes plan")
    assert "    kubectl podroutes plan -i machines.txt --all\n" in plan.format_help()


def podroutes(*words, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "NO_", "FORCE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "podroutes", *words], capture_output=True, env=kept | environment, check=False
    )
    return (done.stdout + done.stderr).decode()


def test_colour_is_what_was_asked_for(tmp_path):
    path = tmp_path / "nodes.yaml"
    path.write_text(NODES)
    plan = ("plan", "--all", "-i", str(path))
    assert "\x1b[" not in podroutes(*plan)
    assert "\x1b[" in podroutes(*plan, FORCE_COLOR="1")
    assert "\x1b[" in podroutes(*plan, "--color", "always", NO_COLOR="1")
    assert "\x1b[" in podroutes("--color=always", *plan)
    assert "\x1b[" in podroutes(*plan, PODROUTES_COLOR="always")
    assert "\x1b[" not in podroutes(*plan, FORCE_COLOR="1", NO_COLOR="1")
    assert "\x1b[" not in podroutes(*plan, "--color", "never", FORCE_COLOR="1")
    assert "did you mean always?" in podroutes(*plan, "--color", "alway")


@pytest.mark.parametrize(
    ("locale", "shown"),
    [
        ({"LC_ALL": "C"}, "..."),
        ({"LANG": "C"}, "..."),
        ({"LANG": "POSIX"}, "..."),
        ({"LC_ALL": "C.UTF-8"}, "…"),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, "…"),
        ({}, "…"),
        ({"LC_ALL": "C", "PYTHONIOENCODING": "utf-8"}, "…"),
        ({"PYTHONIOENCODING": "latin-1"}, "..."),
    ],
)
def test_what_the_locale_cannot_show_is_spelled_out(locale, shown):
    said = podroutes("help", "x" * 200, **locale)
    assert f"xxx{shown}" in said


def test_documents_are_the_same_in_every_locale(tmp_path):
    path = tmp_path / "nodes.yaml"
    path.write_text(NODES.replace("worker-1", "wörker…"), encoding="utf-8")
    import json  # noqa: PLC0415

    import yaml  # noqa: PLC0415

    for output, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        for locale in ({"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}, {"PYTHONIOENCODING": "latin-1"}):
            document = read(podroutes("plan", "--all", "-i", str(path), "-o", output, **locale))
            assert document["nodes"][1]["node"] == "wörker…", (output, locale)
