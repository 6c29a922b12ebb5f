"""The demo: the tutorial's page on pod network routes, act by act, on a stage: a lab or a simulation.

A stage runs the commands that it shows. Their results are compared with the text; a false statement ends the demo.
"""

import re
import shlex
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path

from podroutes.errors import LabError
from podroutes.lab import listing, matrix
from podroutes.lab.topology import gateway
from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster, Node
from podroutes.views.style import Style

INVENTORY = "lab.yaml"  # the file name of the inventory in shown commands
TABLE = ("sh", "-c", "ip route | grep -v cni0")
_SHOWN = 3  # machines whose output is shown if all run a command; all are compared
_PROTOCOL = re.compile(r" proto (107|podroutes)\b")
_MACHINE = re.compile(r"^==> (.*) <==$", re.MULTILINE)  # the headings of `lab exec --all`
_IN_SYNC, _ERROR, _PENDING, _NOT_PROVEN = 0, 1, 2, 2  # exit statuses of `plan` and `verify`
_HIDING = "100"  # the number of another program's table, and of the priority of its rule


class Stage(ABC):
    """Where the demo runs. DIRECTORY has its inventory and its page; LABEL follows each heading."""

    def __init__(self, directory: Path, style: Style, label: str = "") -> None:
        self.directory = directory
        self.style = style
        self.label = label

    @property
    def inventory(self) -> Path:
        """The path of the inventory."""
        return self.directory / INVENTORY

    @property
    def page(self) -> Path:
        """The path of the page."""
        return self.directory / "verify.html"

    @abstractmethod
    def play(self, words: tuple[str, ...], on: str | None) -> tuple[int, str]:
        """Run WORDS: podroutes itself, or any command ON a machine (``--all``: on each).

        Return the exit status and the output.
        """

    @abstractmethod
    def agent(self, on: str) -> AbstractContextManager[None]:
        """Run an agent on the machine ON; the block begins once its routes are in place."""

    @abstractmethod
    def healing(self, on: str, dst: Prefix) -> tuple[float, str]:
        """Delete the route to DST on ON by hand; return the seconds until it is back, and the agent's line about it.

        Raises LabError if it does not come back.
        """

    def heading(self, text: str) -> None:
        """Begin an act."""
        label = f"  {self.style('yellow', self.label)}" if self.label else ""
        print(f"\n{self.style('bold', text)}{label}\n", flush=True)

    def run(self, *words: str, on: str | None = None, expect: int = 0) -> str:
        """Show and run WORDS as ``play`` does; return the output."""
        shown = shlex.join(words)
        self.show(
            f"podroutes lab exec {on} -- {shown}" if on else shown if words[0] == "podroutes" else f"podroutes {shown}"
        )
        output = self.quietly(*words, on=on, expect=expect)
        lines = self._coloured(output).splitlines()
        cut = [index for index, line in enumerate(lines) if _MACHINE.match(line)][_SHOWN : _SHOWN + 1]
        if cut:
            lines[cut[0] :] = ["…"]
        for line in lines:
            print(f"  {line}".rstrip(), flush=True)
        return output

    def show(self, command: str) -> None:
        """Show a command that is run now."""
        print(f"  {self.style('dim', '$')} {self.style('cyan', command)}", flush=True)

    def quietly(self, *words: str, on: str | None = None, expect: int = 0) -> str:
        """Run WORDS without showing them. Raises LabError unless the exit status is the expected one."""
        real = tuple({INVENTORY: str(self.inventory), self.page.name: str(self.page)}.get(word, word) for word in words)
        status, output = self.play(real, on)
        output = output.replace(str(self.inventory), INVENTORY)
        self.check(status == expect, f"`{shlex.join(words)}` ended with {status}, not {expect}: {output}")
        return output

    def _coloured(self, output: str) -> str:
        """Colour the marks of `lab ping` as on a terminal."""
        for mark, colour in matrix.COLOURS.items():
            output = output.replace(mark, self.style(colour, mark))
        return output

    def good(self, text: str) -> None:
        """Print what was checked."""
        print(f"  {self.style('green', '✓')} {text}", flush=True)

    def check(self, truth: bool, otherwise: str) -> None:  # noqa: FBT001  the one claim, like in assert
        """Raise LabError with OTHERWISE unless TRUTH."""
        if not truth:
            raise LabError(f"demo: {' '.join(otherwise.split())}")


