"""Reader of ``kubectl get nodes -o json``. A Node is 14 KB, of which routes need about 200 bytes.

msgspec decodes the fields named here and skips the others without building anything. kubectl's indentation shows
where an item ends, so the items are decoded a megabyte at a time, and 70 MB of Nodes are never in memory at once.
"""

import re
from collections.abc import Iterator

import msgspec

from podroutes.errors import InventoryError
from podroutes.inventory.jsontext import syntax_error
from podroutes.inventory.kubectl import check_list, internal_ips_and_hostnames, misspelt, misspelt_problems, node_name
from podroutes.inventory.nodes import RawInventory, RawNode, once
from podroutes.inventory.source import CHUNK, Source
from podroutes.model.problem import Problem


class Metadata(msgspec.Struct, rename={"creation_timestamp": "creationTimestamp"}):
    """``metadata`` of a Node, or of a list, where the name is absent."""

    name: str | None = None
    uid: str | None = None
    creation_timestamp: str | None = None


class Spec(msgspec.Struct, rename={"pod_cidr": "podCIDR", "pod_cidrs": "podCIDRs"}):
    """``spec`` of a Node."""

    pod_cidr: str | None = None
    pod_cidrs: list[str] | None = None


class NodeAddress(msgspec.Struct):
    """One of ``status.addresses``."""

    type: str | None = None
    address: str | None = None


class Status(msgspec.Struct):
    """``status`` of a Node."""

    addresses: list[NodeAddress] | None = None


class KubernetesNode(msgspec.Struct):
    """The fields of a Node that routes need."""

    kind: str | None = None
    metadata: Metadata | None = None
    spec: Spec | None = None
    status: Status | None = None


class Document(KubernetesNode):
    """The content of a file: a Node, or a list of Nodes."""

    items: list[KubernetesNode] | None = None


_ITEMS = msgspec.json.Decoder(list[KubernetesNode])
_DOCUMENT = msgspec.json.Decoder(Document)
# The first lines of a list by kubectl; the group is the indentation of each item's braces.
_LAYOUT = re.compile(rb'\{\s+"apiVersion": "v1",\s+"items": \[(\r?\n +)\{')

# msgspec's message for a value of the wrong type: "Expected `str | null`, got `int` - at `$.items[3].metadata.name`".
_TYPE_ERROR = re.compile(r"Expected `(\w+).*`, got `(\w+)`(?: - at `\$(?:(?:\.items)?\[(\d+)\])?(.*)`)?", re.DOTALL)
_WORDS = {
    "str": "a string",
    "int": "a number",
    "float": "a number",
    "bool": "a boolean",
    "array": "a list",
    "object": "a mapping",
}


def read(source: Source) -> RawInventory:
    """Yield the Nodes. Raises InventoryError if the JSON is malformed or an item is not a Node."""
    problems: list[Problem] = []
    return RawInventory(_nodes(source, problems), problems=problems, format="kubernetes")


def _nodes(source: Source, problems: list[Problem]) -> Iterator[RawNode]:
    count = 0
    for nodes, data in _batches(source):
        again: list[object] = []  # the same as mappings with all keys, where a node seems to lack something
        for position, node in enumerate(nodes):
            raw = _raw(source, node, f"items[{count}]")
            count += 1
            if not raw.pod_cidrs or not raw.internal_ips:
                again = again or _with_all_keys(data)
                unread = misspelt(again[position], cidrs=bool(raw.pod_cidrs), ips=bool(raw.internal_ips))
                problems += misspelt_problems(source, raw.name, unread)
                raw = raw._replace(unread=unread)
            yield raw


def _with_all_keys(data: bytes | bytearray) -> list[object]:
    document = msgspec.json.decode(bytes(data).decode(errors="replace"))  # the typed decoder skips what is no UTF-8
    if isinstance(document, dict):
        return [document] if document.get("kind") == "Node" else document["items"]
    return list(document)


def _batches(source: Source) -> Iterator[tuple[list[KubernetesNode], bytes | bytearray]]:
    """Yield the items in batches, each with its bytes, cut between items where kubectl's layout shows the boundary.

    A cut is safe whatever the layout. If ``[{A}]`` is valid JSON and ``[{`` with the rest is too, the list consists of
        the items of both. If not, the cut was inside an item, and a later one is tried.
    """
    layout = _LAYOUT.match(source.head)
    opening, separator = (b'{"items":[{', layout[1] + b"}," + layout[1] + b"{") if layout else (b"", b"")
    buffer, wanted = bytearray(), CHUNK
    count = lines = 0  # items and lines so far, for error messages
    for chunk in source.chunks():
        if layout and chunk is source.head:
            chunk, lines = chunk[layout.end() :], layout[0].count(b"\n")  # noqa: PLW2901
        buffer += chunk
        if not layout or len(buffer) < wanted:
            continue
        cut = buffer.rfind(separator)
        batch = b"[{" + buffer[:cut] + b"}]" if cut >= 0 else b""  # an empty file is not JSON
        try:
            nodes = _ITEMS.decode(batch)
        except (msgspec.ValidationError, UnicodeDecodeError) as error:
            raise _explain(source, error, batch, lines, count) from None
        except (msgspec.DecodeError, RecursionError):
            wanted = 2 * len(buffer)
            continue
        yield nodes, batch
        cut += len(separator)
        count += len(nodes)
        lines += buffer.count(b"\n", 0, cut)
        del buffer[:cut]
        wanted = CHUNK
    buffer[:0] = opening
    try:
        document = _DOCUMENT.decode(buffer)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _explain(source, error, buffer, lines, count) from None
    if document.kind == "Node":
        yield [document], buffer
    else:
        check_list(source, document.kind, items=document.items is not None)
        yield document.items or [], buffer


def _raw(source: Source, node: KubernetesNode, place: str) -> RawNode:
    name = node_name(source, place, node.kind, node.metadata.name if node.metadata else None)
    return raw_node(name, node)


def raw_node(name: str, node: KubernetesNode) -> RawNode:
    """Return the raw node for NODE, whose name is NAME."""
    metadata, spec, status = node.metadata or Metadata(), node.spec or Spec(), node.status or Status()
    cidrs = once((text, None) for text in (spec.pod_cidr, *(spec.pod_cidrs or ())) if text)
    ips, hostnames = internal_ips_and_hostnames((one.type, one.address, None) for one in status.addresses or ())
    return RawNode(name, ips, cidrs, None, hostnames, created=metadata.creation_timestamp or "", uid=metadata.uid or "")


def _explain(source: Source, error: Exception, data: bytes | bytearray, lines: int, count: int) -> InventoryError:
    """Return the error for DATA. COUNT items and LINES lines precede it."""
    match = _TYPE_ERROR.fullmatch(str(error))
    if not match:
        return syntax_error(source, error, data, lines)
    wanted, got, item, field = match.groups(default="")
    place = f"items[{int(item) + count}]{field}" if item else field.removeprefix(".") or "the document"
    return source.error(f"{place} is {_WORDS.get(got, got)}, wanted {_WORDS.get(wanted, wanted)}")
