"""A Chromium to use: the system's own, or else Debian's packages, unpacked and not installed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from page.browser import PROGRAM, Browser
from support import debian, unpacked


@contextmanager
def started(tree: Path) -> Iterator[Browser]:
    """Start a browser, unpacked into TREE where there is none; raises debian.UnavailableError where there are no packages."""
    if shutil.which(PROGRAM):
        with Browser() as browser:
            yield browser
        return
    packages = debian.packages("browser")
    tree.mkdir(exist_ok=True)
    with Browser(*unpacked.over(packages, tree)) as browser:
        yield browser
