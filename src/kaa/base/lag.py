"""How late the event loop is: the time between when a timer was due and when it ran.

The loop promises that no callback holds it for over five milliseconds; this is how that promise is watched. Samples are
kept as counts in fixed buckets, so a meter costs the same after a year as after a second.
"""

import asyncio
import time
from bisect import bisect_left

__all__ = ["BOUNDS_SECONDS", "LagMeter"]

#: Upper bounds of the buckets; what is later than the last is counted as later.
BOUNDS_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class LagMeter:
    """Samples the running loop each `interval_seconds` from `start` until `stop`."""

    def __init__(self, interval_seconds: float = 0.25) -> None:
        self.interval_seconds = interval_seconds
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.reset()

    def reset(self) -> None:
        """Forget the samples so far."""
        #: Samples per bucket of `BOUNDS_SECONDS`, and one more for what was later than all.
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0
        self.max_seconds = 0.0

    def start(self) -> None:
        """Begin to sample the running loop."""
        self._next(asyncio.get_running_loop())

    def stop(self) -> None:
        """End sampling; the samples stay."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def quantile(self, share: float) -> float:
        """The bound under which that share of the samples lies, in seconds; the greatest sample beyond the last."""
        wanted, seen = share * sum(self.counts), 0
        for bound, count in zip(BOUNDS_SECONDS, self.counts, strict=False):
            seen += count
            if seen >= wanted:
                return bound
        return self.max_seconds

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not the loop's own time: uvloop looks at the clock once a turn, so it would not see what this turn took.
        self._due = time.monotonic() + self.interval_seconds
        self._handle = loop.call_later(self.interval_seconds, self._sample, loop)

    def _sample(self, loop: asyncio.AbstractEventLoop) -> None:
        late = max(0.0, time.monotonic() - self._due)
        self.counts[bisect_left(BOUNDS_SECONDS, late)] += 1
        self.sum_seconds += late
        self.max_seconds = max(self.max_seconds, late)
        self._next(loop)
