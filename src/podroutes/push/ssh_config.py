"""Options of ssh_config(5) that asyncssh treats differently from ssh(1)."""

import getpass
from itertools import compress
from pathlib import Path
from typing import NamedTuple

_KNOWN = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")  # the defaults of ssh_config(5)
_KNOWN_TO_ALL = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")  # the same


class Configured(NamedTuple):
    """The configuration of one host."""

    keys: tuple[str, ...] | None  # the IdentityFiles that exist, None if none is configured
    missing: tuple[str, ...]  # those that do not exist
    only: bool  # IdentitiesOnly
    known: tuple[str, ...]  # files of known hosts
    trusting: bool  # StrictHostKeyChecking no: unknown host keys are accepted


def configured(host: str, config: list[Path], user: str | None, port: int | None) -> Configured:
    """Return the configuration of HOST in the files CONFIG, for USER and PORT if given. Raises the errors of asyncssh."""
    from asyncssh.config import SSHClientConfig, SSHConfig  # noqa: PLC0415, an optional dependency

    strict = {"stricthostkeychecking": ("StrictHostKeyChecking", SSHConfig._set_string)}  # noqa: SLF001, it skips that word
    kind = type("Config", (SSHClientConfig,), {"_handlers": SSHClientConfig._handlers | strict})  # noqa: SLF001, the same
    options = kind.load(None, config, False, False, False, getpass.getuser(), user or (), host, port or ())  # type: ignore[attr-defined]
    files = options.get("IdentityFile")
    there = [Path(file).expanduser().exists() for file in files or ()]
    user_files = options.get("UserKnownHostsFile")
    machine = options.get("GlobalKnownHostsFile")
    return Configured(
        tuple(compress(files, there)) if files else None,
        tuple(file for file, exists in zip(files or (), there, strict=True) if not exists),
        bool(options.get("IdentitiesOnly")),
        (*(_KNOWN if user_files is None else user_files), *(_KNOWN_TO_ALL if machine is None else machine)),
        str(options.get("StrictHostKeyChecking", "")).lower() in ("no", "off", "false"),
    )
