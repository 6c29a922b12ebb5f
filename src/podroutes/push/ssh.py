"""The door to other machines: SSH by asyncssh, which reads ~/.ssh/config, agents, certificates and known hosts as ssh(1) does.

A machine is looked up by its node's name. Where the configuration has no HostName for it, its InternalIP is connected to, and its
key may be known by name or address.
"""

import asyncio
import logging
import re
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from podroutes import __version__
from podroutes.errors import PushError
from podroutes.host.scratch import scratch
from podroutes.model.cluster import Node
from podroutes.model.text import printable
from podroutes.push.login_shell import command, on_standard_input, refused_by_sudo
from podroutes.push.ssh_config import Configured, configured
from podroutes.push.ssh_streams import read_all, said

if TYPE_CHECKING:
    import asyncssh

MOST = 64 << 20  # bytes of one answer; 100,000 routes print as 12 MB
_MOST_SAID = 4 << 20  # bytes of standard error; 10,000 refused routes are 700 KB
_SSH = 22
_PROBE = 3.0  # seconds for a node to reach another
# Names that may stand for %h and %n in a ProxyCommand; ssh(1) checks them likewise since OpenSSH 9.6 (CVE-2023-51385).
_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>.+)@)?(?:\[(?P<v6>[^]]+)\]|(?P<host>[^:]+))(?::(?P<port>\d{1,5}))?/?")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Access(NamedTuple):
    """How machines are reached. What is None is up to the configuration."""

    user: str | None
    port: int | None
    config: str | None  # a file to read instead of ~/.ssh/config
    sudo: bool
    timeout: float  # seconds to connect and log in, and then for each answer


class Answer(NamedTuple):
    """What became of a command."""

    status: int | None
    out: bytes
    err: bytes


