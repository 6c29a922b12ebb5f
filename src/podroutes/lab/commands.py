"""The options of ``podroutes lab``. Cheap to import, since each start of podroutes does it."""

import argparse
from collections.abc import Callable
from importlib import import_module

from podroutes.errors import require_linux

_LAB = """\
A cluster of network namespaces on this machine to try routes in: no privileges needed, nothing of the host is touched,
nothing is left behind. Machines are named and addressed like the tutorial's (worker-0 is 192.168.8.20, its pods are
10.200.0.0/24), each with a CNI-style bridge and one pod, all on one LAN with a router at 192.168.8.1.
"""
_UP = """\
Make a lab and return; it stays up until `podroutes lab down`. Without -i: workers named and addressed like the tutorial's.

exit status: 0 it is up, 1 it is not and nothing is left
"""
_DOWN = """\
End a lab with every process that `lab exec` started in it. Succeeds when there is nothing to end. With --all, a lab that
belongs to another container is named and left alone, and all others are ended.

exit status: 0 nothing is left, 1 error
"""
_EXEC = """\
Run CMD on a machine of the lab, in its network and under its name, with this terminal, environment and directory. NODE is
a machine, its pod (pod@worker-0) or the switch (switch). Files are the host's, except /run, of which a lab has its own.
`podroutes` is a command there, the very one that was started. Variables that name proxies are left out, and in a lab of --kubernetes KUBECONFIG is that of its API.

exit status: that of CMD; 126 it cannot be run, 127 it is not found, 128+N ended by signal N; with --all the highest
"""
_POD = """\
In a lab of `lab up --cni`: call the plugins of the machine's CNI configuration (the file of /etc/cni/net.d that is first by name)
as a container runtime does, with ADD, DEL or CHECK. They are searched in /opt/cni/bin and /usr/lib/cni, or in CNI_PATH.

exit status: 0 done, 1 a plugin failed, and says why
"""
_KUBECONFIG = """\
Print the kubeconfig of the lab API, which is emulated and not Kubernetes. It can be reached from inside the lab only, where
`lab exec` sets KUBECONFIG to a copy of it: `podroutes lab exec switch -- kubectl get nodes -w` needs nothing more.

exit status: 0 printed, 1 the lab has no API
"""
_PING = """\
Send real ICMP and ICMPv6 echo requests from every pod (and every machine without pods) to every pod.

exit status: 0 every pod answered everybody, 1 some did not
"""
_DEMO = """\
Tell the tutorial's page on pod network routes as a story, in a lab of its own that is gone afterwards: routes planned, applied,
proven, deleted and healed, a cause that verify names, a misspelt key. Every claim is checked. Leaves one page, where it says.

Where no lab can be made the same story is told simulated, on kernels in memory; it says so in every act, and what to allow.

exit status: 0 every act showed what it claims, 1 one did not
"""


def configure(parser: argparse.ArgumentParser, tell: Callable[[argparse.Namespace], int]) -> None:
    """Add the lab's commands to PARSER. Each sets ``run``, a function of the parsed arguments that returns the exit status.

    TELL is that function for the demo, which also runs where no lab is possible.
    """
    parser.description = _LAB
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, summary: str, description: str = "") -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=summary, description=description or f"{summary[0].upper()}{summary[1:]}."
        )
        command.set_defaults(run=_body(name))
        return command

    up = add("up", "make a lab", _UP)
    up.add_argument("--nodes", type=int, metavar="N", help="how many workers (default 3, at most 1000)")
    up.add_argument("--ipv6", action="store_true", help="dual stack: IPv6 next to IPv4")
    up.add_argument(
        "--control-plane", action="store_true", help='also a machine "server" at 192.168.8.10, without pods'
    )
    up.add_argument(
        "--kubernetes",
        action="store_true",
        help="also serve the machines as Nodes of an emulated API, and run an agent on each",
    )
    up.add_argument(
        "--cni",
        action="store_true",
        help="leave the pods to CNI plugins, see `lab pod`; there is also a namespace internet behind the router",
    )
    up.add_argument(
        "-i", "--inventory", metavar="PATH", help="make the machines of this inventory instead; - is standard input"
    )
    _name(up)

    down = add("down", "end a lab and everything in it", _DOWN)
    down.add_argument("--all", action="store_true", help="end all labs of this user")
    _name(down)

    status = add("status", "show the labs of this user, their machines and pods")
    _name(status, default=None)
    _output(status)

    execute = add("exec", "run a command on a machine of the lab", _EXEC)
    execute.usage = (
        f"{execute.prog} [--name NAME] NODE -- CMD ...\n       {execute.prog} [--name NAME] --all [--serial] -- CMD ..."
    )
    execute.add_argument(
        "--all", action="store_true", help="on every machine at the same time, with an empty standard input"
    )
    execute.add_argument(
        "--serial", action="store_true", help="with --all: one machine after the other, on this terminal"
    )
    _name(execute)
    execute.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)

    pod = add("pod", "make a pod by the real CNI plugins, take it away, list pods", _POD)
    pod.add_argument("verb", choices=("add", "del", "check", "list"), help="what to do")
    pod.add_argument("node", metavar="NODE", nargs="?", help="the pod's machine")
    pod.add_argument("pod", metavar="POD", nargs="?", help="its name: the namespace is POD@NODE")
    publish = "with add: a port of the machine that leads to one of the pod; may be repeated"
    pod.add_argument("--publish", metavar="HOSTPORT:PORT", action="append", default=[], help=publish)
    _name(pod)

    ping = add("ping", "show which pod reaches which, by real packets", _PING)
    _name(ping)
    _output(ping)

    inventory = add("inventory", "print the lab's inventory, for `podroutes plan -i -` and friends")
    _name(inventory)

    kubeconfig = add("kubeconfig", "print how kubectl finds the API of a lab of --kubernetes, from inside", _KUBECONFIG)
    _name(kubeconfig)

    demo = add("demo", "tell the whole story in less than half a minute", _DEMO)
    demo.add_argument("--nodes", type=int, metavar="N", help="how many workers (default 3)")
    demo.add_argument("--ipv6", action="store_true", help="dual stack: IPv6 next to IPv4")
    demo.add_argument("--simulated", action="store_true", help="on kernels in memory, also where a lab can be made")
    demo.set_defaults(run=tell)


def _body(name: str) -> Callable[[argparse.Namespace], int]:
    """Return a function that imports and calls the body of a command."""

    def run(arguments: argparse.Namespace) -> int:
        require_linux("a lab", "run it in a Linux virtual machine; `podroutes lab demo` shows a simulation here")
        module = import_module("podroutes.lab.actions")
        status: int = getattr(module, name if name != "exec" else "execute")(arguments)
        return status

    return run


def _name(parser: argparse.ArgumentParser, default: str | None = "lab") -> None:
    parser.add_argument(
        "--name", metavar="NAME", default=default, help="which lab, where there are several (default lab)"
    )


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", choices=("text", "json", "yaml"), default="text", help="text (default), json or yaml"
    )
