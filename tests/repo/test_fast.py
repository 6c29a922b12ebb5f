"""./dev test --fast leaves out what the session's configuration names."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CONFIGURATION = (TESTS / "conftest.py").read_text(encoding="utf-8")
NAMED = re.findall(r'^    "([a-z]+/[^"]*)",$', CONFIGURATION, re.MULTILINE)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_exists(name: str) -> None:
    """A renamed file or test would come back without anybody noticing."""
    path, _, test = name.partition("::")
    found = [each for each in TESTS.glob("*/*.py") if str(each.relative_to(TESTS)).startswith(path)]
    if path.endswith("/"):
        assert (TESTS / path).is_dir()
    assert found
    function, _, parameter = test.rstrip("]").partition("[")
    text = found[0].read_text(encoding="utf-8")
    assert not test or f"\ndef {function}" in text
    assert parameter in text


def test_both_lists_are_read() -> None:
    assert {"deploy/", "plan/test_corruption.py"} <= set(NAMED)
