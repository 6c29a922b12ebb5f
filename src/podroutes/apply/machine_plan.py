"""Plans a machine: its routes in the kernel, and the files that restore the same routes at boot."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from podroutes.apply.at_boot import hindered, refuse_unclear, with_reload
from podroutes.apply.cni_request import CniRequest, cni_configuration
from podroutes.apply.host_request import HostRequest, HostState, host_settings
from podroutes.apply.unread import hindered_by_unread, presumed, with_unread
from podroutes.errors import PersistError
from podroutes.host.files import HostFiles
from podroutes.model.cluster import Node
from podroutes.model.configured import ConfiguredRoutes
from podroutes.model.fib import Fib, Link
from podroutes.model.persisted import File, FileChange, OwnedRoutes, PersistedRoute, RenderContext, written
from podroutes.model.problem import Problem
from podroutes.model.route import PROTOCOL, NextHop, Route
from podroutes.persist import backend
from podroutes.persist.owned import Found, find, find_readable
from podroutes.persist.system_files import FORWARDING, MODULES, protocol_name
from podroutes.plan.bystanders import nothing_decides
from podroutes.plan.claims import Claims
from podroutes.plan.configured import Overlap, not_taken_over, overlap, problems, without_configured
from podroutes.plan.guard import HeldDeletions, no_guard
from podroutes.plan.ownership import standing
from podroutes.plan.planning import Planned, plan_here, withheld
from podroutes.plan.settle import Context
from podroutes.plan.vanishing import leaving

AUTO, NONE = "auto", "none"


class PlanRequest(NamedTuple):
    """The user's request. ``backend`` is a name, AUTO, NONE (remove all files), or "" for the present backend."""

    command: Callable[[], Sequence[str]]  # the command that applies the same inventory at boot
    backend: str = ""
    sysctl: bool = False  # also set the sysctls that pods need, now and at boot
    adopt: bool = False  # take over identical foreign routes
    hold: HeldDeletions = no_guard  # the mass-delete guard
    edit: bool = False  # remove the routes that ours replace from the administrator's files
    held: Sequence[Route] = ()  # routes that were held before
    context: Context = Context()  # saved routes and dependencies
    cni: CniRequest = CniRequest()  # also write the CNI configuration
    host: HostRequest = HostRequest()  # also masquerade
    reads: bool = (
        False  # nothing is carried out: files of ours that this user cannot read are only a problem of the plan
    )


class _Here(NamedTuple):
    """The present files of the machine."""

    root: HostFiles
    links: tuple[Link, ...]
    found: Found
    owned: OwnedRoutes
    shared: tuple[File, ...] = ()  # those of all backends that it should have in any case
    forwarding: File | None = None  # that of the sysctls


class MachinePlan(NamedTuple):
    """The plan of kernel and files, the ownership of routes, the backend ("" none) with the reason for it, and our present files."""

    planned: Planned
    owned: OwnedRoutes
    backend: str = ""
    why: str = ""
    found: Found = Found({})
    configured: Overlap = Overlap({}, {})
    hindered: Mapping[str, str] = {}  # by device, why a boot does not bring back what our files say
    offered: tuple[FileChange, ...] = ()  # the edits of the administrator's files that would move routes over


def plan_machine(claims: Claims, own: Node, fib: Fib, root: HostFiles, request: PlanRequest) -> MachinePlan:
    """Plan for the machine of FIB and ROOT. Rules or routes that override ours are problems of the plan.

    Raises PersistError where what was asked for cannot be.
    """
    machine_plan = _plan_machine(claims, own, fib, root, request)
    if nothing_decides(own, fib, machine_plan.planned.desired):
        return machine_plan
    from podroutes.verify.deciding import with_deciding  # noqa: PLC0415, few machines have rules or routes that matter

    return machine_plan._replace(planned=with_deciding(machine_plan.planned, own, fib))


