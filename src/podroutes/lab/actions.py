"""The bodies of the lab's commands."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from podroutes.errors import LabError
from podroutes.host import terminal
from podroutes.lab import itself, listing, registry
from podroutes.lab.paths import KUBECONFIG
from podroutes.lab.registry import Lab
from podroutes.lab.topology import INTERNET, default_cluster, fitted, pod_address, to_document
from podroutes.model.cluster import Cluster
from podroutes.model.text import printable
from podroutes.views import documents
from podroutes.views.style import Style

_Found = TypeVar("_Found")


def up(arguments: argparse.Namespace) -> int:
    """Make a lab."""
    cluster = _topology(arguments)
    began = time.monotonic()
    if arguments.cni and any(node.name == INTERNET for node in cluster.nodes):
        raise LabError(f"a lab of --cni has a namespace {INTERNET} itself: give the node another name")
    make(arguments.name, cluster, kubernetes=arguments.kubernetes, cni=arguments.cni)
    lab = registry.find(arguments.name)
    if lab.api:
        from podroutes.lab import running  # noqa: PLC0415  for labs with an API only

        running.settle(lab.pid, lab.cluster)
    took = time.monotonic() - began
    kind = "as root" if os.geteuid() == 0 else "without root"
    many = listing.count(cluster, cni=lab.cni)
    print(f"lab {printable(lab.name)}: {many} up in {took:.2f} s {kind} (process {lab.pid})\n")
    print("\n".join(listing.machines(cluster, listing.FEW, cni=lab.cni)))
    name, first, last = registry.option(lab.name), cluster.nodes[0].name, cluster.nodes[-1].name
    if lab.api:
        print("\n".join(["", *listing.programs(lab)]))
        ways = [
            f"lab exec{name} switch -- kubectl get nodes -w",
            f"lab exec{name} switch -- kubectl delete node {last}",
            f"lab exec{name} {first} -- podroutes status",
            f"lab ping{name}",
        ]
    elif lab.cni:
        ways = [
            f"lab inventory{name} > lab.yaml",
            f"lab exec{name} --all -- podroutes apply -i lab.yaml --cni --masquerade --sysctl",
            f"lab pod{name} add {first} web",
            f"test --lab {lab.name}",
        ]
    else:
        ways = [
            f"lab ping{name}",
            f"lab inventory{name} > lab.yaml",
            f"lab exec{name} {first} -- podroutes plan -i lab.yaml",
            f"lab exec{name} --all -- podroutes apply -i lab.yaml",
        ]
    print()
    for way in ways:
        print(f"{'try' if way is ways[0] else '':5} {itself.shown()} {way}")
    print(f"end   {itself.shown()} lab down{name}")
    return 0


def make(name: str, cluster: Cluster, *, kubernetes: bool = False, cni: bool = False) -> None:
    """Make the lab NAME of CLUSTER, which must be ``fitted``. Raises LabError, and then nothing remains.

    With KUBERNETES it has the lab API, and an agent on every machine; with CNI its pods are left to plugins.
    """
    from podroutes.lab import holder  # noqa: PLC0415  ctypes and subprocess, for this command only

    listener = registry.reserve(name)
    try:
        holder.start(cluster, listener, kubernetes=kubernetes, cni=cni)
    finally:
        listener.close()


def down(arguments: argparse.Namespace) -> int:
    """End one lab, or all. A failure does not affect the others."""
    ended, failures = _each(None if arguments.all else arguments.name, registry.end)
    gone = [name for name, was_up in ended.items() if was_up]
    for name in gone:
        print(f"lab {printable(name)}: gone, with everything that ran in it")
    if not gone and not failures:
        print("no lab is up" if arguments.all else f"lab {printable(arguments.name)} is not up: nothing to do")
    return _say_failures(failures)


def status(arguments: argparse.Namespace) -> int:
    """Show one lab, or all of this user. A failure does not affect the others."""
    found, failures = _each(arguments.name, registry.find)
    labs = list(found.values())
    if arguments.output != "text":
        errors = [{"name": name, "error": why} for name, why in failures.items()]
        document = {"labs": [_document(lab) for lab in labs], **({"errors": errors} if errors else {})}
        _say_document(document, arguments.output)
    elif not labs and not failures:
        print(f"no lab is up: make one with `{itself.shown()} lab up`")
    for lab in labs if arguments.output == "text" else ():
        print(f"lab {printable(lab.name)}: {listing.count(lab.cluster, cni=lab.cni)}, process {lab.pid}\n")
        print("\n".join(listing.machines(lab.cluster, len(lab.cluster.nodes), cni=lab.cni)))
        if lab.api:
            print("\n".join(["", *listing.programs(lab)]))
        which = f"test --lab {lab.name}" if lab.cni else f"lab ping{registry.option(lab.name)}"
        print(f"\nwhich pod reaches which: {itself.shown()} {which}")
    return _say_failures(failures)


def _each(name: str | None, do: Callable[[str], _Found]) -> tuple[dict[str, _Found], dict[str, str]]:
    """Call DO for the lab NAME, or for each lab of this user; return the results and the errors by lab."""
    results, failures = {}, {}
    for other_name in registry.names() if name is None else [name]:
        try:
            results[other_name] = do(other_name)
        except LabError as error:
            if name is not None or other_name in registry.names():  # otherwise it has ended meanwhile
                failures[other_name] = str(error)
    return results, failures


def _say_failures(failures: Mapping[str, str]) -> int:
    """Print FAILURES to standard error; return the exit status."""
    sys.stdout.flush()
    for why in failures.values():
        print(f"podroutes: {why}", file=sys.stderr)
    return 1 if failures else 0


def execute(arguments: argparse.Namespace) -> int:
    """Run a command on one machine, or on all."""
    from podroutes.lab import inside  # noqa: PLC0415  ctypes, where a lab is entered only

    words: list[str] = list(arguments.words)
    name = None if arguments.all or not words or words[0] == "--" else words.pop(0)
    if words and words[0] == "--":
        words.pop(0)
    elif words and words[0].startswith("-"):
        raise LabError(
            f"{printable(words[0])} is behind the machine's name: options go before it, the command behind --"
        )
    if not any(words[:1]) or (name is None and not arguments.all):
        raise LabError("say where and what to run: lab exec NODE -- CMD, or --all -- CMD for every machine")
    lab = registry.find(arguments.name)
    if lab.api:
        os.environ["KUBECONFIG"] = KUBECONFIG  # only the lab's cluster can be reached from inside
    if name is not None:
        name = inside.known(lab, name)
        inside.enter(lab)
        return inside.run(name, words)
    inside.enter(lab)
    if not arguments.serial:
        from podroutes.lab.everywhere import run_everywhere  # noqa: PLC0415  temporary files, for this only

        return run_everywhere([node.name for node in lab.cluster.nodes], words)
    worst = 0
    for node in lab.cluster.nodes:
        print(f"==> {node.name} <==")
        worst = max(worst, inside.run(node.name, words))
    return worst


def pod(arguments: argparse.Namespace) -> int:
    """Make, check, take away or list pods."""
    from podroutes.lab import pods  # noqa: PLC0415  ctypes, where a lab is entered only

    lab = registry.find(arguments.name)
    if not lab.cni:
        raise LabError("this lab has its pods from the beginning: make one with `podroutes lab up --cni`")
    if arguments.verb == "list":
        for made in pods.pods(lab):
            print(f"{made.namespace}  {', '.join(map(str, made.addresses))}")
        return 0
    if arguments.node is None or arguments.pod is None:
        raise LabError(f"say which pod of which machine: lab pod {arguments.verb} NODE POD")
    if arguments.node not in {node.name for node in lab.cluster.nodes}:
        raise LabError(f"the lab {printable(lab.name)} has no machine {printable(arguments.node)}")
    if arguments.verb == "add":
        pods.add(lab, arguments.node, arguments.pod, _ports(arguments.publish))
    else:
        {"del": pods.delete, "check": pods.check}[arguments.verb](lab, arguments.node, arguments.pod)
    return 0


def _ports(words: Sequence[str]) -> dict[int, int]:
    """Return container ports by host port."""
    ports = {}
    for word in words:
        host, _, inner = word.partition(":")
        if not (host.isdigit() and inner.isdigit() and 0 < int(host) < 65536 and 0 < int(inner) < 65536):
            raise LabError(f"--publish {printable(word)}: wanted HOSTPORT:CONTAINERPORT")
        ports[int(host)] = int(inner)
    return ports


def ping(arguments: argparse.Namespace) -> int:
    """Show which pod reaches which."""
    from podroutes.lab import inside, matrix, pinging  # noqa: PLC0415  sockets and ctypes, for this command only

    lab = registry.find(arguments.name)
    if lab.cni:
        raise LabError("the pods of this lab come and go: `podroutes test` sends packets between those that there are")
    inside.enter(lab)
    result = pinging.ping_all(lab.cluster)
    if arguments.output != "text":
        _say_document({"lab": lab.name, **matrix.document(result)}, arguments.output)
    else:
        print("\n".join(matrix.text(result, terminal_style())))
    return 0 if not result.failures else 1


def inventory(arguments: argparse.Namespace) -> int:
    """Print the lab's inventory."""
    print("\n".join(listing.inventory(registry.find(arguments.name).cluster)))
    return 0


