"""One browser for all tests that look at a page."""

import shutil
import subprocess

import pytest

from page.browser import PROGRAM, Browser
from podroutes.views.html import page
from support import debian
from support.namespaces import SHUT_OUT

# Debian's packages over the system's own files, for the browser alone.
_OVER = """
for name in usr etc; do mount -t overlay -o "lowerdir=$0/$name:/$name" overlay "/$name" || exit; done
exec "$@"
"""


@pytest.fixture(scope="session")
def chromium(request, tmp_path_factory):
    """Start a browser, once: the system's own, or else one that is unpacked."""
    if shutil.which(PROGRAM):
        with Browser() as browser:
            yield browser
        return
    if request.config.stash[SHUT_OUT]:
        pytest.skip(request.config.stash[SHUT_OUT])
    tree = tmp_path_factory.mktemp(PROGRAM)
    try:
        packages = debian.packages("browser")
    except debian.UnavailableError as why:
        pytest.skip(str(why))
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", package, tree], check=True)
    with Browser("unshare", "--mount", "sh", "-c", _OVER, str(tree)) as browser:
        yield browser


@pytest.fixture
def look(chromium, tmp_path):
    """Open the page of a report; whatever a test does with it, it may not ask for anything else nor make the console speak."""

    def open_page(report, **window):
        path = tmp_path / "page.html"
        path.write_text(page(report), encoding="utf-8")
        chromium.open(path, **window)
        return chromium

    yield open_page
    assert chromium.requested() == [(tmp_path / "page.html").as_uri()]
    assert chromium.complaints() == []