def _plan_machine(claims: Claims, own: Node, fib: Fib, root: HostFiles, request: PlanRequest) -> MachinePlan:
    """Plan for kernel and files.

    Raises PersistError if the request is impossible: an unknown interface, two managers, another program's file in the way. If
        only present files cannot be updated, that is a problem of the plan, and the kernel is still changed.
    """
    found = find_readable(root) if request.reads else find(root)
    settings = request.host._replace(sysctl=request.sysctl)

    def plan_with(owned: OwnedRoutes) -> Planned:
        return plan_here(claims, own, fib, adopt=request.adopt, owned=owned, context=request.context)

    if found.unread:
        return _partly_read(plan_with, fib, root, request, found)
    if not (request.backend or settings.wanted or request.cni.wanted or any(found.files.values())):
        planned = guarded(plan_with(OwnedRoutes()), fib, OwnedRoutes(), request)
        return _kernel_alone(planned, root, adopt=request.adopt)

    def plan(name: str) -> tuple[Planned, OwnedRoutes]:
        owned = found.owned(name)
        return plan_with(owned), owned

    name, why = request.backend, ""
    if name == AUTO:
        first, owned = plan("")
        name, why = _automatic(first, fib, root, owned, request)
    if not name and len(found.backends) < 2:
        name = next(iter(found.backends), "")
    planned, owned = plan("" if name == NONE else name)
    lines = _overlap(root, planned, request)
    planned = planned._replace(plan=not_taken_over(planned.plan, lines))
    planned = with_reload(planned, lines, name, found)
    # The guard does not count files that are removed on request.
    planned = guarded(planned, fib, owned._replace(written={}) if name == NONE else owned, request)
    routes = standing(*planned, fib, owned)
    asked = bool(name and name != NONE and request.backend)
    planned = _with(planned, problems=(*planned.plan.problems, *(problems(routes, lines) if asked else ())))
    planned = with_unread(planned, found, lines)
    if asked:
        refuse_unclear(root, [route.dst for route in _wanted_routes(planned)])
    try:
        kept = without_configured(routes, lines)
        cni = cni_configuration(root, own, fib, found.files[""], request.cni)
        state = HostState(root, own, claims.cluster, fib, routes, _present(found, name), bool(cni.files))
        host = host_settings(state, settings)
        files = _files(
            name, kept, _Here(root, fib.links, found, owned, (*cni.files, *host.files), host.forwarding), request
        )
        moved = _edits(root, planned) if request.edit else ()
        files += tuple(FileChange("create", file, "") for file in cni.leases)
    except PersistError as error:
        if request.backend or request.cni.wanted or settings.wanted:
            raise
        return MachinePlan(planned._replace(plan=planned.plan.with_problem(not_persistent(error))), owned, name)
    offered = _offered(root, planned) if request.backend not in ("", NONE) and (lines.same or lines.other) else ()
    chosen = "" if name == NONE else name
    devices = {kept_route.route.dev for kept_route in kept}
    links = [link for link in fib.links if link.name in devices]
    why_not, remaining = hindered(chosen, root, links, found, files) if chosen else ({}, ())
    said = (*planned.plan.problems, *remaining, *cni.problems, *host.problems)
    cni_required = request.cni.wanted and request.cni.insist
    required = bool(request.backend or cni_required or (settings.wanted and settings.persistent))
    changed = (*files, *moved) if required or files or any(found.files.values()) else None
    planned = _with(planned, files=changed, files_required=required, host=host.changes, problems=said)
    return MachinePlan(planned, owned, chosen, why, found, lines, why_not, offered)


def _present(found: Found, name: str) -> dict[str, File]:
    """Return our present files of all backends; those of sysctls go with the backend NAME if that is NONE."""
    gone = (FORWARDING, MODULES) if name == NONE else ()
    return {path: file for path, file in found.files[""].items() if path not in gone}


def _partly_read(
    plan: Callable[[OwnedRoutes], Planned], fib: Fib, root: HostFiles, request: PlanRequest, found: Found
) -> MachinePlan:
    """Return the plan for the kernel alone, where files of ours, FOUND, cannot be read. It is not to be carried out."""
    owned = presumed(plan(OwnedRoutes()).desired, fib, found)
    planned = plan(owned)
    planned = guarded(planned, fib, owned, request)
    lines = configured_overlap(root, planned)
    planned = with_unread(planned._replace(plan=not_taken_over(planned.plan, lines)), found, lines)
    name = next(iter(found.unread))
    return MachinePlan(planned, owned, name, "", found, lines, hindered_by_unread(fib.links, found))


def not_persistent(error: PersistError) -> Problem:
    """Return the problem for ERROR if present files cannot be updated; the kernel is still changed."""
    return Problem("error", "not-persistent", str(error))


def _overlap(root: HostFiles, planned: Planned, request: PlanRequest) -> Overlap:
    """Return the routes that stay in the administrator's files: none if these are edited."""
    lines = Overlap({}, {}) if request.edit else configured_overlap(root, planned)
    return lines if request.backend or request.reads else lines._replace(unread=())


def _edits(root: HostFiles, planned: Planned) -> tuple[FileChange, ...]:
    """Return the edits that remove all lines for desired destinations. Raises PersistError if one cannot be removed alone."""
    from podroutes.persist.admin_edit import edits  # noqa: PLC0415, seldom asked for

    return tuple(edits(root, _configured(root, _wanted_routes(planned)).routes))


def _offered(root: HostFiles, planned: Planned) -> tuple[FileChange, ...]:
    """Return the edits that would be made, if possible."""
    try:
        return _edits(root, planned)
    except PersistError:
        return ()


def _kernel_alone(planned: Planned, root: HostFiles, *, adopt: bool) -> MachinePlan:
    """Return the plan of a machine without files of ours. The administrator's files are read if foreign routes matter."""
    if not adopt and not any(problem.code == "foreign-route" for problem in planned.plan.problems):
        return MachinePlan(planned, OwnedRoutes())
    lines = configured_overlap(root, planned)
    planned = planned._replace(plan=not_taken_over(planned.plan, lines))
    return MachinePlan(with_unread(planned, Found({}), lines), OwnedRoutes(), configured=lines)


