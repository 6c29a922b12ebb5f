"""Carries out the file changes of a plan: checks them first, writes some before the kernel is changed and the rest after."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, groupby

from podroutes.errors import PersistError
from podroutes.host.atomic_write import leftovers, sweep, write_whole
from podroutes.host.files import HostFiles
from podroutes.model.persisted import File, FileChange
from podroutes.model.plan import FileResult
from podroutes.persist import backend
from podroutes.persist.admin_edit import backup
from podroutes.persist.owned import places

_OWN_DIRECTORIES = (".network.d", ".target.d")  # drop-in directories that are deleted with their last file


def check(root: HostFiles, changes: Iterable[FileChange]) -> None:
    """Check the new files with the managers' own tools. Raises PersistError, before anything is written, if one fails.

    A file of the administrator that is edited must also be valid before the edit: podroutes does not repair it.
    """
    changes = list(changes)
    for name in dict.fromkeys(change.backend for change in changes if change.action == "edit"):
        if complaint := backend(name).check(root, ()):
            raise PersistError(f"{name} refuses its files as they are, so nothing was edited: {complaint}")
    for name, group in groupby(
        (change for change in changes if change.action != "delete" and change.backend), lambda each: each.backend
    ):
        complaint = backend(name).check(root, [change.file for change in group])
        if complaint:
            raise PersistError(f"{name} refuses the file that would be written, so nothing was: {complaint}")


def before(root: HostFiles, changes: Sequence[FileChange]) -> None:
    """Write the files that must exist before the kernel is changed. Raises PersistError if one cannot be written."""
    clean(root)
    for change in changes:
        if change.first and (failure := _write(root, change.first)):
            raise PersistError(f"{change.file.path}: {failure}; nothing was changed")


def after(root: HostFiles, changes: Sequence[FileChange]) -> tuple[FileResult, ...]:
    """Carry out the remaining file changes; return the results. Where files of the administrator are edited, all of it is done or nothing."""
    if any(change.action == "edit" for change in changes):
        return _all_or_nothing(root, changes)
    return tuple(FileResult(change, _finish(root, change)) for change in changes)


def _all_or_nothing(root: HostFiles, changes: Sequence[FileChange]) -> tuple[FileResult, ...]:
    """Carry out CHANGES; where one fails, put back those before it: a line that is taken out needs our file, and the other way round."""
    before: list[tuple[File, File | None]] = []
    for change in changes:
        present = change.was if change.action == "edit" else _present(root, change.file.path)
        failure = _finish(root, change)
        if failure:
            for file, old in reversed(before):
                _write(root, old) if old else _delete(root, file)
            why = f"left as it was: {change.file.path}: {failure}"
            return tuple(
                FileResult(other_change, failure if other_change is change else why) for other_change in changes
            )
        before.append((change.file, present))
    return tuple(FileResult(change, None) for change in changes)


def _present(root: HostFiles, path: str) -> File | None:
    text = root.read(path)
    return None if text is None else File(path, text, root.mode(path))


def _finish(root: HostFiles, change: FileChange) -> str | None:
    if change.file == change.first:
        return None
    if change.action == "edit":
        return _edit(root, change)
    return _delete(root, change.file) if change.action == "delete" else _write(root, change.file)


def clean(root: HostFiles) -> None:
    """Delete temporary files of killed runs, which no manager reads."""
    for pattern in chain.from_iterable(places().values()):
        sweep(map(root.path, root.glob(leftovers(pattern))))


def undo(root: HostFiles, changes: Iterable[FileChange], files: Mapping[str, Mapping[str, File]]) -> None:
    """Restore each file of CHANGES to its content in FILES, the earlier files; others are deleted."""
    then = {path: file for group in files.values() for path, file in group.items()}
    for change in changes:
        old = change.was if change.action == "edit" else then.get(change.file.path)
        if failure := _write(root, old) if old else _delete(root, change.file):
            raise PersistError(f"{change.file.path} cannot be put back: {failure}")


def _write(root: HostFiles, file: File) -> str | None:
    path = root.path(file.path)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if path.parent.name.endswith(_OWN_DIRECTORIES):
            path.parent.chmod(0o755)  # regardless of the umask: a manager may not run as root
        write_whole(path, file.text, mode=file.mode)
    except OSError as error:
        return f"{error.strerror}"
    return None


def _edit(root: HostFiles, change: FileChange) -> str | None:
    """Write an edited file of the administrator, with a backup in the same directory; an older backup stays."""
    path = change.file.path
    if change.was is None or root.read(path) != change.was.text:
        return "was changed meanwhile; run it again"
    copy = change.was._replace(path=backup(path))
    if not root.path(copy.path).exists() and (failure := _write(root, copy)):
        return f"{copy.path}: {failure}"
    return _write(root, change.file)


def _delete(root: HostFiles, file: File) -> str | None:
    path = root.path(file.path)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return f"{error.strerror}"
    if path.parent.name.endswith(_OWN_DIRECTORIES):
        with suppress(OSError):  # it has other files
            path.parent.rmdir()
    return None
