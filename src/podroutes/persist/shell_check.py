"""Checks the syntax of shell scripts."""

from collections.abc import Sequence

from podroutes.host.files import HostFiles
from podroutes.model.persisted import File
from podroutes.persist.file_format import is_ours


def syntax(root: HostFiles, files: Sequence[File]) -> str:
    """Check those of FILES that are our scripts with sh(1), without running them; return "" or its error."""
    for file in filter(lambda each: is_ours(each.text), files):
        done = root.run(("sh", "-n"), file.text)
        if done and done[0]:
            return f"{file.path}: {done[1]}"
    return ""
