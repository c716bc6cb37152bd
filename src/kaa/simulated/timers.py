"""One task that waits for many moments."""

import asyncio
import heapq
import itertools
from collections.abc import Callable

from kaa.base.clock import Clock
from kaa.base.tasks import spawn

__all__ = ["Timers"]


class Timers:
    """Calls functions later, in order of their moments; equal moments in the order they were asked for.

    There is a task only while something is waited for, and it is started anew only when an earlier moment comes in.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._task: asyncio.Task[None] | None = None
        self._wakes_at = 0.0

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call it when so many seconds have gone by; never during this call. `call` must be quick and not raise."""
        at = self._clock.monotonic() + max(0.0, seconds)
        heapq.heappush(self._heap, (at, next(self._order), call))
        if self._task is None or self._task.done():
            self._start(at)
        elif at < self._wakes_at:
            self._task.cancel()
            self._start(at)

    def _start(self, at: float) -> None:
        self._wakes_at = at
        self._task = spawn(self._run(), name="simulated-timers")

    async def _run(self) -> None:
        while self._heap:
            at = self._heap[0][0]
            self._wakes_at = at
            await self._clock.sleep(at - self._clock.monotonic())
            now = self._clock.monotonic()
            while self._heap and self._heap[0][0] <= now:
                heapq.heappop(self._heap)[2]()

    async def close(self) -> None:
        """Forget all that was asked for."""
        self._heap.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
