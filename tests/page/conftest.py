"""One browser for all tests that look at a page."""

import shutil
from contextlib import ExitStack

import pytest

from page.browser import PROGRAM
from page.starting import started
from podroutes.views.html import page
from support import debian
from support.namespaces import SHUT_OUT


@pytest.fixture(scope="session")
def chromium(request, tmp_path_factory):
    """Start a browser, once: the system's own, or else one that is unpacked."""
    if not shutil.which(PROGRAM) and request.config.stash[SHUT_OUT]:
        pytest.skip(request.config.stash[SHUT_OUT])
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(started(tmp_path_factory.mktemp(PROGRAM)))
        except debian.UnavailableError as why:
            pytest.skip(str(why))
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
