"""The only door to task creation: nothing runs unnamed, and no error is lost.

A `Scope` owns tasks: leaving it cancels what still runs and waits for it. A task spawned as `eternal` that ends, even
without an error, is an error of the scope: a part that has silently stopped is worse than one that has crashed.
"""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from kaa.base.log import Logger

__all__ = ["EternalTaskEnded", "Scope", "spawn"]

T = TypeVar("T")
_log = Logger("tasks")
_kept: set[asyncio.Task[Any]] = set()


class EternalTaskEnded(RuntimeError):
    """A task that should have run until it was cancelled returned."""


def spawn(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start `work`; the task is kept alive until it ends, and an error nobody awaits is logged with its name."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _kept.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _kept.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task failed", task=task.get_name(), error=repr(error), exc=error)


class Scope:
    """Owns the tasks of a part.

    ```
    async with Scope("kubelet") as scope:
        scope.spawn(self.heartbeat(), name="heartbeat", eternal=True)
        await scope.wait()          # until an eternal task fails, or the scope is cancelled
    ```
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failure: asyncio.Future[None] | None = None

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str, eternal: bool = False) -> asyncio.Task[T]:
        """Start `work` in this scope. An eternal task's end makes `wait` raise."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}/{name}")
        self._tasks.add(task)
        task.add_done_callback(self._eternal_ended if eternal else self._task_ended)
        return task

    async def wait(self) -> None:
        """Run until an eternal task ends (raises its error, or EternalTaskEnded) or this call is cancelled."""
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        await self._failure

    async def close(self) -> None:
        """Cancel what runs and wait until it has ended. Safe to call twice."""
        while tasks := [t for t in self._tasks if t is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks.difference_update(tasks)

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task failed", task=task.get_name(), error=repr(error), exc=error)

    def _eternal_ended(self, task: asyncio.Task[Any]) -> None:
        self._task_ended(task)
        if task.cancelled():
            return
        if self._failure is None:
            self._failure = task.get_loop().create_future()
        if not self._failure.done():
            self._failure.set_exception(task.exception() or EternalTaskEnded(task.get_name()))

    async def __aenter__(self) -> "Scope":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
