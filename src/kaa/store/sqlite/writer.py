"""The thread that writes. It takes what is waiting, makes it one transaction, and hands the outcome to the loop."""

import sqlite3
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from kaa.base.log import Logger
from kaa.store.api import Compacted, Entry, Event, FutureRevision, Mismatch, Op, Put, StoreFull
from kaa.store.sqlite.file import translated
from kaa.store.sqlite.queries import ID_BITS, next_expiry, state

__all__ = ["Close", "Commit", "Compact", "Expire", "Outcome", "Request", "Writer"]

_BATCH_MAX = 256
"""Requests in one transaction: what the loop then applies and answers in one turn has to take little time."""
_BATCH_BYTES_MAX = 16 * 1024 * 1024
_CHECKPOINT_BYTES = 8 * 1024 * 1024
_LOG_PAGES_MAX = 32_768
"""Readers can keep the write-ahead log from starting over; at this size the writer waits for them."""
_CLEANED_PER_STEP = 500

_log = Logger("store")


@dataclass(slots=True)
class Commit:
    """The ops of one writer; `now` is when it asked, for times to live. Answered with the revision."""

    ops: Sequence[Op]
    now: float
    answer: Future[Any]


@dataclass(slots=True)
class Expire:
    """Delete up to `limit` entries that are due at `now`. Answered with the time of the next expiry, or None."""

    now: float
    limit: int
    answer: Future[Any]


@dataclass(slots=True)
class Compact:
    """Answered with None once reads before `revision` are refused; what they read is removed afterwards, in steps."""

    revision: int
    answer: Future[Any]


@dataclass(slots=True)
class Close:
    """Stop after what came before."""


Request: TypeAlias = Commit | Expire | Compact


@dataclass(slots=True)
class Outcome:
    """One durable batch (or one that failed: no events, and errors as answers)."""

    revision: int
    compacted: int
    events: list[Event] = field(default_factory=list)
    answers: list[tuple[Future[Any], Any]] = field(default_factory=list)


