"""The tutorial's page on pod network routes, told in a lab of its own; every claim on the screen is checked.

Each step runs the commands that it shows, as the programs that a reader would start.
"""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from podroutes.errors import LabError
from podroutes.lab import actions, listing, matrix, registry
from podroutes.lab.topology import default_cluster, gateway
from podroutes.model.cluster import Cluster, Node
from podroutes.views.style import Style

_INVENTORY = "lab.yaml"
_SHOWN = 3  # machines whose tables are printed; all are compared
_PROTOCOL = re.compile(r" proto (107|podroutes)\b")
_MACHINE = re.compile(r"^==> (.*) <==$", re.MULTILINE)  # the headings of `lab exec --all`
_IN_SYNC, _PENDING = 0, 2  # exit statuses of `podroutes plan`


def demo(arguments: argparse.Namespace) -> int:
    """Tell the story; 0 when every step showed what it says. Raises LabError for one that did not."""
    cluster = default_cluster(3 if arguments.nodes is None else arguments.nodes, ipv6=arguments.ipv6)
    if len(cluster.nodes) < 2:
        raise LabError("the demo needs at least 2 nodes: routes are for the pods of other nodes")
    name = f"demo-{os.getpid()}"
    before = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with tempfile.TemporaryDirectory(prefix="podroutes-demo-") as directory:
            inventory = Path(directory, _INVENTORY)
            inventory.write_text("\n".join(listing.inventory(cluster)) + "\n", encoding="utf-8")
            _tell(Story(name, str(inventory), actions.terminal_style()), cluster)
    finally:
        registry.end(name)
        for number, handler in before.items():
            signal.signal(number, handler)
    print("\nThe lab is gone. Yours: `podroutes lab up`, then `podroutes lab exec worker-0 -- ip route`.")
    return 0


class Story(NamedTuple):
    """Where the story plays: the lab's name, the inventory's path, and how to print."""

    lab: str
    inventory: str
    style: Style

    def heading(self, text: str) -> None:
        """Begin a step."""
        print(f"\n{self.style('bold', text)}\n", flush=True)

    def run(self, *words: str, on: str | None = None, expect: int = 0) -> str:
        """Show and run ``podroutes WORDS``, or WORDS on a machine of the lab (``--all``: on each); return its output."""
        shown = shlex.join(words)
        self.show(f"lab exec {on} -- {shown}" if on else shown)
        output = self.quietly(*words, on=on, expect=expect)
        lines = self._coloured(output).splitlines()
        cut = [index for index, line in enumerate(lines) if _MACHINE.match(line)][_SHOWN : _SHOWN + 1]
        if cut:
            lines[cut[0] :] = ["…"]
        for line in lines:
            print(f"  {line}".rstrip(), flush=True)
        return output

    def show(self, command: str) -> None:
        """Show a command of podroutes that is run now."""
        print(f"  {self.style('dim', '$')} {self.style('cyan', f'podroutes {command}')}", flush=True)

    def quietly(self, *words: str, on: str | None = None, expect: int = 0) -> str:
        """Run without showing; LabError unless the exit status is the expected one."""
        podroutes = [sys.executable, "-m", "podroutes"]
        command = [self.inventory if word == _INVENTORY else word for word in words]
        if on:
            inner = [*podroutes, *command[1:]] if command[0] == "podroutes" else command
            command = ["lab", "exec", "--name", self.lab, on, "--", *inner]
        elif command[0] == "lab":
            command += ["--name", self.lab]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PODROUTES_")}
        done = subprocess.run(
            [*podroutes, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environment, "PYTHONIOENCODING": "utf-8"},
            encoding="utf-8",
            check=False,
        )
        said = f"`{shlex.join(words)}` ended with {done.returncode}, not {expect}: {done.stdout}"
        self.check(done.returncode == expect, said)
        return done.stdout

    def _coloured(self, output: str) -> str:
        """Give the marks of `lab ping` the colours that it gives them on a terminal."""
        for mark, colour in matrix.COLOURS.items():
            output = output.replace(mark, self.style(colour, mark))
        return output

    def good(self, text: str) -> None:
        """Say what was checked."""
        print(f"  {self.style('green', '✓')} {text}", flush=True)

    def check(self, truth: bool, otherwise: str) -> None:  # noqa: FBT001  the one claim, like in assert
        """Raise LabError with OTHERWISE unless TRUTH."""
        if not truth:
            raise LabError(f"demo: {' '.join(otherwise.split())}")


