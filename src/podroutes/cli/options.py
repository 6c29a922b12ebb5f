"""Options that several commands share, each with its environment variable."""

import os
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import Any

from podroutes.cli.parser import FALSE, TRUE, Parser
from podroutes.model.address import Prefix, parse_prefix
from podroutes.model.text import printable


def inventory(parser: Parser) -> None:
    """Declare the options for the source of nodes."""
    parser.add_argument(
        "-i",
        "--inventory",
        metavar="PATH",
        help="the nodes: podroutes YAML or JSON, machines.txt, what `kubectl get nodes -o json` prints, or an Ansible inventory; - is standard input",
    )
    parser.add_argument(
        "--kubernetes",
        action="store_true",
        help="the nodes: those of the cluster that kubectl would ask, or of the pod's service account",
    )
    parser.add_argument("--kubeconfig", metavar="FILE", help="with --kubernetes: another file than KUBECONFIG names")
    parser.add_argument("--context", metavar="NAME", help="with --kubernetes: another context than the current one")
    one_source(parser)
    limits(parser)


_CLUSTER = {"kubernetes", "kubeconfig", "context"}  # options that name a cluster, by dest


def one_source(parser: Parser) -> None:
    """Let a source of nodes override one of lower precedence."""
    if "inventory" in parser.origins and not parser.is_set_by_file("inventory"):
        _forget(parser, {dest for dest in _CLUSTER if parser.is_set_by_file(dest)})
    elif any(dest in parser.origins and not parser.is_set_by_file(dest) for dest in _CLUSTER):
        _forget(parser, {"inventory"} if parser.is_set_by_file("inventory") else set())

    def settle(arguments: Namespace, typed: set[str]) -> None:
        if "inventory" in typed and not typed & _CLUSTER:
            arguments.kubernetes, arguments.kubeconfig, arguments.context = False, None, None
        elif "kubernetes" in typed and "inventory" not in typed:
            arguments.inventory = None

    parser.settle = settle


def _forget(parser: Parser, dests: set[str]) -> None:
    parser.set_defaults(**dict.fromkeys(dests & {"kubernetes"}, False), **dict.fromkeys(dests - {"kubernetes"}))


def limits(parser: Parser) -> None:
    """Declare the options that limit claims."""
    for option, meaning in (
        ("--pod-cidr", "no node may have a podCIDR outside of it"),
        ("--node-cidr", "no InternalIP outside of it is used"),
        ("--service-cidr", "no podCIDR may overlap it"),
    ):
        text = f"{meaning}; may be repeated, and replaces what the inventory says"
        action = parser.add_argument(option, metavar="CIDR", action=_Collect, type=_network, help=text)
        if isinstance(action.default, str):  # from the environment or a file
            try:
                action.default = [_network(word) for word in action.default.replace(",", " ").split()]
            except ArgumentTypeError as error:
                parser.error(f"{parser.origins.get(action.dest, option)}: {error}")


class _Collect(Action):
    """Collects the values of a repeated option. Those of the environment count only if the option is not given."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None) -> None:  # noqa: ARG002
        """Add VALUES, which is one."""
        collected = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if collected is self.default else [*collected, values])


def _network(text: str) -> Prefix:
    try:
        return parse_prefix(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{printable(text)} {error}") from None


def source(parser: Parser) -> None:
    """Declare the options for the source of nodes and for this machine's node."""
    inventory(parser)
    action = parser.add_argument(
        "--node", metavar="NAME", help="which node this machine is; found by host name or address"
    )
    node_name = os.environ.get("NODE_NAME")  # usually set in a pod by the downward API
    action.default = node_name if node_name and parser.is_set_by_file("node") else action.default or node_name


def interface(parser: Parser) -> None:
    """Declare the option for the device of a remote machine."""
    parser.add_argument(
        "--interface", metavar="DEV", help="the device towards the other nodes, where the inventory names none"
    )


def tables(parser: Parser) -> None:
    """Declare the options for the source of tables."""
    parser.add_argument(
        "--tables",
        metavar="DIR",
        help="the nodes' tables, DIR/NODE/{link,addr,route,rule,rule6}.json as `ip -j` prints them",
    )
    parser.add_argument(
        "--lab", metavar="NAME", nargs="?", const="lab", help="read the tables from a running lab (default lab)"
    )
    settle = parser.settle

    def settle_lab(arguments: Namespace, typed: set[str]) -> None:
        if settle:
            settle(arguments, typed)
        if "lab" in typed and not typed & {
            "inventory",
            *_CLUSTER,
        }:  # a lab has its own machines; a configuration file names another cluster
            for dest in filter(parser.is_set_by_file, ("inventory", *_CLUSTER)):
                setattr(arguments, dest, None)

    parser.settle = settle_lab


def persist(parser: Parser) -> None:
    """Declare the options for persistence."""
    from podroutes.persist import BACKENDS  # noqa: PLC0415, needed by few commands

    parser.add_argument(
        "--persist",
        metavar="BACKEND",
        choices=("auto", *BACKENDS, "none"),
        help=f"write the routes down for the next boot: auto (for the manager of the interface), {', '.join(BACKENDS)}; "
        "none takes back what was written; without it, what is written down already is kept up to date",
    )
    parser.add_argument(
        "--sysctl", action="store_true", help="also set the sysctls that pods need, now and for the next boot"
    )


