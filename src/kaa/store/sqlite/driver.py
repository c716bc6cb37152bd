"""The loop's side of the SQLite store: collects writes for the writer, applies its batches, reads in other threads."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.store.api import (
    Apply,
    Commits,
    Compacted,
    Entry,
    Event,
    FutureRevision,
    Op,
    Put,
    Range,
    StoreBusy,
    StoreClosed,
    check_ops,
)
from kaa.store.expiry import Expirer
from kaa.store.sqlite import queries
from kaa.store.sqlite.file import Lock, open_for_reading, open_for_writing, translated
from kaa.store.sqlite.writer import Close, Commit, Compact, Expire, Outcome, Request, Writer
from kaa.store.watchers import Applier, PrefixWatch

__all__ = ["SqliteStore"]

_WRITES_WAITING_MAX = 16_384
_READS_WAITING_MAX = 4096
_READERS = 2
_RANGE_STEP = 500
"""Entries read in one transaction; a longer range goes on at the same revision, so no transaction is long."""

T = TypeVar("T")
_log = Logger("store")


class SqliteStore:
    """A `Store` in one file. `await SqliteStore.open(path)`.

    `history_revisions_max`: how many revisions stay readable; `size_bytes_max`: the file's limit, beyond it writes
    raise StoreFull (the history is given up first).
    """

    def __init__(self, path: str, lock: Lock, db: sqlite3.Connection, clock: Clock, history_revisions_max: int) -> None:
        self._path = path
        self._lock = lock
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._applier = Applier()
        self._expirer = Expirer(clock, self._expire)
        self._writer = Writer(db, self._post, history_revisions_max)
        self._revision, self._compacted = self._writer.revision, self._writer.compacted
        self._collected: list[Request] = []
        self._unanswered = 0
        self._reads = 0
        self._until: list[tuple[int, asyncio.Future[None]]] = []
        self._closed: asyncio.Future[None] | None = None
        self._connections: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(_READERS, "kaa-store-reader", self._start_reader)
        # A daemon: an embedder that never closes the store must still be able to end. Nothing acknowledged is lost.
        self._thread = threading.Thread(target=self._run_writer, name="kaa-store-writer", daemon=True)
        self._thread.start()

    @classmethod
    async def open(
        cls,
        path: str,
        clock: Clock = REAL,
        *,
        history_revisions_max: int = 65_536,
        size_bytes_max: int = 8 * 1024**3,
    ) -> "SqliteStore":
        """Open or create the file. Raises StoreUnusable: in use, too new, not a store, not readable."""

        def prepare() -> tuple[Lock, sqlite3.Connection, float | None]:
            lock = Lock(path)
            try:
                db = open_for_writing(path, size_bytes_max)
                return lock, db, queries.next_expiry(db)
            except BaseException:
                lock.release()
                raise

        lock, db, due = await asyncio.to_thread(prepare)
        store = cls(path, lock, db, clock, history_revisions_max)
        if due is not None:
            store._expirer.due(due)
        return store

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def compacted(self) -> int:
        return self._compacted

    def on_apply(self, callback: Apply) -> None:
        self._applier.add(callback)

    # Writing.

    def commit(self, *ops: Op) -> Commits:
        self._applier.refuse_nested()
        check_ops(ops)
        answer: asyncio.Future[int] = self._loop.create_future()
        now = self._clock.now()
        self._ask(Commit(ops, now, answer))
        for op in ops:
            if type(op) is Put and op.ttl_seconds is not None and not answer.done():
                self._expirer.due(now + op.ttl_seconds)
        return answer

    async def compact(self, revision: int) -> None:
        answer: asyncio.Future[None] = self._loop.create_future()
        self._ask(Compact(revision, answer))
        await answer

    async def _expire(self, now: float, limit: int) -> float | None:
        answer: asyncio.Future[float | None] = self._loop.create_future()
        self._ask(Expire(now, limit, answer))
        return await answer

    def _ask(self, request: Request) -> None:
        """Collect what this turn of the loop writes, so that the writer wakes once and syncs once for all of it."""
        if self._closed is not None:
            request.answer.set_exception(StoreClosed())
        elif self._unanswered >= _WRITES_WAITING_MAX:
            request.answer.set_exception(
                StoreBusy(f"{self._unanswered} writes are waiting for the disk: retry after a moment")
            )
        else:
            self._unanswered += 1
            if not self._collected:
                self._loop.call_soon(self._hand_over)
            self._collected.append(request)

    def _hand_over(self) -> None:
        if self._collected:
            self._writer.inbox.put(self._collected)
            self._collected = []

    def _post(self, outcome: Outcome) -> None:
        """In the writer's thread."""
        try:
            self._loop.call_soon_threadsafe(self._apply, outcome)
        except RuntimeError:
            pass  # the loop was closed without closing the store: nobody is left to answer

    def _apply(self, outcome: Outcome) -> None:
        self._revision, self._compacted = outcome.revision, outcome.compacted
        if outcome.events:
            self._applier.apply(outcome.events)
        self._unanswered -= len(outcome.answers)
        for future, answer in outcome.answers:
            if not future.done():
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        if self._until:
            self._until = [(at, future) for at, future in self._until if not self._reached(at, future)]

    def _reached(self, revision: int, future: asyncio.Future[None]) -> bool:
        if revision <= self._revision and not future.done():
            future.set_result(None)
        return future.done()

    # Reading.

    async def get(self, key: str, revision: int = 0) -> Entry | None:
        entry, seen = await self._read(queries.read_entry, key, revision)
        await self._applied(seen)
        return entry

    async def range(self, start_prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Range:
        entries: list[Entry] = []
        while True:
            step = min(limit - len(entries), _RANGE_STEP) if limit else _RANGE_STEP
            last = bool(limit) and len(entries) + step == limit
            part, seen = await self._read(
                lambda db, a=after, s=step, r=revision, c=last: queries.read_range(db, start_prefix, a, s, r, counted=c)
            )
            await self._applied(seen)
            revision = part.revision
            if not entries:
                entries = part.entries
            else:
                entries += part.entries
            if not part.more or last:
                passed = len(entries) - len(part.entries)
                return Range(entries, revision, part.more, passed + part.count)
            after = entries[-1].key

    async def watch(self, prefix: str, from_revision: int = 0) -> PrefixWatch:
        if self._closed is not None:
            raise StoreClosed()
        if from_revision and from_revision <= self._compacted:
            raise Compacted(from_revision, self._compacted)
        if from_revision > self._revision + 1:
            raise FutureRevision(from_revision, self._revision)
        return self._applier.watch(prefix, from_revision, self._revision, self._history)

    async def _history(self, prefix: str, first: int, last: int) -> tuple[list[Event], int]:
        return await self._read(queries.read_events, prefix, first, last)

    async def _read(self, query: Callable[..., T], *args: Any) -> T:
        if self._closed is not None:
            raise StoreClosed()
        if self._reads >= _READS_WAITING_MAX:
            raise StoreBusy(f"{self._reads} reads are waiting for the disk: retry after a moment")
        self._reads += 1
        try:
            return await self._loop.run_in_executor(self._readers, self._read_here, query, args)
        finally:
            self._reads -= 1

    async def _applied(self, revision: int) -> None:
        """Wait until that revision has been applied, so that no reader knows more than `revision` and its watchers."""
        if revision > self._revision:
            if self._closed is not None:
                raise StoreClosed()
            future: asyncio.Future[None] = self._loop.create_future()
            self._until.append((revision, future))
            await future

    def _start_reader(self) -> None:
        self._local.db = open_for_reading(self._path)
        self._connections.append(self._local.db)

    def _read_here(self, query: Callable[..., T], args: tuple[Any, ...]) -> T:
        """In a reader's thread."""
        try:
            return query(self._local.db, *args)
        except sqlite3.Error as error:
            raise translated(error, "reading") from error

    # Closing.

    async def close(self) -> None:
        if self._closed is None:
            self._closed = self._loop.create_future()
            self._hand_over()
            await self._expirer.close()
            self._writer.inbox.put(Close())
        await asyncio.shield(self._closed)

    def _run_writer(self) -> None:
        """The writer's thread: when it has ended, nobody needs the readers' connections or the lock any more."""
        try:
            self._writer.run()
        except Exception as error:
            _log.error("the store's writer ended; restart this process", exc=error)
        finally:
            self._readers.shutdown()
            for db in self._connections:
                db.close()
            self._writer.close()
            self._lock.release()
            try:
                self._loop.call_soon_threadsafe(self._ended)
            except RuntimeError:
                pass  # as in _post

    def _ended(self) -> None:
        """Everything posted before has been applied by now."""
        for request in self._writer.abandoned():
            if not request.answer.done():
                request.answer.set_exception(StoreClosed("the store's writer has ended: restart this process"))
        self._applier.close()
        for _, future in self._until:
            if not future.done():
                future.set_exception(StoreClosed())
        self._until = []
        if self._closed is None:
            self._closed = self._loop.create_future()
        self._closed.set_result(None)
