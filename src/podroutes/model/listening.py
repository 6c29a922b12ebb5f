"""The address on which the agent listens: the value of --listen."""

from podroutes.errors import AgentError
from podroutes.model.text import escaped


def parse_listen(text: str, more: str = "") -> tuple[str, int]:
    """Return host (an IPv6 address without brackets) and port of ADDRESS:PORT. MORE names other accepted values. Raises AgentError."""
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if (
        not bare
        or (":" in bare) != (host != bare)
        or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 1 << 16)
    ):
        wanted = f"wanted ADDRESS:PORT, such as 127.0.0.1:9107 or [::1]:9107{more}"
        raise AgentError(f"--listen {escaped(text) or 'without an address'}: {wanted}")
    return bare, int(port)
