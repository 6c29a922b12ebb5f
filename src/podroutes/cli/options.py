"""Options that several commands share, each with its environment variable."""

import os
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from podroutes.cli.parser import FALSE, TRUE, Parser, variable_of
from podroutes.model.address import Prefix, parse_prefix
from podroutes.model.text import printable


def inventory(parser: Parser) -> None:
    """Declare where the nodes come from."""
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
    limits(parser)


def limits(parser: Parser) -> None:
    """Declare what nodes may claim."""
    for option, meaning in (
        ("--pod-cidr", "no node may have a podCIDR outside of it"),
        ("--node-cidr", "no InternalIP outside of it is used"),
        ("--service-cidr", "no podCIDR may overlap it"),
    ):
        text = f"{meaning}; may be repeated, and replaces what the inventory says"
        action = parser.add_argument(option, metavar="CIDR", action=_Collect, type=_network, help=text)
        if isinstance(action.default, str):  # from the environment
            try:
                action.default = [_network(word) for word in action.default.replace(",", " ").split()]
            except ArgumentTypeError as error:
                parser.error(f"{variable_of(option)}: {error}")


class _Collect(Action):
    """Collects the values of an option that is repeated; those of the environment count only where it is not given at all."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None) -> None:  # noqa: ARG002
        """Add VALUES, which is one."""
        found = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if found is self.default else [*found, values])


def _network(text: str) -> Prefix:
    try:
        return parse_prefix(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{printable(text)} {error}") from None


def source(parser: Parser) -> None:
    """Declare where the nodes come from, and which of them this machine is."""
    inventory(parser)
    action = parser.add_argument(
        "--node", metavar="NAME", help="which node this machine is; found by host name or address"
    )
    action.default = action.default or os.environ.get("NODE_NAME")  # what the downward API usually sets in a pod


def interface(parser: Parser) -> None:
    """Declare the device of a machine that we are not on."""
    parser.add_argument(
        "--interface", metavar="DEV", help="the device towards the other nodes, where the inventory names none"
    )


def tables(parser: Parser) -> None:
    """Declare whose tables are read."""
    parser.add_argument(
        "--tables",
        metavar="DIR",
        help="the nodes' tables, DIR/NODE/{link,addr,route,rule,rule6}.json as `ip -j` prints them",
    )
    parser.add_argument(
        "--lab", metavar="NAME", nargs="?", const="lab", help="read the tables from a running lab (default lab)"
    )


def persist(parser: Parser) -> None:
    """Declare what is written down for the next boot."""
    from podroutes.persist import BACKENDS  # noqa: PLC0415, needed by few commands

    parser.add_argument(
        "--persist",
        metavar="BACKEND",
        choices=("auto", *BACKENDS, "none"),
        help=f"write the routes down for the next boot: auto (for the manager of the interface), {', '.join(BACKENDS)}; "
        "none takes back what was written; without it, what is written down already is kept up to date",
    )
    parser.add_argument("--sysctl", action="store_true", help="write down, too, that this machine forwards packets")


def state(parser: Parser) -> None:
    """Declare where state is kept between runs."""
    from podroutes.persist.deletions import DIRECTORY  # noqa: PLC0415, needed by few commands

    parser.add_argument(
        "--state-dir", metavar="DIR", default=DIRECTORY, help=f"where state is kept between runs (default {DIRECTORY})"
    )


def mass_delete(parser: Parser) -> None:
    """Declare how many routes may go at once."""
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
    """Declare what becomes of routes that somebody else made."""
    parser.add_argument("--adopt", action="store_true", help="take over identical routes that someone else made")
    edit = "with --adopt --persist BACKEND: also take these routes out of the administrator's own files; a copy is kept beside each"
    parser.add_argument("--edit-admin-config", action="store_true", help=edit)


def listen(parser: Parser, meaning: str) -> None:
    """Declare where the agent of this machine is asked."""
    parser.add_argument(
        "--listen", metavar="ADDRESS:PORT", default="127.0.0.1:9107", help=f"{meaning} (default 127.0.0.1:9107)"
    )


def output(parser: Parser) -> None:
    """Declare text for people, JSON and YAML for programs."""
    parser.add_argument(
        "-o", "--output", choices=("text", "json", "yaml"), default="text", help="text (default), json or yaml"
    )
