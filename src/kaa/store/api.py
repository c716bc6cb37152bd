"""The contract every driver keeps. `kaa.testing.store_contract` is the same contract as tests."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

__all__ = [
    "FIRST_REVISION",
    "KEY_BYTES_MAX",
    "OPS_MAX",
    "VALUE_BYTES_MAX",
    "Apply",
    "Commits",
    "Compacted",
    "Delete",
    "Entry",
    "Event",
    "FutureRevision",
    "Mismatch",
    "Op",
    "Put",
    "Range",
    "SlowWatcher",
    "Store",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "StoreUnusable",
    "Watch",
    "check_ops",
    "check_readable",
    "prefix_end",
]

FIRST_REVISION = 1
"""The revision of a store nothing was written to, as etcd's; the first write is revision 2."""
OPS_MAX = 512
"""Puts and deletes in one commit."""
KEY_BYTES_MAX = 4096
VALUE_BYTES_MAX = 8 * 1024 * 1024
"""Above the largest request the API server takes (3 MiB), so that it is the server that says no."""


class Entry(NamedTuple):
    """One key as it was at some revision."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int


class Range(NamedTuple):
    """Part of the keys under a prefix, in key order, as they all were at `revision`.

    `more` says that the limit cut it; `count` is how many entries the range holds without the limit (those after
    `after`), so `count - len(entries)` remain.
    """

    entries: list[Entry]
    revision: int
    more: bool
    count: int  # type: ignore[assignment]  # shadows tuple.count, which nobody calls on a Range


class Put(NamedTuple):
    """Write a value. `expected`: None always; 0 only if the key is absent; n only if its mod_revision is n.

    `ttl_seconds` lets the entry expire that long from now; a later put without it makes the entry permanent.
    """

    key: str
    value: bytes
    expected: int | None = None
    ttl_seconds: float | None = None


class Delete(NamedTuple):
    """Remove a key, under the same condition as Put's. Deleting an absent key changes nothing and makes no event."""

    key: str
    expected: int | None = None


Op: TypeAlias = Put | Delete


class Event(NamedTuple):
    """What the commit `mod_revision` did to one key.

    A put carries the new `value`, a delete `b""`; `previous` is the value before, None if there was none.
    `create_revision` is that of the written entry, for a delete that of the removed one.
    """

    key: str
    value: bytes
    previous: bytes | None
    mod_revision: int
    create_revision: int
    deleted: bool


Apply: TypeAlias = Callable[[Sequence[Event]], None]


class StoreError(Exception):
    """Anything a store refuses or fails at."""


class Mismatch(StoreError):
    """A condition did not hold: nothing was written and no revision was taken. `current` is what is there instead."""

    def __init__(self, key: str, current: Entry | None) -> None:
        found = f"is at revision {current.mod_revision}" if current else "does not exist"
        super().__init__(f"{key} {found}, which is not what the write expected: read it again and retry")
        self.key = key
        self.current = current


class Compacted(StoreError):
    """That revision is no longer kept. `compacted_revision` is the oldest that can be read."""

    def __init__(self, requested: int, compacted_revision: int) -> None:
        super().__init__(
            f"revision {requested} has been compacted; the oldest that can be read is {compacted_revision}: list again"
        )
        self.requested = requested
        self.compacted_revision = compacted_revision


class FutureRevision(StoreError):
    """That revision does not exist yet; `revision` is the last one."""

    def __init__(self, requested: int, revision: int) -> None:
        super().__init__(f"revision {requested} is in the future; the store is at {revision}: retry later")
        self.requested = requested
        self.revision = revision


class SlowWatcher(StoreError):
    """The watcher did not take its events quickly enough and was cut off: watch again from the last seen revision."""


class StoreBusy(StoreError):
    """Too much is waiting already; nothing was done. Retry after a moment."""


class StoreClosed(StoreError):
    """The store was closed, so nothing more is read or written. Open it again."""

    def __init__(self, message: str = "the store is closed") -> None:
        super().__init__(message)


class StoreFailed(StoreError):
    """The disk or the file failed (the cause is chained). Of a write, the outcome is unknown: read before retrying."""


class StoreFull(StoreFailed):
    """There is no room: nothing was written. Free space on the disk, or raise the store's size limit."""


class StoreUnusable(StoreError):
    """The store can't be opened: another process has it, it is newer than this version, or it is not a store."""


