"""Host settings that are taken back where the rest of a change did not work."""

from podroutes.apply.host_changes import undoing
from podroutes.model.host_change import HostChange, HostResult


def test_what_was_set_or_created_is_taken_back_and_nothing_else():
    results = [
        HostResult(HostChange("sysctl", "set", "net.ipv4.ip_forward", "= 1", "1", "0")),
        HostResult(HostChange("sysctl", "set", "net.ipv4.conf.all.rp_filter", "= 2", "2", "1"), "Permission denied"),
        HostResult(HostChange("module", "load", "br_netfilter")),
        HostResult(HostChange("nftables", "create", "inet podroutes", "", "table inet podroutes {}\n")),
        HostResult(HostChange("nftables", "update", "inet podroutes", "", "add element ...\n")),
    ]
    assert [(change.name, change.value) for change in undoing(results)] == [
        ("net.ipv4.ip_forward", "0"),
        ("inet podroutes", "delete table inet podroutes\n"),
    ]
