"""What stands in the way of our files at the next boot, although they are where they should be."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.fib import Link
from podroutes.model.persisted import File, FileChange, RenderContext
from podroutes.persist import Backend, backend
from podroutes.persist.owned import find

_COMMENT = re.compile(r"#.*")


def hindrances(
    root: HostFiles, name: str, links: Iterable[Link], there: Mapping[str, File], changes: Sequence[FileChange]
) -> dict[str, str]:
    """Return by device why the next boot does not bring back the routes that backend NAME keeps for LINKS.

    THERE are our files by path, CHANGES what would make them right.
    """
    chosen = backend(name)
    altered = next((change.file.path for change in changes if _is_altered(chosen, change, there)), "")
    reasons = {}
    for link in links:
        try:
            why = chosen.hindrance(root, link, there)
        except PersistError:  # what cannot be read is not known to be in the way
            continue
        if why or altered:
            reasons[link.name] = why or f"{altered} is not as podroutes writes it"
    return reasons


def not_restored(root: HostFiles, links: Sequence[Link], devices: Collection[str]) -> tuple[str, ...]:
    """Return why the next boot does not restore the routes by DEVICES, and by those that files of ours below ROOT name, all of LINKS.

    PersistError where one of these files cannot be read.
    """
    present = find(root)
    concerned = {*devices, *(present.owned("").written or {}).values()}
    return tuple(
        dict.fromkeys(
            why
            for name in present.backends
            for link in links
            if link.name in concerned and (why := _not_restored(root, name, link, links, present.files[name]))
        )
    )


def _not_restored(root: HostFiles, name: str, link: Link, links: Sequence[Link], there: Mapping[str, File]) -> str:
    chosen = backend(name)
    try:
        place = chosen.place(root, link, links)
        expected = {file.path for file in chosen.render((), RenderContext({link.name: place}))}
        astray = sorted(there.keys() - expected) if expected.isdisjoint(there) else []
        if astray:
            return f"{astray[0]} is for another file of {name} than the one that {link.name} has: {min(expected)}"
        return chosen.hindrance(root, link, there)
    except PersistError as error:
        return str(error)


def _is_altered(chosen: Backend, change: FileChange, there: Mapping[str, File]) -> bool:
    """Whether the file of CHANGE differs in more than its routes: somebody else has edited it."""
    was = there.get(change.file.path)
    if change.action != "replace" or was is None:
        return False
    return _skeleton(chosen, was.text) != _skeleton(chosen, change.file.text)


def _skeleton(chosen: Backend, text: str) -> list[str]:
    rest = chosen.ROUTE.sub("", text) if chosen.ROUTE else text
    lines = (_COMMENT.sub("", line).strip() for line in rest.splitlines())
    return [line for line in lines if line not in ("", "[Route]")]
