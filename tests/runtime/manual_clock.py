"""A clock that moves only when told to."""

import asyncio
import heapq

from kaa.base.clock import Clock


class ManualClock(Clock):
    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self._at = at
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> float:
        return self._at

    def monotonic(self) -> float:
        return self._at - 1_700_000_000.0

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        done = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._at + seconds, self._count, done))
        await done

    async def advance(self, seconds: float) -> None:
        """Move on, waking whoever sleeps until then, in order, and letting what follows happen."""
        await settle()
        end = self._at + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, done = heapq.heappop(self._sleepers)
            self._at = max(self._at, at)
            if not done.done():
                done.set_result(None)
            await settle()
        self._at = end
        await settle()


async def settle(turns: int = 60) -> None:
    """Let everything that can happen without time happen."""
    for _ in range(turns):
        await asyncio.sleep(0)
