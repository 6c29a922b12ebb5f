"""Finds what this machine depends on besides its gateways: name servers, the SSH session's peer, its cloud, the API server."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from podroutes.host.files import HostFiles
from podroutes.host.ssh_peers import ssh_peers
from podroutes.model.address import Address, parse_address
from podroutes.model.dependencies import Dependencies, Dependency

# The first has the address of systemd-resolved, the second those of its upstream servers; resolved.conf(5).
_RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
_VENDOR = "/sys/class/dmi/id/sys_vendor"
FILES = (*_RESOLVERS, _VENDOR)  # files that are read, relative to the machine's root
# Metadata servers by the firmware's vendor. Other clouds use 169.254.169.254, which is link-local and no valid podCIDR.
_METADATA = {
    "Amazon EC2": "fd00:ec2::254",  # docs.aws.amazon.com, Instance metadata
    "Microsoft Corporation": "168.63.129.16",  # learn.microsoft.com, What is IP address 168.63.129.16
    "Alibaba Cloud": "100.100.100.200",  # alibabacloud.com, Instance metadata
}
HERE = HostFiles()
_DEPTH = 16  # maximum ancestors up to sshd: shells, sudo, terminal multiplexers


def read_dependencies(
    server: str = "", files: HostFiles = HERE, environ: Mapping[str, str] | None = None
) -> Dependencies:
    """Return what the machine of FILES depends on; SERVER is the URL of the API server that the nodes come from, if any.

    ENVIRON tells the session of another machine; without it this machine is asked for all of its SSH sessions.
    """
    dependencies = [
        *(Dependency(peer, "the peer of this SSH session", certain=True) for peer in _session(environ)),
        *(Dependency(session, "the peer of an SSH session", certain=True) for session in _sessions(environ)),
        *(Dependency(address, "the API server", certain=True) for address in _server(server)),
        *(Dependency(name_server, "the name server") for name_server in _name_servers(files)),
        *(Dependency(address, "the cloud's metadata server", certain=True) for address in _metadata(files)),
    ]
    return tuple({dependency.address: dependency for dependency in reversed(dependencies)}.values())[::-1]


def _name_servers(files: HostFiles) -> Iterator[Address]:
    for name in _RESOLVERS:
        for line in (files.peek(name) or "").splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == "nameserver":
                yield from _address(words[1])


def _session(environ: Mapping[str, str] | None) -> Iterator[Address]:
    """Yield the peer of our SSH session. sudo(8) removes the variable, so the environments of our ancestors are read, too."""
    environ = os.environ if environ is None else environ
    connection = environ.get("SSH_CONNECTION") or environ.get("SSH_CLIENT") or _inherited()
    yield from _address(connection.split()[0] if connection.split() else "")


def _sessions(environ: Mapping[str, str] | None) -> Iterator[Address]:
    """Yield the peers of all SSH sessions of this machine: ours is among them, however we were started."""
    for peer in ssh_peers() if environ is None else ():
        yield from _address(str(peer))


def _inherited() -> str:
    process = os.getppid()
    for _ in range(_DEPTH):
        if process <= 1 or not HERE.same_network(str(process)):
            break
        for each in (HERE.peek(f"/proc/{process}/environ") or "").split("\0"):
            if each.startswith("SSH_CONNECTION="):
                return each.partition("=")[2]
        status = (
            (HERE.peek(f"/proc/{process}/stat") or "").rpartition(")")[2].split()
        )  # proc_pid_stat(5): state, ppid, ...
        process = int(status[1]) if len(status) > 1 else 0
    return ""


def _server(url: str) -> Iterator[Address]:
    if not url:
        return
    import socket  # noqa: PLC0415, for a cluster alone
    from urllib.parse import urlsplit  # noqa: PLC0415, the same

    with suppress(ValueError, OSError):
        host = urlsplit(url).hostname or ""
        with suppress(ValueError):
            yield parse_address(host)
            return
        for _, _, _, _, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM) if host else ():
            yield from _address(str(address[0]))


def _metadata(files: HostFiles) -> Iterator[Address]:
    vendor = (files.peek(_VENDOR) or "").strip()
    yield from _address(_METADATA.get(vendor, ""))


def _address(text: str) -> Iterator[Address]:
    """Yield the address TEXT, unless it is local to this machine or link."""
    with suppress(ValueError):
        address = parse_address(text)
        if not (address.version == 4 and address.value >> 24 == 127) and address != Address(6, 1):
            yield address
