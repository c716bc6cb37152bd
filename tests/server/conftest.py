"""Fixtures of the API server's tests: the real server, on the memory store unless a test is about another."""

from collections.abc import AsyncIterator

import pytest
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
