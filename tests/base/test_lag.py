"""A loop that was held says so, in the bucket of how long it was held."""

import asyncio
import time

from kaa.base.lag import BOUNDS_SECONDS, LagMeter


async def test_a_held_loop_is_seen() -> None:
    meter = LagMeter(0.005)
    meter.start()
    await asyncio.sleep(0.05)
    meter.reset()
    time.sleep(0.12)  # noqa: ASYNC251 — holding the loop is the point
    await asyncio.sleep(0.02)
    meter.stop()
    assert meter.max_seconds > 0.1
    assert sum(meter.counts[BOUNDS_SECONDS.index(0.1) + 1 :]) >= 1
    assert meter.quantile(1.0) >= 0.1
    taken = sum(meter.counts)
    await asyncio.sleep(0.02)
    assert sum(meter.counts) == taken, "a stopped meter samples nothing"


def test_quantiles_are_bounds_of_the_buckets() -> None:
    meter = LagMeter()
    meter.counts[0], meter.counts[5] = 98, 2
    assert meter.quantile(0.5) == BOUNDS_SECONDS[0]
    assert meter.quantile(0.99) == BOUNDS_SECONDS[5]
