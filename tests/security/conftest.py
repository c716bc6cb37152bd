"""Fixtures of the attacks: two namespaces; `mallory` may do everything in `mine`, and nothing elsewhere."""

from collections.abc import AsyncIterator

import pytest
from tests.security.town import EVERYTHING, grant, namespaces
from tests.server.world import Api, World, running


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async for each in running():
        await namespaces(each, "mine", "theirs")
        await grant(each, "mine", "mallory", EVERYTHING)
        yield each


@pytest.fixture
async def mallory(world: World) -> Api:
    return world.as_user("mallory")


@pytest.fixture
async def admin(world: World) -> Api:
    return world.admin
