"""An IPv6 address for which duplicate address detection has failed is nobody's to use: not ours, and not "no address"."""

import json

import pytest

from podroutes.cli import main
from support.waiting import until


@pytest.fixture
def plan(healthy, capsys):
    """Return what plans for worker-0; the answer is the document."""

    def plan():
        main(["plan", "-i", str(healthy.inventory), "--node", "worker-0", "-o", "json"])
        return json.loads(capsys.readouterr().out)

    return plan


def failing(worker, address):
    """Give worker-0 ADDRESS, which somebody else on the segment has."""
    worker.ip(f"addr add {address} dev ens18")
    until(lambda: "dadfailed" in "".join(worker.show("-6 addr show dev ens18")))


def test_the_own_address_that_another_machine_has_is_told_as_that(healthy, worker, plan):
    worker.ip("addr del fd00::20/64 dev ens18")
    healthy.segment.join("fd00::20/64")
    failing(worker, "fd00::20/64")
    findings = healthy.examine().document["findings"]
    assert [each for each in findings if "duplicate address detection" in each["cause"] and "fd00::20" in each["cause"]]
    assert "internal-ip-not-here" not in [each["code"] for each in findings]
    assert [each for each in plan()["problems"] if "fd00::20" in each["message"]]


def test_the_address_of_another_node_that_we_could_not_get_is_still_its_next_hop(healthy, worker, plan):
    before = worker.show("-6 route show proto 107")
    assert len(before) == 2
    failing(worker, "fd00::22/64")
    document = plan()
    assert [each["code"] for each in document["problems"] if each["code"] == "next-hop-is-self"] == []
    assert (document["changes"], document["unchanged"]) == ([], 4)


def test_a_tentative_address_becomes_ours_without_a_word(healthy, worker, capsys):
    worker.ip("addr del fd00::20/64 dev ens18", "addr add fd00::20/64 dev ens18")
    until(lambda: "tentative" not in "".join(worker.show("-6 addr show dev ens18")))
    main(["apply", "-i", str(healthy.inventory), "--node", "worker-0"])
    capsys.readouterr()
    assert healthy.examine().codes == []
