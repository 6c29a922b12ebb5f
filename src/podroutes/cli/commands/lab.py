"""``podroutes lab``, whose commands set ``run`` themselves."""

from podroutes.lab.commands import configure

__all__ = ["configure"]
