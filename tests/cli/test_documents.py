"""YAML says what JSON says."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from podroutes.cli import main
from podroutes.views.documents import text

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.sampled_from(["no", "1.5", "0x10", "10:20", "2026-01-01", "~", "a: b", "- a", "a #b", "10.200.1.0/24", "fd00::/64", ""])
)  # fmt: skip
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


@settings(deadline=None, max_examples=300)
@given(documents)
def test_any_document_is_the_same_in_yaml(document):
    assert yaml.safe_load(text(document, "yaml")) == json.loads(text(document, "json")) == document


INVENTORY = """\
nodes:
- {name: worker-0, internalIP: 192.168.8.20, podCIDR: 10.200.0.0/24}
- {name: "no", internalIP: 192.168.8.21, podCIDR: 10.200.1.0/24}
"""


@pytest.mark.parametrize(
    "words",
    ["plan --node worker-0", "plan --all", "show --node worker-0", "verify --node worker-0", "config", "version"],
)
def test_a_command_prints_the_same_as_json_and_as_yaml(worker, tmp_path, capsys, words):
    path = tmp_path / "nodes.yaml"
    path.write_text(INVENTORY)
    source = [] if words in ("config", "version") else ["-i", str(path)]
    said = []
    for output in ("json", "yaml"):
        main([*words.split(), *source, "-o", output])
        said.append(capsys.readouterr().out)
    assert json.loads(said[0]) == yaml.safe_load(said[1])
