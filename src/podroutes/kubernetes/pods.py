"""Lists running pods, for packets that are to ask real ones."""

from collections.abc import Callable, Iterable

import msgspec

from podroutes.errors import KubernetesError
from podroutes.kubernetes.access import Access
from podroutes.kubernetes.client import PAGE, Client, Request
from podroutes.model.address import Address, parse_address

_PODS = "/api/v1/pods"
_A_PAGE = 500  # pods; client-go's default
_PAGES = 40  # 20,000 pods: with every node's system pods among them by then


class _Ip(msgspec.Struct, gc=False):
    ip: str = ""


class _Spec(msgspec.Struct, rename="camel", gc=False):
    node_name: str = ""
    host_network: bool = False


class _Status(msgspec.Struct, rename={"pod_ips": "podIPs"}):
    pod_ips: list[_Ip] | None = None


class _Pod(msgspec.Struct):
    spec: _Spec | None = None
    status: _Status | None = None


class _Meta(msgspec.Struct, rename={"more": "continue"}, gc=False):
    more: str | None = None


class _Pods(msgspec.Struct):
    items: list[_Pod] | None
    metadata: _Meta | None = None


def running_pods(access: Access, wanted: Callable[[str, Address], bool], enough: int) -> dict[str, list[Address]]:
    """Return addresses of running pods by the node that they are on, those that WANTED accepts.

    Stops after ENOUGH addresses; one for each node and IP version is taken. Raises KubernetesError, RefusedError without the
    permission to list pods.
    """
    client = Client(access)
    addresses: dict[tuple[str, int], Address] = {}
    query = {"fieldSelector": "status.phase=Running", "limit": str(_A_PAGE)}
    try:
        for _ in range(_PAGES):
            page = _decoded(access, client.ask(Request(_PODS, dict(query), most=PAGE)))
            for name, address in _addresses(page.items or ()):
                if wanted(name, address):
                    addresses.setdefault((name, address.version), address)
            more = page.metadata.more if page.metadata else None
            if not more or len(addresses) >= enough:
                break
            query["continue"] = more
    finally:
        client.close()
    pods: dict[str, list[Address]] = {}
    for (name, _), address in addresses.items():
        pods.setdefault(name, []).append(address)
    return pods


def _decoded(access: Access, data: bytes) -> _Pods:
    try:
        return msgspec.json.decode(data, type=_Pods)
    except msgspec.DecodeError as error:
        raise KubernetesError(f"{access.name}: the answer is not a list of pods: {error}") from None


def _addresses(pods: Iterable[_Pod]) -> Iterable[tuple[str, Address]]:
    for pod in pods:
        if pod.spec is None or pod.status is None or pod.spec.host_network or not pod.spec.node_name:
            continue
        for pod_ip in pod.status.pod_ips or ():
            try:
                yield pod.spec.node_name, parse_address(pod_ip.ip)
            except ValueError:
                continue
