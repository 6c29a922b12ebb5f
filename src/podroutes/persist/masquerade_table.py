"""The nftables table that masquerades what leaves the cluster: as a script for nft(8), and the difference from the live one.

Table ``inet podroutes`` has a set of this node's podCIDRs and a set of all addresses of the cluster for each IP version, and one chain
at the hook postrouting. It stands beside the tables of kube-proxy and of others: nft(8) changes only what its script names, in one
transaction. Elements are added and deleted one by one; anything else that differs has the table made anew.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.address import BITS, Address, Prefix, network, parse_address
from podroutes.model.host_change import HostChange
from podroutes.model.masquerade import TABLE, Masquerade
from podroutes.model.persisted import File
from podroutes.model.text import counted, escaped, listing
from podroutes.persist.file_format import MARK
from podroutes.persist.system_files import MASQUERADE, MASQUERADE_UNIT, MASQUERADE_WANTS

_NAME = f"inet {TABLE}"
_SOURCE_NAT = 100  # NF_IP_PRI_NAT_SRC, linux/netfilter_ipv4.h: "srcnat" of nft(8)
_VERSIONS = "# IP versions: "  # the line of our file that says what was asked for
_FAMILY = {4: "ip", 6: "ip6"}
_HEADER = f"""{MARK}: packets from pods to the outside leave with the address of this node.
# `podroutes apply` writes this file anew, `podroutes remove` deletes it; changes by hand do not last.
"""
_UNIT = """
[Unit]
Description=Masquerading of packets from pods to the outside
Documentation=man:podroutes(1)
DefaultDependencies=no
# nftables.service flushes all tables when it starts and when it is reloaded.
After=nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {path}
ExecReload=/usr/sbin/nft -f {path}
"""


class LiveTable(NamedTuple):
    """The table in the kernel: its elements by set, and everything else in one comparable text. None of it: there is no table."""

    elements: Mapping[str, frozenset[Prefix]]
    rest: str


def script(wanted: Masquerade) -> str:
    """Return the script that makes the table as WANTED, whatever it was before, in one transaction."""
    lines = [f"add table {_NAME}", f"delete table {_NAME}", f"table {_NAME} {{"]
    for name, prefixes in _sets(wanted).items():
        kind = f"type ipv{name[-1]}_addr; flags interval;"
        lines.append(f"    set {name} {{ {kind}{_elements(prefixes)} }}")
    lines += ["    chain postrouting {", "        type nat hook postrouting priority srcnat; policy accept;"]
    lines += [
        f"        {_FAMILY[version]} saddr @pods{version} {_FAMILY[version]} daddr != @cluster{version} masquerade fully-random"
        for version in wanted.versions
    ]
    return "\n".join((*lines, "    }", "}", ""))


def files(wanted: Masquerade) -> tuple[File, ...]:
    """Return the script for the next boot, and the systemd unit that runs it before the network is up."""
    versions = _VERSIONS + " ".join(map(str, wanted.versions))
    return (
        File(MASQUERADE, f"{_HEADER}{versions}\n{script(wanted)}"),
        File(MASQUERADE_UNIT, _HEADER + _UNIT.format(path=MASQUERADE)),
        File(MASQUERADE_WANTS, f"{_HEADER}\n[Unit]\nWants={MASQUERADE_UNIT.rpartition('/')[2]}\n"),
    )


def written_versions(text: str) -> tuple[int, ...]:
    """Return the IP versions that the file TEXT of ours masquerades."""
    line = next((line for line in text.splitlines() if line.startswith(_VERSIONS)), "")
    return tuple(int(word) for word in line.removeprefix(_VERSIONS).split() if word in ("4", "6"))


def read(root: HostFiles) -> LiveTable | None:
    """Return the table of this network namespace, None if there is none. Raises PersistError if it cannot be told."""
    done = root.run(("nft", "-j", "list", "table", *_NAME.split()))
    if done is None:
        raise PersistError("nft is not installed (package nftables), so nothing is masqueraded")
    status, text = done
    if status and "No such file or directory" in text:
        return None
    if status:
        raise PersistError(f"nft cannot list table {_NAME}: {escaped(text.partition(chr(10))[0])}")
    try:
        return parse(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PersistError(f"nft lists table {_NAME} in a form that is not understood: {escaped(str(error))}") from None


def parse(text: str) -> LiveTable:
    """Return the table that ``nft -j list table`` prints as TEXT, libnftables-json(5). Pure."""
    elements: dict[str, frozenset[Prefix]] = {}
    rest = []
    for item in json.loads(text)["nftables"]:
        for kind, body in item.items():
            if kind in ("metainfo", "table"):
                continue
            if kind == "set":
                prefixes = [*map(_prefix, body.get("elem", ()))]
                elements[body["name"]] = frozenset(prefix for prefix in prefixes if prefix)
                rest.append(["set", body["name"], body["type"], sorted(body.get("flags", ())), prefixes.count(None)])
            elif kind == "chain":
                rest.append(["chain", *(body.get(key) for key in ("name", "type", "hook", "prio", "policy"))])
            elif kind == "rule":
                rest.append(["rule", body["chain"], [_statement(expression) for expression in body["expr"]]])
            else:
                rest.append([kind, body.get("name")])
    return LiveTable(elements, _comparable(rest))


def change(live: LiveTable | None, wanted: Masquerade) -> HostChange | None:
    """Return the change from LIVE to WANTED, None if they agree. Pure."""
    if live is None:
        return HostChange("nftables", "create", _NAME, _summary(wanted), script(wanted))
    if live.rest != _rest(wanted):
        return HostChange("nftables", "replace", _NAME, f"{_summary(wanted)}; it was changed", script(wanted))
    lines = []
    counts = {"add": 0, "delete": 0}
    for name, prefixes in _sets(wanted).items():
        there = live.elements.get(name, frozenset())
        # Deletions first: an element that is added may overlap one that goes.
        for verb, some in (("delete", there.difference(prefixes)), ("add", frozenset(prefixes) - there)):
            if some:
                counts[verb] += len(some)
                lines.append(f"{verb} element {_NAME} {name} {{ {_joined(sorted(some))} }}")
    if not lines:
        return None
    shown = " and ".join(
        f"{counted(count, 'address range')} {'less' if verb == 'delete' else 'more'}"
        for verb, count in counts.items()
        if count
    )
    return HostChange("nftables", "update", _NAME, shown, "\n".join(lines) + "\n")


def deletion() -> HostChange:
    """Return the change that deletes the table."""
    return HostChange("nftables", "delete", _NAME, "", f"delete table {_NAME}\n")


def _sets(wanted: Masquerade) -> dict[str, list[Prefix]]:
    return {
        f"{name}{version}": [prefix for prefix in prefixes if prefix.version == version]
        for version in wanted.versions
        for name, prefixes in (("pods", wanted.pods), ("cluster", wanted.cluster))
    }


def _summary(wanted: Masquerade) -> str:
    return f"packets from {listing([str(prefix) for prefix in wanted.pods])} to the outside are masqueraded"


def _elements(prefixes: Iterable[Prefix]) -> str:
    shown = _joined(prefixes)
    return f" elements = {{ {shown} }};" if shown else ""


def _joined(prefixes: Iterable[Prefix]) -> str:
    return ", ".join(map(str, prefixes))


def _rest(wanted: Masquerade) -> str:
    """Return what ``parse`` makes of the table as WANTED, without its elements."""
    rows: list[Any] = [["set", name, f"ipv{name[-1]}_addr", ["interval"], 0] for name in _sets(wanted)]
    rows.append(["chain", "postrouting", "nat", "postrouting", _SOURCE_NAT, "accept"])
    rows += [["rule", "postrouting", [*_expressions(version)]] for version in wanted.versions]
    return _comparable(rows)


def _expressions(version: int) -> Iterator[dict[str, Any]]:
    for field, op, name in (("saddr", "==", "pods"), ("daddr", "!=", "cluster")):
        left = {"payload": {"protocol": _FAMILY[version], "field": field}}
        yield {"match": {"op": op, "left": left, "right": f"@{name}{version}"}}
    yield {"masquerade": {"flags": ["fully-random"]}}


def _comparable(rows: list[Any]) -> str:
    return json.dumps(sorted(rows, key=lambda row: [*map(str, row[:2])]), sort_keys=True)


def _statement(expression: dict[str, Any]) -> dict[str, Any]:
    """Return EXPRESSION with the flags of masquerade as a list: nft(8) prints a single one without."""
    body = expression.get("masquerade")
    if isinstance(body, dict) and isinstance(body.get("flags"), str):
        return {"masquerade": {**body, "flags": [body["flags"]]}}
    return expression


def _prefix(element: Any) -> Prefix | None:
    """Return an element of a set as a prefix, None if it is in a form that we do not write."""
    try:
        if isinstance(element, str):
            address = parse_address(element)
            return network(address, BITS[address.version])
        address = parse_address(element["prefix"]["addr"])
        return network(Address(*address), int(element["prefix"]["len"]))
    except (ValueError, KeyError, TypeError):
        return None
