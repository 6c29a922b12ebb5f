"""Every pair at once: a row a node, a column a target, and for each state a set of bits a row.

25 million pairs are 25 million bits a state; sets of them are joined and counted by integers of a few hundred bytes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from podroutes.model.address import BITS, Prefix, network
from podroutes.model.cluster import Cluster
from podroutes.model.proof import Proof, Target

_RUN = re.compile("1+")


class State(NamedTuple):
    """What a pair can be, other than proven. ``severity`` is that of a cause, or ``own`` or ``apart``.

    ``apart``: the node does not speak the target's IP version.
    """

    severity: str
    code: str = ""


OWN, APART = State("own"), State("apart")
FAILING = ("unreachable", "cannot-tell")


class Grid(NamedTuple):
    """The pairs. In ``cells`` the worst state comes first; no pair is in two, and one that is in none is proven.

    ``factor`` rows and as many columns of the cluster stand behind each row and column, of which the worst is shown.
    """

    rows: tuple[str, ...]
    columns: tuple[Target, ...]
    cells: Mapping[State, Sequence[int]]
    factor: int = 1

    @property
    def height(self) -> int:
        """How many rows are drawn."""
        return -(-len(self.rows) // self.factor)

    @property
    def width(self) -> int:
        """How many columns are drawn."""
        return -(-len(self.columns) // self.factor)

    def runs(self, state: State) -> Iterator[tuple[int, int, int]]:
        """Yield row, first column and column behind the last of each run of cells in STATE."""
        for row, bits in enumerate(self.cells.get(state, ())):
            for first, behind in _runs(bits):
                yield row, first, behind

    def count(self, state: State) -> int:
        """How many cells are in STATE."""
        return sum(bits.bit_count() for bits in self.cells.get(state, ()))

    def failing_from(self) -> list[int]:
        """Return for each row how many targets are not proven."""
        rows = [0] * self.height
        for state, those in self.cells.items():
            if state.severity in FAILING:
                rows = [sum(pair) for pair in zip(rows, (bits.bit_count() for bits in those), strict=True)]
        return rows

    def failing_to(self) -> list[int]:
        """Return for each column for how many nodes it is not proven."""
        steps = [0] * (self.width + 1)
        for state in self.cells:
            for _, first, behind in self.runs(state) if state.severity in FAILING else ():
                steps[first] += 1
                steps[behind] -= 1
        total, columns = 0, list[int]()
        for step in steps[:-1]:
            columns.append(total := total + step)
        return columns


def lay_out(proof: Proof, cluster: Cluster, targets: Sequence[Target]) -> Grid:
    """Return the grid of PROOF: nodes in the inventory's order, TARGETS in that of their owners."""
    taking_part = {*proof.sources, *proof.unseen}
    rows = tuple(dict.fromkeys(node.name for node in cluster.nodes if node.name in taking_part))
    place = {name: index for index, name in enumerate(rows)}
    columns = sorted(
        [*targets, *_bare(proof, cluster, targets)],
        key=lambda each: (each.prefix.version, place.get(each.owner, len(rows)), each.prefix),
    )
    cells: dict[State, list[int]] = {}
    taken = [0] * len(rows)
    for state, name, bits in chain(_not_asked(cluster, columns), _explained(proof, columns)):
        row = place.get(name)
        if row is not None and (free := bits & ~taken[row]):
            cells.setdefault(state, [0] * len(rows))[row] |= free
            taken[row] |= free
    asked = {state: those for state, those in cells.items() if state not in (OWN, APART)}
    return Grid(rows, tuple(columns), asked | cells)


def _explained(proof: Proof, columns: Sequence[Target]) -> Iterator[tuple[State, str, int]]:
    """Yield a state, a node and the columns that it holds for, the worst states first."""
    column = {target.prefix: index for index, target in enumerate(columns)}
    order = ("unreachable", "cannot-tell", "warning")
    for finding in sorted(proof.findings, key=lambda each: order.index(each.cause.severity)):
        state = State(finding.cause.severity, finding.cause.code)
        for block in finding.blocks:
            bits = _bits([column[dst] for dst in block.destinations], len(columns))
            for name in block.sources:
                yield state, name, bits


def _not_asked(cluster: Cluster, columns: Sequence[Target]) -> Iterator[tuple[State, str, int]]:
    """Yield likewise what is not asked: a node's own pods, another IP version than a node's."""
    for index, target in enumerate(columns):
        yield OWN, target.owner, 1 << index
    of_version = {
        version: _bits(
            [index for index, column in enumerate(columns) if column.prefix.version == version], len(columns)
        )
        for version in BITS
    }
    for node in cluster.nodes:
        spoken = {address.version for address in node.internal_ips} | {pod_cidr.version for pod_cidr in node.pod_cidrs}
        for version in BITS.keys() - spoken:
            yield APART, node.name, of_version[version]


def folded(grid: Grid, factor: int) -> Grid:
    """Return GRID (of factor 1) with FACTOR rows and columns behind each; what is worst of them is shown."""
    if factor == 1:
        return grid
    cells: dict[State, list[int]] = {}
    small = grid._replace(factor=factor)
    taken = [0] * small.height
    for state, those in grid.cells.items():
        if state in (OWN, APART):
            continue
        rows = [0] * small.height
        for row in range(small.height):
            bits = 0
            for name in those[row * factor : (row + 1) * factor]:
                bits |= name
            rows[row] = _shrunk(bits, factor, small.width) & ~taken[row]
            taken[row] |= rows[row]
        cells[state] = rows
    return small._replace(cells=cells)


def _bare(proof: Proof, cluster: Cluster, targets: Sequence[Target]) -> list[Target]:
    """Return the addresses of nodes without pods that some finding is about: answers to them get lost."""
    known = {target.prefix for target in targets}
    blamed = {dst for finding in proof.findings for block in finding.blocks for dst in block.destinations} - known
    owners: dict[Prefix, str] = {
        network(address, BITS[address.version]): node.name for node in cluster.nodes for address in node.internal_ips
    }
    return [Target(prefix, owners.get(prefix, ""), pods=False) for prefix in blamed]


def _bits(places: Iterable[int], width: int) -> int:
    digits = bytearray(b"0") * width
    for place in places:
        digits[~place] = 49  # "1"
    return int(digits, 2) if width else 0


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    return (run.span() for run in _RUN.finditer(f"{bits:b}"[::-1])) if bits else iter(())


def _shrunk(bits: int, factor: int, width: int) -> int:
    """Return BITS with one bit for each FACTOR of them: set where any is."""
    return _bits(
        [place for first, behind in _runs(bits) for place in range(first // factor, (behind - 1) // factor + 1)], width
    )
