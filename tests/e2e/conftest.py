"""One real cluster for the tests that leave it as they found it."""

from collections.abc import Iterator

import pytest
from tests.e2e.world import Cluster, running


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with containers; each test makes and deletes a namespace of its own."""
    with running(tmp_path_factory.mktemp("real") / "home") as cluster:
        yield cluster
