"""The only door to time.

Parts take a `Clock` and never call the time functions of the standard library, so that the same code runs under
real time and, in a simulated world, under a virtual one.
"""

import asyncio
import datetime
import time
from functools import lru_cache

__all__ = ["REAL", "Clock", "format_micro", "format_seconds", "parse_seconds"]


class Clock:
    """Real time. A virtual world substitutes a subclass that moves only when told to."""

    def now(self) -> float:
        """Seconds since the Unix epoch: for what is written into objects."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back: for measuring and for deadlines."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less yields once to the other tasks."""
        await asyncio.sleep(max(0.0, seconds))


REAL = Clock()


def format_seconds(at: float) -> str:
    """RFC 3339 with whole seconds, as the API writes `Time`: `2026-01-02T03:04:05Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def format_micro(at: float) -> str:
    """RFC 3339 with six digits, as the API writes `MicroTime` (leases, events)."""
    whole = int(at // 1)
    micro = min(999_999, int((at - whole) * 1_000_000))
    return f"{_to_the_second(whole)}.{micro:06d}Z"


@lru_cache(maxsize=16)
def _to_the_second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


def parse_seconds(text: str) -> float:
    """Seconds since the epoch from RFC 3339, with or without a fraction. Raises ValueError."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
