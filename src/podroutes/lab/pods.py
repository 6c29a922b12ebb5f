"""Pods of a lab of ``lab up --cni``, made as a container runtime makes them: by the real CNI plugins, from the machine's configuration.

https://www.cni.dev/docs/spec/#section-2-execution-protocol. The configuration is the file in /etc/cni/net.d that is first by name, the
plugins are those of the host. A pod is a network namespace ``POD@NODE``; its file in the machine's /run/podroutes/pods has what the
plugins were called with, since DEL needs the same.
"""

import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from podroutes.errors import LabError
from podroutes.host.atomic_write import write_whole
from podroutes.lab import inside, syscalls
from podroutes.lab.paths import MACHINES, NETNS, RUNTIME, search_path
from podroutes.lab.plumbing import sysctls
from podroutes.lab.registry import Lab
from podroutes.model.address import Address, parse_address
from podroutes.model.text import escaped, printable

_CONFIGURATION = Path("/etc/cni/net.d")
_SUFFIXES = (".conf", ".conflist", ".json")
_PLUGINS = "/opt/cni/bin:/usr/lib/cni"  # unless CNI_PATH names others
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # as that of a Pod, without dots
_LOOPBACK = {"type": "loopback"}  # runtimes call it by themselves


class Pod(NamedTuple):
    """A pod, its machine, and its addresses."""

    name: str
    node: str
    addresses: tuple[Address, ...]

    @property
    def namespace(self) -> str:
        """The name of its network namespace."""
        return f"{self.name}@{self.node}"


class _Call(NamedTuple):
    """What the plugins of one network are called with for one pod."""

    namespace: str
    network: dict[str, Any]
    capabilities: dict[str, Any]
    interface: str = "eth0"


def pods(lab: Lab) -> list[Pod]:
    """Return the pods of LAB, sorted by machine and name."""
    running = []
    for node in lab.cluster.nodes:
        records = Path(f"/proc/{lab.pid}/root{MACHINES}/{node.name}/pods")
        for path in sorted(records.glob("*.json")):
            result = json.loads(path.read_text(encoding="utf-8"))["result"]
            if not result:
                continue  # a pod that is not finished
            addresses = [parse_address(each["address"].partition("/")[0]) for each in result.get("ips", ())]
            running.append(Pod(path.stem, node.name, tuple(addresses)))
    return running


def add(lab: Lab, node: str, name: str, ports: dict[int, int]) -> None:
    """Make the pod NAME on NODE, with container ports by host port. Raises LabError, and then nothing of it remains."""
    if not _NAME.fullmatch(name):
        raise LabError(f"{printable(name)} cannot name a pod: use up to 63 small letters, digits and hyphens")
    mappings = [
        {"hostPort": host, "containerPort": inner, "protocol": protocol}
        for host, inner in ports.items()
        for protocol in ("tcp", "udp")
    ]
    inside.enter(lab)
    namespace = f"{name}@{node}"
    _in_child(lambda: _make_namespace(lab, namespace))
    try:
        _in_child(lambda: _add(node, name, {"portMappings": mappings} if mappings else {}))
    except LabError:
        _in_child(lambda: _unmount(namespace))
        raise


def delete(lab: Lab, node: str, name: str) -> None:
    """Take the pod NAME on NODE away. Raises LabError if there is none, or if a plugin fails."""
    inside.enter(lab)
    _in_child(lambda: _delete(node, name))
    _in_child(lambda: _unmount(f"{name}@{node}"))


def check(lab: Lab, node: str, name: str) -> None:
    """Have the plugins check the pod NAME on NODE. Raises LabError with what they find."""
    inside.enter(lab)

    def do() -> None:
        _enter_machine(node)
        call, result = _recorded(name, node)
        for plugin in call.network["plugins"]:
            _plugin("CHECK", plugin, call, result)

    _in_child(do)


