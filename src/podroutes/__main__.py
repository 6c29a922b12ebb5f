"""``python -m podroutes``."""

from podroutes.cli import run

run()