class SshClient:
    """Opens connections; jump hosts are connected to once for all machines behind them."""

    def __init__(self, access: Access) -> None:
        try:
            import asyncssh  # noqa: PLC0415, an optional dependency
        except ImportError:
            raise PushError(
                "push needs the package asyncssh: install podroutes-push_*.deb where podroutes came as a .deb, "
                f"or the wheel with its extra: pip install './podroutes-{__version__}-py3-none-any.whl[push]'"
            ) from None
        logging.getLogger("asyncssh").setLevel(logging.CRITICAL)  # what goes wrong is told by us, once and escaped
        if access.config and not Path(access.config).is_file():
            raise PushError(f"--ssh-config {printable(access.config)}: there is no such file")
        self._ssh = asyncssh
        self._access = access
        self._jumps: dict[str, asyncio.Task[asyncssh.SSHClientConnection]] = {}
        self._hosts: dict[tuple[str, ...], asyncssh.SSHKnownHosts] = {}
        self._missing: dict[str, tuple[str, ...]] = {}  # IdentityFiles that are not there, by node
        self._opened = ExitStack()
        self._files = self._opened.enter_context(scratch())  # which the next run deletes where this one is killed
        given = [Path(access.config)] if access.config else [Path("~/.ssh/config").expanduser()]
        self._config = [path for path in given if path.exists() or access.config]

    async def connect(self, node: Node) -> "SshSession":
        """Connect to NODE; PushError tells why that cannot be."""
        try:
            return SshSession(self._ssh, await self._explained(self._connect(node)), self._access)
        except PushError as error:
            missing = self._missing.get(node.name)
            if not missing:
                raise
            files = " and ".join(map(printable, missing))
            raise PushError(f"{error} (IdentityFile {files}: there is no such file)") from None

    async def close(self) -> None:
        """Let go of the jump hosts."""
        for task in self._jumps.values():
            if task.done() and not task.cancelled() and not task.exception():
                task.result().close()
            task.cancel()
        self._opened.close()

    async def _connect(self, node: Node) -> "asyncssh.SSHClientConnection":
        name = node.name if _HOST.fullmatch(node.name) else ""
        address = str(node.internal_ips[0]) if node.internal_ips else ""
        if not name and not address:
            raise PushError("it has no InternalIP to connect to, and a name that is none of a host")
        config = [*self._config, self._fallback(address)] if address else self._config
        options = await self._options(name or address, config)
        if address and options.host == address and name:
            options = await self._options(name, config, host_key_alias=options.host_key_alias or name)
        found = configured(name or address, config, self._access.user, self._access.port)
        self._missing[node.name] = found.missing
        return await self._open(options, (name or address, *node.hostnames), config, found)

    def _fallback(self, address: str) -> Path:
        """Return a configuration that says no more than where the machine is; as it is read last, any other goes before."""
        path = self._files / address
        path.write_text(f"Host *\nHostName {address}\n", encoding="ascii")
        return path

    async def _options(self, host: str, config: list[Path], **more: Any) -> "asyncssh.SSHClientConnectionOptions":
        access = self._access
        given: dict[str, Any] = {"username": access.user, "port": access.port}
        found = configured(host, config, access.user, access.port)
        if found.keys is not None:
            nobody = found.only and not found.keys  # neither the default keys nor those of the agent
            more |= {"client_keys": None if nobody else list(found.keys), "ignore_encrypted": True}
        options: asyncssh.SSHClientConnectionOptions = await self._ssh.SSHClientConnectionOptions.construct(
            None,
            host=host,
            config=config,
            connect_timeout=access.timeout,
            login_timeout=access.timeout,
            keepalive_interval=15,
            agent_forwarding=False,
            **{key: value for key, value in given.items() if value is not None},
            **more,
        )
        return options

    async def _open(
        self,
        options: "asyncssh.SSHClientConnectionOptions",
        hosts: tuple[str, ...],
        config: list[Path],
        found: Configured,
    ) -> "asyncssh.SSHClientConnection":
        """Connect to the first of HOSTS; the others are more names that its key may be known by."""
        tunnel: Any = options.tunnel
        if isinstance(tunnel, str):
            tunnel = None if tunnel.lower() == "none" else await asyncio.shield(self._jump(tunnel))
        known = self._known(found.known)

        def match(name: str, seen: str, number: int) -> Any:
            """Look the key up by name or address; behind a jump host asyncssh knows no address."""
            names = (name, *hosts[1:])
            keys = [
                self._ssh.match_known_hosts(known, other_name, seen or options.host, number)[:3] for other_name in names
            ]
            return next(filter(any, keys), keys[0])

        alias = options.host_key_alias or options.host
        trusted = None if found.trusting and not any(match(alias, options.host, options.port)) else match
        return await self._ssh.connect(hosts[0], config=config, options=options, tunnel=tunnel, known_hosts=trusted)

    def _known(self, names: tuple[str, ...]) -> "asyncssh.SSHKnownHosts":
        """Return whose keys are known. A file that is not there knows nobody, as for ssh(1); asyncssh would give up, or trust all."""
        if names not in self._hosts:
            paths = [Path(name).expanduser() for name in names]
            files = [str(path) for path in paths if path.is_file()]
            self._hosts[names] = self._ssh.read_known_hosts(files) if files else self._ssh.import_known_hosts("")
        return self._hosts[names]

    def _jump(self, hosts: str) -> "asyncio.Task[asyncssh.SSHClientConnection]":
        if hosts not in self._jumps or (self._jumps[hosts].done() and self._is_gone(self._jumps[hosts])):
            self._jumps[hosts] = asyncio.create_task(self._through(hosts))
        return self._jumps[hosts]

    @staticmethod
    def _is_gone(task: "asyncio.Task[asyncssh.SSHClientConnection]") -> bool:
        return task.cancelled() or bool(task.exception()) or task.result().is_closed()

    async def _through(self, hosts: str) -> "asyncssh.SSHClientConnection":
        """Connect to the last of HOSTS, ``[ssh://][USER@]HOST[:PORT],…``, through those before it, as ssh(1) -J does."""
        before, _, last = hosts.rpartition(",")
        wanted = _JUMP.fullmatch(last)
        if not wanted:
            raise PushError(f"ProxyJump {printable(last)}: wanted [USER@]HOST[:PORT], an IPv6 address in brackets")
        host = wanted["v6"] or wanted["host"]
        given: dict[str, Any] = {"username": wanted["user"]} if wanted["user"] else {}
        if wanted["port"]:
            given["port"] = int(wanted["port"])
        if before:
            given["tunnel"] = await asyncio.shield(self._jump(before))
        return await self._ssh.connect(host, config=self._config, connect_timeout=self._access.timeout, **given)

    async def _explained(self, attempt: Any) -> Any:
        """Wait for ATTEMPT; whatever SSH has against it is a PushError that says what to do."""
        ssh = self._ssh
        try:
            return await attempt
        except ssh.HostKeyNotVerifiable as error:
            fix = "compare its key and add it to known_hosts, for example with ssh"
            raise PushError(f"its host key is not the one that is known, or none is: {said(error)}; {fix}") from None
        except ssh.PermissionDenied as error:
            raise PushError(f"it does not let us in: {said(error)}; no key of ours is accepted for that user") from None
        except ssh.ConfigParseError as error:
            raise PushError(f"the SSH configuration cannot be read: {said(error)}") from None
        except (ssh.KeyImportError, ssh.KeyEncryptionError) as error:
            raise PushError(f"a key cannot be used: {said(error)}; put it into the SSH agent (ssh-add)") from None
        except TimeoutError:
            raise PushError(f"no answer within {self._access.timeout:g} s") from None
        except (ssh.Error, OSError, ValueError) as error:
            raise PushError(f"cannot connect: {said(error)}") from None


