"""Write the reference pages that the program itself knows best: the man page and the tables of codes.

`./dev man` runs this, and a test compares what is committed with what it would write.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from podroutes import __version__
from podroutes.cli import examples
from podroutes.cli.parser import arguments, build_parser, subcommands
from podroutes.model.finding import FINDINGS
from podroutes.model.problem import CODES
from podroutes.model.proof import CAUSES
from podroutes.persist import BACKENDS, EVENTS, backend
from podroutes.views.schemas import SCHEMAS, schema

HERE = Path(__file__).parent
SURVIVAL, SURVIVAL_END = "<!-- what survives what: ./dev man -->", "<!-- end -->"

PROBLEMS = """\
# Problems

What `podroutes` finds wrong is named by a code, which is stable: it is `code` in `-o json`, and scripts may rely on it.
A problem never stops the routes of the nodes that it does not concern.

| code | what it means | what to do |
|---|---|---|
"""

CAUSES_HEAD = """\
# Causes

What `podroutes verify` and `podroutes trace` find is explained by one cause, named by a code, which is stable: it is `code` in
`-o json`, and scripts may rely on it.

| code | what it means | what to do |
|---|---|---|
"""

FINDINGS_HEAD = """\
# Findings

What `podroutes doctor` finds is named by a code, which is stable: it is `code` in `-o json`, and scripts may rely on it. An
*error* stops pod traffic, a *warning* will or does so for some of it, *info* leaves the exit status at 0.
"""

JSON_HEAD = """\
# JSON

