"""A proof as one self-contained page: values in, HTML out.

``page.css``, ``page.js`` and ``matrix.js`` stand in the page as they are. All that matters is in the HTML itself; the
scripts add searching, sorting and pointing at cells.
"""

from podroutes.views.html.page import page
from podroutes.views.html.report import Probe, Report

__all__ = ["Probe", "Report", "page"]
