"""The store in one SQLite file: what was acknowledged has been synced. The only place that names SQLite.

- `file`: finding the file fit to use: the lock, the schema, the settings that make it durable.
- `queries`: what is read, each call in one short transaction.
- `writer`: the one thread that writes. Commits that wait together share a transaction and a sync.
- `driver`: the loop's side, which is the `Store`.

The file is a log with an index: `log` holds each change of each key with its value, `live` the present change of each
key that exists. A change is numbered `revision * 1024 + its place in the commit`, so the order of the log is the order
of revisions, and a commit appends to one place. A change knows the one it replaced, so compaction follows those.
"""

from kaa.store.sqlite.driver import SqliteStore

__all__ = ["SqliteStore"]