class SshSession:
    """A connection to one machine."""

    def __init__(self, ssh: Any, connection: "asyncssh.SSHClientConnection", access: Access) -> None:
        self._ssh = ssh
        self._connection = connection
        self._access = access

    async def run(self, script: str, payload: bytes, patience: float = 0.0) -> Answer:
        """Run SCRIPT with PAYLOAD as its standard input; PATIENCE is what it may take in seconds beyond the usual time.

        Raises PushError when it does not end in time or says too much; the connection is closed then.
        """
        seconds = self._access.timeout + patience
        try:
            answer = await asyncio.wait_for(self._run(script, payload), seconds)
        except TimeoutError:
            self._connection.abort()
            raise PushError(f"no answer within {seconds:g} s") from None
        except (self._ssh.Error, OSError) as error:
            self._connection.abort()
            raise PushError(f"the connection was lost: {said(error)}") from None
        except PushError:
            self._connection.abort()
            raise
        why = refused_by_sudo(answer.err, self._access.user) if self._access.sudo and answer.status else ""
        if why:
            raise PushError(why)
        return answer

    async def _run(self, script: str, payload: bytes) -> Answer:
        words = command(sudo=self._access.sudo)
        process: Any = await self._connection.create_process(words, encoding=None, request_pty=False)
        with suppress(BrokenPipeError):  # it has ended before it read anything: its status and output tell why
            process.stdin.write(on_standard_input(script, payload))
            process.stdin.write_eof()
        out, err = await asyncio.gather(read_all(process.stdout, MOST), read_all(process.stderr, _MOST_SAID))
        await process.wait_closed()
        if process.exit_status is None:
            raise PushError(f"the connection was lost, or sh was killed ({printable(str(process.exit_signal))})")
        return Answer(process.returncode, out, err)

    async def reaches(self, address: str) -> bool:
        """Whether the machine can open a TCP connection to the sshd of ADDRESS: no packet of ours, but of its own."""
        try:
            opening = self._connection.open_connection(address, _SSH, encoding=None)
            _, writer = await asyncio.wait_for(opening, _PROBE)
        except (self._ssh.Error, OSError):  # OSError: also TimeoutError
            return False
        writer.close()
        return True

    async def exchange(self, host: str, port: int, request: bytes) -> bytes:
        """Return what answers REQUEST on HOST and PORT as the machine itself reaches them; sshd opens the connection.

        Raises PushError if nothing answers in time, or sshd does not allow it.
        """
        try:
            async with asyncio.timeout(self._access.timeout):
                reader, writer = await self._connection.open_connection(host, port, encoding=None)
                writer.write(request)
                return await read_all(reader, MOST)
        except TimeoutError:
            raise PushError(f"no answer within {self._access.timeout:g} s") from None
        except self._ssh.ChannelOpenError as error:
            if error.code == self._ssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                raise PushError("its sshd forwards no connections: `AllowTcpForwarding local` in sshd_config") from None
            raise PushError(f"nothing answers on {host}:{port} there: {said(error)}") from None
        except (self._ssh.Error, OSError) as error:
            raise PushError(f"the connection was lost: {said(error)}") from None

    @property
    def closed(self) -> bool:
        """Whether nothing more can be said."""
        return bool(self._connection.is_closed())

    async def close(self) -> None:
        """Hang up."""
        self._connection.close()
        try:
            await asyncio.wait_for(self._connection.wait_closed(), _PROBE)
        except TimeoutError:
            self._connection.abort()
