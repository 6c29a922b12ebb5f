"""How far something is, in one line."""

from podroutes.model.text import escaped

_BAR = 24  # columns


def bar(done: int, total: int, verb: str, last: str) -> str:
    """Return how far VERB is: ``reading [######......] 12/24 worker-3``."""
    full = _BAR * done // total if total else _BAR
    return f"{verb} [{'#' * full}{'.' * (_BAR - full)}] {done}/{total} {escaped(last)}".rstrip()
