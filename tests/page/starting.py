"""A Chromium to use: the system's own, or else Debian's packages, unpacked and not installed."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from page.browser import PROGRAM, Browser
from support import debian

# Debian's packages over the system's own files, for the browser alone.
_OVER = """
for name in usr etc; do mount -t overlay -o "lowerdir=$0/$name:/$name" overlay "/$name" || exit; done
exec "$@"
"""


@contextmanager
def started(tree: Path) -> Iterator[Browser]:
    """Start a browser, unpacked into TREE where there is none; raises debian.UnavailableError where there are no packages."""
    if shutil.which(PROGRAM):
        with Browser() as browser:
            yield browser
        return
    packages = debian.packages("browser")
    tree.mkdir(exist_ok=True)
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", package, tree], check=True)
    with Browser("unshare", "--mount", "sh", "-c", _OVER, str(tree)) as browser:
        yield browser