def _automatic(
    planned: Planned, fib: Fib, root: HostFiles, owned: OwnedRoutes, request: PlanRequest
) -> tuple[str, str]:
    """Return the backend for the routes to persist and how it was found, "" and why none is needed. Raises PersistError."""
    from podroutes.apply.automatic import nothing_to_keep  # noqa: PLC0415, seldom asked for
    from podroutes.persist.detect import detect  # noqa: PLC0415, knows all managers

    lines = _overlap(root, planned, request)
    kept = without_configured(standing(*planned, fib, owned), lines)
    if why := nothing_to_keep(planned, kept, lines, adopt=request.adopt):
        return "", why
    devices = {kept_route.route.dev for kept_route in kept}
    return detect(root, [link for link in fib.links if link.name in devices])


def configured_overlap(root: HostFiles, planned: Planned) -> Overlap:
    """Return the desired routes that the administrator's own files also make."""
    wanted = _wanted_routes(planned)
    return overlap(wanted, _configured(root, wanted))


def _wanted_routes(planned: Planned) -> list[Route]:
    rows = [
        Route(claim.dst, (NextHop(via, dev or None),))
        for wanted in planned.desired.wanted.values()
        for claim, via, dev in zip(wanted.claims, wanted.vias, wanted.routes.dev, strict=True)
    ]
    return [*rows, *planned.desired.out_of_reach.values()]


def _configured(root: HostFiles, wanted: Iterable[Route]) -> ConfiguredRoutes:
    from podroutes.persist.configured import configured_routes  # noqa: PLC0415, knows all managers

    return configured_routes(root, (route.dst for route in wanted))


def guarded(planned: Planned, fib: Fib, owned: OwnedRoutes, request: PlanRequest) -> Planned:
    """Return PLANNED without held deletions."""
    found = leaving(planned.plan, lambda: standing(*planned, fib, owned), fib, owned, held=request.held)
    return withheld(planned, found, request.hold(found))


def _with(planned: Planned, **fields: object) -> Planned:
    return planned._replace(plan=planned.plan._replace(**fields))  # type: ignore[arg-type]


def _files(name: str, routes: Sequence[PersistedRoute], here: _Here, request: PlanRequest) -> tuple[FileChange, ...]:
    """Return the file changes that persist ROUTES with backend NAME."""
    if not name and here.found.backends:
        raise PersistError(f"there are files of ours for {' and '.join(here.found.backends)}")
    common = [FileChange("create", file, "") for file in here.shared]
    return tuple(_changes(here, [*common, *(() if name == NONE else _wanted(name, routes, here, request))]))


def _wanted(name: str, routes: Sequence[PersistedRoute], here: _Here, request: PlanRequest) -> Iterator[FileChange]:
    """Yield the desired files; without a backend only those that belong to all backends."""
    if name:
        chosen, there = backend(name), here.found.files[name]
        devices = {persisted_route.route.dev for persisted_route in routes}
        places = {link.name: chosen.place(here.root, link, here.links) for link in here.links if link.name in devices}
        context = RenderContext(places, tuple(request.command()), tuple(there))
        files = chosen.render(routes, context)
        first: Sequence[File | None] = [None] * len(files)
        if chosen.PROTOCOL != PROTOCOL and places:
            first = chosen.render([*routes, *_leaving(routes, here.owned, min(places))], context)
        for file, bridge in zip(files, first, strict=True):
            yield FileChange("create", file, name, None if bridge == there.get(file.path) else bridge)
        yield FileChange("create", protocol_name(), "")
    if here.forwarding:
        yield FileChange("create", here.forwarding, "")


def _leaving(routes: Iterable[PersistedRoute], owned: OwnedRoutes, dev: str) -> list[PersistedRoute]:
    """Return the routes that our file will no longer have, with device DEV."""
    staying = {written(persisted_route.route) for persisted_route in routes}
    rows = sorted(owned.static - staying)
    return [PersistedRoute(Route(dst, (NextHop(via, dev),), metric)) for dst, via, metric in rows]


def _changes(here: _Here, wanted: Iterable[FileChange]) -> Iterator[FileChange]:
    """Yield the changes from our present files to WANTED, deletions last."""
    leaving = {path: (name, file) for name, files in here.found.files.items() for path, file in files.items()}
    for change in wanted:
        _, was = leaving.pop(change.file.path, ("", None))
        if was is None and any(here.root.glob(change.file.path)):
            raise PersistError(f"{change.file.path} is not ours: move it away, or name another place with --persist")
        if was != change.file:
            yield change._replace(action="replace") if was else change
    yield from (FileChange("delete", file, name) for name, file in leaving.values())
