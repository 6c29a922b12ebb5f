"""What a page is made of."""

from collections.abc import Mapping
from typing import NamedTuple

from podroutes.model.cluster import Cluster
from podroutes.model.host import Host
from podroutes.model.probe import Disagreement, Probed
from podroutes.model.problem import Problem
from podroutes.model.proof import Proof, Target


class Probe(NamedTuple):
    """What ``verify --probe`` found."""

    results: tuple[Probed, ...]
    disagreements: tuple[Disagreement, ...]


class Report(NamedTuple):
    """A verdict and everything that it is about, plus what only the caller knows: when, from where, and which podroutes."""

    proof: Proof
    cluster: Cluster
    targets: tuple[Target, ...]  # every pod CIDR that takes part
    hosts: Mapping[str, Host]  # every machine whose tables are known, by name
    problems: tuple[Problem, ...]
    tables: str  # where the tables are from, in words
    time: str
    version: str
    probe: Probe | None = None

    @property
    def good(self) -> bool:
        """Whether all is proven, with nothing wrong in the inventory, and no packet contradicts it."""
        return self.proof.proven and not self.errors and not self.lost

    @property
    def errors(self) -> int:
        """How many errors the inventory has."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def asked(self) -> int:
        """How many pairs real packets were sent for."""
        return sum(result.asked for result in self.probe.results) if self.probe else 0

    @property
    def lost(self) -> int:
        """How many of the pairs that were asked answered no packet at all."""
        return sum(result.lost for result in self.probe.results) if self.probe else 0
