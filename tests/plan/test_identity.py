"""Which node this machine is."""

import pytest

from podroutes.errors import IdentityError
from podroutes.model.cluster import Cluster
from podroutes.plan.identity import named_node, this_node

NOBODY = Cluster((), source="https://api")


def test_where_there_are_no_nodes_that_is_said():
    with pytest.raises(IdentityError, match=r"no node is named .* it has no nodes$"):
        named_node(NOBODY, "worker-0")
    with pytest.raises(IdentityError, match=r"no InternalIP matches; it has no nodes$"):
        this_node(NOBODY, "worker-0", [])
