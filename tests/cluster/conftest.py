"""One real node per module."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kaa.cluster.preflight import preflight
from kaa.testing.real_node import RealNode, real_node


@pytest.fixture(scope="module")
def node() -> Iterator[RealNode]:
    """A running containerd with the built-in images. Fails, not skips, where containers cannot run."""
    missing = preflight()
    assert not missing, "; ".join(map(str, missing))
    with tempfile.TemporaryDirectory(prefix="kaa-e2e-") as directory, asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield runner.run(stack.enter_async_context(real_node(Path(directory))))
        finally:
            runner.run(stack.aclose())
