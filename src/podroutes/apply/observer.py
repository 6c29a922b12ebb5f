"""Who is told what happens while a plan is carried out: a terminal, or the log of the agent."""

from typing import Protocol

from podroutes.model.plan import Plan, TakenOver


class Observer(Protocol):
    """Is told about each step before or as it happens. Decides nothing."""

    def starting(self, plan: Plan) -> None:
        """Take note that PLAN is about to be carried out."""

    def starting_again(self, plan: Plan) -> None:
        """Take note that somebody else changed routes meanwhile; PLAN is what is left to do."""

    def displaced(self, taken_over: TakenOver) -> None:
        """Take note that a replace displaced the route of another program."""


class Silent:
    """An observer that tells nobody."""

    def starting(self, plan: Plan) -> None:
        """Ignore PLAN."""

    def starting_again(self, plan: Plan) -> None:
        """Ignore PLAN."""

    def displaced(self, taken_over: TakenOver) -> None:
        """Ignore TAKEN_OVER."""


SILENT = Silent()
