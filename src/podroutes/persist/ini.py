"""Parses files of sections and settings, systemd.syntax(7) and nm-settings-keyfile(5), with the line of each setting. Pure."""

from collections.abc import Iterator
from typing import NamedTuple


class Setting(NamedTuple):
    """One ``key=value``; ``group`` counts the sections, of which several may have the same name."""

    line: int
    group: int
    section: str
    key: str
    value: str


def settings(text: str) -> Iterator[Setting]:
    """Yield the settings of TEXT in order. Comments begin with ``#`` or ``;``."""
    section, group = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            section, group = stripped[1:-1], group + 1
        elif stripped[:1] not in ("#", ";", ""):
            key, equals, value = stripped.partition("=")
            if equals:
                yield Setting(number, group, section, key.strip(), value.strip())