def tell(stage: Stage, cluster: Cluster) -> None:
    """Run the demo on CLUSTER, whose machines are up. Raises LabError for a statement that is not true."""
    stage.inventory.write_text("\n".join(listing.inventory(cluster)) + "\n", encoding="utf-8")
    for number, act in enumerate(ACTS, 1):
        act(stage, cluster, number)


def _machines(stage: Stage, cluster: Cluster, number: int) -> None:
    count = len(cluster.nodes)
    stage.heading(f"{number}. {count} machines on one network, each with pods behind a bridge of its own")
    stage.show(f"podroutes lab up --nodes {count}{' --ipv6' if len(cluster.node_cidrs) > 1 else ''}")
    print("\n".join(f"  {line}" for line in listing.machines(cluster, listing.FEW)))


def _nothing(stage: Stage, cluster: Cluster, number: int) -> None:
    stage.heading(f"{number}. No pod reaches a pod of another machine: no machine has a route to the others' pods")
    output = stage.run("lab", "ping", expect=1)
    stage.check("✓" not in output, f"some pods reached each other before there were routes: {output}")
    router = gateway(cluster, cluster.node_cidrs[0])
    print(f"  Such packets take the default route, and the router at {router} knows no pods either.")


def _plan(stage: Stage, cluster: Cluster, number: int) -> None:
    first = cluster.nodes[0]
    stage.heading(f"{number}. `plan` shows which routes {first.name} lacks, and changes nothing")
    table = stage.quietly("ip", "route", on=first.name)
    stage.run("podroutes", "plan", "-i", INVENTORY, on=first.name, expect=_PENDING)
    stage.check(stage.quietly("ip", "route", on=first.name) == table, "a plan changed the table")


def _apply(stage: Stage, _cluster: Cluster, number: int) -> None:
    stage.heading(f"{number}. `apply` gives every machine its routes")
    stage.run("podroutes", "apply", "-i", INVENTORY, on="--all")


def _tables(stage: Stage, cluster: Cluster, number: int) -> None:
    stage.heading(f"{number}. These are the routing tables of the tutorial")
    output = stage.run(*TABLE, on="--all")
    tables = _MACHINE.split(output)[1:]  # name, table, name, table ...
    shown = [
        (name, [_PROTOCOL.sub("", line.rstrip()) for line in table.split("\n") if line])
        for name, table in zip(tables[::2], tables[1::2], strict=True)
    ]
    wanted = [(node.name, expected_table(cluster, node)) for node in cluster.nodes]
    wrong = [name for (name, _), pair in zip(wanted, shown, strict=True) if pair not in wanted]
    stage.check(shown == wanted, f"these tables are not the tutorial's: {', '.join(wrong)}: {output}")
    stage.good("line for line the tutorial's, on every machine; protocol 107 is how podroutes knows its own routes")


def _everything(stage: Stage, cluster: Cluster, number: int) -> None:
    first = cluster.nodes[0]
    stage.heading(f"{number}. Every pod reaches every pod: packets show it, the proof covers all addresses")
    output = stage.run("lab", "ping")
    stage.check("✗" not in output, f"some pods do not reach each other: {output}")
    output = stage.run("podroutes", "verify", "--lab")
    stage.check(output.startswith("proven: "), f"verify did not prove it: {output}")
    table = stage.quietly("ip", "route", on=first.name)
    stage.quietly("podroutes", "apply", "-i", INVENTORY, on=first.name)
    stage.run("podroutes", "plan", "-i", INVENTORY, on=first.name, expect=_IN_SYNC)
    stage.check(stage.quietly("ip", "route", on=first.name) == table, "a second apply changed the table")


def _agent(stage: Stage, cluster: Cluster, number: int) -> None:
    first, second = cluster.nodes[:2]
    dst = second.pod_cidrs[0]
    stage.heading(f"{number}. Somebody deletes a route by hand, and the agent on {first.name} puts it back")
    table = stage.quietly("ip", "route", on=first.name)
    stage.show(f"podroutes lab exec {first.name} -- podroutes agent -i {INVENTORY} &")
    with stage.agent(first.name):
        stage.show(f"podroutes lab exec {first.name} -- ip route delete {dst}")
        seconds, line = stage.healing(first.name, dst)
        print(f"  {line}")
    stage.check(stage.quietly("ip", "route", on=first.name) == table, "the table is not as it was before")
    stage.quietly("lab", "ping")
    where = ", in memory" if stage.label else ""
    stage.good(f"the route was back {_spent(seconds)} after the command{where}; every pod reaches every pod")


