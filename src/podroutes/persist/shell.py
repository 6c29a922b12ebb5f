"""Validation of shell scripts."""

from collections.abc import Sequence

from podroutes.model.lasting import File
from podroutes.persist.root import Root


def syntax(root: Root, files: Sequence[File]) -> str:
    """Have sh(1) read FILES without carrying them out; return "" or its complaint."""
    for file in files:
        done = root.run(("sh", "-n"), file.text)
        if done and done[0]:
            return f"{file.path}: {done[1]}"
    return ""
