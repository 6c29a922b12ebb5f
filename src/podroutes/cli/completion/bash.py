"""The completion script of bash (3.2 and later): https://www.gnu.org/software/bash/manual/html_node/Programmable-Completion.html."""

from collections.abc import Iterator

from podroutes.cli.completion.grammar import Command, Value, walk

_HEAD = """\
# bash completion for podroutes. `podroutes completion bash` prints it; do not edit.
# shellcheck shell=bash

# Print what podroutes lists: nodes, labs, or the topics of help.
_podroutes_list() {
    podroutes completion --list "$@" 2>/dev/null </dev/null
}

# Add the candidates of standard input, one a line, that begin with what is typed.
_podroutes_add() {
    local word
    while IFS= read -r word; do
        [[ $word != "$2"* ]] || COMPREPLY+=("$1$word")
    done
}

_podroutes() {
    local at="" option="" words="" word cur=$2 count=0 i
    local -a source=() lab=()
    COMPREPLY=()
    [[ $cur != "=" ]] || cur=""
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == "=" ]]; then # bash takes --node=x apart
            continue
        elif [[ -n $option && $word != -?* ]]; then
            case $option in
                -i | --inventory) source=(--inventory "${word/#\\~\\//$HOME/}") ;;
                --lab | --name) lab=(--lab "$word") ;;
            esac
            option=""
            continue
        elif [[ $at == "lab exec" && $count -gt 0 ]]; then
            break
        fi
        option=""
        case $word in
"""
_COMMANDS = """\
            -*) ;;
            *)
                case "$at $word" in
{cases}
                        at="${{at:+$at }}$word"
                        ;;
                    *) count=$((count + 1)) ;;
                esac
                ;;
        esac
    done
"""
_EXEC = """\
    [[ $cur != -* ]] || option=""
    if [[ $at == "lab exec" && $count -gt 0 ]]; then # the command to run on the machine
        [[ $((COMP_CWORD - i)) -gt 1 ]] || _podroutes_add "" "$cur" < <(compgen -c -- "$cur")
        return
    fi
"""
_TAIL = """\
}

complete -o default -F _podroutes podroutes kubectl-podroutes
"""


def script(root: Command) -> str:
    """Return the script."""
    commands = list(walk(root))
    lines = [
        _valued(commands),
        _COMMANDS.format(cases=_paths(commands)) + _EXEC,
        *_values(commands),
        *_positionals(commands),
        *_words(commands),
    ]
    return _HEAD + "".join(lines) + _TAIL


def _valued(commands: list[Command]) -> str:
    """Return the pattern of the options that require a value in the next word."""
    names = sorted(
        {
            name
            for command in commands
            for option in command.options
            if option.value and not (option.value.optional and option.value.kind == "any")
            for name in option.names
        }
    )
    return f"            {' | '.join(names)}) option=$word ;;\n"


def _paths(commands: list[Command]) -> str:
    lines = [
        " " * 20
        + " | ".join(f'"{" ".join(subcommand.path[:-1])} {subcommand.path[-1]}"' for subcommand in command.commands)
        for command in commands
        if command.commands
    ]
    return " | \\\n".join(lines) + ")"


def _values(commands: list[Command]) -> Iterator[str]:
    """Yield the part that completes option values."""
    meanings: dict[str, dict[Value, list[str]]] = {}
    for command in commands:
        for option in command.options:
            if option.value and option.value.kind not in ("any", "file"):
                value = option.value._replace(metavar="", optional=False)
                for name in option.names:
                    meanings.setdefault(name, {}).setdefault(value, []).append(command.name)
    yield '    case "$at:$option" in\n'
    for name, values in meanings.items():
        for value, paths in values.items():
            patterns = [f"*:{name}"] if len(values) == 1 else [f'"{path}:{name}"' for path in paths]
            yield f"        {' | '.join(patterns)}) {_candidates(value)} ;;\n"
    yield "    esac\n    [[ -z $option ]] || return\n"


def _positionals(commands: list[Command]) -> Iterator[str]:
    yield '    case "$at:$count" in\n'
    for command in commands:
        for number, value in enumerate(command.values):
            pattern = f'"{command.name}:"*' if value.kind == "topic" else f'"{command.name}:{number}"'
            if value.kind != "any":
                yield f"        {pattern}) {_candidates(value)} ;;\n"
    yield "    esac\n"


def _words(commands: list[Command]) -> Iterator[str]:
    """Yield the part that completes commands and options: options after a dash, or if there are no commands."""
    yield "    case $at in\n"
    for command in commands:
        options = " ".join(name for option in command.options for name in option.names)
        below = " ".join(subcommand.path[-1] for subcommand in command.commands)
        words = f"if [[ $cur == -* ]]; then words='{options}'; else words='{below}'; fi" if below else ""
        words = words or f"words='{options}'"
        yield f'        "{command.name}") {words} ;;\n'
    yield "    esac\n"
    yield '    [[ -z $cur && ${#COMPREPLY[@]} -gt 0 ]] || _podroutes_add "" "$cur" <<<"${words// /$\'\\n\'}"\n'


def _candidates(value: Value) -> str:
    add = '_podroutes_add "" "$cur"'
    match value.kind:
        case "words":
            return f"{add} < <(printf '%s\\n' {' '.join(value.words)})"
        case "directory":
            return f'{add} < <(compgen -d -- "$cur")'
        case "device":
            return f"{add} < <(ls /sys/class/net 2>/dev/null)"
        case "topic":
            return f"{add} < <(_podroutes_list topics)"
        case "lab":
            return f"{add} < <(_podroutes_list labs)"
        case "exec":
            return f'{add} < <(_podroutes_list nodes "${{lab[@]:---lab}}")'
        case "nodes":
            return '_podroutes_add "${cur%"${cur##*,}"}" "${cur##*,}" < <(_podroutes_list nodes "${source[@]}")'
        case "node":
            return f'{add} < <(_podroutes_list nodes "${{source[@]}}" "${{lab[@]}}")'
        case _:
            return ":"
