"""``./dev fresh [RELEASE...]``: what the README says, typed on minimal machines of Debian; prints a table of what came of it."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from fresh import base, host, trial
from fresh.machine import USER, Machine

_CHECKOUT = Path(__file__).parents[2]
_CACHE = _CHECKOUT / ".cache" / "fresh"
_LOGS = _CHECKOUT / "build" / "fresh"
_HOMES = {"root": "/root", "srv": "/srv", "user": f"/home/{USER}"}


def main() -> int:
    """Return 0 when everything worked everywhere."""
    parser = argparse.ArgumentParser(prog="./dev fresh", description=__doc__)
    parser.add_argument("releases", metavar="RELEASE", nargs="*", default=base.RELEASES, help="of Debian")
    parser.add_argument(
        "--who", choices=sorted(_HOMES), action="append", help="root in /root or /srv, or an ordinary user"
    )
    parser.add_argument(
        "--test", default="./dev test", metavar="LINE", help="how the tests are started; '' for not at all"
    )
    parser.add_argument("--keep", action="store_true", help="leave the machines where they are")
    arguments = parser.parse_args()
    if os.getuid():
        sys.stderr.write("dev: fresh makes whole machines in folders, which takes root\n")
        return 1
    _CACHE.mkdir(parents=True, exist_ok=True)
    _LOGS.mkdir(parents=True, exist_ok=True)
    outside = host.read()
    trials = []
    for release in arguments.releases:
        for who in arguments.who or _HOMES:
            tree = Path(tempfile.mkdtemp(prefix=f"{release}-{who}-", dir=_CACHE), "tree")
            try:
                base.unpack(release, tree, _CACHE, outside)
                trials.append(_try(release, who, Machine(tree, outside), arguments.test))
            except base.UnavailableError as why:
                sys.stderr.write(f"dev: {release}: {why}\n")
                return 1
            finally:
                if not arguments.keep:
                    trial.drop(tree.parent)
            _print(trials[-1])
    return int(any(each.failed for each in trials))


def _try(release: str, who: str, machine: Machine, test: str) -> trial.Trial:
    stranger = trial.Stranger(machine, _CHECKOUT, who, f"{_HOMES[who]}/podroutes", _LOGS / f"{release}-{who}.log")
    stranger.type("./dev setup demo", online=True)
    stranger.note(stranger.installed(), stranger.size(".venv"))
    stranger.type("./dev demo")
    if test:
        stranger.type("./dev setup test", online=True)
        stranger.note(stranger.installed(), stranger.size(".venv"), stranger.size(".cache"))
        stranger.type(f"{test} --junit-xml=build/tests.xml")
        stranger.note(stranger.results("build/tests.xml"))
    if who == "srv":
        _packages(stranger)
    return trial.Trial(release, who, stranger.steps)


def _packages(stranger: trial.Stranger) -> None:
    """Build the packages; install, run and remove each of them."""
    stranger.type("./dev build", online=True)
    for step, online in {"install": True, "run": False, "remove": True, "wheel": True}.items():
        stranger.type(f"packaging/check.sh {step}", online=online)


def _print(one: trial.Trial) -> None:
    print(f"{one.release}, {one.who}: {'FAILED' if one.failed else 'ok'}")  # noqa: T201
    for step in one.steps:
        status = "ok" if not step.done.status else f"status {step.done.status}"
        print(f"  {step.done.seconds:7.1f} s {step.done.cpu:7.1f} s CPU  {status:9} {step.what}")  # noqa: T201
        for line in step.notes:
            print(f"{'':34}{line}")  # noqa: T201
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
