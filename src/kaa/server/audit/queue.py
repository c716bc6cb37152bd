"""A bounded queue in front of a backend: taking is cheap and never waits, writing happens elsewhere."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.server.audit.event import Record

__all__ = ["Backend", "Batching", "Queue"]

_log = Logger("audit")
COMPLAINT_SECONDS = 10.0


class Backend(Protocol):
    """Where events go."""

    name: str

    async def write(self, records: Sequence[Record]) -> None:
        """Write them, in order; returns when they are where they belong. Raises what keeps them from it."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True)
class Batching:
    """How events gather before they are written."""

    #: Events that wait at most; what comes on top is dropped, and counted.
    buffer_size: int = 10_000
    #: Events in one batch.
    batch_size_max: int = 400
    #: How long a batch waits to fill.
    wait_seconds: float = 30.0
    #: Batches per second, on average and in a burst; 0: as fast as they come.
    batches_per_second: float = 0.0
    batches_burst: int = 1


class Queue:
    """Feeds one backend. `run` works until it is cancelled; `close` writes what is left."""

    def __init__(self, backend: Backend, batching: Batching, clock: Clock, *, blocking: bool = False,
                 patient: bool = False) -> None:  # fmt: skip
        self.backend = backend
        #: A request is answered when its events have been written.
        self.blocking = blocking
        #: So it is, too, while more than half of the room is taken: rather slow than without a trace.
        self.patient = patient
        #: Events that were lost: no room for them, or the backend failed.
        self.lost = 0
        self._batching = batching
        self._clock = clock
        self._waiting: deque[Record] = deque()
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._put = self._written = 0
        self._progress: asyncio.Future[None] | None = None
        self._tokens = float(batching.batches_burst)
        self._filled_at = clock.monotonic()
        self._complained_at = float("-inf")

    def put(self, record: Record) -> None:
        """Take an event; it is dropped when the queue is full."""
        waiting = self._waiting
        if len(waiting) >= self._batching.buffer_size:
            self._lose(1, "the audit queue is full")
            return
        waiting.append(record)
        self._put += 1
        if len(waiting) == 1:
            self._some.set()
        if len(waiting) >= self._batching.batch_size_max:
            self._enough.set()

    @property
    def crowded(self) -> bool:
        """Whoever adds to it should wait until it is shorter."""
        return self.patient and len(self._waiting) * 2 > self._batching.buffer_size

    async def through(self) -> None:
        """Wait until what was put so far has been written, or has been given up."""
        mark = self._put
        while self._written < mark:
            if self._progress is None:
                self._progress = asyncio.get_running_loop().create_future()
                self._enough.set()  # nobody is kept waiting for a batch to fill
            await asyncio.shield(self._progress)

    async def run(self) -> None:
        """Write batches until cancelled."""
        while True:
            await self._some.wait()
            wait = 0.0 if self.blocking else self._batching.wait_seconds
            if wait and len(self._waiting) < self._batching.batch_size_max and self._progress is None:
                await self._fill(wait)
            await self._throttle()
            await self._write()

    async def _fill(self, seconds: float) -> None:
        """Until a batch is full, or has waited long enough."""
        self._enough.clear()
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))  # noqa: TID251 - ended below
        enough = asyncio.ensure_future(self._enough.wait())  # noqa: TID251 - ended below
        try:
            await asyncio.wait({sleeping, enough}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            enough.cancel()

    async def _throttle(self) -> None:
        rate = self._batching.batches_per_second
        if not rate:
            return
        while True:
            now = self._clock.monotonic()
            self._tokens = min(self._batching.batches_burst, self._tokens + (now - self._filled_at) * rate)
            self._filled_at = now
            if self._tokens >= 1:
                self._tokens -= 1
                return
            await self._clock.sleep((1 - self._tokens) / rate)

    async def _write(self) -> None:
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(min(len(waiting), self._batching.batch_size_max))]
        if not waiting:
            self._some.clear()
        try:
            if batch:
                await self.backend.write(batch)
        except Exception as error:
            self._lose(len(batch), str(error) or repr(error))
        finally:
            self._written += len(batch)
            if self._progress is not None:
                self._progress.set_result(None)
                self._progress = None

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        now = self._clock.monotonic()
        if now - self._complained_at >= COMPLAINT_SECONDS:
            self._complained_at = now
            _log.error("audit events are lost", backend=self.backend.name, lost=self.lost, error=why)

    async def close(self) -> None:
        """Write what waits (nobody else may be in `run`), and let the backend go."""
        while self._waiting:
            await self._write()
        await self.backend.close()
