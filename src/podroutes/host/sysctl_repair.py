"""Carries out a safe repair: a sysctl of this network namespace, until the next boot."""

from podroutes.host.readable_files import Files
from podroutes.model.finding import Repair


def carry_out(files: Files, repair: Repair) -> str:
    """Set the sysctl; return why that failed, "" if it did not."""
    path = files.path(f"/proc/sys/{repair.sysctl}")
    try:
        path.write_text(f"{repair.value}\n", encoding="ascii")
        left = path.read_text(encoding="ascii").strip()
    except OSError as error:
        return f"{error.strerror}; it needs root in this network namespace"
    return "" if left == str(repair.value) else f"the kernel left it at {left}"
