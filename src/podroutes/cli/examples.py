"""Examples of each command, for its help and the man page: a purpose and a command line."""

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("what would change on this node, then change it, then prove it", "podroutes plan -i machines.txt"),
        ("", "sudo podroutes apply -i machines.txt --persist auto"),
        ("", "podroutes push verify -i machines.txt"),
        ("the whole story in half a minute, in a lab of its own", "podroutes lab demo"),
    ),
    "plan": (
        ("what apply would change on this node", "podroutes plan -i machines.txt"),
        ("the nodes of the cluster that kubectl asks", "podroutes plan --kubernetes --node worker-0"),
        ("every node, from the inventory alone", "podroutes plan -i machines.txt --all"),
    ),
    "apply": (
        ("make the routes, and keep them across reboots", "sudo podroutes apply -i machines.txt --persist auto"),
        ("take over routes that were made by hand", "sudo podroutes apply -i machines.txt --adopt"),
        ("only look", "podroutes apply -i machines.txt --dry-run"),
    ),
    "show": (
        ("our routes with their nodes and states", "podroutes show -i machines.txt"),
        ("go on, and print what changes", "podroutes show -i machines.txt --watch"),
        (
            "what is missing, for a script",
            "podroutes show -i machines.txt -o json | jq '.routes[] | select(.state != \"ok\")'",
        ),
    ),
    "remove": (
        ("what would be removed", "podroutes remove --dry-run"),
        ("take back routes and files", "sudo podroutes remove"),
    ),
    "render": (
        ("commands for a shell", "podroutes render ip -i machines.txt --node worker-0"),
        (
            "a netplan file for each node",
            "podroutes render netplan -i machines.txt --all --interface ens18 --directory out",
        ),
    ),
    "verify": (
        ("prove it from this machine's tables, and ask every pod gateway", "podroutes verify -i machines.txt --probe"),
        ("from tables that were collected before", "podroutes verify -i machines.txt --tables tables"),
        ("a page to look at", "podroutes verify -i machines.txt --html routes.html"),
    ),
    "test": (
        ("the pods and machines of the lab", "podroutes test"),
        ("the same for a CI system", "podroutes test --lab ci -o junit > results.xml"),
    ),
    "trace": (
        ("one packet between two pods", "podroutes trace 10.200.0.5 10.200.1.7 -i machines.txt"),
        ("from a node, in a lab", "podroutes trace worker-0 10.200.1.7 --lab"),
    ),
    "doctor": (
        ("everything that stops pod traffic here", "podroutes doctor -i machines.txt"),
        ("set the sysctls that are missing", "sudo podroutes doctor -i machines.txt --fix"),
    ),
    "push": (
        ("look at every machine first", "podroutes push plan -i machines.txt --user root"),
        ("then change them, one canary first", "podroutes push apply -i machines.txt --user root"),
    ),
    "push plan": (
        ("every machine, from 20 on a line each", "podroutes push plan -i machines.txt --user root"),
        ("some of them, with every change", "podroutes push plan -i machines.txt --limit 'worker-1*' --full"),
    ),
    "push apply": (
        ("two canaries, then twenty machines at a time", "podroutes push apply -i machines.txt --canary 2"),
        (
            "keep the routes across reboots, too",
            "podroutes push apply -i machines.txt --user admin --sudo --persist auto",
        ),
    ),
    "push verify": (
        ("prove that every pod CIDR is reachable", "podroutes push verify -i machines.txt"),
        ("a page to look at", "podroutes push verify -i machines.txt --html routes.html"),
    ),
    "push remove": (("take back everything of ours", "podroutes push remove -i machines.txt"),),
    "agent": (
        ("keep the routes of an inventory file", "sudo podroutes agent -i /etc/podroutes/machines.txt"),
        ("in a cluster, and tell it", "podroutes agent --kubernetes --events --set-condition"),
    ),
    "confirm": (
        ("see what is held, then let it go", "podroutes status"),
        ("", "sudo podroutes confirm 3f9a1c"),
    ),
    "status": (
        ("the agent of this machine", "podroutes status"),
        ("the same for a script", "podroutes status -o json | jq .routes"),
        ("all nodes, over SSH", "podroutes status --all -i machines.txt --user root"),
        ("wait until all are in sync", "podroutes status --all -i machines.txt --wait 60"),
    ),
    "lab": (
        ("make one, look at it, end it", "podroutes lab up"),
        ("", "podroutes lab ping"),
        ("", "podroutes lab down"),
    ),
    "lab up": (
        ("the tutorial's three workers", "podroutes lab up"),
        ("five dual-stack nodes with an API and agents", "podroutes lab up --nodes 5 --ipv6 --kubernetes"),
    ),
    "lab down": (("end all labs of this user", "podroutes lab down --all"),),
    "lab status": (("machines and pods", "podroutes lab status"),),
    "lab exec": (
        ("a command on one machine", "podroutes lab exec worker-0 -- ip route"),
        ("on all of them", "podroutes lab exec --all -- podroutes apply -i lab.yaml"),
    ),
    "lab pod": (("a pod by the machine's CNI plugins", "podroutes lab pod add worker-0 web"),),
    "lab ping": (("which pod reaches which", "podroutes lab ping"),),
    "lab inventory": (("plan in the lab", "podroutes lab inventory > lab.yaml"),),
    "lab kubeconfig": (("ask the lab API", "podroutes lab exec switch -- kubectl get nodes"),),
    "lab demo": (("the whole story", "podroutes lab demo"),),
    "help": (
        ("a command", "podroutes help push apply"),
        ("a code that a command printed", "podroutes help no-route"),
    ),
    "version": (("for a bug report", "podroutes version"),),
    "config": (("which options are set, and where", "podroutes config"),),
    "schema": (
        ("which there are", "podroutes schema"),
        ("have an editor check an inventory", "podroutes schema inventory > podroutes.schema.json"),
    ),
    "completion": (("in ~/.bashrc", "source <(podroutes completion bash)"),),
}


def of(command: str, prog: str = "podroutes") -> list[str]:
    """Return the lines of the examples of COMMAND, such as ``push apply``. PROG is the program's name."""
    lines: list[str] = []
    for purpose, typed in EXAMPLES.get(command, ()):
        lines += [f"# {purpose}"] if purpose else []
        lines.append(typed.replace("podroutes ", f"{prog} ", 1))
    return lines
