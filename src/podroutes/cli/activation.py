"""``apply --activate``: what the files say holds now, and everything goes back where that costs the way to a node."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.host.reachability import MOST, answering
from podroutes.kernel import Kernel
from podroutes.model.fib import Fib
from podroutes.model.persisted import FileChange
from podroutes.model.plan import Plan
from podroutes.model.text import listing
from podroutes.persist import apply_files, backend
from podroutes.persist.owned import Found, find
from podroutes.persist.system_files import kept, switch
from podroutes.plan.ownership import back, ours

_FIRST = 2.0  # seconds for a node to answer before; one that is down should not hold things up
_PATIENCE = 10.0  # seconds for the manager to be done: networkd 252 takes the addresses away and gives them anew
_PAUSE = 0.2  # seconds between two looks


class Then(NamedTuple):
    """What there was before anything was changed."""

    fib: Fib
    found: Found


def activate(name: str, files: Sequence[FileChange], then: Then, kernel: Kernel, replan: Callable[[], Plan]) -> None:
    """Have the manager of backend NAME read FILES, which have been carried out; REPLAN tells what is missing yet.

    Raises PersistError when a node that answered no longer does or the routes do not come back; files and kernel are then as
    they were.
    """
    commands = backend(name).RELOAD
    found = find(HostFiles())
    after = found.owned("")
    vias = sorted({route.via for route in ours(kernel.snapshot(), after) if route.via})
    nodes = answering(vias[:: len(vias) // MOST + 1], _FIRST)
    sysctls = switch(HostFiles(), kept(found.files[""]))
    trouble = _reload(commands)
    if not trouble and (lost := nodes - answering(nodes, _PATIENCE)):
        trouble = f"{listing(sorted(map(str, lost)))} answered before and not any more"
    if not trouble and not _settles(kernel, replan):
        trouble = f"{name} does not make the routes that its files say"
    if not trouble:
        return
    apply_files.undo(HostFiles(), files, then.found.files)
    switch(HostFiles(), sysctls)
    _reload(commands)
    answering(nodes, _PATIENCE)
    kernel.apply(back(then.fib, then.found.owned(""), kernel.snapshot(), after))
    raise PersistError(f"not activated, and everything put back as it was: {trouble}")


def _reload(commands: tuple[tuple[str, ...], ...]) -> str:
    for words in commands:
        done = HostFiles().run(words)
        if done is None or done[0]:
            return f"`{' '.join(words)}` failed: {done[1] if done else 'it is not installed'}"
    return ""


def _settles(kernel: Kernel, replan: Callable[[], Plan]) -> bool:
    """Wait until there is nothing to change; what the manager left out at half time is added."""
    begin = time.monotonic()
    while (plan := replan()).pending:
        passed = time.monotonic() - begin
        if passed > _PATIENCE:
            return False
        if passed > _PATIENCE / 2:
            kernel.apply(plan.changes)
        time.sleep(_PAUSE)
    return True
