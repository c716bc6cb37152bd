"""Fixtures of the API server's tests: the real server, on the memory store unless a test is about another."""

import time
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.server.live import FOUND, Kubectl, LiveServer
from tests.server.world import Api, World, running

from kaa.store.sqlite import SqliteStore


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async for each in running():
        yield each


@pytest.fixture
async def api(world: World) -> Api:
    return world.admin


@pytest.fixture(params=["memory", "sqlite"])
async def both(request: pytest.FixtureRequest, tmp_path) -> AsyncIterator[World]:
    """The same on each store."""
    store = await SqliteStore.open(str(tmp_path / "store.db")) if request.param == "sqlite" else None
    async for each in running(store):
        yield each


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A listening server, for the tests of one module."""
    live = LiveServer(tmp_path_factory.mktemp("kubectl"))
    live.start()
    yield live
    live.stop()


@pytest.fixture(params=sorted(FOUND))
def k(request: pytest.FixtureRequest, server: LiveServer) -> Kubectl:
    """Each kubectl, in a namespace of its own."""
    kubectl = Kubectl(FOUND[request.param], server)
    name = f"t{time.monotonic_ns()}"
    kubectl.run("create", "namespace", name)
    kubectl.run("create", "serviceaccount", "default", "-n", name)
    kubectl.run("config", "set-context", "--current", f"--namespace={name}")
    return kubectl
