"""What every store must do. A driver's tests inherit `StoreContract` and say how to open one:

```
class TestMemory(StoreContract):
    async def open(self, path, clock, **limits): return MemoryStore(clock, history_events_max=limits["history"])
```
"""

import asyncio
import random  # noqa: TID251  the model test needs a generator of its own, whatever else draws from the shared one
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kaa.base.clock import Clock
from kaa.base.tasks import spawn
from kaa.store import (
    Compacted,
    Delete,
    Entry,
    Event,
    FutureRevision,
    Mismatch,
    Put,
    SlowWatcher,
    Store,
    StoreClosed,
    Watch,
)
from kaa.store.api import OPS_MAX, VALUE_BYTES_MAX
from kaa.store.watchers import BUFFERED_EVENTS_MAX

__all__ = ["ManualClock", "StoreContract", "take"]

T = TypeVar("T")
_SOON_SECONDS = 10


class ManualClock(Clock):
    """Time that moves only when told to."""

    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at
        self._moved = asyncio.Event()

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        until = self.at + seconds
        await asyncio.sleep(0)
        while self.at < until:
            await self._moved.wait()

    def advance(self, seconds: float) -> None:
        """Move on, and wake what slept until then."""
        self.at += seconds
        self._moved.set()
        self._moved = asyncio.Event()


async def take(watch: Watch, count: int) -> list[Event]:
    """The next `count` events, which may come in any number of batches."""
    events: list[Event] = []
    while len(events) < count:
        events += await asyncio.wait_for(anext(watch), _SOON_SECONDS)
    assert len(events) == count
    return events


async def eventually(read: Callable[[], Awaitable[T]], wanted: T) -> None:
    """Read until it is so."""
    for _ in range(_SOON_SECONDS * 100):
        if (found := await read()) == wanted:
            return
        await asyncio.sleep(0.01)
    assert found == wanted


