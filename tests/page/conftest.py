"""One browser for all tests that look at a page."""

import shutil

import pytest

from page.browser import PROGRAM, Browser
from podroutes.views.html import page


@pytest.fixture(scope="session")
def chromium():
    """Start a browser, once."""
    if not shutil.which(PROGRAM):
        pytest.skip(f"{PROGRAM} is not installed: as root `./dev test` installs it on Debian")
    with Browser() as browser:
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
