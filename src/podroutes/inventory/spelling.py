"""Guesses which key was meant by an unknown key of a node, from its spelling and from the form of its value.

The field of a misspelt key is not absent but unread, and an unread field is no reason to delete a route.
"""

import re
from collections.abc import Iterable

from podroutes.inventory.events import List, Mapping, Scalar, Value

_SEPARATORS = re.compile(r"[^a-z0-9]")
# Names of the two fields in other tools, and similar names of other fields: without separators, case and plural s.
_OF_PODS = "cidr cidrblock podaddresse podnet podnetwork podrange podiprange podsubnet pod range subnet network net"
_OF_NODES = (
    "ip ipv4 ipv6 ipaddr ipaddres ipaddresse addr addres addresse address internaladdr internaladdres internaladdress intip "
    "hostip nodeip nodeaddres nodeaddress privateip privateaddres privateaddress ansiblehost host internal"
)
_OF_NEITHER = "externalip externaladdres externaladdress publicip publicaddres publicaddress nodecidr servicecidr clustercidr hostname podip"
_ALIASES = {"podCIDR": frozenset(_OF_PODS.split()), "internalIP": frozenset(_OF_NODES.split())}
_OTHERS = frozenset(_OF_NEITHER.split())
_LIKENESS = 0.75  # difflib's ratio: podcird, podcdir, internlip and pod_cidr_v4 are similar enough, nodecidr is not
_NETWORK = re.compile(r"[0-9a-fA-F:.]{2,45}/[0-9]+")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]{0,4}:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")


def field_meant(key: str, value: Value, given: Iterable[str]) -> str | None:
    """Return podCIDR or internalIP if the unknown KEY and its VALUE look like that field, else None.

    GIVEN are the fields that the node has under their correct names. For these only a key with nearly the same letters
    counts, and only with a value of the right form.
    """
    word = _SEPARATORS.sub("", key[:64].lower())
    word = word.removesuffix("s") or word
    if word in _OTHERS:
        return None
    looks = look(value)
    for field, aliases in _ALIASES.items():
        if _near(word, field.lower()) and (field not in given or looks == field):
            return field
        if field not in given and (word in aliases or looks == field):
            return field
    return None


def _near(word: str, known: str) -> bool:
    if word == known or known in word:
        return True
    from difflib import SequenceMatcher  # noqa: PLC0415 - only a misspelt inventory pays for it

    return SequenceMatcher(None, word, known).ratio() >= _LIKENESS


def look(value: Value) -> str | None:
    """Return the field that VALUE has the form of."""
    if isinstance(value, List):
        return next(filter(None, map(look, value.values)), None)
    if isinstance(value, Mapping):
        return None
    return _look_of_text(value)


def _look_of_text(value: Scalar) -> str | None:
    text = value.text.strip()[:64]
    if _NETWORK.fullmatch(text):
        return "podCIDR"
    return "internalIP" if _ADDRESS.fullmatch(text) else None