def _spent(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds >= 0.001 else f"{seconds * 1000:.2f} ms"


def _cause(stage: Stage, cluster: Cluster, number: int) -> None:
    first, second = cluster.nodes[:2]
    dst = second.pod_cidrs[0]
    stage.heading(
        f"{number}. A policy rule of another program: the routes are right, packets are lost; `plan` and `verify` name the cause"
    )
    stage.run("ip", "route", "add", "unreachable", str(dst), "table", _HIDING, on=first.name)
    stage.run("ip", "rule", "add", "priority", _HIDING, "lookup", _HIDING, on=first.name)
    output = stage.run("podroutes", "plan", "-i", INVENTORY, on=first.name, expect=_ERROR)
    stage.check("No changes" in output and "rule-takes-pods" in output, f"plan did not name the rule: {output}")
    output = stage.run("lab", "ping", expect=1)
    stage.check(output.count("✗") == 2, f"there and back between two pods should fail: {output}")
    output = stage.run("podroutes", "verify", "--lab", "--html", stage.page.name, expect=_NOT_PROVEN)
    named = f"{first.name} sends {dst} elsewhere than its main table would: policy rule {_HIDING} (lookup {_HIDING}): `unreachable {dst} table {_HIDING}`"
    stage.check(named in output and "; 1 fails" in output, f"verify did not name the one cause: {output}")
    stage.run("ip", "rule", "delete", "priority", _HIDING, on=first.name)
    stage.quietly("lab", "ping")
    stage.check(stage.quietly("podroutes", "verify", "--lab").startswith("proven: "), "it is not proven again")
    page = stage.page.read_text(encoding="utf-8") if stage.page.exists() else ""
    stage.check(named.split(":", maxsplit=1)[0] in page, "the page does not show the cause")
    stage.good(
        "one cause for all that was lost; without that rule every pod reaches every pod again, and that is proven"
    )


def _typing_error(stage: Stage, cluster: Cluster, number: int) -> None:
    first, second = cluster.nodes[:2]
    key = "podCIDRs" if len(second.pod_cidrs) > 1 else "podCIDR"
    stage.heading(f"{number}. Somebody misspells a key of the inventory: `apply` names it, and takes no route away")
    lines = stage.inventory.read_text(encoding="utf-8").splitlines()
    place = lines.index(next(line for line in lines if f" {key}: " in line and str(second.pod_cidrs[0]) in line))
    wrong = lines[place].replace(key, key.lower())
    stage.inventory.write_text("\n".join([*lines[:place], wrong, *lines[place + 1 :], ""]), encoding="utf-8")
    print(f"  Line {place + 1} of {INVENTORY} now says `{wrong.strip()}`, where `{key}` is meant.")
    table = stage.quietly("ip", "route", on=first.name)
    output = stage.run("podroutes", "apply", "-i", INVENTORY, on=first.name, expect=1)
    stage.check(
        f"{INVENTORY}:{place + 1}:" in output and "meant podCIDR" in output, f"apply did not name the error: {output}"
    )
    stage.check(stage.quietly("ip", "route", on=first.name) == table, f"apply changed the table: {output}")
    stage.quietly("lab", "ping")
    stage.good("exit status 1, with line and correction; the table is as it was, and every pod reaches every pod")


def expected_table(cluster: Cluster, node: Node) -> list[str]:
    """Return the output of ``ip route`` that the tutorial shows for NODE: IPv4, in the kernel's order, without the pod bridge."""
    lan = cluster.node_cidrs[0]
    others = sorted(
        (cidr, other.internal_ips[0])
        for other in cluster.nodes
        if other != node
        for cidr in other.pod_cidrs
        if cidr.version == 4
    )
    return [
        f"default via {gateway(cluster, lan)} dev {node.interface} proto static",
        *(f"{cidr} via {via} dev {node.interface}" for cidr, via in others),
        f"{lan} dev {node.interface} proto kernel scope link src {node.internal_ips[0]}",
    ]


ACTS = (_machines, _nothing, _plan, _apply, _tables, _everything, _agent, _cause, _typing_error)
