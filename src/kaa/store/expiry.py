"""Deleting what has outlived its time to live, a bounded number at a time."""

import asyncio
from collections.abc import Awaitable, Callable

from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.base.tasks import spawn
from kaa.store.api import StoreClosed, StoreError

__all__ = ["BATCH_MAX", "TICK_SECONDS", "Expirer"]

BATCH_MAX = 256
"""Entries deleted under one revision; more of them wait for the next turn of the loop."""
TICK_SECONDS = 0.5
"""Expiries are looked at this often at most, so an entry may live that much longer than it asked for."""
_RETRY_SECONDS = 5.0

_log = Logger("store")


class Expirer:
    """Calls `expire(now, limit)` when something is due. It deletes up to `limit` due entries and returns the time of
    the next one, None if there is none. No task runs while nothing can expire.
    """

    def __init__(self, clock: Clock, expire: Callable[[float, int], Awaitable[float | None]]) -> None:
        self._clock = clock
        self._expire = expire
        self._due: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._sleeping = False

    def due(self, at: float) -> None:
        """Something expires at that time (seconds since the epoch)."""
        if self._due is not None and at >= self._due - TICK_SECONDS:
            return
        self._due = at if self._due is None else min(at, self._due)
        if self._task is not None and self._sleeping:
            self._task.cancel()
            self._task = None
        if self._task is None:
            self._task = spawn(self._run(), name="store/expiry")

    async def close(self) -> None:
        """Stop; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while self._due is not None:
            self._sleeping = True
            await self._clock.sleep(max(TICK_SECONDS, self._due - self._clock.now()))
            self._sleeping = False
            # `due` may name an earlier time while `expire` works: keep whichever comes first.
            self._due = None
            try:
                following = await self._expire(self._clock.now(), BATCH_MAX)
                while following is not None and following <= self._clock.now():
                    await self._clock.sleep(0)
                    following = await self._expire(self._clock.now(), BATCH_MAX)
            except StoreClosed:
                break
            except StoreError as error:
                _log.warning("expired entries could not be deleted; trying again", error=str(error))
                following = self._clock.now() + _RETRY_SECONDS
            if following is not None:
                self._due = following if self._due is None else min(following, self._due)
        self._task = None