def kubeconfig(arguments: argparse.Namespace) -> int:
    """Print the kubeconfig of the lab API."""
    from podroutes.lab import running  # noqa: PLC0415  ctypes, for this command only

    lab = registry.find(arguments.name)
    if not lab.api:
        raise LabError(
            f"the lab {printable(lab.name)} has no API: make one with `{itself.shown()} lab up --kubernetes{registry.option(lab.name)}`"
        )
    print(running.kubeconfig(lab.api))
    return 0


def terminal_style() -> Style:
    """Return how text on standard output is decorated."""
    return Style(terminal.takes_colour(sys.stdout))


def _topology(arguments: argparse.Namespace) -> Cluster:
    if not arguments.inventory:
        nodes = 3 if arguments.nodes is None else arguments.nodes
        return default_cluster(nodes, ipv6=arguments.ipv6, control_plane=arguments.control_plane)
    if arguments.nodes is not None or arguments.ipv6 or arguments.control_plane:
        raise LabError("-i/--inventory says which machines there are: leave out --nodes, --ipv6 and --control-plane")
    from podroutes.inventory import load  # noqa: PLC0415  readers of three formats, for this option only

    cluster, problems = load(arguments.inventory)
    broken = [problem for problem in problems if problem.severity == "error"]
    if broken:
        more = f" ({len(broken) - 1} more: see `{itself.shown()} plan --all`)" if len(broken) > 1 else ""
        raise LabError(f"{broken[0].message}: {broken[0].advice}{more}")
    return fitted(cluster)


def _document(lab: Lab) -> dict[str, Any]:
    """Return the document of one lab for ``status -o json``."""
    pods = {node.name: [str(pod_address(cidr)) for cidr in node.pod_cidrs] for node in lab.cluster.nodes}
    if lab.cni:
        from podroutes.lab.pods import pods as made  # noqa: PLC0415  ctypes, for such labs only

        pods = {node.name: [] for node in lab.cluster.nodes}
        for pod in made(lab):
            pods[pod.node] += map(str, pod.addresses)
    document = to_document(lab.cluster)
    return {
        "name": lab.name,
        "pid": lab.pid,
        **document,
        "nodes": [{**node, "pod": pods[node["name"]]} for node in document["nodes"]],
        **({"api": {"url": lab.api, "ended": lab.api_ended}, "agents": lab.agents} if lab.api else {}),
    }


def _say_document(document: Any, output: str) -> None:
    shown = {"apiVersion": documents.API_VERSION, **document}
    print(
        documents.text(
            shown, output, indent=2 if sys.stdout.isatty() else None, ascii_only=not terminal.is_unicode(sys.stdout)
        )
    )
