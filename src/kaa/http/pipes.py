"""Two raw connections joined: what comes from one goes to the other, as fast as it is taken."""

import asyncio

from kaa.base.tasks import Scope
from kaa.http.api import Connection, Disconnected

__all__ = ["join"]


async def join(left: Connection, right: Connection) -> None:
    """Pass bytes both ways until both sides have ended, or one is gone. A half-close is passed on where the transport
    can; where it can't (TLS), the end of one side is the end of both. Closes neither."""

    async def carry(source: Connection, sink: Connection) -> None:
        try:
            while data := await source.read():
                sink.write(data)
                await sink.drain()
            sink.write_eof()
        except Disconnected:
            pass

    async with Scope("pipe") as scope:
        ends = {scope.spawn(carry(left, right), name="there"), scope.spawn(carry(right, left), name="back")}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
