"""What the scheduler writes, so many requests at once: bindings first, then what pods are told about themselves."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from kaa.base.log import Logger
from kaa.base.tasks import Scope

__all__ = ["Writer"]

Work = Callable[[], Awaitable[None]]
_NOTES_MAX = 10_000
_log = Logger("scheduler")


class Writer:
    """Runs work in up to `in_flight_max` tasks, which live as long as there is work.

    Works handle their own errors. Notes (conditions) wait in a dict by key: a newer one takes the place of an older;
    beyond 10,000 the oldest is dropped, as the next try will say it again.
    """

    def __init__(self, in_flight_max: int) -> None:
        self._max = in_flight_max
        self._first: deque[Work] = deque()
        self._notes: dict[str, Work] = {}
        self._running = 0
        self._room = asyncio.Event()
        self._room.set()
        self._scope: Scope | None = None
        self.dropped = 0

    def start(self, scope: Scope) -> None:
        """Work in tasks of `scope` from now on."""
        self._scope = scope
        self._first.clear()
        self._notes.clear()
        self._running = 0
        self._room.set()

    @property
    def idle(self) -> bool:
        """Nothing is written or waits to be."""
        return not self._running

    async def room(self) -> None:
        """Until one more binding can be taken without waiting behind others."""
        if len(self._first) >= self._max:
            self._room.clear()
            await self._room.wait()

    def first(self, work: Work) -> None:
        """Do this as soon as possible."""
        self._first.append(work)
        self._spawn()

    def note(self, key: str, work: Work) -> None:
        """Do this when nothing more pressing is left."""
        self._notes.pop(key, None)
        if len(self._notes) >= _NOTES_MAX:
            del self._notes[next(iter(self._notes))]
            self.dropped += 1
        self._notes[key] = work
        self._spawn()

    def _spawn(self) -> None:
        if self._running < self._max and self._scope is not None:
            self._running += 1
            self._scope.spawn(self._work(), name="writer")

    async def _work(self) -> None:
        try:
            while True:
                if self._first:
                    work = self._first.popleft()
                    if len(self._first) < self._max:
                        self._room.set()
                elif self._notes:
                    key = next(iter(self._notes))
                    work = self._notes.pop(key)
                else:
                    return
                try:
                    await work()
                except Exception as error:
                    _log.error("a write of the scheduler failed", error=repr(error), exc=error)
        finally:
            self._running -= 1
