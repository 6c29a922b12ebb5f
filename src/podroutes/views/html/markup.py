"""HTML that cannot be broken by what stands in it: everything is escaped that is not ``Html`` already."""

from html import escape

from podroutes.model.text import escaped

_VOID = frozenset({"br", "input", "link", "meta"})


class Html(str):
    """Markup, as against text."""

    __slots__ = ()


def text(words: str) -> Html:
    """Return WORDS as markup: control characters spelled out, then HTML's own characters (and quotes) as entities."""
    return words if isinstance(words, Html) else Html(escape(escaped(words)))


def tag(element: str, /, *children: str, **attributes: str | int | bool | None) -> Html:
    """Return an element. ``class_`` is class, ``data_row`` is data-row; True is a bare attribute, None and False are none."""
    words = [element]
    for key, value in attributes.items():
        if value is not None and value is not False:
            written = key.rstrip("_").replace("_", "-")
            words.append(written if value is True else f'{written}="{text(str(value))}"')
    head = f"<{' '.join(words)}>"
    return Html(head if element in _VOID else f"{head}{''.join(map(text, children))}</{element}>")


def joined(*parts: str, by: str = "") -> Html:
    """Return PARTS one after another."""
    return Html(text(by).join(map(text, parts)))
