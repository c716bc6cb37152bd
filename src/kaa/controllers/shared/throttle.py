"""News that may wait a little: the first at once, what follows at most once per window.

Fifty pods that turn ready one after another are one or two changes of their owner's status, not fifty.
"""

from kaa.base.clock import Clock
from kaa.runtime.queue import WorkQueue

__all__ = ["Throttle"]

_KEYS_MAX = 10_000


class Throttle:
    """Adds keys to a queue, each at most once per `seconds`. Remembers so many keys; past that it forgets all of them,
    which costs an early look at each."""

    def __init__(self, queue: WorkQueue, clock: Clock, seconds: float) -> None:
        self._queue = queue
        self._clock = clock
        self._seconds = seconds
        self._slots: dict[str, float] = {}  # the last time each key was, or will be, queued

    def add(self, key: str) -> None:
        """Have a key looked at, now or at the end of its window."""
        now = self._clock.monotonic()
        slot = self._slots.get(key)
        if slot is None or now - slot >= self._seconds:
            if len(self._slots) >= _KEYS_MAX:
                self._slots.clear()
            self._slots[key] = now
            self._queue.add(key)
            return
        if slot <= now:
            slot = self._slots[key] = slot + self._seconds
        # Also when one is due already: an earlier wish for the key may have taken its timer's place.
        self._queue.add_after(key, slot - now)
