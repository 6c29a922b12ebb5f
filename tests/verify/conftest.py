"""verify and trace on the tables of machines on paper."""

import json

import pytest

from podroutes.cli import main
from verify.paper import paper
from verify.test_causes import NODES

MACHINES = "".join(f"192.168.8.2{n} worker-{n}.kubernetes.local worker-{n} 10.200.{n}.0/24\n" for n in range(3))


def printed(host):
    """Return a machine on paper as ip(8) prints it."""
    routes = []
    for route in host.routes:
        item = {
            "dst": str(route.dst),
            "table": str(route.table),
            "protocol": str(route.protocol),
            "flags": [],
            "type": route.kind,
        }
        item |= {"gateway": str(route.via)} if route.via else {}
        routes.append(
            item | ({"dev": route.dev} if route.dev else {}) | {"scope": str(route.scope), "metric": route.metric}
        )
    addresses = [
        {"ifname": each.dev, "addr_info": [{"family": "inet", "local": str(each.address), "prefixlen": each.length}]}
        for each in host.addresses
    ]
    links = [
        {"ifindex": link.ifindex, "ifname": name, "flags": ["UP", "LOWER_UP"]} for name, link in host.links.items()
    ]
    rules = [{"priority": rule.priority, "src": "all", "table": str(rule.table)} for rule in host.rules[4]]
    return {"link": links, "addr": addresses, "route": routes, "rule": rules, "sysctl": host.sysctls}


@pytest.fixture
def podroutes(tmp_path, capsys):
    """Write the tables of three nodes with changes, run a command on them; return status, output and errors."""
    (tmp_path / "machines.txt").write_text(MACHINES)

    def run(*words, **changes):
        for host in paper(NODES, changes):
            (tmp_path / "tables" / host.name).mkdir(parents=True, exist_ok=True)
            for name, items in printed(host).items():
                (tmp_path / "tables" / host.name / f"{name}.json").write_text(json.dumps(items))
        try:
            status = main([*words, "-i", str(tmp_path / "machines.txt"), "--tables", str(tmp_path / "tables")])
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run
