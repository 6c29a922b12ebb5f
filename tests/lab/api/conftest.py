"""The lab API, empty, without a socket and behind one."""

from collections.abc import Callable, Iterator

import pytest

from lab.api.asking import Client, node
from podroutes.lab.api.server import Server
from podroutes.lab.api.service import NodeApi


@pytest.fixture
def api() -> NodeApi:
    return NodeApi()


@pytest.fixture
def client(api: NodeApi) -> Client:
    return Client(api)


@pytest.fixture
def filled(api: NodeApi) -> Callable[..., None]:
    """Return a function that creates the nodes of these names."""

    def fill(*names: str) -> None:
        for name in names:
            api.add(node(name))

    return fill


@pytest.fixture
def server(api: NodeApi) -> Iterator[Server]:
    with Server(api) as started:
        yield started
