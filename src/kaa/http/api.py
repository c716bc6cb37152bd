"""What flows through `kaa.http`: requests, answers, connections, and the client's `Transport`.

Server side: a `Handler` gets a `Request` and returns an `Answer`, or an awaitable of one. It may be called inside the
parser's callback, so it must not block. Client side: `Transport` is satisfied by `call.Caller` and
`inprocess.InProcess`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote

__all__ = [
    "LOCAL_PEER",
    "Answer",
    "CallError",
    "ConnectFailed",
    "Connection",
    "Disconnected",
    "Handler",
    "Header",
    "Peer",
    "Pieces",
    "Reply",
    "ReplyTooLarge",
    "Request",
    "Response",
    "StreamReply",
    "StreamingResponse",
    "TimedOut",
    "Transport",
    "Upgrade",
    "UpgradeRefused",
    "Upgraded",
    "Writer",
    "frame",
    "unframe",
]

Header = tuple[str, str]


class Peer:
    """Who is at the other end of a connection; one per connection, shared by its requests.

    `address` is "ip:port", or "unix" for a Unix socket, or a name for an in-process caller. `certificate_der` is the
    client certificate, verified against the listener's client CA, or None when none was given.
    """

    __slots__ = ("address", "certificate_der")

    def __init__(self, address: str, certificate_der: bytes | None = None) -> None:
        self.address = address
        self.certificate_der = certificate_der


LOCAL_PEER = Peer("in-process")


class Request:
    """One request with its whole body (bounded by the listener's limits).

    `raw_path` is as sent, `path` percent-decoded, `query` raw and without "?". Header names are lower case; values of
    a repeated header are joined by ", ". `trail` is for whoever follows requests through the handler; None is nobody.
    """

    __slots__ = ("_params", "_path", "body", "headers", "method", "peer", "query", "raw_path", "trail")

    def __init__(
        self,
        method: str,
        raw_path: str,
        query: str = "",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        peer: Peer = LOCAL_PEER,
    ) -> None:
        self.method = method
        self.raw_path = raw_path
        self.query = query
        self.headers = {} if headers is None else headers
        self.body = body
        self.peer = peer
        self.trail: Any = None
        self._path: str | None = None
        self._params: dict[str, list[str]] | None = None

    @property
    def path(self) -> str:
        """The percent-decoded path."""
        if self._path is None:
            self._path = unquote(self.raw_path) if "%" in self.raw_path else self.raw_path
        return self._path

    @property
    def params(self) -> dict[str, list[str]]:
        """The parsed query: every value of each name, blank ones included. Parsed on first use."""
        if self._params is None:
            self._params = parse_qs(self.query, keep_blank_values=True) if self.query else {}
        return self._params

    def param(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.params.get(name)
        return values[0] if values else default

    def __repr__(self) -> str:
        return f"Request({self.method} {self.raw_path}{'?' if self.query else ''}{self.query})"


class Pieces:
    """A body whose bytes are gathered while it is written: `len` of it is known, its pieces come when asked for.

    Iterated once at most. What the pieces are made of must not change meanwhile.
    """

    __slots__ = ("_length", "_made")

    def __init__(self, length: int, made: Iterable[bytes]) -> None:
        self._length = length
        self._made = made

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._made)


class Response:
    """An answer that is all at hand. `body` may be pieces, which are written one after another and never joined whole.

    Content-Length, Date and Connection are added by the listener; `headers` must not hold them.
    """

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int = 200,
        body: bytes | Sequence[bytes] | Pieces = b"",
        content_type: str = "application/json",
        headers: Sequence[Header] = (),
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers

    @property
    def length(self) -> int:
        """Bytes of the body."""
        body = self.body
        return len(body) if isinstance(body, bytes | Pieces) else sum(map(len, body))

    def __repr__(self) -> str:
        return f"Response({self.status}, {self.content_type})"


class StreamingResponse:
    """An answer written over time by `run`, as a chunked body that ends when `run` returns.

    `run` has a task of its own. It is cancelled when the client goes away and when the listener closes (then the
    final chunk is still sent). If it raises, the connection is cut without a final chunk, so that the client knows.
    Where `run` holds something from the start (a call to another server), `unused` lets it go when nobody will run it:
    the client left, or asked for the head alone. With a `length` the body is not chunked: `run` writes just so many
    bytes, or raises.
    """

    __slots__ = ("content_type", "headers", "length", "run", "status", "unused")

    def __init__(
        self,
        run: "Callable[[Writer], Awaitable[None]]",
        status: int = 200,
        content_type: str = "application/json",
        headers: Sequence[Header] = (),
        unused: Callable[[], None] | None = None,
        length: int | None = None,
    ) -> None:
        self.run = run
        self.status = status
        self.length = length
        self.content_type = content_type
        self.headers = headers
        self.unused = unused

    def discard(self) -> None:
        """`run` will not be called."""
        if self.unused is not None:
            self.unused()


class Upgrade:
    """101 Switching Protocols, then the raw byte stream for `run` (bytes the client already sent come first).

    When `run` returns, what was written is flushed and the connection closed. `run` is cancelled when the listener
    closes; when the client goes away its reads end with b"" and `connection.closed` is set. `unused` is as for
    `StreamingResponse`.
    """

    __slots__ = ("headers", "protocol", "run", "unused")

    def __init__(
        self,
        protocol: str,
        run: "Callable[[Connection], Awaitable[None]]",
        headers: Sequence[Header] = (),
        unused: Callable[[], None] | None = None,
    ) -> None:
        self.protocol = protocol
        self.run = run
        self.headers = headers
        self.unused = unused

    def discard(self) -> None:
        """`run` will not be called."""
        if self.unused is not None:
            self.unused()


Answer = Response | StreamingResponse | Upgrade
Handler = Callable[[Request], Answer | Awaitable[Answer]]
"""A plain `Answer` is written at once, without a task. An awaitable runs to its end even if the client leaves. An
exception that escapes is logged and becomes a 500 with a `Status` body."""


def frame(data: bytes) -> bytes:
    """`data` as one chunk of chunked transfer coding, for `Writer.write_framed`. Not for empty data."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def unframe(framed: bytes) -> bytes:
    """What `frame` made (one or more frames in a row), undone: for writers whose wire is not chunked."""
    pieces = []
    at = 0
    while at < len(framed):
        line_end = framed.index(b"\r\n", at)
        size = int(framed[at:line_end], 16)
        pieces.append(framed[line_end + 2 : line_end + 2 + size])
        at = line_end + 4 + size
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Writer(Protocol):
    """The body of a `StreamingResponse`. Writes never block and never raise; after `closed` they do nothing.

    The owner watches `buffered` and cuts off (`abort`) or waits (`drain`) when the client is slow.
    """

    @property
    def closed(self) -> asyncio.Event:
        """Set when the client went away, the listener closes, or `close` was called."""

    @property
    def buffered(self) -> int:
        """Bytes written that the kernel has not taken yet."""

    def write(self, data: bytes | Sequence[bytes]) -> None:
        """Send as one chunk (pieces are sent as one chunk, too). Empty data is ignored."""

    def write_framed(self, framed: bytes) -> None:
        """Send what `frame` made (or several such joined), as it is."""

    async def drain(self) -> None:
        """Wait until the buffer is below its mark, or the writer is closed."""

    def close(self) -> None:
        """End the body: `closed` is set; what is buffered is sent, then the final chunk once `run` has returned."""

    def abort(self) -> None:
        """Cut the connection now; what is buffered is lost and the client sees a broken body."""


class Connection(Protocol):
    """A raw byte stream after an upgrade. The read buffer is bounded: the peer is slowed down when nobody reads."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""

    @property
    def closed(self) -> asyncio.Event:
        """Set when the connection is gone."""

    @property
    def buffered(self) -> int:
        """Bytes written that the kernel has not taken yet."""

    async def read(self, count_max: int = 65536) -> bytes:
        """Up to `count_max` bytes as soon as there are any; b"" at the end of the stream."""

    async def readexactly(self, count: int) -> bytes:
        """Exactly `count` bytes; raises Disconnected when the stream ends before."""

    async def readuntil(self, separator: bytes = b"\n", count_max: int = 65536) -> bytes:
        """Through the separator; raises Disconnected at the end, ValueError when not found within `count_max`."""

    def write(self, data: bytes | Sequence[bytes]) -> None:
        """Queue bytes; does nothing once closed."""

    async def drain(self) -> None:
        """Wait until the write buffer is below its mark; raises Disconnected when the connection is gone."""

    def write_eof(self) -> None:
        """Half-close where the transport can (plain TCP, Unix sockets, in-process); else does nothing."""

    def close(self) -> None:
        """Send what is queued, then close."""

    def abort(self) -> None:
        """Close now; what is queued is lost."""


# --- client side -----------------------------------------------------------------------------------------------------


class CallError(Exception):
    """A call got no complete answer. The text says which address, and what to check."""


class ConnectFailed(CallError):
    """No connection: refused, unreachable, name unknown, TLS not agreed. Nothing was sent."""


class TimedOut(CallError):
    """No complete answer in time; the server may or may not have acted."""


class Disconnected(CallError):
    """The connection broke before the answer was complete; the server may or may not have acted."""


class ReplyTooLarge(CallError):
    """The answer, or a line of a streamed one, is over the caller's limit."""


@dataclass(slots=True)
class Reply:
    """A complete answer. Header names are lower case; `set-cookie` and other repeated values are joined by ", "."""

    status: int
    headers: dict[str, str]
    body: bytes


class UpgradeRefused(CallError):
    """The server answered an upgrade with something else than 101; `reply` is what it said."""

    def __init__(self, message: str, reply: Reply) -> None:
        super().__init__(message)
        self.reply = reply


@dataclass(slots=True)
class Upgraded:
    """A 101 answer: its headers, and the raw connection that the caller now owns and must close."""

    headers: dict[str, str]
    connection: Connection


class StreamReply:
    """An answer whose body is read as it comes. Its owner must call `aclose`, or use it as `async with`.

    Concrete transports give `_next` and `_close`. One reader at a time.
    """

    __slots__ = ("headers", "line_bytes_max", "status")

    def __init__(self, status: int, headers: dict[str, str], line_bytes_max: int) -> None:
        self.status = status
        self.headers = headers
        self.line_bytes_max = line_bytes_max

    async def _next(self) -> bytes:
        """The next bytes of the body; b"" at its end. Raises Disconnected when it broke."""
        raise NotImplementedError

    async def _close(self) -> None:
        raise NotImplementedError

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes as they come; their bounds mean nothing. Raises Disconnected if it breaks off."""
        while data := await self._next():
            yield data

    async def lines(self) -> AsyncIterator[bytes]:
        """The body's lines without their newline; a last line without one counts.

        Raises ReplyTooLarge beyond `line_bytes_max`.
        """
        parts: list[bytes] = []  # of a line whose end has not come yet
        size = 0
        while data := await self._next():
            first, newline, rest = data.partition(b"\n")
            parts.append(first)
            size += len(first)
            if size > self.line_bytes_max:
                raise ReplyTooLarge(f"a line of the stream is over {self.line_bytes_max} bytes")
            if not newline:
                continue
            yield first if len(parts) == 1 else b"".join(parts)
            whole = rest.split(b"\n")
            last = whole.pop()
            for line in whole:
                yield line
            parts = [last] if last else []
            size = len(last)
        if size:
            yield b"".join(parts)

    async def read(self) -> bytes:
        """The rest of the body at once: for error answers, which are small."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def aclose(self) -> None:
        """Stop reading and let the connection go. Safe to call twice."""
        await self._close()

    async def __aenter__(self) -> "StreamReply":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Transport(Protocol):
    """A client bound to one server. Errors are `CallError`s; an HTTP error status is not an error here."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Sequence[Header] = (),
        body: bytes = b"",
        timeout_seconds: float = 60.0,
    ) -> Reply:
        """One request and its complete answer. `path` is already percent-encoded."""

    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Sequence[Header] = (),
        body: bytes = b"",
        timeout_seconds: float = 60.0,
    ) -> StreamReply:
        """One request whose answer is read as it comes. The timeout is until its headers have come."""

    async def upgrade(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Sequence[Header] = (),
        protocol: str,
        timeout_seconds: float = 60.0,
    ) -> Upgraded:
        """Ask for another protocol on this connection. Raises UpgradeRefused with the answer if the server says no."""

    async def close(self) -> None:
        """Let all connections go; calls in flight fail with Disconnected."""