def _in_child(do: Callable[[], None]) -> None:
    """Call DO in a child, which is in the lab's PID namespace. Raises LabError with the reason if it fails."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            do()
        except LabError as error:
            os.write(writer, str(error).encode()[:4000])
        except OSError as error:
            os.write(writer, f"{error.strerror}: {error.filename}".encode()[:4000])
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        why = pipe.read().decode()
    os.waitpid(child, 0)
    if why:
        raise LabError(why)


def _enter_machine(node: str) -> None:
    """Move this child into a machine, with a /proc in which plugins see themselves."""
    inside.step_into(node)
    with suppress(OSError):  # parts of the host's /proc are covered: that one stays, and shows the host's processes
        syscalls.mount("proc", "/proc", "proc")


def _make_namespace(lab: Lab, namespace: str) -> None:
    path = Path(NETNS, namespace)
    try:
        path.touch(0o444, exist_ok=False)
        Path(MACHINES, namespace).mkdir(exist_ok=True)  # its /run/podroutes
    except FileExistsError:
        raise LabError(f"there is a pod {printable(namespace)} already") from None
    syscalls.unshare(syscalls.NEWNET)
    for name, value in sysctls(lab.cluster, "pod@").items():
        try:
            Path("/proc/sys/net", name).write_text(value, encoding="ascii")
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EROFS):
                raise
    syscalls.mount("/proc/thread-self/ns/net", str(path), flags=syscalls.MS_BIND)


def _unmount(namespace: str) -> None:
    path = Path(NETNS, namespace)
    if path.exists():
        syscalls.unmount(str(path))
        path.unlink()
    shutil.rmtree(Path(MACHINES, namespace), ignore_errors=True)


def _add(node: str, name: str, capabilities: dict[str, Any]) -> None:
    _enter_machine(node)
    call = _Call(f"{name}@{node}", _network(node), capabilities)
    loopback = {"cniVersion": call.network["cniVersion"], "name": "lo"}
    _plugin("ADD", _LOOPBACK, call._replace(network=loopback, interface="lo"), {})
    _record(call, {})  # before the first plugin: DEL has to be possible whatever happens to this process
    result: dict[str, Any] = {}
    try:
        for plugin in call.network["plugins"]:
            result = _plugin("ADD", plugin, call, result) or result
    except LabError:
        _delete_all(call, result)
        _record_of(name).unlink()
        raise
    _record(call, result)


def _record_of(name: str) -> Path:
    return Path(RUNTIME, "pods", f"{name}.json")


def _record(call: _Call, result: dict[str, Any]) -> None:
    path = _record_of(call.namespace.partition("@")[0])
    path.parent.mkdir(exist_ok=True)
    document = {"network": call.network, "capabilities": call.capabilities, "result": result}
    write_whole(path, json.dumps(document), mode=0o644)


def _delete(node: str, name: str) -> None:
    _enter_machine(node)
    call, result = _recorded(name, node)
    if failures := _delete_all(call, result):
        raise LabError("; ".join(failures))
    _record_of(name).unlink()


def _delete_all(call: _Call, result: dict[str, Any]) -> list[str]:
    """Call all plugins with DEL, the last one first; return why some failed."""
    failures = []
    for plugin in reversed(call.network["plugins"]):
        try:
            _plugin("DEL", plugin, call, result)
        except LabError as error:
            failures.append(str(error))
    return failures


def _recorded(name: str, node: str) -> tuple[_Call, dict[str, Any]]:
    try:
        record = json.loads(_record_of(name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LabError(f"there is no pod {printable(name)} on {node}") from None
    return _Call(f"{name}@{node}", record["network"], record["capabilities"]), record["result"]


def _network(node: str) -> dict[str, Any]:
    """Return the network that is configured first by name, as a list of plugins."""
    names = sorted(path for path in _CONFIGURATION.glob("*") if path.suffix in _SUFFIXES)
    for path in names:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        plugins = document.get("plugins", [document])
        if any(plugin.get("type") != "loopback" for plugin in plugins):
            return {"cniVersion": document["cniVersion"], "name": document["name"], "plugins": plugins}
    raise LabError(
        f"{node} has no CNI configuration: `podroutes lab exec {node} -- podroutes apply -i FILE --cni` writes one"
    )


def _plugin(command: str, plugin: dict[str, Any], call: _Call, result: dict[str, Any]) -> dict[str, Any] | None:
    """Call one plugin; return its result, None where it prints none. Raises LabError if it fails."""
    directories = os.environ.get("CNI_PATH", _PLUGINS)
    program = next(_programs(plugin["type"], directories), None)
    if program is None:
        raise LabError(
            f"the CNI plugin {printable(plugin['type'])} is in none of {directories}: install containernetworking-plugins, or set CNI_PATH"
        )
    network = call.network
    configuration = {**plugin, "cniVersion": network["cniVersion"], "name": network["name"]}
    asked = {name: value for name, value in call.capabilities.items() if plugin.get("capabilities", {}).get(name)}
    configuration |= {"runtimeConfig": asked} if asked else {}
    configuration |= {"prevResult": result} if result else {}
    environment = {
        **os.environ,
        "PATH": search_path(),
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": call.namespace.replace("@", "."),
        "CNI_NETNS": f"{NETNS}/{call.namespace}",
        "CNI_IFNAME": call.interface,
        "CNI_PATH": directories,
    }
    done = subprocess.run(
        [program], input=json.dumps(configuration), env=environment, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise LabError(f"{plugin['type']} {command}: {_message(done.stdout) or escaped(done.stderr.strip())}")
    answer: dict[str, Any] | None = json.loads(done.stdout) if done.stdout.strip() else None
    return answer


def _programs(name: str, directories: str) -> Iterator[str]:
    for directory in directories.split(os.pathsep):
        if os.access(path := f"{directory}/{name}", os.X_OK):
            yield path


def _message(answer: str) -> str:
    """Return the reason in the error that a plugin printed."""
    try:
        document = json.loads(answer)
        return escaped(f"{document['msg']} {document.get('details', '')}".strip())
    except (ValueError, KeyError, TypeError):
        return escaped(answer.strip())
