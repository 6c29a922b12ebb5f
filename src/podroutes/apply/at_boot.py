"""What the next boot makes of a plan: what keeps it from our files, and scripts that may make the same routes."""

from collections.abc import Iterator, Mapping, Sequence

from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.address import Prefix
from podroutes.model.fib import Link
from podroutes.model.persisted import File, FileChange
from podroutes.model.problem import Problem
from podroutes.model.text import escaped, listing, printable
from podroutes.persist import BACKENDS, backend
from podroutes.persist.owned import Found
from podroutes.plan.configured import Overlap, left_in_mind
from podroutes.plan.planning import Planned


def hindered(
    name: str, root: HostFiles, links: Sequence[Link], found: Found, files: Sequence[FileChange]
) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Return by device why a boot would not bring back the routes by LINKS that backend NAME keeps, as our files are.

    The problems are what remains of that once FILES are carried out.
    """
    from podroutes.persist.hindrances import hindrances  # noqa: PLC0415, only where there are files of ours

    there: Mapping[str, File] = found.files[name]
    right = {each.file.path: each.file for each in files if each.backend == name and each.action != "delete"}
    after = hindrances(root, name, links, {**there, **right}, ())
    return hindrances(root, name, links, there, files), tuple(_problems(after))


def _problems(hindrances: Mapping[str, str]) -> Iterator[Problem]:
    for why in dict.fromkeys(hindrances.values()):
        devices = listing([printable(dev) for dev, reason in hindrances.items() if reason == why])
        yield Problem("warning", "not-persistent", f"the routes by {devices} do not come back at a boot: {why}")


def refuse_unclear(root: HostFiles, wanted: Sequence[Prefix]) -> None:
    """Raise PersistError where a script may make WANTED routes and it cannot be told which: ours beside it could break the boot."""
    from podroutes.persist.configured import configured_routes  # noqa: PLC0415, knows all managers

    for place, dst in configured_routes(root, wanted).unclear:
        raise PersistError(
            f"{escaped(place)} may make these routes as well ({escaped(dst)}), which podroutes cannot read: take that line out, then run it again"
        )


def with_reload(planned: Planned, lines: Overlap, name: str, found: Found) -> Planned:
    """Return PLANNED with what makes the manager of backend NAME read our files, where it still has routes of before."""
    maker = (
        "netplan" if any("/10-netplan-" in path for path in found.files.get(name, ())) else name
    )  # of networkd's files
    commands = backend(maker).REREAD if maker in BACKENDS else ()
    if not commands:
        return planned
    reread = f"`{' && '.join(' '.join(words) for words in commands)}`"
    if not backend(name).RELOAD:  # our file is a script, which is run when the device comes up
        reread += " and `podroutes apply --adopt`"
    return planned._replace(plan=left_in_mind(planned.plan, lines, found.owned(name), reread))
