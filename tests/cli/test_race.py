"""Somebody else changes routes between plan and apply: `apply` plans again by itself, on both kernels, and says so."""

import json

import pytest

from podroutes.cli.apply import carry_out
from podroutes.kernel.memory import MemoryKernel
from podroutes.kernel.netlink import NetlinkKernel
from podroutes.model.plan import Change
from support.notation import SEED, address, link, planned, route

ONE, TWO = (f"10.200.{n}.0/24 via 192.168.8.2{n} dev ens18" for n in (1, 2))
OLD = "10.200.1.0/24 via 192.168.8.99 dev ens18"
GONE = "10.200.9.0/24 via 192.168.8.29 dev ens18"


class Meddled:
    """A kernel in which somebody is a moment faster: before each batch of ours the next of THEIRS is carried out."""

    def __init__(self, kernel, theirs):
        self.kernel, self.theirs, self.batches = kernel, list(theirs), 0

    def apply(self, changes):
        """Carry out CHANGES, too late."""
        self.batches += 1
        if self.theirs:
            assert not self.kernel.apply([self.theirs.pop(0)])
        return self.kernel.apply(changes)

    def taken_over(self):
        """Return what the kernel says."""
        return self.kernel.taken_over()


@pytest.fixture(params=["memory", "linux"])
def kernel(request):
    if request.param == "memory":
        yield MemoryKernel([link("lo", 1), link("ens18", 2)], [address("192.168.8.20/24 dev ens18")])
    else:
        request.getfixturevalue("worker")
        with NetlinkKernel() as linux:
            yield linux


@pytest.fixture
def apply(kernel, capsys):
    """Plan with the routes BEFORE in the table, carry it out while THEIRS happens; return how often we tried, and what was said."""

    def run(before, *theirs):
        assert not kernel.apply([Change("add", route(each)) for each in before])
        meddled = Meddled(kernel, theirs)
        done = carry_out(planned(SEED, kernel), meddled, "json", lambda: planned(SEED, kernel))
        out, err = capsys.readouterr()
        document = json.loads(out)
        shown = [f"{each['action']} {each['dst']} {each.get('error', 'done')}" for each in document["changes"]]
        return meddled.batches, done.complete, shown, err

    return run


def add(text):
    return Change("add", route(text))


def delete(text):
    return Change("delete", route(text))


@pytest.mark.parametrize(
    ("before", "theirs", "done"),
    [
        ([], add(ONE), ["add 10.200.2.0/24 done"]),
        ([OLD, TWO], delete(OLD), ["add 10.200.1.0/24 done"]),
        ([OLD], delete(OLD), ["add 10.200.2.0/24 done", "add 10.200.1.0/24 done"]),
    ],
    ids=["added by a colleague", "gone before it was replaced", "gone beside one that is added"],
)
def test_what_came_too_late_is_planned_again(apply, kernel, before, theirs, done):
    tries, complete, shown, err = apply(before, theirs)
    assert (tries, complete, shown) == (2, True, done)
    assert sorted(f"{each.dst} via {each.via} dev {each.dev}" for each in kernel.snapshot().ours()) == [ONE, TWO]
    assert ("somebody else changed routes meanwhile" in err) == ("add 10.200.1.0/24 done" in done)


def test_a_prefix_that_somebody_took_meanwhile_stays_theirs(apply, kernel):
    tries, complete, shown, _ = apply([], add(f"{OLD} proto static"))
    assert (tries, complete, shown) == (2, False, ["add 10.200.2.0/24 done"])
    assert route(f"{OLD} proto static") in kernel.snapshot().others


def test_what_was_to_go_and_is_gone_is_done(apply):
    tries, complete, shown, err = apply([ONE, TWO, GONE], delete(GONE))
    assert (tries, complete, shown, err) == (2, True, ["delete 10.200.9.0/24 done"], "")


def test_whoever_never_stops_is_not_outrun(apply):
    tries, complete, shown, err = apply([OLD, TWO], delete(OLD), add(OLD), delete(OLD), add(OLD), delete(OLD))
    assert (tries, complete, err.count("meanwhile")) == (3, False, 2)
    assert shown[0].startswith("replace 10.200.1.0/24 ")
    assert shown[0].endswith("(the route was removed meanwhile: run it again)")
