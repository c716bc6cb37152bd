"""The raw byte stream after an upgrade: both sides of a socket, and a pair without one."""

import asyncio
from collections.abc import Callable, Sequence

from kaa.http.api import Disconnected, Peer

__all__ = ["READ_BUFFER_BYTES_MAX", "MemoryConnection", "RawConnection", "memory_pair"]

READ_BUFFER_BYTES_MAX = 256 * 1024


class ByteBuffer:
    """Received bytes that wait for a reader. One reader at a time; `on_low` is called when it has been emptied out."""

    __slots__ = ("_data", "_ended", "_on_low", "_waiter")

    def __init__(self, on_low: Callable[[], None]) -> None:
        self._data = bytearray()
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._on_low = on_low

    def __len__(self) -> int:
        return len(self._data)

    @property
    def ended(self) -> bool:
        return self._ended

    def feed(self, data: bytes) -> None:
        self._data += data
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _more(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("two tasks read one connection: let one of them read")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _take(self, count: int) -> bytes:
        data = bytes(self._data[:count])
        del self._data[:count]
        if len(self._data) <= READ_BUFFER_BYTES_MAX // 4:
            self._on_low()
        return data

    async def read(self, count_max: int) -> bytes:
        while not self._data:
            if self._ended:
                return b""
            await self._more()
        return self._take(count_max)

    async def readexactly(self, count: int) -> bytes:
        if len(self._data) < count:
            # What is asked for may be more than the buffer's mark: take pieces as they come.
            pieces, have = [], 0
            while have < count:
                piece = await self.read(count - have)
                if not piece:
                    raise Disconnected(f"the connection ended after {have} of {count} bytes")
                pieces.append(piece)
                have += len(piece)
            return b"".join(pieces)
        return self._take(count)

    async def readuntil(self, separator: bytes, count_max: int) -> bytes:
        searched = 0
        while True:
            at = self._data.find(separator, max(0, searched - len(separator) + 1))
            if at >= 0:
                if at + len(separator) > count_max:
                    raise ValueError(f"no separator within {count_max} bytes")
                return self._take(at + len(separator))
            searched = len(self._data)
            if searched >= min(count_max, READ_BUFFER_BYTES_MAX):
                raise ValueError(f"no separator within {count_max} bytes")
            if self._ended:
                raise Disconnected("the connection ended within a line")
            await self._more()


class RawConnection(asyncio.Protocol):
    """`api.Connection` on a transport that it takes over by `set_protocol`."""

    __slots__ = ("_buffer", "_drained", "_on_lost", "_reading_paused", "_transport", "closed", "moved", "peer")

    def __init__(
        self, transport: asyncio.Transport, peer: Peer, received: bytes, *, on_lost: Callable[[], None]
    ) -> None:
        self.peer = peer
        self.closed = asyncio.Event()
        self._transport = transport
        self._on_lost = on_lost
        self._buffer = ByteBuffer(self._resume)
        self._reading_paused = False
        self._drained = asyncio.Event()
        self._drained.set()
        self.moved = True
        """Whether bytes came, or could go, since its owner last set this to False: for idle limits."""
        if received:
            self._buffer.feed(received)

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        self.moved = True
        self._buffer.feed(data)
        if len(self._buffer) > READ_BUFFER_BYTES_MAX and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._buffer.end()
        # Half-closed: we may still write. TLS has no such state and closes whatever is said here.
        return self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, error: Exception | None) -> None:
        self._buffer.end()
        self.closed.set()
        self._drained.set()
        self._on_lost()

    def pause_writing(self) -> None:
        self._drained.clear()

    def resume_writing(self) -> None:
        self.moved = True
        self._drained.set()

    def _resume(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            if not self.closed.is_set():
                self._transport.resume_reading()

    # api.Connection

    @property
    def buffered(self) -> int:
        return 0 if self.closed.is_set() else self._transport.get_write_buffer_size()

    async def read(self, count_max: int = 65536) -> bytes:
        return await self._buffer.read(count_max)

    async def readexactly(self, count: int) -> bytes:
        return await self._buffer.readexactly(count)

    async def readuntil(self, separator: bytes = b"\n", count_max: int = 65536) -> bytes:
        return await self._buffer.readuntil(separator, count_max)

    def write(self, data: bytes | Sequence[bytes]) -> None:
        if self._transport.is_closing():
            return
        if self._drained.is_set():
            self.moved = True
        self._transport.write(data if isinstance(data, bytes | bytearray | memoryview) else b"".join(data))

    async def drain(self) -> None:
        if not self._drained.is_set():
            await self._drained.wait()
        if self.closed.is_set() or self._transport.is_closing():
            raise Disconnected(f"the connection to {self.peer.address} is closed")

    def write_eof(self) -> None:
        if not self._transport.is_closing() and self._transport.can_write_eof():
            self._transport.write_eof()

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


class MemoryConnection:
    """One end of a pair in one process: what one end writes the other reads."""

    __slots__ = ("_buffer", "_drained", "_eof_sent", "_other", "closed", "peer")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.closed = asyncio.Event()
        self._buffer = ByteBuffer(self._emptied)
        self._drained = asyncio.Event()
        self._drained.set()
        self._eof_sent = False
        self._other: MemoryConnection | None = None

    def _emptied(self) -> None:
        if self._other is not None:
            self._other._drained.set()

    @property
    def buffered(self) -> int:
        return len(self._other._buffer) if self._other is not None else 0

    async def read(self, count_max: int = 65536) -> bytes:
        return await self._buffer.read(count_max)

    async def readexactly(self, count: int) -> bytes:
        return await self._buffer.readexactly(count)

    async def readuntil(self, separator: bytes = b"\n", count_max: int = 65536) -> bytes:
        return await self._buffer.readuntil(separator, count_max)

    def write(self, data: bytes | Sequence[bytes]) -> None:
        other = self._other
        if other is None or self._eof_sent or self.closed.is_set():
            return
        other._buffer.feed(data if isinstance(data, bytes) else b"".join(data))
        if len(other._buffer) > READ_BUFFER_BYTES_MAX:
            self._drained.clear()

    async def drain(self) -> None:
        if not self._drained.is_set():
            await self._drained.wait()
        if self.closed.is_set():
            raise Disconnected(f"the connection to {self.peer.address} is closed")

    def write_eof(self) -> None:
        self._eof_sent = True
        if self._other is not None:
            self._other._buffer.end()

    def close(self) -> None:
        other, self._other = self._other, None
        for end in (self, other):
            if end is not None:
                end._other = None
                end._buffer.end()
                end._drained.set()
                end.closed.set()

    def abort(self) -> None:
        self.close()


def memory_pair(client: Peer, server: Peer) -> tuple[MemoryConnection, MemoryConnection]:
    """Two ends: the client's (whose peer is the server) and the server's."""
    ours, theirs = MemoryConnection(server), MemoryConnection(client)
    ours._other, theirs._other = theirs, ours
    return ours, theirs
