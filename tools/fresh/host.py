"""What the inner machine needs of this one to download: mirror, proxies, package indexes, certificates, name servers.

All of it is read from this machine's configuration when it is needed; none of it is kept in the checkout.
"""

import configparser
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ACQUIRE = re.compile(r"Acquire::(?:https?::(?!User-Agent)|Check-|ForceIPv|Retries)")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_BUNDLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


class Host(NamedTuple):
    """What is handed over."""

    mirror: str
    apt: str  # lines of an apt.conf(5)
    variables: dict[str, str]  # environment of every command
    binds: tuple[str, ...]  # directories with packages that lie on this machine, shown read-only at the same path
    files: dict[str, str]  # this machine's file -> the path of its copy in the inner machine


def read() -> Host:
    """Return what this machine's apt, pip and environment are configured to use."""
    variables = {key: value for key, value in os.environ.items() if key.lower() in _PROXIES}
    options = _pip()
    files = {path: path for path in ("/etc/resolv.conf", "/etc/hosts")}
    bundle = options.pop("cert", "") or next(filter(None, map(os.environ.get, _BUNDLES)), "")
    if bundle:
        files[bundle] = options["cert"] = "/usr/local/share/ca-bundle.crt"
    options.pop("constraint", None)  # every version is pinned already
    variables |= {f"PIP_{key.upper().replace('-', '_')}": value for key, value in options.items()}
    return Host(_mirror(), _apt(), variables, tuple(sorted(_local(options))), files)


def _local(options: dict[str, str]) -> Iterator[str]:
    for key, value in options.items():
        for word in value.split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.is_dir():  # an index names its files relative to itself, beside it as a rule
                yield str(path.parent if key.endswith("index-url") else path)


def _output(*words: str) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def _mirror() -> str:
    labelled = ("--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian")
    found = _output("apt-get", "indextargets", *labelled).split()
    mirror = found[0] if found else os.environ.get("FRESH_MIRROR", "")
    if not mirror:
        raise SystemExit("fresh: this machine's apt names no Debian mirror: set FRESH_MIRROR to the URL of one")
    return mirror.rstrip("/")


def _apt() -> str:
    return "".join(line + "\n" for line in _output("apt-config", "dump").splitlines() if _ACQUIRE.match(line))


def _pip() -> dict[str, str]:
    """Return pip's options by their long names, as its files (later ones win) and then its variables set them."""
    home = Path.home()
    found: dict[str, str] = {}
    for path in ("/etc/xdg/pip/pip.conf", "/etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf"):
        parser = configparser.RawConfigParser()
        parser.read(path, encoding="utf-8")
        if parser.has_section("global"):
            found |= dict(parser.items("global"))
    named = {key[4:].lower().replace("_", "-"): value for key, value in os.environ.items() if key.startswith("PIP_")}
    return found | named
