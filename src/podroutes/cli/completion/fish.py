"""The completion script of fish: https://fishshell.com/docs/current/completions.html."""

from collections.abc import Iterator

from podroutes.cli.completion.grammar import Command, Option, Value, walk

_HEAD = """\
# fish completion for podroutes. `podroutes completion fish` prints it; do not edit.

# Print the commands among the words typed so far, such as "lab exec", and behind them how many other words follow.
function __podroutes_typed
    set -l at
    set -l count 0
    set -l option
    for word in (commandline -opc)[2..-1]
        if test "$at" = "lab exec" -a $count -gt 0
            set count (math $count + 1)
        else if test -n "$option"; and not string match -q -- '-?*' $word
            set option
        else
            set option
            switch $word
                case {valued}
                    set option $word
                case '-*'
                case '*'
                    if contains -- (string join ' ' $at $word) {paths}
                        set at $at $word
                    else
                        set count (math $count + 1)
                    end
            end
        end
    end
    printf '%s\\n' "$at" $count
end

# Whether the command is ARGV[1], with ARGV[2] other words behind it, or with any number where that is not given.
function __podroutes_at
    set -l typed (__podroutes_typed)
    test "$typed[1]" = "$argv[1]"; and begin
        not set -q argv[2]; or test "$typed[2]" = "$argv[2]"
    end
end

# Print the value that the command line gives one of the options ARGV.
function __podroutes_value
    set -l words (commandline -opc)
    for number in (seq (count $words))
        if contains -- $words[$number] $argv; and set -q words[(math $number + 1)]
            eval echo -- (string escape -- $words[(math $number + 1)] | string replace -r '^\\\\\\\\?~' '~') 2>/dev/null
        end
    end
end

# Print what podroutes lists: nodes or labs.
function __podroutes_list
    podroutes completion --list $argv 2>/dev/null </dev/null
end

function __podroutes_nodes
    set -l file (__podroutes_value -i --inventory)
    set -l lab (__podroutes_value --lab)
    __podroutes_list nodes (test -n "$file"; and printf '%s\\n' --inventory $file[-1]) (test -n "$lab"; and printf '%s\\n' --lab $lab[-1])
end

# The same behind the names and commas that are typed already.
function __podroutes_node_list
    set -l before (string replace -r '[^,]*$' '' -- (commandline -ct))
    printf "$before%s\\n" (__podroutes_nodes)
end

function __podroutes_topics
    __podroutes_list topics
end

function __podroutes_machines
    set -l lab (__podroutes_value --name) lab
    __podroutes_list nodes --lab $lab[1]
end

# Complete the command line behind --, which a machine of a lab is to run.
function __podroutes_command
    set -l words (commandline -opc) (commandline -ct)
    set -l dashes (contains -i -- -- $words)
    and complete -C (string join ' ' -- $words[(math $dashes + 1)..-1])
end

complete -c podroutes -e
complete -c podroutes -f
"""
_TAIL = """\
complete -c kubectl-podroutes -e
complete -c kubectl-podroutes -w podroutes
"""


def script(root: Command) -> str:
    """Return the script."""
    commands = list(walk(root))
    valued = sorted(
        {name for subcommand in commands for option in subcommand.options if option.value for name in option.names}
    )
    paths = " ".join(_quoted(subcommand.name) for subcommand in commands if subcommand.path)
    head = _HEAD.replace("{valued}", " ".join(valued)).replace("{paths}", paths)
    return head + "".join(f"{line}\n" for command in commands for line in _lines(command)) + _TAIL


def _lines(command: Command) -> Iterator[str]:
    """Yield the completions of the words after COMMAND."""
    at = f"complete -c podroutes -n '__podroutes_at {_inner(command.name)}'"
    first = f"complete -c podroutes -n '__podroutes_at {_inner(command.name)} 0'"
    for subcommand in command.commands:
        yield f"{first} -a {subcommand.path[-1]} -d {_quoted(subcommand.summary)}"
    for option in command.options:
        yield f"{at} {_option(option)}"
    for number, value in enumerate(command.values):
        if value.kind == "topic":
            yield f"{at} -a '(__podroutes_topics)'"
        elif value.kind == "exec":
            yield f"{first} -a '(__podroutes_machines)'"
            yield f"{at} -a '(__podroutes_command)'"
        elif value.kind != "any":
            yield f"complete -c podroutes -n '__podroutes_at {_inner(command.name)} {number}' {_candidates(value)}"


def _option(option: Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    value = ""
    if option.value and not option.value.optional:
        value = f" -x {_candidates(option.value)}".rstrip() if option.value.kind != "file" else " -r -F"
    elif option.value and option.value.kind != "any":
        value = f" {_candidates(option.value)}"
    return f"{names}{value} -d {_quoted(option.summary)}"


def _candidates(value: Value) -> str:
    match value.kind:
        case "words":
            return f"-a {_quoted(' '.join(value.words))}"
        case "directory":
            return "-a '(__fish_complete_directories)'"
        case "node":
            return "-a '(__podroutes_nodes)'"
        case "nodes":
            return "-a '(__podroutes_node_list)'"
        case "lab":
            return "-a '(__podroutes_list labs)'"
        case "device":
            return "-a '(__fish_print_interfaces)'"
        case "file":
            return "-F"
        case _:
            return ""


def _inner(name: str) -> str:
    """Return NAME as a word inside single quotes."""
    return f'"{name}"'


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
