"""What every long-running process of Kaa does: signals, readiness, garbage collection, a clean end."""

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from kaa.base import memory
from kaa.base.clock import REAL
from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.client.config import ConfigError
from kaa.cluster.daemons import LOG_BYTES_MAX, READY_FD
from kaa.store.api import StoreError

__all__ = ["Ready", "run_process"]

Ready = Callable[[], None]
Main = Callable[[Ready], Coroutine[Any, Any, None]]

LOG_CHECK_SECONDS = 60.0
STOP_SECONDS_MAX = 30.0


def run_process(name: str, main: Main) -> int:
    """Run `main(ready)` until it ends or the process is asked to (SIGTERM, SIGINT); the exit status.

    `main` calls `ready` once it serves, and cleans up when it is cancelled.
    """
    from kaa.http.loop import run

    memory.hold()
    return run(_supervise(name, main))


async def _supervise(name: str, main: Main) -> int:
    log = Logger(name)
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    serving = False
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    # A terminal that goes away must not take a foreground server's log with it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def ready() -> None:
        nonlocal serving
        serving = True
        _ready(log)

    async def guarded() -> int:
        try:
            await main(ready)
            log.error("ended by itself")
        except (ValueError, OSError, ConfigError, StoreError) as error:
            # Before it serves, such an error is about what it was given: the words say what to change.
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            log.error(text, exc=error if serving else None)
        except Exception as error:
            log.error("failed", error=repr(error), exc=error)
        return 1

    async with Scope(name) as scope:
        scope.spawn(_bound_log(), name="log", eternal=True)
        work = scope.spawn(guarded(), name="main")
        waiting = scope.spawn(asked.wait(), name="signals")
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.is_set():
            return work.result()
        log.info("asked to end")
        work.cancel()
        await asyncio.wait({work}, timeout=STOP_SECONDS_MAX)
        return 0


def _ready(log: Logger) -> None:
    memory.settle()
    descriptor = os.environ.pop(READY_FD, "")
    if descriptor:
        try:
            os.write(int(descriptor), b"ready\n")
        except OSError:
            pass  # whoever started us has stopped waiting
        os.close(int(descriptor))
    log.info("ready", pid=os.getpid())


async def _bound_log() -> None:
    """When standard error is a file, keep one older piece of it and start over."""
    path = os.readlink("/proc/self/fd/2") if os.path.exists("/proc/self/fd/2") else ""  # noqa: ASYNC240 - /proc
    while True:
        await REAL.sleep(LOG_CHECK_SECONDS)
        try:
            if path.endswith(".log") and os.fstat(2).st_size > LOG_BYTES_MAX:
                await asyncio.to_thread(shutil.copyfile, path, Path(path).with_suffix(".log.1"))
                os.ftruncate(2, 0)  # it was opened for appending, so the next line begins at 0
        except OSError:
            continue
