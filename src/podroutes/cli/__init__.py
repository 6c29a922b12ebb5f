"""The command line: parse, call, print, exit."""

import gc
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from podroutes.errors import PodroutesError


def kubectl() -> int:
    """Run one command as the kubectl plugin ``kubectl podroutes``: the same program under another name."""
    return main(prog="kubectl podroutes")


def main(argv: Sequence[str] | None = None, prog: str = "podroutes") -> int:
    """Run one command; return its exit status. Whatever the user or the host did is one line on standard error."""
    from podroutes.cli.parser import build_parser  # noqa: PLC0415, so that the lines above are all that can fail unseen

    gc.disable()  # a run makes many values and no cycles: looking for some takes a sixth of a large plan
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot print "…"
    arguments = build_parser(prog).parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except PodroutesError as error:
        return _say(str(error), 1)
    except BrokenPipeError:  # whoever read our output has gone: nothing is left to say, nor anybody to say it to
        sys.stdout = None
        return 1
    except KeyboardInterrupt:
        return _say("interrupted; what is done is done, running it again does the rest", 130)
    return status


def _say(text: str, status: int) -> int:
    sys.stdout.flush()
    print(f"podroutes: {text}", file=sys.stderr)
    return status
