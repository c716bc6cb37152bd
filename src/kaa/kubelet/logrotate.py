"""Rotating container logs: a log that has grown too large is put aside and the runtime told to begin another."""

import asyncio
import gzip
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from kaa.base.clock import Clock, format_seconds
from kaa.base.log import Logger
from kaa.kubelet.cri import api

__all__ = ["rotate_logs"]

_log = Logger("kubelet")
PERIOD_SECONDS = 10.0


async def rotate_logs(
    runtime: api.Runtime,
    running: Callable[[], Iterable[tuple[str, Path]]],
    clock: Clock,
    *,
    bytes_max: int,
    files_max: int,
) -> None:
    """For ever: look at the logs of running containers, (id, path), and rotate those beyond `bytes_max`."""
    while True:
        await clock.sleep(PERIOD_SECONDS)
        for id_, path in list(running()):
            try:
                if os.stat(path).st_size > bytes_max:
                    await rotate(runtime, id_, path, clock, files_max)
            except FileNotFoundError:
                continue
            except (OSError, api.RuntimeFailed) as error:
                _log.warning("log not rotated", path=str(path), error=str(error))


async def rotate(runtime: api.Runtime, id_: str, path: Path, clock: Clock, files_max: int) -> None:
    """One log. Of `files_max`, one is the current; the newest one put aside stays uncompressed, since readers may
    still be following it."""
    aside = sorted(p for p in path.parent.glob(f"{path.name}.*") if not p.name.endswith(".tmp"))
    keep = max(0, files_max - 2)
    for old in aside[: max(0, len(aside) - keep)]:
        old.unlink(missing_ok=True)
    for old in aside[max(0, len(aside) - keep) :]:
        if old.suffix != ".gz":
            await asyncio.to_thread(_compress, old)
    stamp = format_seconds(clock.now()).replace("-", "").replace(":", "").replace("T", "-").rstrip("Z")
    rotated = path.with_name(f"{path.name}.{stamp}")
    os.rename(path, rotated)
    try:
        await runtime.reopen_log(id_)
    except api.RuntimeFailed:
        # The runtime still writes to the old file: it gets its name back.
        os.rename(rotated, path)
        raise


def _compress(path: Path) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with open(path, "rb") as source, gzip.open(temporary, "wb") as target:
        shutil.copyfileobj(source, target)
    os.rename(temporary, path.with_name(path.name + ".gz"))
    path.unlink()