class Writer:
    """Owns the writing connection. `run` is the thread's body; `post` carries each outcome to the loop, in order."""

    def __init__(self, db: sqlite3.Connection, post: Callable[[Outcome], None], history_revisions_max: int) -> None:
        self.inbox: SimpleQueue[list[Request] | Close] = SimpleQueue()
        self._db = db
        self._post = post
        self._history_max = history_revisions_max
        self.revision, self.compacted = state(db)
        self._cleaned: int = db.execute("SELECT value FROM meta WHERE name = 'cleaned'").fetchone()[0]
        # A crash may have come between a compaction and the end of its cleaning.
        self._cleaning = self._cleaned < self.compacted << ID_BITS
        self._unchecked_bytes = _CHECKPOINT_BYTES  # what an earlier process left in the log counts too
        self._waiting: list[Request] = []
        self._closing = False

    def run(self) -> None:
        """Until a Close comes."""
        while True:
            batch = self._take()
            if batch:
                self._post(self._carry_out(batch))
            elif self._closing:
                break
            self._keep_house()

    def close(self) -> None:
        """Let go of the file. The last connection that closes moves the log into the file and removes it."""
        try:
            self._db.close()
        except sqlite3.Error:
            pass  # the log stays, and is read when the file is opened again

    def _take(self) -> list[Request]:
        """What is waiting, up to a batch; waits only if there is nothing else to do."""
        waiting = self._waiting
        try:
            if not waiting and not self._closing:
                self._received(self.inbox.get(block=not self._cleaning))
            while len(waiting) < _BATCH_MAX and not self._closing:
                self._received(self.inbox.get_nowait())
        except Empty:
            pass
        size = taken = 0
        for request in waiting[:_BATCH_MAX]:
            taken += 1
            if type(request) is Commit:
                size += sum(len(op.value) for op in request.ops if type(op) is Put)
                if size > _BATCH_BYTES_MAX:
                    break
        batch, self._waiting = waiting[:taken], waiting[taken:]
        return batch

    def _received(self, message: list[Request] | Close) -> None:
        if isinstance(message, Close):
            self._closing = True
        else:
            self._waiting += message

    def abandoned(self) -> list[Request]:
        """What nobody will carry out any more; only for when the thread has ended."""
        left, self._waiting = self._waiting, []
        while not self.inbox.empty():
            message = self.inbox.get()
            if not isinstance(message, Close):
                left += message
        return left

    # One transaction.

    def _carry_out(self, batch: list[Request]) -> Outcome:
        db = self._db
        outcome = Outcome(self.revision, self.compacted)
        try:
            db.execute("BEGIN IMMEDIATE")
            for request in batch:
                answer: Any
                try:
                    answer = self._do(request, outcome)
                except (Mismatch, Compacted, FutureRevision) as refusal:
                    answer = refusal
                outcome.answers.append((request.answer, answer))
            db.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            if not isinstance(error, sqlite3.OperationalError) and len(batch) > 1:
                # Not the disk: one of them can't be stored. It must not take the others with it.
                return self._one_by_one(batch)
            failure = translated(error, "writing")
            failure.__cause__ = error
            _log.error("a batch of writes failed", writes=len(batch), error=str(failure))
            if isinstance(failure, StoreFull):
                self._make_room()
            return Outcome(self.revision, self.compacted, answers=[(r.answer, failure) for r in batch])
        self.revision, self.compacted = outcome.revision, outcome.compacted
        self._unchecked_bytes += sum(len(e.value) + 8192 for e in outcome.events)
        return outcome

    def _one_by_one(self, batch: list[Request]) -> Outcome:
        together = Outcome(self.revision, self.compacted)
        for request in batch:
            one = self._carry_out([request])
            together.events += one.events
            together.answers += one.answers
        together.revision, together.compacted = self.revision, self.compacted
        return together

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            _log.error("a failed batch could not be rolled back", error=str(error))

    def _do(self, request: Request, outcome: Outcome) -> int | float | None:
        if type(request) is Commit:
            return self._commit(request, outcome)
        if type(request) is Expire:
            return self._expire(request, outcome)
        assert type(request) is Compact
        self._compact(request.revision, outcome)
        return None

    def _commit(self, request: Commit, outcome: Outcome) -> int:
        """All comparisons come before the first write, so a refused commit leaves nothing to undo."""
        db = self._db
        befores: list[tuple[int, bytes, int] | None] = []
        for op in request.ops:
            before = db.execute(
                "SELECT g.id, g.value, g.create_revision FROM live l JOIN log g ON g.id = l.id WHERE l.key = ?",
                (op.key,),
            ).fetchone()
            if op.expected is not None and (before[0] >> ID_BITS if before else 0) != op.expected:
                current = Entry(op.key, before[1], before[2], before[0] >> ID_BITS) if before else None
                raise Mismatch(op.key, current)
            befores.append(before)
        revision = outcome.revision + 1
        place = 0
        for op, before in zip(request.ops, befores, strict=True):
            change = (revision << ID_BITS) + place
            if type(op) is Put:
                self._put(op, change, before, outcome)
                if op.ttl_seconds is not None:
                    db.execute("INSERT INTO expiring VALUES (?, ?)", (request.now + op.ttl_seconds, change))
            elif before is None:
                continue
            else:
                self._delete(op.key, change, before, outcome)
            place += 1
        if place:
            outcome.revision = revision
        return outcome.revision

    def _put(self, op: Put, change: int, before: tuple[int, bytes, int] | None, outcome: Outcome) -> None:
        revision = change >> ID_BITS
        previous_id, previous, created = before or (0, None, revision)
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, 0)", (change, op.key, op.value, created, previous_id))
        self._db.execute("INSERT OR REPLACE INTO live VALUES (?, ?)", (op.key, change))
        outcome.events.append(Event(op.key, op.value, previous, revision, created, False))

    def _delete(self, key: str, change: int, before: tuple[int, bytes, int], outcome: Outcome) -> None:
        previous_id, previous, created = before
        self._db.execute("INSERT INTO log VALUES (?, ?, x'', ?, ?, 1)", (change, key, created, previous_id))
        self._db.execute("DELETE FROM live WHERE key = ?", (key,))
        outcome.events.append(Event(key, b"", previous, change >> ID_BITS, created, True))

    def _expire(self, request: Expire, outcome: Outcome) -> float | None:
        db = self._db
        due = db.execute(
            "SELECT e.expires_at, e.id, g.key, g.value, g.create_revision, l.id FROM expiring e"
            " LEFT JOIN log g ON g.id = e.id LEFT JOIN live l ON l.key = g.key AND l.id = g.id"
            " WHERE e.expires_at <= ? ORDER BY e.expires_at LIMIT ?",
            (request.now, request.limit),
        ).fetchall()
        revision, place = outcome.revision + 1, 0
        for at, change, key, value, created, live in due:
            db.execute("DELETE FROM expiring WHERE expires_at = ? AND id = ?", (at, change))
            if live is not None:  # else it was written or deleted since, and this time to live is void
                self._delete(key, (revision << ID_BITS) + place, (change, value, created), outcome)
                place += 1
        if place:
            outcome.revision = revision
        return next_expiry(db)

    def _compact(self, revision: int, outcome: Outcome) -> None:
        if revision <= outcome.compacted:
            raise Compacted(revision, outcome.compacted)
        if revision > outcome.revision:
            raise FutureRevision(revision, outcome.revision)
        # Cleaning removes deletions, perhaps the last change of all: from here on the number is kept apart.
        self._db.execute("UPDATE meta SET value = ? WHERE name = 'revision'", (outcome.revision,))
        self._db.execute("UPDATE meta SET value = ? WHERE name = 'compacted'", (revision,))
        outcome.compacted = revision
        self._cleaning = True

    # Between transactions.

    def _keep_house(self) -> None:
        if self.revision - self.compacted > self._history_max + self._history_max // 4:
            self._compact_by_itself(self.revision - self._history_max)
        try:
            if self._cleaning:
                self._clean()
            if self._unchecked_bytes >= _CHECKPOINT_BYTES:
                self._checkpoint()
        except sqlite3.Error as error:
            # Not now; the next compaction goes on from here. Trying again at once would spin.
            self._roll_back()
            self._cleaning = False
            self._unchecked_bytes = 0
            _log.warning("the store could not be tidied", error=str(translated(error, "tidying")))

    def _compact_by_itself(self, revision: int) -> None:
        outcome = Outcome(self.revision, self.compacted)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._compact(revision, outcome)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            _log.warning("the history could not be compacted", error=str(error))
            return
        self.compacted = outcome.compacted
        self._post(outcome)

    def _make_room(self) -> None:
        """The file is full: give up the history, which is the only thing that is not somebody's data."""
        if self.revision > self.compacted:
            self._compact_by_itself(self.revision)
        else:
            self._cleaning = self._cleaned < self.compacted << ID_BITS
        self._unchecked_bytes = _CHECKPOINT_BYTES

    def _clean(self) -> None:
        """Remove some of what compaction made unreadable: what was replaced by then, and deletions."""
        db, end = self._db, (self.compacted + 1) << ID_BITS
        rows = db.execute(
            "SELECT id, previous_id, deleted FROM log WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
            (self._cleaned, end, _CLEANED_PER_STEP),
        ).fetchall()
        gone = [(previous,) for _, previous, _ in rows if previous] + [(change,) for change, _, dead in rows if dead]
        done = len(rows) < _CLEANED_PER_STEP
        cleaned = end - 1 if done else rows[-1][0]
        db.execute("BEGIN IMMEDIATE")
        db.executemany("DELETE FROM log WHERE id = ?", gone)
        db.execute("UPDATE meta SET value = ? WHERE name = 'cleaned'", (cleaned,))
        db.execute("COMMIT")
        self._cleaned = cleaned
        self._cleaning = not done
        self._unchecked_bytes += 8192 * len(gone)

    def _checkpoint(self) -> None:
        self._unchecked_bytes = 0
        _, pages, moved = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > _LOG_PAGES_MAX:
            self._db.execute("PRAGMA wal_checkpoint(RESTART)")
        elif moved < pages:
            self._unchecked_bytes = _CHECKPOINT_BYTES // 2  # a reader was in the way: look again sooner
