"""Adds the completion scripts to the wheel: they are generated from the argument parser when the wheel is built."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Where the shells look below a prefix: bash-completion, zsh's site-functions, fish's vendor_completions.d.
TARGETS = {
    "bash": "share/bash-completion/completions/podroutes",
    "zsh": "share/zsh/site-functions/_podroutes",
    "fish": "share/fish/vendor_completions.d/podroutes.fish",
}


class CompletionHook(BuildHookInterface):  # type: ignore[type-arg]  # its configuration is of no type here
    """Called by hatchling before and after it makes a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the scripts and name them to hatchling; an editable installation has none."""
        self._directory = TemporaryDirectory(prefix="podroutes-build-")
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root, "src")))
        from podroutes.cli.completion import SHELLS  # noqa: PLC0415, importable from here on only
        from podroutes.cli.completion.grammar import grammar  # noqa: PLC0415
        from podroutes.cli.parser import build_parser  # noqa: PLC0415

        commands = grammar(build_parser())
        for shell, script in SHELLS.items():
            path = Path(self._directory.name, shell)
            path.write_text(script(commands), encoding="utf-8")
            build_data["shared_data"][str(path)] = TARGETS[shell]

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002, hatchling's
        """Delete what was generated."""
        self._directory.cleanup()
