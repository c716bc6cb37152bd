"""What is read from the file. Each function is one short transaction; none changes anything.

The bound above a prefix is text, or an empty blob where there is none: SQLite orders every blob after every text.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter

from kaa.store.api import Compacted, Entry, Event, Range, check_readable, prefix_end

__all__ = ["ID_BITS", "next_expiry", "read_entry", "read_events", "read_range", "state"]

ID_BITS = 10
"""A change's id is its revision shifted by this, plus its place in the commit (OPS_MAX fits)."""
_EVENTS_READ_MAX = 1000  # more than OPS_MAX, so that a read always covers a whole revision

_STATE = """
SELECT max((SELECT value FROM meta WHERE name = 'revision'), coalesce((SELECT max(id) FROM log) >> 10, 0)),
       (SELECT value FROM meta WHERE name = 'compacted')
"""
# The entries under two bounds as of a change: those unchanged since, and what the first change since replaced.
_THEN = """
WITH found(key, id) AS (
  SELECT key, id FROM live WHERE key {above} :low AND key < :high AND id <= :last
  UNION ALL
  SELECT p.key, p.id FROM (
    SELECT key, min(id), previous_id FROM log
    WHERE id > :last AND key {above} :low AND key < :high GROUP BY key
  ) c JOIN log p ON p.id = c.previous_id
)
"""
_NOW = """
WITH found(key, id) AS (SELECT key, id FROM live WHERE key {above} :low AND key < :high)
"""
_ENTRIES = """
SELECT g.key, g.value, g.create_revision, g.id >> 10 FROM (SELECT key, id FROM found ORDER BY key LIMIT :limit) f
CROSS JOIN log g ON g.id = f.id
"""


_key = attrgetter("key")


def state(db: sqlite3.Connection) -> tuple[int, int]:
    """(revision, compacted). The last change tells the revision, unless compaction has removed it."""
    revision, compacted = db.execute(_STATE).fetchone()
    return revision, compacted


def next_expiry(db: sqlite3.Connection) -> float | None:
    """When the next entry may expire, None if none does."""
    at: float | None = db.execute("SELECT min(expires_at) FROM expiring").fetchone()[0]
    return at


def read_entry(db: sqlite3.Connection, key: str, revision: int) -> tuple[Entry | None, int]:
    """The entry at a revision (0: now), and the file's revision."""
    with _transaction(db):
        now, compacted = state(db)
        row = None
        if revision and revision != now:
            check_readable(revision, compacted, now)
            row = db.execute(
                "SELECT previous_id FROM log WHERE id >= ? AND key = ? ORDER BY id LIMIT 1",
                ((revision + 1) << ID_BITS, key),
            ).fetchone()
        if row is None:
            row = db.execute("SELECT id FROM live WHERE key = ?", (key,)).fetchone()
        if row is not None:
            row = db.execute("SELECT key, value, create_revision, id >> 10 FROM log WHERE id = ?", row).fetchone()
        return (None if row is None else Entry(*row)), now


def read_range(
    db: sqlite3.Connection, prefix: str, after: str, limit: int, revision: int, *, counted: bool
) -> tuple[Range, int]:
    """At most `limit` (positive) entries, and the file's revision. `count` is right if `counted` or nothing is left."""
    with _transaction(db):
        now, compacted = state(db)
        found = _NOW
        follows = after >= prefix and after != ""
        if revision and revision != now:
            check_readable(revision, compacted, now)
            found = _THEN
        end = prefix_end(prefix)
        bounds: dict[str, object] = {
            "low": after if follows else prefix,
            "high": b"" if end is None else end,
            "last": ((revision + 1) << ID_BITS) - 1,
            "limit": limit + 1,
        }
        found = found.format(above=">" if follows else ">=")
        entries = [Entry(*row) for row in db.execute(found + _ENTRIES, bounds)]
        entries.sort(key=_key)  # they come in order, but SQLite does not promise it; and it would sort the values along
        count = len(entries)
        more = count > limit
        if more:
            entries.pop()
            if counted:
                count = db.execute(found + "SELECT count(*) FROM found", bounds).fetchone()[0]
        return Range(entries, revision or now, more, count), now


def read_events(db: sqlite3.Connection, prefix: str, first: int, last: int) -> tuple[list[Event], int]:
    """Some events of whole revisions from `first` up to `last`, and the last revision they cover."""
    end = prefix_end(prefix)
    with _transaction(db):
        _, compacted = state(db)
        if first <= compacted:
            raise Compacted(first, compacted)
        rows = db.execute(
            "SELECT g.key, g.value, p.value, g.id >> 10, g.create_revision, g.deleted FROM log g"
            " LEFT JOIN log p ON p.id = g.previous_id"
            " WHERE g.id >= ? AND g.id < ? AND g.key >= ? AND g.key < ? ORDER BY g.id LIMIT ?",
            (first << ID_BITS, (last + 1) << ID_BITS, prefix, b"" if end is None else end, _EVENTS_READ_MAX),
        ).fetchall()
    if len(rows) == _EVENTS_READ_MAX:
        # The last revision may be cut: leave it to the next read.
        last = rows[-1][3] - 1
        while rows[-1][3] > last:
            rows.pop()
    events = [Event(k, v, p, rev, created, bool(deleted)) for k, v, p, rev, created, deleted in rows]
    return events, last


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
