"""How the documentation is built: Sphinx, offline, every warning an error (`./dev docs`)."""

from podroutes import __version__

project = "podroutes"
author = "The podroutes authors"
project_copyright = "The podroutes authors"
release = version = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["man"]
myst_heading_anchors = 3  # so that a heading can be linked to as on the forges
nitpicky = True

html_theme = "furo"
html_title = f"podroutes {__version__}"
html_copy_source = False
html_show_sphinx = False
