"""Colours are legible on white and on black terminals."""

import re

import pytest

from podroutes.views.style import Style

LEVELS = (0, 95, 135, 175, 215, 255)  # of red, green and blue in xterm's cube of 6 x 6 x 6 colours


def luminance(number):
    """Return the relative luminance of one of the 256 colours, https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
    if number >= 232:
        channels = (8 + 10 * (number - 232),) * 3
    else:
        cube = number - 16
        channels = (LEVELS[cube // 36], LEVELS[cube // 6 % 6], LEVELS[cube % 6])
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", ["green", "yellow", "red", "cyan", "dim"])
def test_a_colour_has_contrast_with_white_and_with_black(colour):
    found = re.fullmatch(r"\x1b\[38;5;(\d+)mx\x1b\[0m", Style(enabled=True)(colour, "x"))
    assert found
    light = luminance(int(found[1]))
    assert 1.05 / (light + 0.05) > 3.8
    assert (light + 0.05) / 0.05 > 3.8
