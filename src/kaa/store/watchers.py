"""Handing events to callbacks and watchers: what the drivers share. Nothing here waits for a slow consumer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from kaa.base.log import Logger
from kaa.store.api import Apply, Event, SlowWatcher, StoreClosed, StoreError

__all__ = ["BUFFERED_EVENTS_MAX", "Applier", "History", "PrefixWatch"]

BUFFERED_EVENTS_MAX = 16_384
"""Live events one watcher may leave unread; beyond it the watcher is cut off."""

History = Callable[[str, int, int], Awaitable[tuple[list[Event], int]]]
"""(prefix, first, last) -> some events of the revisions first..last, in order, and the last revision they cover.

It returns at least one revision's worth of progress per call; raises Compacted if first is gone.
"""

_log = Logger("store")


class PrefixWatch:
    """A `Watch`: first what `history` gives, then what `offer` brought in the meantime and since."""

    def __init__(self, applier: "Applier", prefix: str, from_revision: int, last: int, history: History) -> None:
        self.prefix = prefix
        self._applier = applier
        self._next = from_revision
        self._last = last
        self._history = history
        self._events: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: StoreError | None = None
        self._closed = False

    def offer(self, events: Sequence[Event]) -> None:
        """Take the events under the prefix; a full buffer cuts this watcher off."""
        prefix = self.prefix
        self._events.extend([e for e in events if e.key.startswith(prefix)] if prefix else events)
        if len(self._events) > BUFFERED_EVENTS_MAX:
            self.fail(
                SlowWatcher(
                    f"a watcher of {prefix or 'everything'} left {len(self._events)} events unread and was cut off: "
                    "watch again from the last revision seen"
                )
            )
        elif self._events:
            self._wake()

    def fail(self, error: StoreError) -> None:
        """End with an error; what was buffered is dropped."""
        if not self._closed and self._error is None:
            self._error = error
            self._events.clear()
            self._applier.forget(self)
            self._wake()

    def close(self) -> None:
        self._closed = True
        self._events.clear()
        self._applier.forget(self)
        self._wake()

    def __aiter__(self) -> "PrefixWatch":
        return self

    async def __anext__(self) -> list[Event]:
        while True:
            if self._closed:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            if self._next <= self._last:
                past, covered = await self._history(self.prefix, self._next, self._last)
                self._next = covered + 1
                if past and not self._closed:
                    return past
            elif self._events:
                events = list(self._events)
                self._events.clear()
                return events
            else:
                self._waiter = asyncio.get_running_loop().create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Applier:
    """The callbacks and watchers of one store."""

    def __init__(self) -> None:
        self.applying = False
        self._callbacks: list[Apply] = []
        self._watches: dict[PrefixWatch, None] = {}  # a dict for its order: the same run each time

    def add(self, callback: Apply) -> None:
        """Call it for every later batch, after the callbacks that were added before it."""
        self._callbacks.append(callback)

    def watch(self, prefix: str, from_revision: int, revision: int, history: History) -> PrefixWatch:
        """A watch that reads history up to `revision`, which must be the last applied one."""
        watch = PrefixWatch(self, prefix, from_revision or revision + 1, revision, history)
        self._watches[watch] = None
        return watch

    def forget(self, watch: PrefixWatch) -> None:
        """The watch has ended."""
        self._watches.pop(watch, None)

    def apply(self, events: Sequence[Event]) -> None:
        """Hand out one batch. An error of a callback is logged: the write is durable, whatever its readers do."""
        self.applying = True
        try:
            for callback in self._callbacks:
                try:
                    callback(events)
                except Exception as error:
                    _log.error("an apply callback failed", callback=repr(callback), exc=error)
            if self._watches:
                for watch in list(self._watches):
                    watch.offer(events)
        finally:
            self.applying = False

    def refuse_nested(self) -> None:
        """Raise RuntimeError inside an apply callback: a commit there could not keep the order."""
        if self.applying:
            raise RuntimeError("commit was called from an apply callback: schedule it on the loop instead")

    def close(self) -> None:
        """End every watch with StoreClosed."""
        for watch in list(self._watches):
            watch.fail(StoreClosed())