class Watch(Protocol):
    """Batches of events in revision order, each revision whole, nothing left out and nothing twice.

    One consumer. Iterating raises SlowWatcher when it fell too far behind, Compacted when the history it still had
    to read was compacted, StoreClosed when the store closes.
    """

    def __aiter__(self) -> AsyncIterator[list[Event]]:
        """Itself."""
        ...

    async def __anext__(self) -> list[Event]:
        """The next events; never an empty list. StopAsyncIteration after `close`."""
        ...

    def close(self) -> None:
        """Stop watching and drop what is buffered. Safe to call twice."""
        ...


Commits: TypeAlias = Awaitable[int]


class Store(Protocol):
    """One ordered map of keys to bytes, with its history. All methods are called on one event loop."""

    @property
    def revision(self) -> int:
        """The last revision that was committed and applied. Costs nothing."""
        ...

    @property
    def compacted(self) -> int:
        """The last compaction's revision, the oldest that can be read; 0 before the first compaction."""
        ...

    def commit(self, *ops: Op) -> Commits:
        """Do all of the ops under one new revision, or none of them.

        The write is under way when this returns, awaited or not; awaiting gives its revision once it is durable and
        every apply callback has run for it. A commit that changes nothing gives the current revision. Cancelling the
        wait does not undo the write. Raises ValueError at once for ops no store takes (none, more than OPS_MAX, a key
        twice, a bad key, a value that is too large); awaiting raises Mismatch, StoreBusy, StoreFailed, StoreFull or
        StoreClosed. Must not be called from an apply callback (RuntimeError).
        """
        ...

    async def get(self, key: str, revision: int = 0) -> Entry | None:
        """The entry now, or as it was at a revision. Raises Compacted, FutureRevision. Sees every answered write."""
        ...

    async def range(self, start_prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Range:
        """Entries whose key starts with `start_prefix`, strictly after the key `after`, at most `limit` (0: all).

        All of one revision: the given one, or the current one. Raises Compacted, FutureRevision.
        """
        ...

    def on_apply(self, callback: Apply) -> None:
        """Call `callback` with the events of each durable batch, on the loop, in revision order, before its writers
        are answered. It must be quick and must not raise (an error is logged, and the writers are still answered).
        """
        ...

    async def watch(self, prefix: str, from_revision: int = 0) -> Watch:
        """Events of keys under `prefix` from `from_revision` on, itself included: history, then live. 0: from now on.

        After a read at revision r, watch from r + 1. Raises Compacted if from_revision is not after `compacted`,
        FutureRevision if it is more than one past `revision`.
        """
        ...

    async def compact(self, revision: int) -> None:
        """Forget what entries were before `revision`, which stays readable. Raises Compacted if that was done already,
        FutureRevision if there is no such revision yet. Drivers also compact by themselves, to bound their history.
        """
        ...

    async def close(self) -> None:
        """Finish the writes under way, answer them, and let go of every resource. Safe to call twice."""
        ...


def check_ops(ops: Sequence[Op]) -> None:
    """Raise ValueError for what no store takes."""
    if not ops or len(ops) > OPS_MAX:
        raise ValueError(f"a commit takes 1 to {OPS_MAX} ops, not {len(ops)}: split it")
    if len(ops) > 1 and len({op.key for op in ops}) != len(ops):
        raise ValueError("a commit names each key once")
    for op in ops:
        key = op.key
        if not key or "\0" in key or len(key) > KEY_BYTES_MAX:
            raise ValueError(f"a key has 1 to {KEY_BYTES_MAX} bytes and no NUL: {key[:80]!r}")
        if not key.isascii() and len(key.encode()) > KEY_BYTES_MAX:  # lone surrogates raise a ValueError here too
            raise ValueError(f"a key has 1 to {KEY_BYTES_MAX} bytes: {key[:80]!r}")
        if type(op) is Put:
            if len(op.value) > VALUE_BYTES_MAX:
                raise ValueError(f"the value of {key} has {len(op.value)} bytes; the most is {VALUE_BYTES_MAX}")
            if op.ttl_seconds is not None and not op.ttl_seconds > 0:
                raise ValueError(f"the time to live of {key} must be positive, not {op.ttl_seconds}")


def check_readable(requested: int, compacted: int, revision: int) -> None:
    """Raise Compacted or FutureRevision unless that revision can be read."""
    if requested < max(compacted, FIRST_REVISION):
        raise Compacted(requested, max(compacted, FIRST_REVISION))
    if requested > revision:
        raise FutureRevision(requested, revision)


def prefix_end(prefix: str) -> str | None:
    """The smallest text above everything that starts with `prefix`; None when there is none."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            # Surrogates have no UTF-8 form, so no key lies there.
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return None
