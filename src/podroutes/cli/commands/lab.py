"""``podroutes lab``, whose commands set ``run`` themselves."""

import argparse

from podroutes.cli.parser import Parser
from podroutes.errors import ForbiddenError, PlatformError, require_linux
from podroutes.lab import commands


def configure(parser: Parser) -> None:
    """Declare the commands and their options."""
    cluster = {"inventory", "kubernetes"}  # those of a configuration file do not apply to a lab
    parser.settings = {name: value for name, value in parser.settings.items() if name not in cluster}
    commands.configure(parser, _tell)


def _tell(arguments: argparse.Namespace) -> int:
    """Run the demo in a lab, or simulated where no lab is possible; return 0 if each act showed what it says."""
    from podroutes.cli.simulation import demo as simulation  # noqa: PLC0415, for this command only

    if arguments.simulated:
        return simulation.demo(arguments, "")
    try:
        require_linux("a lab", "run it in a Linux virtual machine for the real one")
        from podroutes.lab.demo import demo  # noqa: PLC0415, the same

        return demo(arguments)
    except (ForbiddenError, PlatformError) as error:
        return simulation.demo(arguments, str(error))
