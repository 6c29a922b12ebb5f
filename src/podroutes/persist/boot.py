"""What a boot needs besides our files: that the manager may read them, and that something starts it."""

from collections.abc import Mapping

from podroutes.host.files import HostFiles
from podroutes.model.persisted import File

UNITS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_GENERATED = (
    "/run/systemd/generator",
    "/run/systemd/generator.early",
    "/run/systemd/generator.late",
)  # systemd.generator(7)


def unreadable(there: Mapping[str, File]) -> str:
    """Return which of the files THERE a manager that is not root cannot read."""
    return next(
        (
            f"{path} can be read by root alone: mode {file.mode:04o}"
            for path, file in there.items()
            if not file.mode & 0o044
        ),
        "",
    )


def not_executable(there: Mapping[str, File]) -> str:
    """Return which of the scripts THERE is not run."""
    return next(
        (f"{path} is not executable: mode {file.mode:04o}" for path, file in there.items() if not file.mode & 0o100), ""
    )


def not_started(root: HostFiles, name: str, *aliases: str) -> str:
    """Return that nothing starts the service NAME, or what goes by one of ALIASES, at a boot; "" also where that cannot be told.

    What is asked for is a link that `systemctl enable` makes, or one of a package or generator. Another machine's links are not read.
    """
    if root.directory != "/" or not root.path("/run/systemd/system").is_dir():
        return ""
    unit = f"{name}.service"
    if why := masked(root, unit):
        return why
    if not any(root.path(f"{place}/{unit}").exists() for place in UNITS):
        return ""  # it is started by something else than systemd
    links = [
        f"{place}/*.{kind}/{each}"
        for place in (*UNITS, *_GENERATED)
        for kind in ("wants", "requires")
        for each in (unit, f"{name}.socket")
    ]
    links += [f"/etc/systemd/system/{alias}" for alias in aliases]
    return "" if any(True for link in links for _ in root.glob(link)) else f"{unit} is not enabled"


def masked(root: HostFiles, unit: str) -> str:
    """Return that systemd does not start UNIT whatever wants it, systemctl(1)."""
    path = root.path(f"/etc/systemd/system/{unit}")
    return f"{unit} is masked" if path.is_symlink() and str(path.readlink()) == "/dev/null" else ""
