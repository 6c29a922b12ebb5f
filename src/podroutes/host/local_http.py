"""Asks an HTTP server of this machine for one small document: http.client would load thirty modules, TLS and e-mail among them."""

import _socket

from podroutes.model.listening import parse_listen

_READ = 1 << 16  # bytes


def get(listen: str, path: str, patience: float, largest: int) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (names in lower case) and body of GET PATH from the server at LISTEN, ADDRESS:PORT.

    PATIENCE is in seconds, for each step. Raises AgentError for the address, ``OSError`` where nobody answers and ``ValueError`` where
    what answers does not speak HTTP, or says more than LARGEST bytes.
    """
    address, port = parse_listen(listen)
    name = address.encode("ascii" if address.isascii() else "idna")  # the codec of a str would load Unicode's tables
    family, kind, _, _, place = _socket.getaddrinfo(name, port, 0, _socket.SOCK_STREAM)[0]
    connection = _socket.socket(family, kind)
    try:
        connection.settimeout(patience)
        connection.connect(place)
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        connection.sendall(
            f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii", "replace")
        )
        answer = bytearray()
        while part := connection.recv(_READ):
            answer += part
            if len(answer) > largest:
                raise ValueError("the answer is too large")
    finally:
        connection.close()
    return _parsed(bytes(answer))


def _parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, separator, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(maxsplit=2)
    if not separator or len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise ValueError(f"{first[:40]!r} is no answer of HTTP")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > len(body):
        raise ValueError("the answer ends too early")
    return int(words[1]), headers, body
