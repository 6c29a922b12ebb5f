"""What a cluster is does not depend on the format it is written in, and no bytes bring more than a clear error."""

import json
import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.documents import DUAL, FORMATS, SEED, Machine, api_json, kubectl_json, kubectl_yaml, read, told
from podroutes.errors import InventoryError
from podroutes.inventory import Inventory, source
from podroutes.inventory import kubectl_json as json_reader
from podroutes.model.address import Address, Prefix

QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
FUZZ = settings(QUICK, max_examples=int(os.environ.get("PODROUTES_FUZZ_EXAMPLES", "400")))

names = st.from_regex(r"[a-z][a-z0-9.-]{0,20}[a-z]", fullmatch=True) | st.text("äñ漢🙂abc", min_size=1, max_size=8)
addresses = st.builds(Address, st.just(4), st.integers(1 << 24, (127 << 24) - 1)) | st.builds(
    Address, st.just(6), st.integers(0x20 << 120, (0xFE << 120) - 1)
)
prefixes = st.builds(
    lambda address, kept: Prefix(
        address.version, address.value >> kept << kept, (32 if address.version == 4 else 128) - kept
    ),
    addresses,
    st.integers(0, 24),
)
machines = st.lists(
    st.builds(
        Machine,
        names,
        st.lists(addresses.map(str), min_size=1, max_size=3, unique=True).map(tuple),
        st.lists(prefixes.map(str), max_size=3, unique=True).map(tuple),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("cluster", [SEED, DUAL], ids=["seed", "dual-stack"])
def test_every_format_tells_the_same_machines(write, cluster):
    inventory = read(write(cluster))
    assert told(inventory) == cluster
    assert inventory.problems == ()


@QUICK
@given(machines)
def test_nodes_and_values_keep_their_order_in_every_format(cluster):
    for write in FORMATS.values():
        assert told(read(write(cluster))) == cluster


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(
    "dress", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")], ids=["BOM", "CRLF"]
)
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(write, dress):
    assert told(read(dress(write(SEED)))) == SEED


@pytest.mark.parametrize("write", [kubectl_json, api_json, kubectl_yaml])
@pytest.mark.parametrize("chunk", [700, 1_000, 4_096])
def test_where_the_chunks_of_a_large_file_end_changes_nothing(monkeypatch, write, chunk):
    for module in (source, json_reader):
        monkeypatch.setattr(module, "CHUNK", chunk)
    many = [Machine(f"worker-{n}", (f"172.16.0.{n}",), (f"10.200.{n}.0/24",)) for n in range(100)]
    assert told(read(write(many))) == many


def test_lines_survive_the_blanking_of_kubectl_yaml():
    text = kubectl_yaml(SEED)
    lines = text.split("\n")
    for node in read(text).cluster.nodes:
        assert lines[node.line - 1].startswith("- apiVersion")
        assert f"    name: {node.name}" in lines[node.line :]


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_a_half_written_file_is_refused_or_shorter_but_never_a_traceback(write):
    whole = write(SEED).encode()
    for length in range(len(whole)):
        survives(whole[:length])


def test_a_half_written_json_file_is_always_refused():
    for write in (FORMATS["own JSON"], kubectl_json, api_json):
        whole = write(SEED).rstrip().encode()
        for length in range(len(whole)):
            assert survives(whole[:length]) is None


@FUZZ
@given(st.sampled_from(sorted(FORMATS)), machines, st.integers())
def test_mutated_documents_bring_an_inventory_or_a_clear_error(form, cluster, seed):
    survives(mutated(FORMATS[form](cluster).encode(), random.Random(seed)))


@FUZZ
@given(st.binary(max_size=200))
def test_random_bytes_bring_an_inventory_or_a_clear_error(data):
    survives(data)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | addresses.map(str)
    | prefixes.map(str)
)
keys = st.sampled_from(
    "apiVersion kind items metadata spec status name podCIDR podCIDRs addresses address type nodes cluster internalIP "
    "internalIPs interface nodeCIDRs serviceCIDR podCDIR".split()
)
kinds = st.sampled_from(["Node", "NodeList", "List", "Pod", "InternalIP", "Hostname"])
trees = st.recursive(
    scalars | kinds, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6), max_leaves=25
)


@FUZZ
@given(st.dictionaries(keys, trees, max_size=5), st.booleans())
def test_known_keys_with_any_values_bring_an_inventory_or_a_clear_error(document, pretty):
    survives(json.dumps(document, indent=4 if pretty else None).encode())


@FUZZ
@given(st.text("nodesame: -[]{}&*!|>'\"#\n\t,?%@`~<0.1/:", max_size=80))
def test_the_marks_of_yaml_in_any_order_bring_an_inventory_or_a_clear_error(text):
    survives(f"nodes: {text}".encode())
    survives(f"kind: {text}".encode())


def mutated(document: bytes, dice: random.Random) -> bytes:
    """Return DOCUMENT with a few bytes, lines or blocks changed, lost, repeated or exchanged."""
    data = bytearray(document)
    for _ in range(dice.randint(1, 4)):
        begin, end = sorted(dice.randrange(len(data) + 1) for _ in "ab")
        piece = data[begin : min(end, begin + 60)]
        match dice.randrange(6):
            case 0:
                del data[begin : begin + len(piece)]
            case 1:
                data[begin:begin] = piece * dice.randint(1, 3)
            case 2:
                data[begin : begin + 1] = dice.choice(
                    [b"\0", b"\xff", b"\x1b[31m", b"\n", b"\t", b"&a", b"*a", b"!t", b"|", b'"']
                )
            case 3:
                data[begin : begin + 1] = bytes([dice.randrange(256)])
            case 4:
                del data[begin:]
            case 5:
                lines = data.split(b"\n")
                dice.shuffle(lines)
                data = bytearray(b"\n".join(lines))
    return bytes(data)


def survives(data: bytes) -> Inventory | None:
    """Read DATA; everything but InventoryError is a failure of the test, and so is a message that is not one clean line."""
    try:
        inventory = read(data)
    except InventoryError as error:
        assert str(error).isprintable(), str(error)  # noqa: PT017 - nothing else is to be known of it
        return None
    assert inventory.cluster.nodes
    for problem in inventory.problems:
        assert problem.message.isprintable()
        assert problem.advice
    return inventory
