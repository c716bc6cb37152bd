"""The SQLite store keeps the contract; and its file survives, is locked, private and checked, and recovers."""

import asyncio
import os
import resource
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kaa.base.clock import Clock
from kaa.store import Delete, Entry, Put, Store, StoreFailed, StoreFull, StoreUnusable
from kaa.store.sqlite import SqliteStore
from kaa.testing.store_contract import ManualClock, StoreContract, eventually, take


class TestSqliteStore(StoreContract):
    async def open(self, path: Path, clock: Clock, *, history: int) -> Store:
        return await SqliteStore.open(str(path), clock, history_revisions_max=history)


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "deep" / "store.db")


async def test_everything_is_there_after_reopening(path):
    clock = ManualClock()
    store = await SqliteStore.open(path, clock)
    await store.commit(Put("/a", b"1"))
    await store.commit(Put("/a", b"2"), Put("/e", b"", ttl_seconds=60))
    await store.commit(Put("/b", b""), Put("/gone", b""))
    await store.commit(Delete("/gone"))
    await store.close()
    assert sorted(os.listdir(os.path.dirname(path))) == ["store.db", "store.db.lock"]

    store = await SqliteStore.open(path, clock)
    assert (store.revision, store.compacted) == (5, 0)
    assert (await store.range("/")).entries == [
        Entry("/a", b"2", 2, 3),
        Entry("/b", b"", 4, 4),
        Entry("/e", b"", 3, 3),
    ]
    assert await store.get("/a", 2) == Entry("/a", b"1", 2, 2)
    watch = await store.watch("/", 2)
    assert len(await take(watch, 6)) == 6
    # The time to live went on while the store was closed.
    await asyncio.sleep(0.02)
    clock.advance(61)
    assert [(e.key, e.deleted, e.mod_revision) for e in await take(watch, 1)] == [("/e", True, 6)]
    await store.close()


async def test_a_revision_is_not_used_again_when_compaction_removed_the_last_change(path):
    store = await SqliteStore.open(path)
    await store.commit(Put("/a", b""))
    await store.commit(Delete("/a"))
    await store.compact(3)
    await eventually(lambda: count(path, "log"), 0)
    await store.close()
    store = await SqliteStore.open(path)
    assert (store.revision, store.compacted) == (3, 3)
    assert await store.commit(Put("/a", b"")) == 4
    await store.close()


def contents(path: str) -> bytes:
    return Path(path).read_bytes()


async def count(path: str, table: str) -> int:
    db = sqlite3.connect(path)
    try:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        db.close()


async def test_compaction_removes_what_was_replaced_and_a_crash_amid_it_is_made_good(path):
    store = await SqliteStore.open(path)
    for i in range(30):
        await store.commit(*(Put(f"/{k}", b"%d" % i) for k in range(100)))
    await store.commit(*(Delete(f"/{k}") for k in range(50)))
    await store.compact(store.revision)
    await eventually(lambda: count(path, "log"), 50)
    assert (await store.range("/")).count == 50
    for i in range(30):
        await store.commit(*(Put(f"/{k}", b"%d" % i) for k in range(50, 100)))
    revision = store.revision
    await store.close()

    db = sqlite3.connect(path, isolation_level=None)  # as a crash leaves it: marked as compacted, not cleaned
    db.execute("UPDATE meta SET value = ? WHERE name = 'compacted'", (revision,))
    db.close()
    store = await SqliteStore.open(path)
    await eventually(lambda: count(path, "log"), 50)
    assert {e.value for e in (await store.range("/")).entries} == {b"29"}
    await store.close()


async def test_the_file_is_its_owners_only(path):
    old = os.umask(0)
    try:
        store = await SqliteStore.open(path)
        await store.commit(Put("/secret", b"s"))
        await store.get("/secret")
    finally:
        os.umask(old)
    directory = os.path.dirname(path)
    modes = {name: stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) for name in os.listdir(directory)}
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm", "store.db.lock"), 0o600)
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    await store.close()


