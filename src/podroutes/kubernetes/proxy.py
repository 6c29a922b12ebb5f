"""Chooses the proxy for a server from the environment, by the rules of Go's net/http, as kubectl does.

https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
"""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeVar
from urllib.parse import urlsplit

_Read = TypeVar("_Read")
_PORTS = {"https": 443, "http": 80}


def proxy_for(server: str, environment: Mapping[str, str]) -> str:
    """Return the URL of the proxy for the URL SERVER, "" if there is none."""
    url = urlsplit(server)
    name = f"{url.scheme}_proxy"
    proxy = environment.get(name.upper()) or environment.get(name, "")
    if not proxy or _direct(url.hostname or "", url.port or _PORTS.get(url.scheme, 0), environment):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _direct(host: str, port: int, environment: Mapping[str, str]) -> bool:
    address = _read(ip_address, host)
    if host == "localhost" or (address and address.is_loopback):
        return True
    words = (environment.get("NO_PROXY") or environment.get("no_proxy", "")).lower().split(",")
    return any(_means(word.strip(), host, port, address) for word in words)


def _means(word: str, host: str, port: int, address: IPv4Address | IPv6Address | None) -> bool:
    """Return whether WORD of NO_PROXY matches HOST. WORD is *, a network, NAME (with its subdomains) or .NAME (subdomains only), with or without a port."""
    network = _read(ip_network, word.strip("[]"))
    if network:
        return bool(address) and address in network
    name, _, wanted = word.rpartition(":") if ":" in word else (word, "", "")
    if not name or wanted not in ("", str(port)):
        return False
    if name == "*":
        return True
    name = name.removeprefix("*").strip("[]")
    return host == name or host.endswith(name if name.startswith(".") else f".{name}")


def _read(parser: Callable[[str], _Read], text: str) -> _Read | None:
    try:
        return parser(text)
    except ValueError:
        return None
