"""The memory store keeps the contract, and its history stays within its bounds."""

from pathlib import Path

import pytest

from kaa.base.clock import Clock
from kaa.store import Put, Store, StoreUnusable, open_store
from kaa.store.memory import MemoryStore
from kaa.store.sortedkeys import SortedKeys
from kaa.testing.store_contract import ManualClock, StoreContract


class TestMemoryStore(StoreContract):
    async def open(self, path: Path, clock: Clock, *, history: int) -> Store:
        return MemoryStore(clock, history_events_max=history)


async def test_history_is_bounded_in_bytes():
    store = MemoryStore(ManualClock(), history_bytes_max=100_000)
    for _ in range(100):
        await store.commit(Put("/a", bytes(10_000)))
        assert store._replaced_bytes <= 110_000
    assert store.compacted > 80
    assert (await store.get("/a", store.compacted)).mod_revision == store.compacted
    await store.close()


async def test_a_commit_does_not_suspend():
    store = MemoryStore(ManualClock())
    with pytest.raises(StopIteration) as done:
        store.commit(Put("/a", b"")).__await__().__next__()
    assert done.value.value == 2
    await store.close()


def test_sorted_keys():
    keys = SortedKeys()
    names = [f"/{i * 7919 % 5000:05}" for i in range(5000)]
    for name in names:
        keys.add(name)
    for name in names[::3]:
        keys.remove(name)
    left = sorted(set(names) - set(names[::3]))
    assert list(keys.between("", None)) == left
    for start, end in (("/00100", "/00200"), ("/01023", "/01025"), ("/04999", None), ("/9", None), ("", "/0")):
        for after in (False, True):
            wanted = [k for k in left if (k > start if after else k >= start) and (end is None or k < end)]
            assert list(keys.between(start, end, after=after)) == wanted
            assert keys.count(start, end, after=after) == len(wanted)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("etcd://10.0.0.1:2379", "etcd is not served yet"),
        ("https://10.0.0.1:2379", "etcd is not served yet"),
        ("sqlite:relative.db", "absolute path"),
        ("redis://x", "no store is called"),
        ("memory", "no store is called"),
    ],
)
async def test_urls_that_name_no_store(url, says):
    with pytest.raises(StoreUnusable, match=says):
        await open_store(url)


async def test_urls(tmp_path):
    for url in ("memory:", "memory://", f"sqlite:{tmp_path}/a.db", f"sqlite://{tmp_path}/b.db"):
        store = await open_store(url)
        assert await store.commit(Put("/a", b"")) == 2
        await store.close()