async def test_one_process_at_a_time(path):
    store = await SqliteStore.open(path)
    with pytest.raises(StoreUnusable, match=f"open in this process \\({os.getpid()}\\)"):
        await SqliteStore.open(path)
    other = f"import asyncio; from kaa.store.sqlite import SqliteStore; asyncio.run(SqliteStore.open({path!r}))"
    import kaa

    env = os.environ | {"PYTHONPATH": str(Path(kaa.__file__).parents[1])}
    ended = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, env=env)  # noqa: ASYNC221
    assert f"is open in process {os.getpid()}: one process at a time" in ended.stderr
    await store.close()
    await (await SqliteStore.open(path)).close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("PRAGMA user_version = 99", "has schema version 99, and this kaa knows versions up to 1: upgrade kaa"),
        ("PRAGMA application_id = 7", "SQLite file of another program"),
    ],
)
async def test_files_that_are_refused_and_left_alone(path, spoil, says):
    await (await SqliteStore.open(path)).close()
    db = sqlite3.connect(path)
    db.execute(spoil)
    db.close()
    before = contents(path)
    with pytest.raises(StoreUnusable, match=says):
        await SqliteStore.open(path)
    assert contents(path) == before


async def test_a_file_that_is_no_database(path):
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as file:  # noqa: ASYNC230
        file.write(b"apiVersion: v1\n" * 1000)
    with pytest.raises(StoreUnusable, match="restore a backup or move it away"):
        await SqliteStore.open(path)


async def test_a_full_store_refuses_gives_up_its_history_and_goes_on(path):
    store = await SqliteStore.open(path, size_bytes_max=1024 * 1024)

    async def fill() -> None:
        while store.revision < 1000:
            await store.commit(Put("/a", bytes(20_000)))  # one entry: nearly all of it is history

    with pytest.raises(StoreFull, match="raise its size limit"):
        await fill()
    written = (await store.get("/a")).mod_revision
    assert store.revision == written
    for i in range(200):  # room was made by compaction, and is again whenever it is needed
        try:
            await store.commit(Put("/a", bytes(20_000)))
        except StoreFull:
            await asyncio.sleep(0.01)
        assert (await store.get("/a")).mod_revision == store.revision, i
    assert store.revision > written + 100
    await store.close()


async def test_a_failing_disk_fails_the_writers_and_is_recovered_from(path):
    """The limit on file sizes makes the kernel refuse writes to the log, as a broken disk would."""
    store = await SqliteStore.open(path)
    applied: list[int] = []
    store.on_apply(lambda events: applied.extend(e.mod_revision for e in events))
    await store.commit(Put("/before", b""))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(path + "-wal").st_size, hard))
    try:
        outcomes = await asyncio.gather(
            *(store.commit(Put(f"/during/{i}", bytes(5000))) for i in range(20)), return_exceptions=True
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert all(isinstance(o, StoreFailed) for o in outcomes), outcomes
    assert "SQLITE_IOERR" in str(outcomes[0])
    assert store.revision == 2
    assert await store.commit(Put("/after", b"")) == 3
    assert [e.key for e in (await store.range("/")).entries] == ["/after", "/before"]
    await store.close()
    store = await SqliteStore.open(path)
    assert [e.key for e in (await store.range("/")).entries] == ["/after", "/before"]
    assert applied == [2, 3] == list(range(2, store.revision + 1))
    await store.close()


async def test_a_value_that_cannot_be_stored_fails_alone(path):
    store = await SqliteStore.open(path)
    outcomes = await asyncio.gather(
        *(store.commit(Put(f"/{i}", b"")) for i in range(3)),
        store.commit(Put("/bad", [])),  # type: ignore[arg-type]
        store.commit(Put("/good", b"")),
        return_exceptions=True,
    )
    assert outcomes[:3] == [2, 3, 4]
    assert isinstance(outcomes[3], StoreFailed)
    assert outcomes[4] == 5
    await store.close()


async def test_writes_that_wait_together_share_a_transaction(path):
    store = await SqliteStore.open(path)
    batches: list[int] = []
    store.on_apply(lambda events: batches.append(len(events)))
    await asyncio.gather(*(store.commit(Put(f"/{i}", b"")) for i in range(200)))
    assert batches == [200]
    await store.close()
