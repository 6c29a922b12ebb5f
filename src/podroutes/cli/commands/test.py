"""``podroutes test``."""

import argparse
import sys

from podroutes.cli import common, options
from podroutes.cli.parser import Parser
from podroutes.errors import require_linux
from podroutes.views import connectivity as views

_DESCRIPTION = """\
Send real packets between the pods and machines of a lab: pod to pod, pod to node and node to pod, each IP version. A packet has to
arrive with the sender's own address and to be answered. Unlike `lab ping` this finds masquerading, too. In a lab of --cni the pods are
those of `lab pod`, and they also have to reach the outside with the address of their node.

exit status: 0 all tests passed, 2 some failed, or there was nothing to test, 1 error
"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    parser.add_argument("--lab", metavar="NAME", nargs="?", const="lab", default="lab", help="the lab (default lab)")
    parser.add_argument(
        "--outside",
        choices=tuple(options.MASQUERADE),
        default="ipv4",
        help="in a lab of --cni: pods have to reach the outside, masqueraded: ipv4 (default), ipv6, both, none",
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "json", "yaml", "junit"),
        default="text",
        help="text (default), json, yaml, or junit: XML for CI systems",
    )


def run(arguments: argparse.Namespace) -> int:
    """Test a lab; 0 all passed, 2 not."""
    require_linux("`podroutes test`", "it tests a lab, which is a cluster of network namespaces")
    from podroutes.lab import connectivity, inside, pods, registry  # noqa: PLC0415, fails where there are no namespaces

    lab = registry.find(arguments.lab)
    made = pods.pods(lab) if lab.cni else None
    inside.enter(lab)
    checked = connectivity.check_all(lab.cluster, made, options.MASQUERADE[arguments.outside])
    if arguments.output == "junit":
        common.say(views.junit(lab.name, checked))
    elif arguments.output == "text":
        common.say(views.text(checked, common.style(sys.stdout)))
    else:
        common.say_document(views.document(lab.name, checked), arguments.output)
    return 0 if checked.checks and not checked.failures else 2
