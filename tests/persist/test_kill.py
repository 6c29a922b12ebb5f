"""`apply` killed at every step that touches a file: the old file or the new one, never half of one, and the next run ends well."""

import os
import signal
import sys

import pytest

from persist.test_machine_plan import ALONE, MOVED, SEED, Worker
from podroutes.cli import apply, common
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.plan import Change
from podroutes.persist import BACKENDS
from podroutes.persist.owned import find

# What Python says to audit hooks before it asks the system, https://docs.python.org/3/library/audit_events.html
_STEPS = {"open", "os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}


class Mortal(Worker):
    """worker-0 with the kernel of this network namespace, whose runs can be killed."""

    def __init__(self, directory, monkeypatch, ifindex):
        super().__init__(directory)
        self.kernel = NetlinkKernel()
        for name in ("systemd/netif/links", "NetworkManager/devices"):
            self.root.path(f"/run/{name}/2").rename(self.root.path(f"/run/{name}/{ifindex}"))
        monkeypatch.setattr(common, "root", lambda: self.root)

    def run(self, nodes, backend):
        """Do what the command does."""
        plan = self.plan(nodes, backend).planned.plan
        return apply.carry_out(plan, self.kernel, "json", lambda: self.plan(nodes, backend).planned.plan)

    def killed(self, step, nodes, backend):
        """Do it in a process that is killed before the step after STEP others; return whether it got that far."""
        child = os.fork()
        if not child:
            left = step

            def count(event, arguments):
                nonlocal left
                here = isinstance(arguments[0], int) or str(arguments[0]).startswith(self.root.directory)
                if event in _STEPS and here:
                    left -= 1
                    if left < 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(count)
            self.run(nodes, backend)
            os._exit(0)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    def texts(self):
        """Return the text of every file of ours."""
        return {path: file.text for files in find(self.root).files.values() for path, file in files.items()}

    def temporaries(self):
        """Return the files that are in our directories only while others are written."""
        return [path for path in self.root.path("/etc").rglob("*") if path.is_file() and path.name[0] == "."]

    def live(self):
        """Return every route with a gateway."""
        fib = self.kernel.snapshot()
        return [each for each in (*fib.ours(), *fib.others) if each.via]

    def end(self):
        """Leave an empty table behind, by no means of ours."""
        self.kernel.apply([Change("delete", each) for each in self.live()])
        self.kernel.close()


MOVES = {
    "written for the first time": (lambda _: (ALONE, ""), lambda name: (SEED, name)),
    "written anew": (lambda name: (SEED, name), lambda name: (MOVED, name)),
    "taken away": (lambda name: (SEED, name), lambda _: (MOVED, "none")),
    "moved here": (lambda name: (SEED, "ifupdown" if name == "netplan" else "netplan"), lambda name: (MOVED, name)),
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_old_or_new_and_then_right(request, tmp_path, monkeypatch, backend, move):
    before, after = (make(backend) for make in MOVES[move])
    index = request.getfixturevalue("worker").index("ens18")

    def booted(name):
        worker = Mortal(tmp_path / name, monkeypatch, index)
        worker.run(*before)
        return worker

    undisturbed = booted("whole")
    old = undisturbed.texts()
    on_the_way = {
        change.file.path: change.first.text for change in undisturbed.plan(*after).planned.plan.files if change.first
    }
    undisturbed.run(*after)
    new, table = undisturbed.texts(), sorted(undisturbed.live())
    undisturbed.end()

    step = 0
    while (worker := booted(str(step))).killed(step, *after):
        for path in old.keys() | new.keys() | worker.texts().keys():
            assert worker.texts().get(path) in (old.get(path), new.get(path), on_the_way.get(path)), (step, path)
        for path in worker.temporaries():
            assert path.suffix[1:].isdigit(), "so that no manager takes it for a file of its own"
            assert not path.stat().st_mode & 0o111 or path.read_text() in new.values(), "a half script cannot be run"
        worker.run(*after)
        assert (worker.texts(), sorted(worker.live()), worker.temporaries()) == (new, table, [])
        assert not worker.plan(after[0]).planned.plan.pending
        worker.end()
        step += 1
    worker.end()
    assert step >= len(old.keys() | new.keys()), "a step for each file at least"
