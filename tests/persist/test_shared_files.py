"""A file of the manager that holds for more than one device is not the place for routes that leave by one of them."""

import pytest

from persist.test_machine_plan import EVERYBODY, Worker
from podroutes.errors import PersistError
from podroutes.kernel.memory import MemoryKernel
from podroutes.persist.owned import find
from support.notation import address, link

LANS = "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/zz-default.network\n"
CLOUD = "/etc/netplan/50-cloud-init.yaml"


@pytest.fixture
def worker(tmp_path):
    """worker-0 with a second network card, ens19; nothing manages either yet."""
    made = Worker(tmp_path)
    for name in EVERYBODY:
        made.root.path(name).unlink()
    made.kernel = MemoryKernel(
        [link("lo", 1), link("ens18", 2), link("ens19", 3)],
        [address("192.168.8.20/24 dev ens18"), address("10.9.9.20/24 dev ens19")],
    )
    return made


def test_a_network_file_for_two_cards_gets_no_drop_in(worker):
    for number in (2, 3):
        worker.write(f"/run/systemd/netif/links/{number}", LANS)
    with pytest.raises(
        PersistError, match=r"zz-default.network is for \"?ens19\"? as well as for ens18.*--persist systemd"
    ):
        worker.plan(backend="auto")
    assert worker.plan().planned.plan.changes, "the kernel's routes are another matter"


def test_a_network_file_of_its_own_is_the_place(worker):
    worker.write("/run/systemd/netif/links/2", LANS.replace("zz-default", "10-lan"))
    worker.write("/run/systemd/netif/links/3", LANS)
    worker.apply(backend="auto")
    assert list(find(worker.root).files["networkd"]) == ["/etc/systemd/network/10-lan.network.d/50-podroutes.conf"]


def test_a_card_that_appears_later_under_the_same_file_is_a_problem_of_the_plan(worker):
    worker.write("/run/systemd/netif/links/2", LANS)
    worker.apply(backend="auto")
    worker.write("/run/systemd/netif/links/3", LANS)
    (problem,) = worker.plan().planned.plan.problems
    assert (problem.severity, problem.code) == ("error", "not-persistent")
    assert "ens19" in problem.message


@pytest.mark.parametrize("match", ["name: 'e*'", "name: [ens18, ens19]"])
def test_a_netplan_id_for_two_cards_gets_no_routes(worker, match):
    worker.write("/etc/netplan/01.yaml", f"network: {{ethernets: {{lan: {{match: {{{match}}}, dhcp4: true}}}}}}\n")
    with pytest.raises(PersistError, match=r"ethernets.lan is for \"?ens19\"? as well as for \"?ens18"):
        worker.plan(backend="netplan")


def test_what_cloud_init_may_rename_gets_no_routes_of_ours(worker):
    worker.write(CLOUD, "network: {ethernets: {ens18: {addresses: [192.168.8.20/24]}}}\n")
    with pytest.raises(PersistError, match=rf"cloud-init writes {CLOUD} and may give ethernets.ens18 another name"):
        worker.plan(backend="netplan")


@pytest.mark.parametrize("text", ["network: {config: disabled}\n", "#cloud-config\nnetwork:\n  config: disabled\n"])
def test_cloud_init_that_leaves_the_network_alone_is_no_reason(worker, text):
    worker.write(CLOUD, "network: {ethernets: {ens18: {addresses: [192.168.8.20/24]}}}\n")
    worker.write("/etc/cloud/cloud.cfg.d/99-network.cfg", text)
    worker.apply(backend="netplan")
    assert "ens18:" in worker.root.read("/etc/netplan/90-podroutes.yaml")


def test_an_id_that_was_renamed_since_is_a_change_of_the_plan(worker):
    worker.write("/etc/netplan/01.yaml", "network: {ethernets: {ens18: {addresses: [192.168.8.20/24]}}}\n")
    worker.apply(backend="netplan")
    worker.write(
        "/etc/netplan/01.yaml", "network: {ethernets: {id0: {match: {name: ens18}, addresses: [192.168.8.20/24]}}}\n"
    )
    (change,) = worker.plan().planned.plan.files
    assert (change.action, "    id0:\n" in change.file.text, "ens18:" in change.file.text) == ("replace", True, False)


def test_ifupdown2_that_runs_no_scripts_is_not_the_place(worker):
    worker.write("/etc/network/interfaces", "iface ens18 inet static\n")
    worker.write("/usr/share/ifupdown2/__main__.py", "")
    worker.write("/etc/network/ifupdown2/ifupdown2.conf", "addon_scripts_support=0\n")
    with pytest.raises(PersistError, match=r"runs no scripts here .*: set it to 1, or use --persist systemd"):
        worker.plan(backend="ifupdown")


@pytest.mark.parametrize("line", ["source /run/network/interfaces.d/*", "source-directory /run/network/interfaces.d"])
def test_a_stanza_in_a_sourced_directory_is_one(worker, line):
    worker.write("/etc/network/interfaces", f"{line}\n")
    worker.write("/run/network/interfaces.d/lan", "auto ens18\niface ens18 inet dhcp\n")
    assert worker.plan(backend="auto").backend == "ifupdown"
