"""The wheel, built once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.manifests import ROOT

EPOCH = "1700000000"
_SOURCES = "src packaging docs deploy examples pyproject.toml README.md CHANGELOG.md LICENSE".split()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel from a copy of the checkout."""
    directory = tmp_path_factory.mktemp("wheel")
    for name in _SOURCES:
        subprocess.run(["cp", "-r", ROOT / name, directory / name], check=True)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", directory / "dist"]
    command = [sys.executable, "-m", "pip", "wheel", "-q", *options, directory]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH})
    (path,) = (directory / "dist").glob("*.whl")
    return path
