"""Parsers of the common parts of ``ip -j`` output. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from podroutes.host import TablesError
from podroutes.model.address import BITS
from podroutes.model.text import escaped, printable

# DSCP values by the names of iproute2's rt_dsfield, shifted to their position in TOS; RFC 2474, RFC 2597, RFC 3246.
CLASSES = {
    "default": 0, "lowdelay": 0x10, "throughput": 0x08, "reliability": 0x04, "mincost": 0x02, "EF": 0xB8, "VA": 0xB0, "LE": 0x04,
    **{f"CS{number}": number << 5 for number in range(8)},
    **{f"AF{high}{low}": (high << 5) + (low << 3) for high in range(1, 5) for low in range(1, 4)},
}  # fmt: skip


def items(data: bytes, place: str) -> list[msgspec.Raw]:
    """Return the objects of a list. Raises TablesError if it is not one."""
    try:
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        what = "is empty" if not data.strip() else f"is not what ip -j prints: {printable(str(error))}"
        raise TablesError(f"{place}: {what}; collect it again") from None


def pieces(data: bytes) -> list[bytes]:
    """Return the objects of a list without their braces, as far as ip(8) prints them side by side; objects inside are cut, too.

    Nothing where it is printed in another way.
    """
    data = data.strip()
    return data[2:-2].split(b"},{") if data.startswith(b"[{") and data.endswith(b"}]") else []


def parsed(raw: msgspec.Raw | bytes, parse: Callable[[Any], Any], place: str) -> Any:
    """Return the result of PARSE for one object. Raises TablesError, which quotes the object, if that fails."""
    try:
        item = msgspec.json.decode(raw)
        if not isinstance(item, dict):
            raise TypeError("is not an object")  # noqa: TRY301, as for all else that is wrong
        return parse(item)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        quoted = printable(bytes(raw).decode(errors="replace"))
        why = f"lacks {error}" if isinstance(error, KeyError) else escaped(str(error))
        raise TablesError(f"{place}: {quoted} is not what ip -j prints: {why}") from None


def length(value: Any, address: str) -> int:
    """Return a prefix length of ADDRESS. Raises ValueError if it is invalid."""
    if not 0 <= int(value) <= BITS[6 if ":" in address else 4]:
        raise ValueError(f"prefixlen {value} is too long")
    return int(value)


def name(item: Mapping[str, Any], key: str) -> str | None:
    """Return the name of a device, None if absent."""
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{key} is not a name")
    return value


def number(value: Any, names: Mapping[str, int]) -> int:
    """Return a number that ip(8) prints as 16, as "0x10" or by name."""
    if isinstance(value, int):
        return value
    return names[value] if value in names else int(value, 0)