def cni(parser: Parser, *, force: bool = True) -> None:
    """Declare the options for the CNI configuration."""
    parser.add_argument(
        "--cni",
        action="store_true",
        help="also write the CNI configuration of this node's podCIDRs to /etc/cni/net.d; once written it is kept up to date",
    )
    parser.add_argument(
        "--cni-plugins",
        metavar="NAME,...",
        type=_plugins,
        help="with --cni: the plugins behind the bridge: portmap, bandwidth, none; without it portmap where it is installed",
    )
    if force:
        meaning = "with --cni: even if pods have addresses outside of the new podCIDRs"
        parser.add_argument("--force", action="store_true", help=meaning)


def _plugins(text: str) -> tuple[str, ...]:
    from podroutes.persist.cni_config import CHAINED_PLUGINS  # noqa: PLC0415, seldom asked for

    names = tuple(name for name in text.split(",") if name != "none")
    if wrong := [name for name in names if name not in CHAINED_PLUGINS]:
        raise ArgumentTypeError(f"{printable(wrong[0])} is none of {', '.join(CHAINED_PLUGINS)}, none")
    return names


MASQUERADE = {"ipv4": (4,), "ipv6": (6,), "both": (4, 6), "none": ()}  # IP versions, by what --masquerade is given


def masquerade(parser: Parser, more: str = "") -> None:
    """Declare the option for the masquerade table."""
    parser.add_argument(
        "--masquerade",
        metavar="WHICH",
        nargs="?",
        choices=tuple(MASQUERADE),
        const="ipv4",
        help="packets from this node's pods to addresses outside of the cluster leave with the node's address: ipv4 (without WHICH), "
        f"ipv6, both; none takes it back{more}",
    )


def state(parser: Parser) -> None:
    """Declare the option for the state directory."""
    from podroutes.persist.deletions import DIRECTORY  # noqa: PLC0415, needed by few commands

    parser.add_argument(
        "--state-dir", metavar="DIR", default=DIRECTORY, help=f"where state is kept between runs (default {DIRECTORY})"
    )


def mass_delete(parser: Parser) -> None:
    """Declare the option that allows mass deletions."""
    from podroutes.plan.guard import EVERYTHING  # noqa: PLC0415, needed by few commands

    parser.add_argument(
        "--allow-mass-delete",
        metavar="N",
        nargs="?",
        type=_allowance,
        const=EVERYTHING,
        default=0,
        help="let up to N routes go at once, without N all, where more than a third would be held",
    )


def _allowance(text: str) -> int:
    from podroutes.plan.guard import EVERYTHING  # noqa: PLC0415

    words = {"all": EVERYTHING} | dict.fromkeys(TRUE - {"1"}, EVERYTHING) | dict.fromkeys(FALSE, 0)
    if text.lower() in words:
        return words[text.lower()]
    if text.isascii() and text.isdigit():
        return int(text)
    raise ArgumentTypeError(f"{text!r} is neither a number of routes nor all")


def adopt(parser: Parser) -> None:
    """Declare the option that takes over foreign routes."""
    parser.add_argument("--adopt", action="store_true", help="take over identical routes that someone else made")
    edit = "with --adopt --persist BACKEND: also take these routes out of the administrator's own files; a copy is kept beside each"
    parser.add_argument("--edit-admin-config", action="store_true", help=edit)


def listen(parser: Parser, meaning: str) -> None:
    """Declare the option for the agent's address."""
    parser.add_argument(
        "--listen", metavar="ADDRESS:PORT", default="127.0.0.1:9107", help=f"{meaning} (default 127.0.0.1:9107)"
    )


def reach(parser: Parser) -> None:
    """Declare the options that select machines, and tell how SSH reaches them."""
    inventory(parser)
    parser.add_argument("--limit", metavar="NAME,...", help="only these nodes; * and ? stand for any characters")
    parser.add_argument("--user", metavar="NAME", help="log in as this user")
    parser.add_argument("--port", metavar="N", type=between(1, 65535), help="the port of sshd")
    parser.add_argument("--sudo", action="store_true", help="become root there by sudo, without a password")
    parser.add_argument("--ssh-config", metavar="FILE", help="read this instead of ~/.ssh/config")
    timeout = "how long a machine may take to let us in, and for each answer (default 20)"
    parser.add_argument("--timeout", metavar="SECONDS", type=between(1, 3600), default=20, help=timeout)
    parallel = "so many machines at a time (default 20)"
    parser.add_argument("--parallel", metavar="N", type=between(1, 1000), default=20, help=parallel)


def between(least: int, most: int) -> Callable[[str], int]:
    """Return the type of a whole number from LEAST to MOST."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return number


FEW = (
    20  # nodes; as many or more are shown in a line each, unless --full: the plans of 2,000 nodes have 4,000,000 routes
)


def full(parser: Parser, where: str = "") -> None:
    """Declare how much is shown of many nodes."""
    text = "every change of every node; without it, from 20 nodes on, a line for each"
    parser.add_argument("--full", action="store_true", help=f"{where}: {text}" if where else text)


def output(parser: Parser) -> None:
    """Declare the option for the output format."""
    parser.add_argument(
        "-o", "--output", choices=("text", "json", "yaml"), default="text", help="text (default), json or yaml"
    )
