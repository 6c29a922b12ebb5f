"""Reduces a machine's policy rules to the sequence of tables for packets of its pods, where that is possible."""

from collections.abc import Callable, Iterable, Sized
from typing import NamedTuple

from podroutes.model.address import Prefix
from podroutes.model.host import DEFAULT_RULES, Host, Rule


class Traits(NamedTuple):
    """The packets of one machine's pods: their incoming devices and their source addresses."""

    entries: tuple[str, ...] = ()
    sources: tuple[Prefix, ...] = ()


def sequence(host: Host, version: int, traits: Traits, touched: Callable[[Prefix], Sized]) -> list[int]:
    """Return the tables in which packets of pods are looked up, in order; none if the rules are more than a sequence.

    TOUCHED returns the targets that overlap a prefix.
    """
    order: list[int] = []
    rules = host.rules.get(version)
    if version == 6 and rules is not None and set(rules) < set(DEFAULT_RULES[6]):
        return []  # whether these rules apply is unknown
    for rule in rules or ():
        if (selected := _selects(rule, host, traits, touched)) is False:
            continue
        if not selected or rule.action != "lookup" or rule.suppress_prefixlength >= 0:
            return []
        order.append(rule.table)
    return order


def _selects(rule: Rule, host: Host, traits: Traits, touched: Callable[[Prefix], Sized]) -> bool | None:
    """Return whether RULE selects all packets from the pods of HOST to a target, or none; None: some, or unknown."""
    answers = [
        not (rule.mark & rule.mask or rule.tos or rule.oif),
        None if rule.unmodelled or rule.action == "l3mdev" else True,
    ]
    if rule.iif:
        named = {rule.iif in host.links and dev == rule.iif for dev in traits.entries}
        answers.append(named.pop() if len(named) == 1 else None)
    if rule.src and rule.src.length:
        answers.append(_all_or_none(rule.src, traits.sources))
    if rule.dst and rule.dst.length:
        answers.append(None if touched(rule.dst) else False)
    selected = False if False in answers else None if None in answers else True
    return selected if selected is None else selected != rule.inverted


def _all_or_none(prefix: Prefix, others: Iterable[Prefix]) -> bool | None:
    """Return whether PREFIX covers all of OTHERS, or none of their addresses; None: neither."""
    answers = {prefix.covers(other) or (None if prefix.overlaps(other) else False) for other in others}
    return answers.pop() if len(answers) == 1 else None if answers else False
