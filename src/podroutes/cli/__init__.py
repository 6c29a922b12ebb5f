"""The command line: parse, call, print, exit."""

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper

from podroutes.errors import PodroutesError


def kubectl() -> int:
    """Run one command as the kubectl plugin ``kubectl podroutes``: the same program under another name."""
    return main(prog="kubectl podroutes")


def main(argv: Sequence[str] | None = None, prog: str = "podroutes") -> int:
    """Run one command; return its exit status. Whatever the user or the host did is one line on standard error."""
    _expect_signals(sys.argv[1:] if argv is None else ())
    from podroutes.cli.parser import build_parser  # noqa: PLC0415, so that the lines above are all that can fail unseen
    from podroutes.host import terminal  # noqa: PLC0415, the same

    gc.disable()  # a run makes many values and no cycles: looking for some takes a sixth of a large plan
    _open_streams()
    _spell_out()
    try:
        arguments = build_parser(prog).parse_args(argv)
        terminal.COLOR.set(getattr(arguments, "color", "auto"))
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except PodroutesError as error:
        return _failed(error, _output(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:  # whoever read our output has gone: nothing is left to say, nor anybody to say it to
        sys.stdout = None
        return 1
    except OSError as error:  # of a file that was read or written podroutes says more itself
        sys.stdout = None
        return _say(f"{error.filename or 'standard output'}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return _say("interrupted; changes made so far stay, run it again for the rest", 130)
    return status


def _expect_signals(words: Sequence[str]) -> None:
    """Have an agent end in good order from the first moment on: what it is made of takes longer to load than some supervisors wait."""
    if words[:1] != ["agent"]:
        return
    import signal  # noqa: PLC0415, only here

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # nothing has begun
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _failed(error: PodroutesError, output: str) -> int:
    """Say what failed, as a document on standard output, too, where OUTPUT is for programs."""
    if output:
        from podroutes.host import terminal  # noqa: PLC0415, the same as above
        from podroutes.views import documents  # noqa: PLC0415, only where it was asked for

        if output in documents.STRUCTURED:
            print(documents.text(documents.failure(error), output, ascii_only=not terminal.is_unicode(sys.stdout)))
    return _say(str(error), 1)


def _output(words: Sequence[str]) -> str:
    """Return the value of --output in WORDS, which need not be a command line that can be understood."""
    found = os.environ.get("PODROUTES_OUTPUT", "")
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        if word in {"-o", "--output"}:
            found = next(rest, "")
        elif word.startswith("--output="):
            found = word.partition("=")[2]
        elif word.startswith("-o") and not word.startswith("--"):
            found = word[2:].removeprefix("=")
    return found


def _say(text: str, status: int) -> int:
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:  # a full disk, or nobody who reads it
        sys.stdout = None
    with suppress(OSError):
        print(f"podroutes: {text}", file=sys.stderr, flush=True)
    return status


def _spell_out() -> None:
    """Have standard output and error write what they can show: "..." for "…" where the locale is C, or is not Unicode."""
    from podroutes.host import terminal  # noqa: PLC0415, the same as above

    encoding = "ascii" if terminal.ascii_only() else None
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors=terminal.handler())


def _open_streams() -> None:
    """Open /dev/null in place of a standard stream that was closed: whatever is opened next would be taken for it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115, for the life of the process
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115, the same
