"""Debian's packages that tests run programs from: fetched into .cache/, unpacked by the tests, never installed.

`./dev test` runs this before the tests, which leave the machine's network first thing.
"""

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

CACHE = Path(__file__).parents[2] / ".cache"


class Packages(NamedTuple):
    """Packages to have: of this system's own release and without what it has installed, or of another, with all that they need."""

    names: str
    release: str = ""


_MANAGERS = "dbus ifupdown iproute2 netplan.io network-manager systemd udev"
SETS = {
    "managers": Packages(_MANAGERS),
    "ifupdown2": Packages("ifupdown2"),
    "dhcp": Packages("busybox-static"),  # runs on machines of other releases, too
    "ifupdown-ng": Packages("ifupdown-ng"),
    "connman": Packages("connman"),
    "dhcpcd": Packages("dhcpcd-base"),
    "dhclient": Packages("isc-dhcp-client"),
    "trixie-dhclient": Packages("isc-dhcp-client", "trixie"),
    "trixie-ifupdown2": Packages("ifupdown2", "trixie"),
    "trixie-ifupdown-ng": Packages("ifupdown-ng", "trixie"),
    "trixie-connman": Packages("connman", "trixie"),
    "trixie-dhcpcd": Packages("dhcpcd-base", "trixie"),
    "trixie": Packages(f"{_MANAGERS} base-files coreutils dash findutils grep libc-bin python3-msgspec sed", "trixie"),
    "cni": Packages("containernetworking-plugins"),
    "bird": Packages("bird2"),
    "frr": Packages("frr"),
    "filters": Packages("iptables nftables"),
    "ssh": Packages("openssh-server sudo"),
    "shells": Packages("fish zsh"),
    "csh": Packages("tcsh"),
    "browser": Packages("chromium"),
}
_DONE = "complete"


class UnavailableError(Exception):
    """The packages cannot be had here; why is what the tests are skipped with."""


def release() -> str:
    """Return the name of this system's release, "" where it has none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def packages(name: str) -> list[Path]:
    """Return the packages of the set NAME with what they need and this system lacks."""
    if not _complete(name):
        raise UnavailableError(
            f"the {name} that these tests run are not in {CACHE.name}/: `./dev test` fetches them from Debian"
        )
    return sorted((CACHE / name).glob("*.deb"))


def _complete(name: str) -> bool:
    done = CACHE / name / _DONE
    return done.is_file() and done.read_text() == " ".join(SETS[name])


def fetch(name: str) -> None:
    """Download the set NAME as the system's own apt would, with lists and archives of our own: nothing of its is touched."""
    if not shutil.which("apt-get"):
        raise UnavailableError("apt-get is missing")
    wanted, archives = SETS[name], CACHE / name
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    for old in archives.glob("*.deb"):  # of another release of the system, or of what this set once was
        old.unlink()
    other = _other_release(wanted.release, archives) if wanted.release else ()
    apt = _apt(wanted.release, f"Dir::Cache={archives}", f"Dir::Cache::archives={archives}", *other)
    _run(*apt, "--no-install-recommends", "--download-only", "--reinstall", "install", *wanted.names.split())
    (archives / _DONE).write_text(" ".join(wanted))


def _apt(release: str, *options: str) -> list[str]:
    """Return an apt-get with OPTIONS that knows the packages of RELEASE, "" for this system's own."""
    lists = CACHE / "lists" / release
    apt = ["apt-get", "-q", "-y"]
    for option in (f"Dir::State::lists={lists}", "Debug::NoLocking=1", *options):
        apt += ["-o", option]
    if not any(lists.glob("*_Packages*")):
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        _run(*apt, "update")
    return apt


def _other_release(release: str, directory: Path) -> tuple[str, ...]:
    """Return what makes apt that of a machine of RELEASE with nothing installed; the mirror is the one that this system uses."""
    labelled = ("--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian")
    mirrors = _run(*_apt(""), "indextargets", *labelled).split()
    if not mirrors:
        raise UnavailableError("this system has no mirror of Debian")
    (directory / "status").touch()
    (directory / "sources.list").write_text(f"deb {mirrors[0]} {release} main\n")
    return (
        f"Dir::State::status={directory}/status",
        f"Dir::Etc::sourcelist={directory}/sources.list",
        "Dir::Etc::sourceparts=-",
    )


def _run(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{words[0]} does not answer") from None
    if done.returncode:
        raise UnavailableError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def main() -> None:
    """Fetch what is not there yet; what cannot be had is said, and the tests that want it are skipped."""
    missing = [name for name, wanted in SETS.items() if not _complete(name) and wanted.release != release()]
    if missing:
        sys.stderr.write(
            f"dev: fetching Debian packages for the tests into .cache, not to install them: {', '.join(missing)}\n"
        )
    for name in missing:
        try:
            fetch(name)
        except UnavailableError as why:
            sys.stderr.write(f"dev: the {name} for the tests cannot be fetched: {why}\n")


if __name__ == "__main__":
    main()