class StoreContract:
    """Inherit it, and define `open`."""

    async def open(self, path: Path, clock: Clock, *, history: int) -> Store:
        """A new store. `history`: roughly how many revisions it keeps by itself."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def store(self, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
        store = await self.open(tmp_path / "store.db", clock, history=65_536)
        yield store
        await store.close()

    # Revisions.

    async def test_a_new_store_is_at_revision_one(self, store: Store) -> None:
        assert (store.revision, store.compacted) == (1, 0)
        assert await store.get("/a") is None
        assert await store.range("/") == ([], 1, False, 0)
        assert await store.commit(Put("/a", b"1")) == 2
        assert store.revision == 2

    async def test_an_entry_keeps_its_creation_until_it_is_deleted(self, store: Store) -> None:
        await store.commit(Put("/a", b"1"))
        await store.commit(Put("/a", b"2"))
        assert await store.get("/a") == Entry("/a", b"2", 2, 3)
        await store.commit(Delete("/a"))
        assert await store.get("/a") is None
        await store.commit(Put("/a", b"3"))
        assert await store.get("/a") == Entry("/a", b"3", 5, 5)

    async def test_a_commit_is_one_revision(self, store: Store) -> None:
        events: list[Event] = []
        await store.commit(Put("/b", b"old"))
        store.on_apply(events.extend)
        assert await store.commit(Put("/a", b"1"), Delete("/b"), Delete("/absent"), Put("/c", b"")) == 3
        assert events == [
            Event("/a", b"1", None, 3, 3, False),
            Event("/b", b"", b"old", 3, 2, True),
            Event("/c", b"", None, 3, 3, False),
        ]

    async def test_what_changes_nothing_takes_no_revision(self, store: Store) -> None:
        await store.commit(Put("/a", b"1"))
        assert await store.commit(Delete("/absent")) == 2
        assert await store.commit(Delete("/absent", 0)) == 2
        assert store.revision == 2

    # Conditions.

    @pytest.mark.parametrize("make", [lambda e: Put("/k", b"new", e), lambda e: Delete("/k", e)], ids=["put", "delete"])
    @pytest.mark.parametrize(
        ("exists", "expected", "agreed"),
        [
            (False, None, True),
            (False, 0, True),
            (False, 1, False),
            (False, 2, False),
            (True, None, True),
            (True, 0, False),
            (True, 3, True),
            (True, 2, False),
            (True, 4, False),
        ],
    )
    async def test_conditions(
        self, store: Store, make: Callable[[int | None], Any], exists: bool, expected: int | None, agreed: bool
    ) -> None:
        await store.commit(Put("/other", b""))
        before = None
        if exists:
            await store.commit(Put("/k", b"old"))
            before = Entry("/k", b"old", 3, 3)
        revision = store.revision
        if agreed:
            await store.commit(make(expected))
            return
        with pytest.raises(Mismatch) as caught:
            await store.commit(make(expected))
        assert (caught.value.key, caught.value.current) == ("/k", before)
        assert await store.get("/k") == before
        assert store.revision == revision

    async def test_one_failed_condition_undoes_all_of_a_commit(self, store: Store) -> None:
        await store.commit(Put("/a", b"1"))
        events: list[Event] = []
        store.on_apply(events.extend)
        with pytest.raises(Mismatch):
            await store.commit(Put("/b", b"1"), Delete("/a"), Put("/c", b"1", 7))
        assert [e.key for e in (await store.range("/")).entries] == ["/a"]
        assert (store.revision, events) == (2, [])
        assert await store.commit(Put("/b", b"1")) == 3

    async def test_of_concurrent_creations_one_wins(self, store: Store) -> None:
        outcomes = await asyncio.gather(
            *(store.commit(Put("/k", b"%d" % i, 0)) for i in range(50)), return_exceptions=True
        )
        assert [o for o in outcomes if isinstance(o, int)] == [2]
        assert sum(isinstance(o, Mismatch) for o in outcomes) == 49
        assert store.revision == 2

    async def test_compare_and_swap_loses_no_update(self, store: Store) -> None:
        await store.commit(Put("/n", b"0"))

        async def increment() -> None:
            for _ in range(5):
                while True:
                    entry = await store.get("/n")
                    assert entry is not None
                    try:
                        await store.commit(Put("/n", b"%d" % (int(entry.value) + 1), entry.mod_revision))
                        break
                    except Mismatch:
                        continue

        await asyncio.gather(*(increment() for _ in range(8)))
        assert await store.get("/n") == Entry("/n", b"40", 2, 42)

    @pytest.mark.parametrize(
        "ops",
        [
            [],
            [Put("/a", b""), Delete("/a")],
            [Put(f"/{i}", b"") for i in range(OPS_MAX + 1)],
            [Put("", b"")],
            [Put("/a\0b", b"")],
            [Put("/" + "ä" * 2048, b"")],
            [Put("/\ud800", b"")],
            [Put("/a", bytes(VALUE_BYTES_MAX + 1))],
            [Put("/a", b"", ttl_seconds=0)],
        ],
        ids=["none", "twice", "too many", "empty", "nul", "long", "surrogate", "large", "no time to live"],
    )
    async def test_ops_no_store_takes(self, store: Store, ops: list[Put | Delete]) -> None:
        with pytest.raises(ValueError):
            await store.commit(*ops)
        assert store.revision == 1

    # Ranges.

    async def test_ranges(self, store: Store) -> None:
        names = ["/p/a", "/p/a/x", "/p/b", "/p/ä", "/p/\U0010ffff", "/pq", "/o", "/p"]
        for name in names:
            await store.commit(Put(name, name.encode()))

        async def keys(prefix: str, **more: Any) -> tuple[list[str], bool, int]:
            found = await store.range(prefix, **more)
            assert found.revision == store.revision
            return [e.key for e in found.entries], found.more, found.count

        under = ["/p/a", "/p/a/x", "/p/b", "/p/ä", "/p/\U0010ffff"]
        assert await keys("/p/") == (under, False, 5)
        assert await keys("") == (sorted(names), False, 8)
        assert await keys("/p/", limit=2) == (under[:2], True, 5)
        assert await keys("/p/", limit=2, after="/p/a/x") == (under[2:4], True, 3)
        assert await keys("/p/", limit=3, after="/p/a/x") == (under[2:], False, 3)
        assert await keys("/p/", after="/p/aa") == (under[2:], False, 3)
        assert await keys("/p/", after="/a") == (under, False, 5)
        assert await keys("/p/", after="/z") == ([], False, 0)
        assert await keys("\U0010ffff") == ([], False, 0)

    async def test_a_long_range_is_of_one_revision(self, store: Store) -> None:
        for start in range(0, 2000, 500):
            await store.commit(*(Put(f"/k/{i:04}", b"0") for i in range(start, start + 500)))
        revision = store.revision
        reading = spawn(store.range("/k/"), name="reader")
        for i in range(0, 2000, 50):
            await store.commit(Put(f"/k/{i:04}", b"1"), Delete(f"/k/{i + 1:04}"))
        found = await reading
        at = found.revision - revision  # however many of the writes came first, exactly those are seen
        assert [e.value for e in found.entries].count(b"1") == at
        assert len(found.entries) == found.count == 2000 - at

    async def test_reading_the_past(self, store: Store) -> None:
        """Against a model: random changes, then every revision by range, page and key."""
        chance = random.Random(7)
        keys = [f"/m/{i:02}" for i in range(20)]
        model: dict[str, Entry] = {}
        past: dict[int, dict[str, Entry]] = {1: {}}
        for _ in range(150):
            ops: list[Put | Delete] = [
                Put(k, chance.randbytes(4)) if chance.random() < 0.6 else Delete(k)
                for k in chance.sample(keys, chance.randint(1, 3))
            ]
            revision = await store.commit(*ops)
            if revision not in past:
                for op in ops:
                    if isinstance(op, Delete):
                        model.pop(op.key, None)
                    else:
                        created = model[op.key].create_revision if op.key in model else revision
                        model[op.key] = Entry(op.key, op.value, created, revision)
                past[revision] = dict(model)
        await store.compact(40)
        for revision, entries in past.items():
            wanted = [entries[k] for k in sorted(entries)]
            if revision < 40:
                with pytest.raises(Compacted):
                    await store.range("/m/", revision=revision)
                continue
            assert await store.range("/m/", revision=revision) == (wanted, revision, False, len(wanted))
            page = await store.range("/m/", revision=revision, after="/m/04", limit=3)
            later = [e for e in wanted if e.key > "/m/04"]
            assert page == (later[:3], revision, len(later) > 3, len(later))
            key = chance.choice(keys)
            assert await store.get(key, revision) == entries.get(key)

    async def test_revisions_that_cannot_be_read(self, store: Store) -> None:
        for i in range(5):
            await store.commit(Put("/a", b"%d" % i))
        await store.compact(4)
        assert store.compacted == 4
        assert await store.get("/a", 4) == Entry("/a", b"2", 2, 4)
        for read in (lambda r: store.get("/a", r), lambda r: store.range("/", revision=r)):
            with pytest.raises(Compacted) as gone:
                await read(3)
            assert gone.value.compacted_revision == 4
            with pytest.raises(FutureRevision):
                await read(7)
        with pytest.raises(Compacted):
            await store.compact(4)
        with pytest.raises(FutureRevision):
            await store.compact(7)

    # Applying.

    async def test_a_writer_is_answered_after_its_events_were_applied(self, store: Store) -> None:
        applied: list[int] = []
        store.on_apply(lambda events: applied.extend(e.mod_revision for e in events))
        answered: list[int] = []

        async def write(name: int) -> None:
            for i in range(20):
                revision = await store.commit(Put(f"/{name}/{i}", b""))
                assert revision in applied
                assert store.revision >= revision
                assert (await store.range(f"/{name}/")).count == i + 1
                answered.append(revision)

        await asyncio.gather(*(write(i) for i in range(10)))
        assert applied == list(range(2, 202))
        assert sorted(answered) == applied

    async def test_no_read_is_ahead_of_what_was_applied(self, store: Store) -> None:
        async def read() -> None:
            while store.revision < 200:
                found = await store.range("/", limit=1)
                assert found.revision <= store.revision
                await asyncio.sleep(0)

        async def write() -> None:
            for i in range(200):
                await store.commit(Put(f"/{i}", b""))

        await asyncio.gather(read(), read(), write())

    async def test_an_apply_callback_neither_commits_nor_breaks_the_others(self, store: Store) -> None:
        refused: list[str] = []
        seen: list[int] = []

        def commits(events: Any) -> None:
            try:
                store.commit(Put("/b", b""))
            except RuntimeError as error:
                refused.append(str(error))
            raise KeyError("broken")

        store.on_apply(commits)
        store.on_apply(lambda events: seen.append(len(events)))
        assert await store.commit(Put("/a", b"")) == 2
        assert (len(refused), seen) == (1, [1])

    # Watching.

    async def test_a_watch_is_history_then_live_without_a_gap(self, store: Store) -> None:
        everything: list[Event] = []
        store.on_apply(everything.extend)
        for i in range(1500):
            await store.commit(Put(f"/{'ab'[i % 2]}/{i % 7}", b"%d" % i))
        watch = await store.watch("/a/", 100)

        async def write() -> None:
            for i in range(300):
                await store.commit(Put(f"/{'ab'[i % 2]}/{i % 7}", b"live %d" % i), Delete(f"/a/{i % 5 + 1000}"))
                if i % 10 == 0:
                    await asyncio.sleep(0)

        writing = spawn(write(), name="writer")
        wanted = 701 + 150 + 1  # /a/ of revisions 100..1501, then of the live ones; and the last below
        got: list[Event] = await take(watch, wanted - 1)
        await writing
        await store.commit(Delete("/a/0"))
        got += await take(watch, 1)
        assert got == [e for e in everything if e.mod_revision >= 100 and e.key.startswith("/a/")][: len(got)]
        assert got[-1].deleted
        watch.close()
        with pytest.raises(StopAsyncIteration):
            await anext(watch)

    async def test_a_watch_from_now(self, store: Store) -> None:
        await store.commit(Put("/a", b"1"))
        watches = [await store.watch("/", 0), await store.watch("/", 3), await store.watch("/a", 2)]
        await store.commit(Put("/a", b"2"))
        await store.commit(Delete("/a"))
        live = [Event("/a", b"2", b"1", 3, 2, False), Event("/a", b"", b"2", 4, 2, True)]
        assert await take(watches[0], 2) == live
        assert await take(watches[1], 2) == live
        assert await take(watches[2], 3) == [Event("/a", b"1", None, 2, 2, False), *live]
        for watch in watches:
            watch.close()

    async def test_a_large_commit_reaches_a_watch_whole(self, store: Store) -> None:
        for n in range(4):
            await store.commit(*(Put(f"/{n}/{i}", b"") for i in range(OPS_MAX)))
        watch = await store.watch("/", 2)
        batches: list[list[Event]] = []
        while sum(len(batch) for batch in batches) < 4 * OPS_MAX:
            batches.append(await anext(watch))
        for batch in batches:
            revisions = [e.mod_revision for e in batch]
            assert len(batch) == OPS_MAX * len(set(revisions))
        watch.close()

    async def test_watches_that_cannot_start(self, store: Store) -> None:
        for i in range(5):
            await store.commit(Put("/a", b"%d" % i))
        await store.compact(4)
        with pytest.raises(Compacted):
            await store.watch("/", 4)
        with pytest.raises(FutureRevision):
            await store.watch("/", 8)
        watch = await store.watch("/", 5)
        assert [e.mod_revision for e in await take(watch, 2)] == [5, 6]
        watch.close()

    async def test_a_watch_whose_history_was_compacted_says_so(self, store: Store) -> None:
        await store.commit(Put("/a", b""))
        watch = await store.watch("/", 2)
        await store.commit(Put("/a", b""))
        await store.compact(3)
        with pytest.raises(Compacted):
            await anext(watch)
        watch.close()

    async def test_a_slow_watcher_is_cut_off_and_others_go_on(self, store: Store) -> None:
        slow, quick = await store.watch("/"), await store.watch("/")
        for _ in range(BUFFERED_EVENTS_MAX // OPS_MAX + 1):
            await store.commit(*(Put(f"/{i}", b"") for i in range(OPS_MAX)))
            await take(quick, OPS_MAX)
        with pytest.raises(SlowWatcher):
            await anext(slow)
        quick.close()

    # Expiry.

    async def test_entries_expire_as_ordinary_deletes(self, store: Store, clock: ManualClock) -> None:
        watch = await store.watch("/")
        await store.commit(Put("/e/1", b"1", ttl_seconds=60), Put("/e/2", b"2", ttl_seconds=60), Put("/stays", b""))
        await store.commit(Put("/late", b"", ttl_seconds=3600))
        await store.commit(Put("/early", b"", ttl_seconds=10))
        await take(watch, 5)
        await asyncio.sleep(0.02)
        clock.advance(9)
        await asyncio.sleep(0.02)
        assert (await store.range("/")).count == 5
        clock.advance(2)
        assert await take(watch, 1) == [Event("/early", b"", b"", 5, 4, True)]
        clock.advance(60)
        assert await take(watch, 2) == [Event("/e/1", b"", b"1", 6, 2, True), Event("/e/2", b"", b"2", 6, 2, True)]
        assert [e.key for e in (await store.range("/")).entries] == ["/late", "/stays"]
        assert store.revision == 6
        watch.close()

    async def test_a_later_write_takes_over_the_time_to_live(self, store: Store, clock: ManualClock) -> None:
        for key in ("/kept", "/again", "/renewed", "/goes"):
            await store.commit(Put(key, b"", ttl_seconds=60))
        await store.commit(Put("/kept", b""))
        await store.commit(Delete("/again"))
        await store.commit(Put("/again", b""))
        await store.commit(Put("/renewed", b"", ttl_seconds=600))
        await asyncio.sleep(0.02)
        clock.advance(61)

        async def keys() -> list[str]:
            return [e.key for e in (await store.range("/")).entries]

        await eventually(keys, ["/again", "/kept", "/renewed"])
        clock.advance(600)
        await eventually(keys, ["/again", "/kept"])

    async def test_many_expire_in_bounded_steps(self, store: Store, clock: ManualClock) -> None:
        sizes: list[int] = []
        for n in range(3):
            await store.commit(*(Put(f"/{n}/{i}", b"", ttl_seconds=5) for i in range(400)))
        store.on_apply(lambda events: sizes.append(len(events)))
        await asyncio.sleep(0.02)
        clock.advance(6)

        async def left() -> int:
            return (await store.range("/")).count

        await eventually(left, 0)
        assert sum(sizes) == 1200
        assert len(sizes) > 1

    # Bounds and ends.

    async def test_history_is_bounded_without_being_asked(self, tmp_path: Path, clock: ManualClock) -> None:
        store = await self.open(tmp_path / "bounded.db", clock, history=100)
        for i in range(400):
            await store.commit(Put(f"/{i % 10}", b"%d" % i))

        async def bounded() -> bool:
            await store.commit(Put("/nudge", b""))
            return store.revision - store.compacted <= 130

        await eventually(bounded, True)
        assert (await store.range("/")).count == 11
        await store.close()

    async def test_a_closed_store_says_so(self, tmp_path: Path, clock: ManualClock) -> None:
        store = await self.open(tmp_path / "closed.db", clock, history=1000)
        watch = await store.watch("/")
        last = store.commit(Put("/a", b""))
        assert await anext(watch) == [Event("/a", b"", None, 2, 2, False)]
        assert await last == 2
        await store.close()
        await store.close()
        for attempt in (
            lambda: anext(watch),
            lambda: store.commit(Put("/b", b"")),
            lambda: store.get("/a"),
            lambda: store.range("/"),
            lambda: store.watch("/"),
            lambda: store.compact(2),
        ):
            with pytest.raises(StoreClosed):
                await attempt()
