"""Keys to look at: each at most once at a time, failures further and further apart."""

import asyncio
from collections import deque

from kaa.base.clock import Clock
from kaa.runtime.timers import Timer, Timers

__all__ = ["BACKOFF_SECONDS_FIRST", "BACKOFF_SECONDS_MAX", "WorkQueue"]

BACKOFF_SECONDS_FIRST = 0.005
BACKOFF_SECONDS_MAX = 1000.0


class WorkQueue:
    """A set of keys in order of arrival. Bounded by the number of distinct keys: adding one that waits does nothing.

    A key that is being worked on is not handed out again; added meanwhile, it waits until `done`. So one key has one
    worker at a time, and nothing that happened during its work is missed. Every operation is O(1), timed ones O(log n).
    """

    def __init__(self, clock: Clock, name: str = "") -> None:
        self.name = name
        self._clock = clock
        self._timers = Timers(clock, f"queue-{name}")
        self._waiting: deque[str] = deque()
        self._dirty: dict[str, float] = {}  # keys that want work, since when
        self._working: set[str] = set()
        self._failures: dict[str, int] = {}
        self._later: dict[str, Timer] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        #: Totals since the start, for metrics.
        self.adds = 0
        self.retries = 0
        self.waited_seconds = 0.0

    def __len__(self) -> int:
        """Keys waiting for a worker."""
        return len(self._waiting)

    @property
    def working(self) -> int:
        """Keys handed out and not done."""
        return len(self._working)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being worked on; what is due later does not count."""
        return not self._waiting and not self._working

    def add(self, key: str) -> None:
        """Want work on the key, as soon as there is a worker."""
        if key in self._dirty:
            return
        self.adds += 1
        self._dirty[key] = self._clock.monotonic()
        if key not in self._working:
            self._waiting.append(key)
            self._wake()

    def add_after(self, key: str, seconds: float) -> None:
        """Want work on the key in `seconds`. Of several such wishes for a key the earliest counts."""
        if seconds <= 0:
            self.add(key)
            return
        held = self._later.get(key)
        if held is not None:
            if held.deadline <= self._clock.monotonic() + seconds:
                return
            held.cancel()
        self._later[key] = self._timers.after(seconds, lambda: self._due(key))

    def add_backoff(self, key: str) -> float:
        """Want work on a key that failed: after 5 ms, twice that at each failure since `forget`, at most 1000 s.

        Returns the wait in seconds.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.retries += 1
        # The exponent is bounded before the power is taken: 2.0 ** 1024 overflows.
        wait = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_FIRST * 2.0 ** min(failures, 40))
        self.add_after(key, wait)
        return wait

    def forget(self, key: str) -> None:
        """The key is well again: its next failure waits 5 ms."""
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """Failures in a row."""
        return self._failures.get(key, 0)

    async def get(self) -> str:
        """The next key, once there is one. The caller must call `done` with it."""
        while not self._waiting:
            turn = asyncio.get_running_loop().create_future()
            self._getters.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake()  # woken and cancelled at once: pass the turn on
                raise
            finally:
                if not turn.done():
                    turn.cancel()
        key = self._waiting.popleft()
        self.waited_seconds += self._clock.monotonic() - self._dirty.pop(key)
        self._working.add(key)
        if self._waiting:
            self._wake()
        return key

    def done(self, key: str) -> None:
        """The work on the key is over; if it was added meanwhile, it waits again."""
        self._working.discard(key)
        if key in self._dirty:
            self._waiting.append(key)
            self._wake()

    def clear(self) -> None:
        """Forget everything. Keys handed out may still be `done`."""
        self._timers.close()
        self._waiting.clear()
        self._dirty.clear()
        self._working.clear()
        self._failures.clear()
        self._later.clear()

    def _due(self, key: str) -> None:
        self._later.pop(key, None)
        self.add(key)

    def _wake(self) -> None:
        while self._getters:
            turn = self._getters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