Every command that reports prints JSON with `-o json` and the same as YAML with `-o yaml`, on standard output, in one line where it is not a
terminal. Each document has an `apiVersion`. Fields may be added in later versions; those below keep their names, types and meanings. `podroutes
schema NAME` prints the [JSON Schema](https://json-schema.org/draft/2020-12) of a document.

One vocabulary holds everywhere:

| field | meaning |
|---|---|
| `dst`, `via`, `dev` | a route as ip-route(8) has it: the network, the next hop, the device |
| `node`, `nodes` | names of nodes; in `plan-all` and `push` a document for each, in `verify` how many there are |
| `code` | a stable name of a problem, cause or finding, which `podroutes help CODE` explains |
| `severity` | of problems and findings `error`, `warning` or `info`; of what `verify` and `trace` find `unreachable`, `cannot-tell` or `warning` |
| `message`, `fix` | one sentence: what is wrong, and what to do; of `doctor` a list of commands |
| `error` | why something could not be done, null or missing where it was |
| times | seconds since the epoch in `status`; RFC 3339 in `push` |

Where a command fails as a whole, the document is an [`error`](#error), and the same sentence is on standard error. The exit status tells which it
is: 1, which a document of a plan or a proof can have as well.
"""

# The option that every command has.
COLOR = (
    ".TP",
    r"\fB\-\-color\fR \fIWHEN\fR",
    r"of every command: colour as",
    r".BR auto ,",
    r".B always",
    r"or",
    r".BR never ;",
    r"auto is colour for a terminal, unless",
    r".B NO_COLOR",
    r"is set;",
    r".B FORCE_COLOR",
    r"forces it",
)
# What the parser does not know.
CLOSING = r"""
.SH EXIT STATUS
.TP
.B 0
Done, in sync, or nothing to report.
.TP
.B 1
An error: one line on standard error says where it is, what is wrong and what to do.
.TP
.B 2
.BR plan :
changes are pending;
.BR show :
some route is not
.BR ok ;
.BR verify ", " trace :
not proven, or not delivered;
.BR doctor :
something would stop pod traffic;
.BR status :
something needs attention;
.BR push " plan, " push " verify:"
as plan and verify.
.SH DIAGNOSTICS
Problems, causes and findings have a code, such as
.BR foreign\-route ;
.B podroutes help
.I CODE
says what it means and what to do.
.SH FILES
.TP
.I /var/lib/podroutes
State that is kept between runs: the nodes that the agent acted on last, and what was deleted lately.
.TP
.IR /etc/podroutes/podroutes.conf ", " ~/.config/podroutes/podroutes.conf
Options that every run would repeat, a line each:
.BR "inventory = /etc/podroutes/machines.txt" .
The command line counts before the environment, that before these files.
.TP
.I /etc/default/podroutes
Options of
.BR podroutes\-agent.service .
.TP
.IR /etc/iproute2/rt_protos.d ", " /usr/share/iproute2/rt_protos.d
Where ip(8) learns that protocol 107 is called podroutes.
.SH ENVIRONMENT
.TP
.B NODE_NAME
The node that this machine is, where
.B \-\-node
does not say it.
.TP
.BI PODROUTES_ OPTION
The value of
.BI \-\- option
where the command line does not give it, for example
.BR PODROUTES_INVENTORY .
.TP
.B PODROUTES_CONFIG
The configuration files to read in place of these, with colons between them; empty: none.
.TP
.BR NO_COLOR ", " FORCE_COLOR
When set and not empty, output is not coloured, or is coloured where it is no terminal, too.
.SH NOTES
The routes carry route protocol 107, which is how
.B podroutes
knows its own; with netplan, which knows no protocols, it is the file that it wrote. Nothing else is ever changed or deleted.
.SH SEE ALSO
.BR ip\-route (8),
.BR rtnetlink (7),
.BR network_namespaces (7)
"""


def problems() -> str:
    """Return docs/problems.md."""
    rows = (f"| `{code}` | {meaning} | {fix} |" for code, (meaning, fix) in sorted(CODES.items()))
    return PROBLEMS + "\n".join(rows) + "\n"


def causes() -> str:
    """Return docs/causes.md."""
    rows = (f"| `{code}` | {meaning} | {fix} |" for code, (meaning, fix) in sorted(CAUSES.items()))
    return CAUSES_HEAD + "\n".join(rows) + "\n"


def findings() -> str:
    """Return docs/findings.md: a section for each code, whose heading is the anchor that findings name."""
    sections = (
        f"\n## {code}\n\n**{kind.title}** ({kind.severity}). {kind.reason}\n\n{kind.advice}\n\nSource: {kind.source}.\n"
        for code, kind in sorted(FINDINGS.items())
    )
    return FINDINGS_HEAD + "".join(sections)


def persistence() -> str:
    """Return docs/persistence.md with the table of what survives what, which the backends know."""
    page = (HERE / "persistence.md").read_text(encoding="utf-8")
    backends = {name: backend(name) for name in BACKENDS}
    rows = [["event", *backends], ["---"] * (len(backends) + 1)]
    rows += [[words, *(each.SURVIVES[event] for each in backends.values())] for event, words in EVENTS.items()]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    head, begin, rest = page.partition(SURVIVAL)
    return head + begin + "\n\n" + table + "\n" + rest[rest.index(SURVIVAL_END) :]


def json_page() -> str:
    """Return docs/json.md: a section for each document with a row for each field."""
    sections = []
    for name, (about, _) in SCHEMAS.items():
        rows = (
            f"| `{path}` | {kind} | {meaning} |" for path, kind, meaning in _fields(schema(name), "", required=True)
        )
        sections.append(
            f"\n## `{name}`\n\n{about}\n\n| field | type | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    return JSON_HEAD + "".join(sections)


def _fields(value: dict[str, Any], path: str, *, required: bool) -> Iterator[tuple[str, str, str]]:
    """Yield path, type and meaning of every field in the schema VALUE."""
    plain = next((each for each in value.get("anyOf", ()) if each.get("type") in {"object", "array"}), value)
    if path:
        about = str(value.get("description") or plain.get("description") or "")
        words = ", ".join(f"`{word}`" for word in plain.get("enum", ()))
        yield path, _type(value), "; ".join(filter(None, (about, words, "" if required else "optional")))
    inner = plain["items"] if plain.get("type") == "array" else plain
    below = f"{path}[]" if inner is not plain else path
    for name, each in inner.get("properties", {}).items():
        yield from _fields(each, f"{below}.{name}" if below else name, required=name in inner.get("required", ()))


def _type(value: dict[str, Any]) -> str:
    if "anyOf" in value:
        return " or ".join(_type(each) for each in value["anyOf"])
    if "const" in value:
        return f"`{value['const']}`"
    kinds = value.get("type", "any value")
    text = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    items = value.get("items", {}).get("type")
    return f"{text} of {items}s" if isinstance(items, str) else text


def man_page() -> str:
    """Return docs/man/podroutes.1, in the macros of man(7)."""
    parser = build_parser()
    head = [
        f'.TH PODROUTES 1 "" "podroutes {__version__}" "User Commands"',
        ".SH NAME",
        r"podroutes \- plan, apply, heal and prove the pod network routes of a Kubernetes cluster",
        ".SH SYNOPSIS",
        r".B podroutes",
        r".RI [ OPTION ...]",
        r".I COMMAND",
        r".RI [ ARGUMENT ...]",
        ".SH DESCRIPTION",
        *_paragraphs(parser.description or ""),
    ]
    options = [*_options(parser), *COLOR]
    body = [*head, *([".SH OPTIONS", *options] if options else []), ".SH COMMANDS", *_commands(parser)]
    tour = [".SH EXAMPLES", *_examples("")]
    return "\n".join([*body, *tour]) + CLOSING


def _commands(parser: argparse.ArgumentParser) -> Iterator[str]:
    for name, sub in subcommands(parser).items():
        positional = (f" {_metavar(action)}" for action in arguments(sub) if not action.option_strings)
        yield f".SS {_roff(sub.prog.partition(' ')[2] or name)}{_roff(''.join(positional))}"
        if sub.usage:  # written by hand where argparse cannot say it
            yield from (".nf", *(_roff(line.strip()) for line in sub.usage.splitlines()), ".fi", ".PP")
        yield from _paragraphs(sub.description or "")
        yield from _options(sub)
        yield from _examples(sub.prog.partition(" ")[2])
        yield from _commands(sub)


def _examples(command: str) -> Iterator[str]:
    if lines := examples.of(command):
        yield from (".PP", ".nf", *(_roff(line) for line in lines), ".fi")


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in arguments(parser):
        if action.dest == "color":  # every command has it
            continue
        names = ", ".join(rf"\fB{_roff(name)}\fR" for name in action.option_strings)
        value = rf"\fI{_roff(_metavar(action))}\fR" if action.nargs != 0 else ""
        yield ".TP"
        yield " ".join(part for part in (names, value) if part)
        yield from _paragraphs((action.help or "") % {**vars(action), "prog": parser.prog})


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    if action.metavar is None and action.choices is not None:
        return "|".join(map(str, action.choices))
    return action.metavar or (action.dest.upper() if action.option_strings else action.dest)


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith("  "):  # as it stands
            yield from (".nf", *(_roff(line) for line in paragraph.splitlines()), ".fi")
            continue
        for place, line in enumerate(paragraph.splitlines()):
            if place and re.match(r"[a-z ]+: ", line):  # "exit status: ..." begins a line of its own
                yield ".br"
            yield _roff(" ".join(line.split()))


def _roff(text: str) -> str:
    """Return TEXT as man(7) prints it literally: no macro, no escape, hyphens that can be copied into a shell."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


PAGES = {
    HERE / "problems.md": problems,
    HERE / "findings.md": findings,
    HERE / "causes.md": causes,
    HERE / "persistence.md": persistence,
    HERE / "json.md": json_page,
    HERE / "man" / "podroutes.1": man_page,
}


def main() -> int:
    """Write every page."""
    for path, page in PAGES.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
