"""The completion script of zsh: https://zsh.sourceforge.io/Doc/Release/Completion-System.html, ``_arguments``."""

import re
from collections.abc import Iterator

from podroutes.cli.completion.grammar import Command, Option, Value, walk

_HEAD = """\
#compdef podroutes kubectl-podroutes
# zsh completion for podroutes. `podroutes completion zsh` prints it; do not edit.

# Offer what podroutes lists: nodes, labs, or the topics of help.
_podroutes_list() {
    local -a names
    names=(${(f)"$(podroutes completion --list "$@" 2>/dev/null </dev/null)"})
    compadd -a names
}

# Offer the nodes of the inventory that the command line names, or of the environment's.
_podroutes_nodes() {
    local file=${opt_args[-i]:-${opt_args[--inventory]}}
    _podroutes_list nodes ${file:+--inventory} ${file:+${~file}} ${opt_args[--lab]:+--lab} ${opt_args[--lab]}
}

_podroutes_node_list() {
    compset -P '*,'
    _podroutes_nodes
}

_podroutes_machines() {
    _podroutes_list nodes --lab ${opt_args[--name]:-lab}
}
"""
_TAIL = """
if [ "$funcstack[1]" = "_podroutes" ]; then
    _podroutes "$@"
else
    compdef _podroutes podroutes kubectl-podroutes
fi
"""


def script(root: Command) -> str:
    """Return the script."""
    functions = (line for command in walk(root) for line in _function(command))
    return _HEAD + "".join(f"{line}\n" for line in functions) + _TAIL


def _function(command: Command) -> Iterator[str]:
    """Yield the function that completes the words after COMMAND."""
    yield f"\n{_name(command)}() {{"
    if command.commands:
        yield "    local curcontext=$curcontext state line\n    typeset -A opt_args"
    yield f"    _arguments{' -C' if command.commands else ''} -S \\"
    specs = [spec for option in command.options for spec in _option(option)]
    specs += [spec for value in command.values for spec in _positional(value)]
    specs += ["'1: :->command'", "'*:: :->rest'"] if command.commands else []
    yield from (f"        {spec} \\" for spec in specs[:-1])
    yield f"        {specs[-1]}"
    if command.commands:
        yield from _below(command)
    yield "}"


def _below(command: Command) -> Iterator[str]:
    """Yield the code that completes the name of a subcommand, and then the words after it."""
    yield "    case $state in"
    yield "        command)"
    yield "            local -a commands=("
    yield from (
        f"                {_quoted(f'{subcommand.path[-1]}:{subcommand.summary}')}" for subcommand in command.commands
    )
    yield "            )"
    yield "            _describe command commands"
    yield "            ;;"
    yield "        rest)"
    yield "            case $words[1] in"
    yield from (f"                {subcommand.path[-1]}) {_name(subcommand)} ;;" for subcommand in command.commands)
    yield "            esac"
    yield "            ;;"
    yield "    esac"


def _name(command: Command) -> str:
    return "_".join(("_podroutes", *command.path))


def _option(option: Option) -> Iterator[str]:
    """Yield a specification for each name of OPTION; only one of its names is offered at a time."""
    others = f"({' '.join(option.names)})" if len(option.names) > 1 else ""
    summary = re.sub(r"([][:\\])", r"\\\1", option.summary)
    for name in option.names:
        equals = "=" if option.value and name.startswith("--") else "+" if option.value else ""
        yield _quoted(f"{others}{name}{equals}[{summary}]{_meaning(option.value) if option.value else ''}")


def _positional(value: Value) -> Iterator[str]:
    if value.kind == "exec":
        yield _quoted("1:NODE:_podroutes_machines")
        yield _quoted("*::command:_normal")
    elif value.kind == "topic":
        yield _quoted(f"*:{value.metavar}: _podroutes_list topics")
    else:
        yield _quoted(_meaning(value))


def _meaning(value: Value) -> str:
    """Return the message and action of a specification."""
    actions = {
        "words": f"({' '.join(value.words)})",
        "file": "_files",
        "directory": "_files -/",
        "node": "_podroutes_nodes",
        "nodes": "_podroutes_node_list",
        "lab": " _podroutes_list labs",  # the space stops _arguments from adding words
        "device": "_net_interfaces",
    }
    colon = "::" if value.optional else ":"
    message = value.metavar.replace(":", r"\:")
    return f"{colon}{message}:{actions.get(value.kind, ' ')}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"
