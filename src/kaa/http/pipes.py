"""Two raw connections joined: what comes from one goes to the other, as fast as it is taken; and how to let go."""

import asyncio
from collections.abc import Awaitable

from kaa.base import tasks
from kaa.base.tasks import Scope
from kaa.http.api import Connection, Disconnected

__all__ = ["join", "let_go"]


async def join(left: Connection, right: Connection) -> None:
    """Pass bytes both ways until either side ends or is gone; what had come until then is written. Closes neither."""

    async def carry(source: Connection, sink: Connection) -> None:
        try:
            while data := await source.read():
                sink.write(data)
                await sink.drain()
        except Disconnected:
            pass

    async with Scope("pipe") as scope:
        ends = {scope.spawn(carry(left, right), name="there"), scope.spawn(carry(right, left), name="back")}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)


async def let_go(*closings: Awaitable[None]) -> None:
    """Await these one after another, to their end also when the caller is cancelled meanwhile: a stream may be
    cancelled twice, by its client's leaving and by the listener's closing."""

    async def all_of_them() -> None:
        for closing in closings:
            await closing

    await asyncio.shield(tasks.spawn(all_of_them(), name="let-go"))
