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
_HOMES = {"root": "/root", "srv": "/srv", "user": f"/home/{USER}", "container": "/srv"}
_RESULTS = "build/tests.xml"
_DEMO = ("./dev setup demo", "./dev demo")
_QUICK = (*_DEMO, "./dev setup fast", "./dev lint", f"./dev test --fast --junit-xml={_RESULTS}")
_ALL = (*_DEMO, "./dev setup test", f"./dev test --junit-xml={_RESULTS}")
_BY_DEFAULT = ("root", "srv", "user")


def main() -> int:
    """Return 0 when everything worked everywhere."""
    parser = argparse.ArgumentParser(prog="./dev fresh", description=__doc__)
    parser.add_argument(
        "releases", metavar="RELEASE", nargs="*", help=f"of Debian, by default {' '.join(base.RELEASES)}"
    )
    parser.add_argument(
        "--who", choices=sorted(_HOMES), action="append",
        help="root in /root or /srv, an ordinary user, or root of a container with an engine's defaults",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="an ordinary user of this release: demo, lint and fast tests"
    )
    parser.add_argument("--demo", action="store_true", help="the demo alone")
    parser.add_argument("--keep", action="store_true", help="leave the machines where they are")
    arguments = parser.parse_args()
    lines = _DEMO if arguments.demo else _QUICK if arguments.quick else _ALL
    releases = arguments.releases or ([base.ours()] if arguments.quick else base.RELEASES)
    users = arguments.who or (("user",) if arguments.quick else _BY_DEFAULT)
    if os.getuid():
        sys.stderr.write("dev: fresh makes whole machines in folders, which takes root\n")
        return 1
    _CACHE.mkdir(parents=True, exist_ok=True)
    _LOGS.mkdir(parents=True, exist_ok=True)
    outside = host.read()
    trials = []
    for release in releases:
        for who in users:
            tree = Path(tempfile.mkdtemp(prefix=f"{release}-{who}-", dir=_CACHE), "tree")
            try:
                base.unpack(release, tree, _CACHE, outside)
                machine = Machine(tree, outside, _LOGS / f"{release}-{who}.log")
                trials.append(_try(release, who, machine, lines))
            except base.UnavailableError as why:
                sys.stderr.write(f"dev: {release}: {why}\n")
                return 1
            finally:
                if not arguments.keep:
                    trial.drop(tree.parent)
            _print(trials[-1])
    return int(any(each.failed for each in trials))


def _try(release: str, who: str, machine: Machine, lines: tuple[str, ...]) -> trial.Trial:
    stranger = trial.Stranger(machine, _CHECKOUT, who, f"{_HOMES[who]}/podroutes")
    for line in lines:
        words = line + " --allow-skips" * (who == "container" and line.startswith("./dev test"))
        stranger.type(words, online=line.startswith("./dev setup"))  # everything else has to do without a network
        if line.startswith("./dev setup"):
            stranger.note(stranger.installed(), stranger.size(".venv"), stranger.size(".cache"))
            if line == _DEMO[0]:
                stranger.note(stranger.downloaded())
        elif line.startswith("./dev test"):
            stranger.note(stranger.results(_RESULTS))
    if who == "srv" and lines is _ALL:
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
