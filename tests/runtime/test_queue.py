"""The queue's promises: once at a time, nothing missed, failures further apart."""

import asyncio

import pytest
from tests.runtime.manual_clock import ManualClock, settle

from kaa.runtime.queue import WorkQueue
from kaa.runtime.timers import Timers


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_each_key_waits_once_in_order_of_arrival(clock: ManualClock) -> None:
    queue = WorkQueue(clock)
    for key in "abac":
        queue.add(key)
    assert len(queue) == 3 and queue.adds == 3
    assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]


async def test_a_key_in_work_is_not_handed_out_again_and_not_forgotten(clock: ManualClock) -> None:
    queue = WorkQueue(clock)
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    second = asyncio.ensure_future(queue.get())
    await settle()
    assert not second.done() and not queue.idle
    queue.done("a")
    assert await second == "a"
    queue.done("a")
    assert queue.idle


async def test_backoff_doubles_up_to_its_bound_and_forgets(clock: ManualClock) -> None:
    queue = WorkQueue(clock)
    waits = []
    for _ in range(20):
        waits.append(queue.add_backoff("a"))
    assert waits[:4] == [0.005, 0.01, 0.02, 0.04]
    assert waits[17:] == [0.005 * 2**17, 1000.0, 1000.0]
    for _ in range(5000):
        queue.add_backoff("b")  # no overflow, however long a key fails
    queue.forget("a")
    assert queue.add_backoff("a") == 0.005
    queue.clear()


async def test_later_is_the_earliest_wish(clock: ManualClock) -> None:
    queue = WorkQueue(clock)
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    queue.add_after("b", 7)
    await clock.advance(4.9)
    assert len(queue) == 0
    await clock.advance(0.2)
    assert await queue.get() == "a"
    queue.done("a")
    await clock.advance(100)
    assert [await queue.get(), len(queue)] == ["b", 0]


async def test_a_cancelled_worker_loses_no_key(clock: ManualClock) -> None:
    queue = WorkQueue(clock)
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await settle()
    queue.add("a")
    first.cancel()  # it was woken for the key, and goes before it could take it
    assert await asyncio.wait_for(second, 1) == "a"
    assert first.cancelled()


async def test_many_workers_take_many_keys(clock: ManualClock) -> None:
    queue = WorkQueue(clock)
    getters = [asyncio.ensure_future(queue.get()) for _ in range(5)]
    await settle()
    for number in range(5):
        queue.add(str(number))
    assert sorted(await asyncio.gather(*getters)) == list("01234")


async def test_timers_fire_in_order_and_survive_a_failing_callback(clock: ManualClock) -> None:
    timers = Timers(clock, "test")
    fired: list[str] = []

    def fail() -> None:
        raise RuntimeError("mistake")

    timers.after(3, lambda: fired.append("c"))
    timers.after(1, lambda: (fired.append("a"), timers.after(1, lambda: fired.append("b"))))
    timers.after(2.5, fail)
    timers.after(2, lambda: fired.append("never")).cancel()
    await clock.advance(10)
    assert fired == ["a", "b", "c"]
    timers.after(1, lambda: fired.append("d"))  # after the heap had run empty
    await clock.advance(1)
    assert fired[-1] == "d"
    timers.after(1, lambda: fired.append("e"))
    timers.close()
    await clock.advance(2)
    assert fired[-1] == "d"
