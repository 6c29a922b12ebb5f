"""Finds out on reconnecting whether the server still knows the resourceVersion of a watch. Pure: the reflector asks and answers.

A server that was restored from a backup answers a watch from its future with 200 and then sends nothing. A list that must be
NotOlderThan that version is answered 504 ResourceVersionTooLarge instead. One such answer may come from a replica whose cache lags,
so that etcd itself is asked next (a list without a resourceVersion is a quorum read); where its answer cannot be compared, a second 504
half a minute later decides. https://kubernetes.io/docs/reference/using-api/api-concepts/#resourceversion-in-metadata
"""

from collections.abc import Mapping
from typing import Literal

LATER = 30.0  # seconds between two answers of 504: a cache that lags for so long is not repaired by waiting
_ODD = frozenset({400, 404, 405, 406, 422})  # a server that does not know these parameters is watched without a check

Verdict = Literal["known", "unknown", "ask"]  # of the resourceVersion; "ask": after the next answer


class HistoryCheck:
    """The check of one watch. It is due after ``lost`` and until a verdict other than "ask"."""

    def __init__(self) -> None:
        self._step: Literal["", "not older", "quorum"] = ""
        self._refused = False  # one 504 has come
        self.delay = 0.0  # seconds until the next request of the check

    @property
    def due(self) -> bool:
        """Whether the next request is one of the check."""
        return bool(self._step)

    def lost(self) -> None:
        """Handle the loss of a connection: another server may answer next."""
        self._step = self._step or "not older"

    def clear(self) -> None:
        """End the check: the server sent something about the resourceVersion, or everything is listed anew."""
        self._step, self._refused, self.delay = "", False, 0.0

    def query(self, resource_version: str) -> Mapping[str, str]:
        """Return the parameters of the next request: a list of one Node."""
        if self._step == "quorum":
            return {"limit": "1"}
        return {"limit": "1", "resourceVersion": resource_version, "resourceVersionMatch": "NotOlderThan"}

    def answered(self, newest: str, ours: str) -> Verdict:
        """Handle a list of resourceVersion NEWEST; OURS is that of the watch."""
        if self._step == "quorum" and not (is_number(newest) and is_number(ours)):
            self._step, self.delay = "not older", LATER
            return "ask"
        verdict: Verdict = "unknown" if self._step == "quorum" and lower(newest, ours) else "known"
        self.clear()
        return verdict

    def refused(self, status: int, *, too_new: bool) -> Verdict | None:
        """Handle an error response; None: it says nothing about the resourceVersion, and the request is to be repeated."""
        if too_new:
            if self._refused:
                self.clear()
                return "unknown"
            self._step, self._refused, self.delay = "quorum", True, 0.0
            return "ask"
        if status in _ODD:
            self.clear()
            return "known"
        return None


def is_number(version: str) -> bool:
    """Return whether VERSION is a number. With etcd resourceVersions are increasing numbers."""
    return version.isascii() and version.isdecimal()


def lower(version: str, before: str) -> bool:
    """Return whether VERSION is older than BEFORE; False where they cannot be compared."""
    if not (is_number(version) and is_number(before)):
        return False
    old, new = version.lstrip("0"), before.lstrip("0")  # as text: a hostile server may send a number of any length
    return (len(old), old) < (len(new), new)
