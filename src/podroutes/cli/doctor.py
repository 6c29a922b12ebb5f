"""Examines machines: this one for ``doctor``, those of a lab if ``verify --probe`` contradicts the proof."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from podroutes.cli.collection import Evidence
from podroutes.doctor import examine
from podroutes.doctor.context import MachineContext
from podroutes.errors import PersistError
from podroutes.host.arp import ask_all
from podroutes.host.echo import one_machine
from podroutes.host.files import HostFiles
from podroutes.host.machine_facts import read_machine
from podroutes.model.cluster import Cluster, Node
from podroutes.model.fib import Link
from podroutes.model.finding import Examined
from podroutes.model.machine_facts import Facts
from podroutes.model.probe import Disagreement
from podroutes.persist.configured import configured_routes
from podroutes.persist.hindrances import not_restored
from podroutes.persist.managers import read_managers
from podroutes.plan.identity import named_node, this_node

_MOST = 8  # machines that are examined; each takes a second if a next hop is silent


def examined(cluster: Cluster | None, name: str | None) -> MachineContext:
    """Read this machine, which is the node NAME of CLUSTER or else the one that it looks like, and ask its next hops."""
    files = HostFiles()
    facts = read_machine(files, read_managers)
    context = _with_files(files, MachineContext(facts, cluster, _own(cluster, name, facts) if cluster else None))
    try:
        questions = list(context.questions())
        answers = ask_all(questions)
        several = [
            (question, answers[question.address]) for question in questions if len(answers[question.address]) > 1
        ]
        return context._replace(answers=answers, one_machine=one_machine(several))
    except OSError as error:
        why = f"whether next hops answer: {error.strerror}; it needs the capability CAP_NET_RAW"
        known = context.facts
        return context._replace(facts=known._replace(unexamined=(*known.unexamined, why)))


def _with_files(root: HostFiles, context: MachineContext) -> MachineContext:
    """Return CONTEXT with what the files below ROOT say about its routes: the administrator's, and ours."""
    facts = context.facts
    lines = configured_routes(root, {route.dst for route in facts.host.routes if route.via and not route.ours}).routes
    links = [Link(device.ifindex, device.name, up=True, carrier=True) for device in facts.devices.values()]
    try:
        lost = not_restored(root, links, {route.dev for route in context.ours if route.dev})
    except PersistError as error:
        facts = facts._replace(unexamined=(*facts.unexamined, f"what is written down for the next boot: {error}"))
        lost = ()
    return context._replace(facts=facts, configured={line.dst: line.via for line in lines}, not_restored=lost)


def explain(evidence: Evidence, differences: Sequence[Disagreement]) -> list[Examined]:
    """Return findings for the machines at both ends of DIFFERENCES, as far as they can be entered.

    In a lab this process stays in the last machine's namespaces.
    """
    ends = Counter(end for difference in differences for end in (difference.probed.source, difference.probed.node))
    reachable = [name for name, _ in ends.most_common() if name in evidence.network.hosts]
    return list(_examinations(evidence, reachable[:_MOST]))


def _examinations(evidence: Evidence, names: Iterable[str]) -> Iterator[Examined]:
    for name in names:
        if evidence.own is None:
            from podroutes.lab import inside  # noqa: PLC0415, we are inside one

            inside.step_into(name)
        context = examined(evidence.source.cluster, name)
        yield Examined(name, examine(context), context.facts.unexamined)


def _own(cluster: Cluster, name: str | None, facts: Facts) -> Node:
    if name:
        return named_node(cluster, name)
    return this_node(cluster, os.uname().nodename, [address.address for address in facts.host.addresses])
