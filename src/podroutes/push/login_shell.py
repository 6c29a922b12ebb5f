"""The command that a machine's sshd hands to the user's login shell, and what sudo says instead of running it. Pure."""

from podroutes.model.text import escaped

# One line, in single quotes: so sh, bash, zsh, ksh, fish and csh take it alike. csh(1) would run a script of several lines line by line.
# What it starts are builtins alone; `read` takes no byte more than the line.
_SH = """sh -c 'read -r script; eval "$(printf %b "$script")"'"""


def command(*, sudo: bool) -> str:
    """Return the command that runs the script in the first line of its standard input."""
    return f"{'sudo -n ' if sudo else ''}{_SH}"


def on_standard_input(script: str, payload: bytes) -> bytes:
    """Return the standard input that makes ``command`` run SCRIPT with PAYLOAD."""
    line = script.replace("\\", "\\\\").replace("\n", "\\n")
    return f"{line}\n".encode() + payload


def refused_by_sudo(err: bytes, user: str | None) -> str:
    """Return why sudo(8) did not run the command of USER, and what to do; "" where ERR, its standard error, is not sudo's."""
    if not err.startswith(b"sudo:"):
        return ""
    verdict = err.decode(errors="replace").splitlines()[-1]  # it may say something of host names first
    if "tty" in verdict:
        return (
            f"{escaped(verdict)}; push has no terminal: `Defaults{f':{user}' if user else ''} !requiretty` in sudoers"
        )
    fix = "let the user run sh without one (NOPASSWD in sudoers), or connect as root"
    return f"{escaped(verdict)}; passwords are not asked for: {fix}"
