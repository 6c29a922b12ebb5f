"""Completion scripts for shells, generated from the argument parser."""

from collections.abc import Callable

from podroutes.cli.completion import bash, fish, zsh
from podroutes.cli.completion.grammar import Command

SHELLS: dict[str, Callable[[Command], str]] = {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}
