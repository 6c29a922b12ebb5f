"""The command line: parse, call, print, exit."""

import atexit
import errno
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn

from podroutes.errors import PodroutesError


def kubectl() -> int:
    """Run one command as the kubectl plugin ``kubectl podroutes``: the same program under another name."""
    return main(prog="kubectl podroutes")


def run() -> NoReturn:
    """Run the command that the process was started for, and end the process."""
    _exit(main())


def run_plugin() -> NoReturn:
    """Run one command as the kubectl plugin ``kubectl podroutes``."""
    _exit(kubectl())


def _exit(status: int) -> NoReturn:
    """End the process at once where nothing needs an orderly end: to take apart what it has loaded takes a sixth of a short run."""
    if "threading" in sys.modules:
        sys.exit(status)
    atexit._run_exitfuncs()  # noqa: SLF001, what os._exit leaves out
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            if stream:
                stream.flush()
    os._exit(status)


def main(argv: Sequence[str] | None = None, prog: str = "podroutes") -> int:
    """Run one command; return its exit status. Errors are one line on standard error."""
    _expect_signals(sys.argv[1:] if argv is None else ())
    from podroutes.cli.parser import build_parser  # noqa: PLC0415, so that the lines above are all that can fail unseen
    from podroutes.host import terminal  # noqa: PLC0415, the same

    gc.disable()  # a run creates many values and no cycles: collection would take a sixth of a large plan's time
    _open_streams()
    _spell_out()
    try:
        arguments = build_parser(prog).parse_args(argv)
        terminal.COLOR.set(getattr(arguments, "color", "auto"))
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except PodroutesError as error:
        return _failed(error, _output(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:  # the reader of our output has gone
        sys.stdout = None
        return 1
    except OSError as error:  # errors of input files are reported with more detail elsewhere
        sys.stdout = None
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            return _say("too many files are open: raise the limit (`ulimit -n 1024`)", 1)
        return _say(f"{error.filename or 'standard output'}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return _say(f"interrupted; {_left(sys.argv[1:] if argv is None else argv)}", 130)
    return status


_CHANGING = {"apply", "remove", "push", "confirm", "doctor", "render"}  # doctor has --fix, render --directory


def _left(words: Sequence[str]) -> str:
    """Return what an interrupted command of WORDS leaves behind."""
    if {"lab", "up"} <= set(words):
        return "`podroutes lab status` tells whether the lab is up, `podroutes lab down` ends it"
    if _CHANGING.isdisjoint(words):
        return "nothing was changed"
    return "changes made so far stay, run it again for the rest"


def _expect_signals(words: Sequence[str]) -> None:
    """Make an agent exit with status 0 on signals from the start: its imports take longer than some supervisors wait."""
    if words[:1] != ["agent"]:
        return
    import signal  # noqa: PLC0415, only here

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # nothing was started
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _failed(error: PodroutesError, output: str) -> int:
    """Print what failed; also as a document on standard output, if OUTPUT is json or yaml."""
    if output:
        from podroutes.host import terminal  # noqa: PLC0415, the same as above
        from podroutes.views import documents  # noqa: PLC0415, only where it was asked for

        if output in documents.STRUCTURED:
            text = documents.text(documents.failure(error), output, ascii_only=not terminal.is_unicode(sys.stdout))
            try:
                print(text, flush=True)
            except OSError:  # a full disk, or nobody who reads it
                sys.stdout = None
    return _say(str(error), 1)


def _output(words: Sequence[str]) -> str:
    """Return the value of --output in WORDS, which may be an invalid command line."""
    output = os.environ.get("PODROUTES_OUTPUT", "")
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        if word in {"-o", "--output"}:
            output = next(rest, "")
        elif word.startswith("--output="):
            output = word.partition("=")[2]
        elif word.startswith("-o") and not word.startswith("--"):
            output = word[2:].removeprefix("=")
    return output


def _say(text: str, status: int) -> int:
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:  # a full disk, or no reader
        sys.stdout = None
    with suppress(OSError):
        print(f"podroutes: {text}", file=sys.stderr, flush=True)
    return status


def _spell_out() -> None:
    """Make standard output and error replace characters outside of the locale's encoding, such as "..." for "…"."""
    from podroutes.host import terminal  # noqa: PLC0415, the same as above

    encoding = "ascii" if terminal.ascii_only() else None
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors=terminal.handler())


def _open_streams() -> None:
    """Open /dev/null in place of closed standard streams: the next opened file would get their descriptors."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115, for the life of the process
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115, the same
