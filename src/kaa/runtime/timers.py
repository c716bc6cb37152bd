"""Many deadlines, one sleeping task: what queues and gates wait with."""

import asyncio
import heapq
from collections.abc import Callable

from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.base.tasks import spawn

__all__ = ["Timer", "Timers"]

_log = Logger("timers")


class Timer:
    """One deadline; `cancel` makes it not happen."""

    __slots__ = ("callback", "deadline")

    def __init__(self, deadline: float, callback: Callable[[], object]) -> None:
        self.deadline = deadline
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Do not call back. Safe after the fact."""
        self.callback = None


class Timers:
    """Calls back when the clock reaches a deadline. O(log n) each; cancelled entries go when their time comes."""

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock = clock
        self._name = name
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._sleeper: asyncio.Task[None] | None = None
        self._wakes_at = 0.0

    def after(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back once, in `seconds` or as soon after as the loop can."""
        timer = Timer(self._clock.monotonic() + seconds, callback)
        self._count += 1
        heapq.heappush(self._heap, (timer.deadline, self._count, timer))
        if self._sleeper is None:
            self._sleep(timer.deadline)
        elif timer.deadline < self._wakes_at:
            self._sleeper.cancel()
            self._sleep(timer.deadline)
        return timer

    def close(self) -> None:
        """Forget every deadline."""
        self._heap.clear()
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None

    def _sleep(self, until: float) -> None:
        self._wakes_at = until
        self._sleeper = spawn(self._run(), name=f"timers/{self._name}")

    async def _run(self) -> None:
        while self._heap:
            self._wakes_at = self._heap[0][0]
            await self._clock.sleep(self._wakes_at - self._clock.monotonic())
            # A callback may set new timers: they are taken by the next turn, not by another sleeper.
            self._wakes_at = float("-inf")
            now = self._clock.monotonic()
            while self._heap and self._heap[0][0] <= now:
                callback = heapq.heappop(self._heap)[2].callback
                if callback is not None:
                    try:
                        callback()
                    except Exception as error:
                        _log.error("timer callback failed", timers=self._name, error=repr(error), exc=error)
        self._sleeper = None
