"""The writer of a streamed answer on a socket.

What is written in one turn of the loop goes out as one write: a burst of small events costs one system call, and under
TLS one record instead of one each. An event for a thousand watchers is a thousand writes: `Flushes` does them a few at
a time, so that others have the loop in between.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from kaa.http.api import unframe

__all__ = ["Flushes", "SocketWriter"]

_FLUSH_BYTES = 128 * 1024
#: Writers flushed in one turn of the loop: under TLS some 25 microseconds each.
_FLUSHED_AT_ONCE = 32


class Flushes:
    """The writers of a listener that have something to send."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[SocketWriter] = deque()

    def ask(self, writer: "SocketWriter") -> None:
        """Flush the writer on one of the next turns of the loop."""
        if not self._waiting:
            self._loop.call_soon(self._run)
        self._waiting.append(writer)

    def _run(self) -> None:
        waiting = self._waiting
        for _ in range(min(len(waiting), _FLUSHED_AT_ONCE)):
            waiting.popleft().flush()
        if waiting:
            self._loop.call_soon(self._run)


class SocketWriter:
    """`api.Writer` over a transport."""

    __slots__ = ("_chunked", "_drained", "_flushes", "_pending", "_pending_bytes", "_transport", "closed")

    def __init__(self, transport: asyncio.Transport, flushes: Flushes, *, chunked: bool, paused: bool) -> None:
        self.closed = asyncio.Event()
        self._transport = transport
        self._chunked = chunked
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._flushes = flushes
        self._drained = asyncio.Event()
        if not paused:
            self._drained.set()

    @property
    def buffered(self) -> int:
        return self._pending_bytes + self._transport.get_write_buffer_size()

    def write(self, data: bytes | Sequence[bytes]) -> None:
        if self.closed.is_set():
            return
        pieces = (data,) if isinstance(data, bytes) else data
        size = sum(map(len, pieces))
        if not size:
            return  # an empty chunk would end the body
        if not self._pending:
            self._flushes.ask(self)
        if self._chunked:
            self._pending.append(b"%x\r\n" % size)
            self._pending.extend(pieces)
            self._pending.append(b"\r\n")
        else:
            self._pending.extend(pieces)
        self._pending_bytes += size
        if self._pending_bytes > _FLUSH_BYTES:
            self.flush()

    def write_framed(self, framed: bytes) -> None:
        if self.closed.is_set():
            return
        if not self._pending:
            self._flushes.ask(self)
        self._pending.append(framed if self._chunked else unframe(framed))
        self._pending_bytes += len(framed)
        if self._pending_bytes > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand what is pending to the transport."""
        if self._pending:
            pending, self._pending, self._pending_bytes = self._pending, [], 0
            if not self._transport.is_closing():
                self._transport.write(pending[0] if len(pending) == 1 else b"".join(pending))

    async def drain(self) -> None:
        self.flush()
        if not self._drained.is_set():
            await self._drained.wait()

    def close(self) -> None:
        self.closed.set()
        self._drained.set()

    def abort(self) -> None:
        self.close()
        self._transport.abort()

    # the connection's side

    def pause(self) -> None:
        """The transport's buffer is full."""
        if not self.closed.is_set():
            self._drained.clear()

    def resume(self) -> None:
        """The transport has room again."""
        self._drained.set()

    def lost(self) -> None:
        """The client went away."""
        self._pending, self._pending_bytes = [], 0
        self.close()

    def finish(self) -> None:
        """`run` has returned: send what is left and the end of the body."""
        self.flush()
        if self._chunked and not self._transport.is_closing():
            self._transport.write(b"0\r\n\r\n")
