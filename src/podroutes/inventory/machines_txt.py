"""Reader of machines.txt, the list that Kubernetes The Hard Way keeps: ``IPV4 FQDN HOST [POD_SUBNET]`` a line.

https://github.com/kelseyhightower/kubernetes-the-hard-way/blob/master/docs/03-compute-resources.md
"""

import re
from collections.abc import Iterator, Sequence

from podroutes.inventory.nodes import CODES, Located, RawInventory, RawNode
from podroutes.inventory.source import Source
from podroutes.model.cluster import Unread
from podroutes.model.problem import Problem
from podroutes.model.text import printable

_HIDDEN = re.compile(r"\S#.*\s[0-9a-fA-F.:,]+/[0-9]")  # a # that was typed into a word, in front of a network
_WANTED = "wanted IPV4 FQDN HOST [POD_SUBNET]"


def read(source: Source, text: str) -> RawInventory:
    """Yield the machines in TEXT, the content of SOURCE. Raises InventoryError at a line of another shape.

    The first and fourth columns may be comma-separated lists (dual stack). A machine without a fourth column has no pods.
    """
    problems: list[Problem] = []
    return RawInventory(_nodes(source, text, problems), problems=problems, format="machines")


def _nodes(source: Source, text: str, problems: list[Problem]) -> Iterator[RawNode]:
    for number, line in enumerate(text.split("\n"), 1):
        fields = (line.partition("#")[0] if "#" in line else line).split()
        if not fields:
            continue
        if not 3 <= len(fields) <= 4 or fields[0][0] in "<$xX":
            from podroutes.inventory.foreign import placeholder  # noqa: PLC0415 - only for a mistake

            if error := placeholder(source, line.strip(), number):
                raise error
        if not 3 <= len(fields) <= 4:
            raise source.error(f"{_fields(len(fields))}, {_WANTED}: {printable(' '.join(fields))}", number)
        name = fields[2]
        if "/" in name:
            raise source.error(f"{printable(name)} stands where the host's name belongs, {_WANTED}", number)
        cidrs = _listed(fields[3], number) if len(fields) == 4 else ()
        unread: tuple[Unread, ...] = ()
        if "#" in line and len(fields) == 3 and _HIDDEN.search(line):
            unread = (Unread("podCIDR", "a # inside a word hides the podCIDR", CODES["podCIDR"]),)
            message = f"{source.name}:{number}: node {printable(name)}: {unread[0].reason}"
            problems.append(Problem("error", unread[0].code, message, (name,)))
        yield RawNode(name, _listed(fields[0], number), cidrs, None, (fields[1],), number, unread)


def _listed(text: str, line: int) -> Sequence[Located]:
    return [(one, line) for one in text.split(",")] if "," in text else ((text, line),)


def _fields(number: int) -> str:
    return "1 field" if number == 1 else f"{number} fields"
