"""The observer of a plan that is carried out: a terminal, or the log of the agent."""

from typing import Protocol

from podroutes.model.plan import Plan, TakenOver


class Observer(Protocol):
    """Receives the progress of a plan. It makes no decisions."""

    def starting(self, plan: Plan) -> None:
        """Report that PLAN is about to be carried out."""

    def starting_again(self, plan: Plan) -> None:
        """Report that another program changed routes meanwhile; PLAN is the rest."""

    def displaced(self, taken_over: TakenOver) -> None:
        """Report that a replace displaced the route of another program."""


class Silent:
    """An observer that ignores everything."""

    def starting(self, plan: Plan) -> None:
        """Ignore PLAN."""

    def starting_again(self, plan: Plan) -> None:
        """Ignore PLAN."""

    def displaced(self, taken_over: TakenOver) -> None:
        """Ignore TAKEN_OVER."""


SILENT = Silent()
