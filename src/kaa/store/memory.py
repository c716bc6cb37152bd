"""The store in this process's memory: for tests, simulated worlds and clusters that need not outlive their process.

Nothing waits: a commit is done, and applied, when `commit` returns.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Generator
from heapq import heappop, heappush
from typing import NamedTuple

from kaa.base.clock import REAL, Clock
from kaa.store.api import (
    FIRST_REVISION,
    Apply,
    Commits,
    Compacted,
    Delete,
    Entry,
    Event,
    FutureRevision,
    Mismatch,
    Op,
    Put,
    Range,
    StoreClosed,
    StoreError,
    check_ops,
    check_readable,
    prefix_end,
)
from kaa.store.expiry import Expirer
from kaa.store.sortedkeys import SortedKeys
from kaa.store.watchers import Applier, PrefixWatch

__all__ = ["MemoryStore"]

_HISTORY_READ_MAX = 1000


class _Change(NamedTuple):
    """One event, and the entry it replaced: enough to look back by undoing."""

    event: Event
    before: Entry | None


def _revision_of(change: _Change) -> int:
    return change.event.mod_revision


class _Done:
    """A commit that has happened; awaiting it does not suspend."""

    __slots__ = ("revision",)

    def __init__(self, revision: int) -> None:
        self.revision = revision

    def __await__(self) -> Generator[None, None, int]:
        return self.revision
        yield  # type: ignore[unreachable]  # makes this a generator, which is what `await` wants


class _Refused:
    """A commit that was refused; awaiting it says why."""

    __slots__ = ("error",)

    def __init__(self, error: StoreError) -> None:
        self.error = error

    def __await__(self) -> Generator[None, None, int]:
        raise self.error
        yield  # type: ignore[unreachable]


class MemoryStore:
    """A `Store` without durability.

    History is bounded by events and by the bytes of replaced values (current values cost nothing extra); beyond
    either bound the oldest quarter of it is compacted.
    """

    def __init__(
        self,
        clock: Clock = REAL,
        *,
        history_events_max: int = 65_536,
        history_bytes_max: int = 64 * 1024 * 1024,
    ) -> None:
        self._clock = clock
        self._revision = FIRST_REVISION
        self._compacted = 0
        self._entries: dict[str, Entry] = {}
        self._keys = SortedKeys()
        self._changes: list[_Change] = []
        self._replaced_bytes = 0
        self._events_max = history_events_max
        self._bytes_max = history_bytes_max
        self._applier = Applier()
        self._expirer = Expirer(clock, self._expire)
        self._expiries: list[tuple[float, str, int]] = []
        self._closed = False

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def compacted(self) -> int:
        return self._compacted

    def on_apply(self, callback: Apply) -> None:
        self._applier.add(callback)

    def commit(self, *ops: Op) -> Commits:
        self._applier.refuse_nested()
        check_ops(ops)
        if self._closed:
            return _Refused(StoreClosed())
        entries = self._entries
        for op in ops:
            if op.expected is not None:
                current = entries.get(op.key)
                if (0 if current is None else current.mod_revision) != op.expected:
                    return _Refused(Mismatch(op.key, current))
        revision = self._revision + 1
        events: list[Event] = []
        for op in ops:
            key = op.key
            before = entries.get(key)
            if type(op) is Put:
                event = Event(
                    key,
                    op.value,
                    None if before is None else before.value,
                    revision,
                    revision if before is None else before.create_revision,
                    False,
                )
                entries[key] = Entry(key, op.value, event.create_revision, revision)
                if before is None:
                    self._keys.add(key)
                if op.ttl_seconds is not None:
                    self._expire_at(self._clock.now() + op.ttl_seconds, key, revision)
            elif before is None:
                continue
            else:
                event = Event(key, b"", before.value, revision, before.create_revision, True)
                del entries[key]
                self._keys.remove(key)
            if before is not None:
                self._replaced_bytes += len(before.value)
            self._changes.append(_Change(event, before))
            events.append(event)
        if not events:
            return _Done(self._revision)
        self._revision = revision
        if len(self._changes) > self._events_max or self._replaced_bytes > self._bytes_max:
            self._bound_history()
        self._applier.apply(events)
        return _Done(revision)

    async def get(self, key: str, revision: int = 0) -> Entry | None:
        self._check_open()
        if revision:
            check_readable(revision, self._compacted, self._revision)
            for change in self._changes[self._after(revision) :]:
                if change.event.key == key:
                    return change.before
        return self._entries.get(key)

    async def range(self, start_prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Range:
        self._check_open()
        end = prefix_end(start_prefix)
        strictly = after >= start_prefix and bool(after)
        start = after if strictly else start_prefix
        if revision and revision != self._revision:
            check_readable(revision, self._compacted, self._revision)
            found = self._range_at(start, end, strictly, revision)
            taken = found[:limit] if limit else found
            return Range(taken, revision, len(taken) < len(found), len(found))
        entries = self._entries
        taken = []
        for key in self._keys.between(start, end, after=strictly):
            taken.append(entries[key])
            if len(taken) == limit:
                count = self._keys.count(start, end, after=strictly)
                return Range(taken, self._revision, count > limit, count)
        return Range(taken, self._revision, False, len(taken))

    async def watch(self, prefix: str, from_revision: int = 0) -> PrefixWatch:
        self._check_open()
        if from_revision and from_revision <= self._compacted:
            raise Compacted(from_revision, self._compacted)
        if from_revision > self._revision + 1:
            raise FutureRevision(from_revision, self._revision)
        return self._applier.watch(prefix, from_revision, self._revision, self._history)

    async def compact(self, revision: int) -> None:
        self._check_open()
        if revision <= self._compacted:
            raise Compacted(revision, self._compacted)
        check_readable(revision, self._compacted, self._revision)
        self._forget(revision)

    async def close(self) -> None:
        self._closed = True
        self._applier.close()
        await self._expirer.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed()

    def _after(self, revision: int) -> int:
        return bisect_right(self._changes, revision, key=_revision_of)

    def _range_at(self, start: str, end: str | None, strictly: bool, revision: int) -> list[Entry]:
        """The range as it was: today's entries with the changes since undone, latest first."""
        found = {key: self._entries[key] for key in self._keys.between(start, end, after=strictly)}
        for change in reversed(self._changes[self._after(revision) :]):
            key = change.event.key
            if key < start or (strictly and key == start) or (end is not None and key >= end):
                continue
            if change.before is None:
                found.pop(key, None)
            else:
                found[key] = change.before
        return [found[key] for key in sorted(found)]

    async def _history(self, prefix: str, first: int, last: int) -> tuple[list[Event], int]:
        if first <= self._compacted:
            raise Compacted(first, self._compacted)
        low = bisect_left(self._changes, first, key=_revision_of)
        high = self._after(last)
        if high - low > _HISTORY_READ_MAX:
            last = _revision_of(self._changes[low + _HISTORY_READ_MAX])
            high = self._after(last)
        return [c.event for c in self._changes[low:high] if c.event.key.startswith(prefix)], last

    def _bound_history(self) -> None:
        keep_from = max(1, len(self._changes) // 4)
        while keep_from < len(self._changes):
            over = self._replaced_bytes - sum(len(c.before.value) for c in self._changes[:keep_from] if c.before)
            if over <= self._bytes_max:
                break
            keep_from *= 2
        self._forget(_revision_of(self._changes[min(keep_from, len(self._changes)) - 1]))

    def _forget(self, revision: int) -> None:
        at = self._after(revision)
        self._replaced_bytes -= sum(len(c.before.value) for c in self._changes[:at] if c.before)
        del self._changes[:at]
        self._compacted = revision

    def _expire_at(self, at: float, key: str, revision: int) -> None:
        heappush(self._expiries, (at, key, revision))
        self._expirer.due(at)

    async def _expire(self, now: float, limit: int) -> float | None:
        due: list[Delete] = []
        while self._expiries and self._expiries[0][0] <= now and len(due) < limit:
            _, key, revision = heappop(self._expiries)
            entry = self._entries.get(key)
            if entry is not None and entry.mod_revision == revision:
                due.append(Delete(key, revision))
        if due:
            await self.commit(*due)
        return self._expiries[0][0] if self._expiries else None
