"""Opening the file: one process at a time, the right schema, durable settings."""

import fcntl
import os
import sqlite3
from typing import Any
from urllib.parse import quote

from kaa.store.api import StoreFailed, StoreFull, StoreUnusable

__all__ = ["SCHEMA_VERSION", "Lock", "open_for_reading", "open_for_writing", "translated"]

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x6B616131  # "kaa1", in the file's header: `file store.db` shows it
_BUSY_SECONDS = 5.0

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE log (
  id INTEGER PRIMARY KEY,            -- revision * 1024 + place in the commit
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  create_revision INTEGER NOT NULL,
  previous_id INTEGER NOT NULL,      -- the change this one replaced; 0: the key did not exist
  deleted INTEGER NOT NULL
);
CREATE TABLE live (key TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE expiring (expires_at REAL NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (expires_at, id)) WITHOUT ROWID;
INSERT INTO meta VALUES ('revision', 1), ('compacted', 0), ('cleaned', 0);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class Lock:
    """Held while a process has the store open; the system lets go of it when the process ends, however it ends."""

    def __init__(self, path: str) -> None:
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            self._fd = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnusable(f"the store {path} can't be opened: {error}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
            os.close(self._fd)
            holder = f"process {pid}" if pid.isdigit() else "another process"
            if pid == str(os.getpid()):
                holder = f"this process ({pid})"
            raise StoreUnusable(
                f"the store {path} is open in {holder}: one process at a time can have it; "
                "stop that one, or use another file"
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go. The lock file stays: removing it would race with a process that has just opened it."""
        os.close(self._fd)


def open_for_writing(path: str, size_bytes_max: int) -> sqlite3.Connection:
    """The writer's connection, the schema in place. Call it with the lock held. Raises StoreUnusable."""
    try:
        _create(path)
        db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnusable(f"the store {path} can't be opened: {error}") from error
    try:
        _check_schema(db, path)
        if (mode := _value(db, "PRAGMA journal_mode = WAL")) != "wal":
            raise StoreUnusable(
                f"the store {path} can't use a write-ahead log (it stayed in {mode} mode): "
                "put it on a local disk, not on a network file system"
            )
        db.execute("PRAGMA synchronous = FULL")
        # The writer checkpoints by itself, after the answers, so that no writer waits for it.
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("PRAGMA journal_size_limit = 67108864")
        db.execute(f"PRAGMA max_page_count = {max(16, size_bytes_max // _value(db, 'PRAGMA page_size'))}")
        if _value(db, "PRAGMA user_version") == 0:
            db.executescript(_SCHEMA)
        assert _value(db, "PRAGMA synchronous") == 2
    except sqlite3.Error as error:
        db.close()
        raise StoreUnusable(
            f"the store {path} can't be read ({error}): if it is damaged, restore a backup or move it away"
        ) from error
    except BaseException:
        db.close()
        raise
    return db


def open_for_reading(path: str) -> sqlite3.Connection:
    """A connection that can't write; the file must be open for writing already."""
    uri = f"file:{quote(path)}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def translated(error: Exception, doing: str) -> StoreFailed:
    """The store's error for one of SQLite's, to be raised from it."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if name == "SQLITE_FULL":
        return StoreFull(f"the store is full ({doing}): free space on its disk, or raise its size limit")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreFailed(f"the store's file is damaged ({doing}: {error}): stop, and restore a backup")
    return StoreFailed(f"the store failed {doing}: {name}: {error}; look at its disk; it goes on when that works again")


def _create(path: str) -> None:
    """An empty file only its owner can read; SQLite gives the log beside it the same mode."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        os.chmod(path, 0o600)
        return
    os.close(fd)
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)  # or a crash could lose the file's name, and all acknowledged writes with it
    finally:
        os.close(directory)


def _check_schema(db: sqlite3.Connection, path: str) -> None:
    """Before anything is changed: is this file ours, and do we know its schema?"""
    application, version = _value(db, "PRAGMA application_id"), _value(db, "PRAGMA user_version")
    tables = _value(db, "SELECT count(*) FROM sqlite_master")
    if application != _APPLICATION_ID and (application or version or tables):
        raise StoreUnusable(f"{path} is an SQLite file of another program, not a store: use another file")
    if version > SCHEMA_VERSION:
        raise StoreUnusable(
            f"the store {path} has schema version {version}, and this kaa knows versions up to {SCHEMA_VERSION}: "
            "upgrade kaa, or restore a backup made by this version"
        )


def _value(db: sqlite3.Connection, statement: str) -> Any:
    row = db.execute(statement).fetchone()
    return row[0] if row else None
