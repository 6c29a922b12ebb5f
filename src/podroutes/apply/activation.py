"""Makes a network manager read our files now, and rolls back if that breaks the connection to another node."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from podroutes.apply import host_changes
from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.host.reachability import MOST, answering
from podroutes.kernel import Kernel
from podroutes.model.fib import Fib
from podroutes.model.host_change import HostResult
from podroutes.model.persisted import FileChange
from podroutes.model.plan import Plan
from podroutes.model.text import listing
from podroutes.persist import apply_files, backend
from podroutes.persist.owned import Found, find
from podroutes.persist.system_files import kept, switch
from podroutes.plan.ownership import back, ours

_BEFORE = 2.0  # seconds for a node to answer before the change; short, since a node may be down
_TIMEOUT = 10.0  # seconds for the manager to finish: networkd 252 removes the addresses and adds them again
_INTERVAL = 0.2  # seconds between two snapshots


class Before(NamedTuple):
    """The state of the machine before the change, and what the change did to its host settings."""

    fib: Fib
    found: Found
    host: tuple[HostResult, ...] = ()


class Activation:
    """Makes the manager of backend NAME read its files on the machine of KERNEL and ROOT, whose earlier state is BEFORE."""

    def __init__(self, name: str, before: Before, kernel: Kernel, root: HostFiles) -> None:
        self._name = name
        self._before = before
        self._kernel = kernel
        self._root = root

    def run(self, files: Sequence[FileChange], replan: Callable[[], Plan]) -> None:
        """Make the manager read FILES, which have been written. REPLAN returns the plan of what is still missing.

        Raises PersistError if a node that answered no longer does, or routes are not restored. Files and kernel are then rolled
                back.
        """
        found = find(self._root)
        after = found.owned("")
        vias = sorted({route.via for route in ours(self._kernel.snapshot(), after) if route.via})
        nodes = answering(vias[:: len(vias) // MOST + 1], _BEFORE)
        sysctls = switch(self._root, kept(found.files[""]))
        trouble = self._reload(files)
        if not trouble and (lost := nodes - answering(nodes, _TIMEOUT)):
            trouble = f"{listing(sorted(map(str, lost)))} answered before and not any more"
        if not trouble and not self._settles(replan):
            trouble = f"{self._name} does not make the routes that its files say"
        if not trouble:
            return
        apply_files.undo(self._root, files, self._before.found.files)
        switch(self._root, sysctls)
        host_changes.carry_out(self._root, host_changes.undoing(self._before.host))
        self._reload(files)
        answering(nodes, _TIMEOUT)
        was = self._before.found.owned("")
        self._kernel.apply(back(self._before.fib, was, self._kernel.snapshot(), after))
        raise PersistError(f"not activated, and everything put back as it was: {trouble}")

    def _reload(self, files: Sequence[FileChange]) -> str | None:
        """Make the managers of FILES read them; return why that failed, None if it did not."""
        edited = dict.fromkeys(change.backend for change in files if change.action == "edit")
        commands = [*(words for name in edited for words in backend(name).REREAD), *backend(self._name).RELOAD]
        for words in dict.fromkeys(commands):
            done = self._root.run(words)
            if done is None or done[0]:
                return f"`{' '.join(words)}` failed: {done[1] if done else 'it is not installed'}"
        return None

    def _settles(self, replan: Callable[[], Plan]) -> bool:
        """Wait until there is nothing to change. Routes that are missing at half time are added."""
        begin = time.monotonic()
        while (plan := replan()).pending:
            passed = time.monotonic() - begin
            if passed > _TIMEOUT:
                return False
            if passed > _TIMEOUT / 2:
                self._kernel.apply(plan.changes)
            time.sleep(_INTERVAL)
        return True
