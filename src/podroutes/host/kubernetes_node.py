"""What runs on a Kubernetes node besides its network: kubelet, what routes services, and the packet filter of bridges."""

from podroutes.host.files import HostFiles

_KUBELET = "/var/lib/kubelet/config.yaml"
_SYSCTL = "/proc/sys/net/bridge/bridge-nf-call-iptables"
# Programs that make services reachable, by /proc/PID/comm, which has 15 bytes.
_PROXIES = (
    "kube-proxy", "cilium-agent", "kube-router", "calico-node", "antrea-agent", "k3s", "k3s-server", "k3s-agent", "k0s", "rke2",
    "kubelite",
)  # fmt: skip


def read_kubelet(files: HostFiles) -> str:
    """Return how it is known that a kubelet is here, "" if none is."""
    if files.peek(_KUBELET) is not None:
        return f"{_KUBELET} is there"
    return next((f"{path}: kubelet" for path, name in _processes(files) if name == "kubelet"), "")


def read_service_proxy(files: HostFiles) -> str:
    """Return the program that makes services reachable here, "" if none runs."""
    running = {name for _, name in _processes(files)}
    return next((name for name in _PROXIES if name in running), "")


def bridge_filter_off(files: HostFiles) -> str:
    """Return how it is known that bridged packets pass by iptables, "" if they do not or it is unknown."""
    modules = files.peek("/proc/modules")
    built_in = any(
        "/br_netfilter.ko" in (files.peek(path) or "") for path in files.glob("/lib/modules/*/modules.builtin")
    )
    if (
        modules is not None
        and not built_in
        and not any(line.startswith("br_netfilter ") for line in modules.splitlines())
    ):
        return "/proc/modules: br_netfilter is not loaded"
    return f"{_SYSCTL}: 0" if (files.peek(_SYSCTL) or "").strip() == "0" else ""


def _processes(files: HostFiles) -> list[tuple[str, str]]:
    return [(path, (files.peek(path) or "").strip()) for path in files.glob("/proc/[0-9]*/comm")]
