"""Text from outside, made fit to stand in a message: no terminal escape gets through, nothing fills the screen."""

_LONGEST = 80  # characters of a value that a person needs to recognise it; the longest valid podCIDR has 43


def quote(text: str) -> str:
    """Return TEXT in double quotes, control characters escaped and the middle of anything long left out."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 20]}…{text[-19:]}"
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def escape(text: str) -> str:
    """Return TEXT with everything a terminal would not print as itself written as a Python escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
