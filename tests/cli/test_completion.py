"""Completion in the shells themselves: what is typed, a tab, and what then stands on the line."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from podroutes.cli import main
from podroutes.cli.completion.grammar import grammar, walk
from podroutes.cli.parser import build_parser
from support.helm import KUBECTL
from support.unpacked import packages_or_skip, unpack

ROOT = Path(__file__).parents[2]

MACHINES = "192.168.8.20 worker-0.local worker-0 10.200.0.0/24\n192.168.8.21 worker-1.local worker-1 10.200.1.0/24\n"
# What is typed, and what stands there after a tab, where only one word is possible.
LINES = {
    "podroutes rend": "podroutes render",
    "podroutes --vers": "podroutes --version",
    "podroutes plan --persist networkm": "podroutes plan --persist networkmanager",
    "podroutes plan -i machines.txt --node worker-1 --sy": "podroutes plan -i machines.txt --node worker-1 --sysctl",
    "podroutes push app": "podroutes push apply",
    "podroutes push apply --persist a": "podroutes push apply --persist auto",
    "podroutes push apply --can": "podroutes push apply --canary",
    "podroutes render sys": "podroutes render systemd",
    "podroutes completion z": "podroutes completion zsh",
    "podroutes help foreign-r": "podroutes help foreign-route",
    "podroutes plan -i mach": "podroutes plan -i machines.txt",
    "podroutes plan -i machines.txt --node w": "podroutes plan -i machines.txt --node worker-",
    "podroutes plan -i machines.txt --node worker-1": "podroutes plan -i machines.txt --node worker-1",
    "podroutes push plan -i machines.txt --limit worker-1,worker-0": "podroutes push plan -i machines.txt --limit worker-1,worker-0",
    "podroutes render ip --node plan --al": "podroutes render ip --node plan --all",
    "kubectl-podroutes ver": "kubectl-podroutes ver",
    "kubectl-podroutes veri": "kubectl-podroutes verify",
}


@pytest.fixture
def scripts(tmp_path, capsys, monkeypatch):
    """Write the scripts of all shells, beside an inventory and a ``podroutes`` to ask."""
    for name in [name for name in os.environ if name.startswith("PODROUTES_")]:
        monkeypatch.delenv(name)
    for shell in ("bash", "zsh", "fish"):
        assert main(["completion", shell]) == 0
        (tmp_path / shell).write_text(capsys.readouterr().out)
    (tmp_path / "machines.txt").write_text(MACHINES)
    program = tmp_path / "bin" / "podroutes"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m podroutes "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def shells(tmp_path_factory) -> Path:
    """Unpack zsh and fish; skips where they cannot be had."""
    packages = packages_or_skip("shells")
    tree = tmp_path_factory.mktemp("shells")
    unpack(packages, tree)
    return tree


def typed(shell: list[str], setup: str, lines: list[str]) -> list[str]:
    """Type SETUP, then each of LINES with a tab behind it, in an interactive SHELL; return what then stood on the line."""
    # ^A goes to the beginning of the line, where `print` makes it an output.
    keys = "".join(f"{line}\t\x01echo '<<' \x05 '>>'\r" for line in lines)
    ours, theirs = pty.openpty()
    with subprocess.Popen(shell, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        os.write(ours, f"{setup}\r{keys}exit\r".encode())
        shown = b""
        while True:
            try:
                shown += os.read(ours, 1 << 16)
            except OSError:  # EIO: the shell has ended
                break
        process.wait()
    os.close(ours)
    found = [line.rstrip() for line in re.findall(r"^<< (.*) >>", shown.decode().replace("\r", ""), re.MULTILINE)]
    assert len(found) == len(lines), shown.decode()
    return found


def test_bash(scripts):
    done = typed(["bash", "--norc", "--noprofile", "-i"], "source ./bash", list(LINES))
    assert dict(zip(LINES, done, strict=True)) == LINES


def test_bash_takes_a_value_behind_an_equals_sign(scripts):
    (done,) = typed(["bash", "--norc", "-i"], "source ./bash", ["podroutes plan --persist=networkm"])
    assert done == "podroutes plan --persist=networkmanager"


def test_bash_says_nothing_while_the_script_is_read_and_knows_the_program(scripts):
    words = ["bash", "--norc", "-c", "source ./bash && complete -p podroutes kubectl-podroutes"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "".join(
        f"complete -o default -F _podroutes {name}\n" for name in ("podroutes", "kubectl-podroutes")
    )
    assert done.stderr == ""


def test_zsh(scripts, shells, monkeypatch):
    library = next((shells / "usr/lib").glob("*-linux-gnu*"))
    modules = next(library.glob("zsh/*"))
    setup = (
        f"module_path=({modules}); fpath=({shells}/usr/share/zsh/functions/**/*(/) {shells}/usr/share/zsh/functions); "
        "autoload -U compinit; compinit -D; bindkey -e; unsetopt zle_bracketed_paste prompt_cr; source ./zsh"
    )
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    done = typed([str(shells / "bin/zsh"), "-f", "-i"], setup, list(LINES))
    assert dict(zip(LINES, done, strict=True)) == LINES


def test_fish(scripts, shells, monkeypatch):
    library = next((shells / "usr/lib").glob("*-linux-gnu*"))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))

    def complete(line: str) -> list[str]:
        code = f"set fish_function_path {shells}/usr/share/fish/functions; source ./fish; complete -C '{line}'"
        done = subprocess.run(
            [shells / "usr/bin/fish", "--no-config", "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return [word.partition("\t")[0] for word in done.stdout.splitlines()]

    for line, whole in LINES.items():
        start = line.rpartition(" ")[0]
        words = complete(line)
        assert words, line
        assert [word for word in words if not f"{start} {word}".startswith(whole)] == []


@pytest.mark.parametrize("name", ["$(touch hit)", "`touch hit`", "a;b", "-i", "x y"])
def test_names_that_a_shell_could_take_for_more_than_a_word_are_not_offered(name, tmp_path, capsys):
    (tmp_path / "nodes.yaml").write_text(
        f"nodes:\n- {{name: '{name}', internalIP: 10.0.0.1}}\n- {{name: w, internalIP: 10.0.0.2}}\n"
    )
    assert main(["completion", "--list", "nodes", "--inventory", str(tmp_path / "nodes.yaml")]) == 0
    assert capsys.readouterr().out == "w\n"


@pytest.fixture
def plugin(scripts):
    """Put what kubectl looks for on PATH: the plugin, and what completes it."""
    completer = ROOT / "packaging" / "kubectl_complete-podroutes"
    for name, text in (("kubectl-podroutes", "#!/bin/sh\n"), (completer.name, completer.read_text())):
        (scripts / "bin" / name).write_text(text)
        (scripts / "bin" / name).chmod(0o755)
    return completer.name


def test_kubectl_is_told_candidates_and_whether_file_names_may_follow(plugin):
    def answer(*words: str) -> list[str]:
        return subprocess.run([plugin, *words], capture_output=True, text=True, check=True).stdout.splitlines()

    assert answer("ve") == ["verify", "version", ":4"]
    assert answer("plan", "-i", "machines.txt", "--node", "") == ["worker-0", "worker-1", ":4"]
    assert answer("plan", "-i", "") == [":0"]


def test_kubectl_itself_completes_the_plugin(plugin):
    program = KUBECTL if KUBECTL.exists() else shutil.which("kubectl")
    if not program:
        pytest.skip("kubectl is not here: `./dev test` fetches it where it can be had")
    done = subprocess.run([program, "__complete", "podroutes", "rend"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["render", ":4"]


def test_every_command_and_option_is_in_every_script(scripts):
    for command in walk(grammar(build_parser())):
        for shell in ("bash", "zsh", "fish"):
            script = (scripts / shell).read_text()
            for option in command.options:
                long = option.names[-1]
                assert long in script or f"-l {long[2:]}" in script
            if command.path:
                assert re.search(rf"\b{command.path[-1]}\b", script)


def test_a_shell_has_to_be_named(capsys):
    assert main(["completion"]) == 1
    assert capsys.readouterr().err == "podroutes: completion: name a shell, bash, zsh or fish\n"