def _tell(story: Story, cluster: Cluster) -> None:
    first, second = cluster.nodes[:2]
    router = gateway(cluster, cluster.node_cidrs[0])

    story.heading(f"1. {len(cluster.nodes)} machines on one network, each with pods behind a bridge of its own")
    story.show(f"lab up --nodes {len(cluster.nodes)}{' --ipv6' if len(cluster.node_cidrs) > 1 else ''}")
    actions.make(story.lab, cluster)
    print("\n".join(f"  {line}" for line in listing.machines(cluster, listing.FEW)))

    story.heading("2. Pods on different machines cannot talk: no machine knows where the others' pods are")
    output = story.run("lab", "ping", expect=1)
    story.check("✓" not in output, f"some pods reached each other before there were routes: {output}")
    print(f"  Such packets take the default route, and the router at {router} knows no pods either.")

    story.heading(f"3. What {first.name} lacks")
    story.run("podroutes", "plan", "-i", _INVENTORY, on=first.name, expect=_PENDING)

    story.heading("4. Give every machine its routes")
    story.run("podroutes", "apply", "-i", _INVENTORY, on="--all")

    story.heading("5. The routing tables of the tutorial")
    output = story.run("sh", "-c", "ip route | grep -v cni0", on="--all")
    tables = _MACHINE.split(output)[1:]  # name, table, name, table ...
    shown = [
        (name, [_PROTOCOL.sub("", line.rstrip()) for line in table.split("\n") if line])
        for name, table in zip(tables[::2], tables[1::2], strict=True)
    ]
    wanted = [(node.name, expected_table(cluster, node)) for node in cluster.nodes]
    wrong = [name for (name, _), pair in zip(wanted, shown, strict=True) if pair not in wanted]
    story.check(shown == wanted, f"these tables are not the tutorial's: {', '.join(wrong)}: {output}")
    story.good("line for line the tutorial's, on every machine; protocol 107 is how podroutes knows its own routes")

    story.heading("6. Every pod reaches every pod")
    output = story.run("lab", "ping")
    story.check("✗" not in output, f"some pods do not reach each other: {output}")

    story.heading("7. Doing it again changes nothing")
    table = story.quietly("ip", "route", on=first.name)
    story.run("podroutes", "apply", "-i", _INVENTORY, on=first.name)
    story.run("podroutes", "plan", "-i", _INVENTORY, on=first.name, expect=_IN_SYNC)
    story.check(story.quietly("ip", "route", on=first.name) == table, "a second apply changed the table")

    story.heading("8. Somebody deletes a route by hand: plan notices (exit status 2), apply heals")
    story.run("ip", "route", "delete", str(second.pod_cidrs[0]), on=first.name)
    story.run("podroutes", "plan", "-i", _INVENTORY, on=first.name, expect=_PENDING)
    story.run("podroutes", "apply", "-i", _INVENTORY, on=first.name)
    story.check(story.quietly("ip", "route", on=first.name) == table, "apply did not bring the deleted route back")
    story.quietly("lab", "ping")
    story.good("the table is as before, and every pod reaches every pod")


def expected_table(cluster: Cluster, node: Node) -> list[str]:
    """Return what the tutorial shows as ``ip route`` of NODE: IPv4, in the kernel's order, without the pods' own bridge."""
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


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
