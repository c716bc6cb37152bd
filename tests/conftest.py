"""Fixtures for every test."""

from collections.abc import AsyncIterator

import pytest

from kaa.cluster.local import LocalCluster


@pytest.fixture
async def cluster() -> AsyncIterator[LocalCluster]:
    """A whole cluster in this process, with two simulated nodes; `await cluster.kubeconfig()` for real kubectl."""
    async with LocalCluster(simulated_nodes=2) as running:
        yield running
