"""Handing events to whoever listens, without ever waiting for them."""

import asyncio
from collections.abc import AsyncIterator

from kaa.kubelet.cri import api

__all__ = ["Watchers"]

QUEUE_MAX = 4096


class Watchers:
    """The listeners of one runtime. One that falls behind by `QUEUE_MAX` events is cut off, and lists again."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[api.RuntimeEvent | None]] = set()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def tell(self, event: api.RuntimeEvent) -> None:
        """Never waits."""
        for queue in list(self._queues):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._cut(queue)

    def _cut(self, queue: "asyncio.Queue[api.RuntimeEvent | None]") -> None:
        self._queues.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    def events(self) -> AsyncIterator[api.RuntimeEvent]:
        """Events from this call on, also before the first step."""
        queue: asyncio.Queue[api.RuntimeEvent | None] = asyncio.Queue(QUEUE_MAX)
        self._queues.add(queue)
        return self._drain(queue)

    async def _drain(self, queue: "asyncio.Queue[api.RuntimeEvent | None]") -> AsyncIterator[api.RuntimeEvent]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._queues.discard(queue)
        raise api.RuntimeFailed("the event stream was cut off; list again", "unavailable")

    def close(self) -> None:
        """End every stream."""
        for queue in list(self._queues):
            self._cut(queue)
