"""How quickly the stores write and read, as JSON on standard output.

`python bench/store.py [--seconds S] [--directory D]`: writes of 1 KiB by 1, 8 and 64 writers that each wait for their
answer, to a new store in D (choose a directory on the disk in question), beside a loop of bare pwrite and fdatasync of
the same size, one at a time: what the disk allows a store that syncs each write by itself.
"""

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from kaa.store import Put, Store, open_store

VALUE = os.urandom(1024)
WRITERS = (1, 8, 64)


def quantile(sorted_seconds: list[float], share: float) -> float:
    """In milliseconds."""
    return round(sorted_seconds[min(len(sorted_seconds) - 1, int(len(sorted_seconds) * share))] * 1000, 4)


def summary(took: list[float], seconds: float) -> dict[str, float]:
    took.sort()
    return {
        "per_second": round(len(took) / seconds, 1),
        "p50_ms": quantile(took, 0.50),
        "p99_ms": quantile(took, 0.99),
    }


def raw_syncs(directory: str, seconds: float) -> dict[str, float]:
    took = []
    fd = os.open(os.path.join(directory, "raw"), os.O_RDWR | os.O_CREAT, 0o600)
    start = now = time.perf_counter()
    while now - start < seconds:
        os.pwrite(fd, VALUE, len(took) * len(VALUE))
        os.fdatasync(fd)
        before, now = now, time.perf_counter()
        took.append(now - before)
    os.close(fd)
    return summary(took, now - start)


async def writes(store: Store, writers: int, seconds: float) -> dict[str, float]:
    took: list[float] = []
    start = time.perf_counter()

    async def write(name: int) -> None:
        number = 0
        now = time.perf_counter()
        while now - start < seconds:
            await store.commit(Put(f"/registry/bench/{writers}/{name}/{number:08}", VALUE, 0))
            before, now = now, time.perf_counter()
            took.append(now - before)
            number += 1
            if number % 1000 == 0:
                await asyncio.sleep(0)  # a store that never waits must not keep the other writers waiting

    await asyncio.gather(*(write(n) for n in range(writers)))
    return summary(took, time.perf_counter() - start)


async def reads(store: Store, seconds: float) -> dict[str, object]:
    keys = [e.key for e in (await store.range("/registry/bench/", limit=1000)).entries]
    took: list[float] = []
    start = now = time.perf_counter()
    while now - start < seconds:
        await store.get(keys[len(took) % len(keys)])
        before, now = now, time.perf_counter()
        took.append(now - before)
    gets = summary(took, now - start)
    start = time.perf_counter()
    found = await store.range("/registry/bench/")
    elapsed = time.perf_counter() - start
    return {"get": gets, "range": {"entries": found.count, "entries_per_second": round(found.count / elapsed)}}


async def main(seconds: float, directory: str) -> dict[str, object]:
    raw = raw_syncs(directory, seconds)
    report: dict[str, object] = {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "sqlite": sqlite3.sqlite_version},
        "value_bytes": len(VALUE),
        "raw_fdatasync": raw,
    }
    for url in ("memory:", f"sqlite:{directory}/store.db"):
        store = await open_store(url)
        rows: dict[str, object] = {}
        for writers in WRITERS:
            row = await writes(store, writers, seconds)
            if url.startswith("sqlite"):
                row["ratio_to_raw_fdatasync"] = round(row["per_second"] / raw["per_second"], 3)
            rows[str(writers)] = row
        report[url.partition(":")[0]] = {"writers": rows, "reads": await reads(store, seconds)}
        await store.close()
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--directory", default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kaa-bench-", dir=options.directory) as scratch:
        print(json.dumps(asyncio.run(main(options.seconds, os.path.abspath(scratch))), indent=2))
