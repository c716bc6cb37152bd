"""Keys in order: a list of short sorted lists, so that an insertion moves a few hundred references, not all of them."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator

__all__ = ["SortedKeys"]

_RUN_MAX = 1024


class SortedKeys:
    """A sorted set of text. Add, discard and seek cost about a microsecond at 200,000 keys."""

    def __init__(self) -> None:
        self._runs: list[list[str]] = []
        self._lasts: list[str] = []  # the greatest key of each run

    def add(self, key: str) -> None:
        """Put in a key that is not in the set yet."""
        if not self._runs:
            self._runs.append([key])
            self._lasts.append(key)
            return
        at = min(bisect_left(self._lasts, key), len(self._runs) - 1)
        run = self._runs[at]
        insort(run, key)
        self._lasts[at] = run[-1]
        if len(run) > _RUN_MAX:
            half = len(run) // 2
            self._runs[at : at + 1] = [run[:half], run[half:]]
            self._lasts[at : at + 1] = [run[half - 1], run[-1]]

    def remove(self, key: str) -> None:
        """Take out a key that is in the set."""
        at = bisect_left(self._lasts, key)
        run = self._runs[at]
        del run[bisect_left(run, key)]
        if run:
            self._lasts[at] = run[-1]
        else:
            del self._runs[at], self._lasts[at]

    def between(self, start: str, end: str | None, *, after: bool = False) -> Iterator[str]:
        """Keys from `start` (strictly after it, if `after`) up to but not including `end`. Don't change the set
        while this runs.
        """
        seek = bisect_right if after else bisect_left
        first = seek(self._lasts, start)
        for at in range(first, len(self._runs)):
            run = self._runs[at]
            low = seek(run, start) if at == first else 0
            if end is not None and run[-1] >= end:
                yield from run[low : bisect_left(run, end)]
                return
            yield from run[low:] if low else run

    def count(self, start: str, end: str | None, *, after: bool = False) -> int:
        """How many keys `between` would give."""
        seek = bisect_right if after else bisect_left
        return max(0, self._rank(end) - self._rank(start, seek))

    def _rank(self, key: str | None, seek: Callable[[list[str], str], int] = bisect_left) -> int:
        if key is None:
            return sum(map(len, self._runs))
        at = seek(self._lasts, key)
        below = sum(len(run) for run in self._runs[:at])
        return below + (seek(self._runs[at], key) if at < len(self._runs) else 0)
