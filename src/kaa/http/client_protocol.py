"""One connection of the client: sends a request, parses its answer, and can then be used again.

One exchange at a time. A call's future gets the complete reply; a stream's gets its head, and the body is then taken
from the connection piece by piece, which slows the server down when nobody takes it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, cast

import httptools

from kaa.http.api import Disconnected, Peer, Reply, ReplyTooLarge
from kaa.http.connection import RawConnection
from kaa.http.wire import header_name, header_value

__all__ = ["ClientProtocol"]

_HEAD_BYTES_MAX = 256 * 1024
_QUEUED_BYTES_MAX = 1024 * 1024  # of a streamed body that nobody has taken

Mode = Literal["call", "stream", "upgrade"]


class ClientProtocol(asyncio.Protocol):
    """Made by the caller for each connection. `on_lost` is called once, when it is gone."""

    __slots__ = (
        "_complete",
        "_error",
        "_head_bytes",
        "_head_only",
        "_headers",
        "_in_head",
        "_keep",
        "_mode",
        "_parser",
        "_parts",
        "_parts_bytes",
        "_raw",
        "_reading_paused",
        "_reply_bytes_max",
        "_status",
        "_transport",
        "_until_end",
        "_waiter",
        "_waiter_more",
        "answered",
        "idle_since",
        "lost",
        "made_at",
        "on_lost",
        "where",
    )

    def __init__(self, where: str, on_lost: "Callable[[ClientProtocol], None]") -> None:
        self.where = where
        self.on_lost = on_lost
        self.lost = False
        self.answered = False
        """Whether any byte of the current answer has come."""
        self.idle_since = 0.0
        self.made_at = 0.0
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._parser: Any = None
        self._mode: Mode = "call"
        self._waiter: asyncio.Future[Reply] | None = None
        self._waiter_more: asyncio.Future[None] | None = None
        self._parts: deque[bytes] = deque()
        self._parts_bytes = 0
        self._status = 0
        self._headers: dict[str, str] = {}
        self._in_head = False
        self._head_bytes = 0
        self._head_only = False
        self._until_end = False
        self._complete = True
        self._error: Exception | None = None
        self._reading_paused = False
        self._reply_bytes_max = 0
        self._keep = True
        self._raw: RawConnection | None = None

    # --- the caller's side ---

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent: the last answer is complete and the server keeps the connection."""
        return (
            self._complete
            and not self.lost
            and self._error is None
            and not self._until_end
            and not self._head_only
            and not self._transport.is_closing()
            and self._keep
        )

    @property
    def complete(self) -> bool:
        """Whether the last answer has come to its end."""
        return self._complete

    def send(
        self, request: bytes, body: bytes, mode: Mode, head_only: bool, reply_bytes_max: int
    ) -> asyncio.Future[Reply]:
        """Send; the future gets the reply (for a stream, or an answered upgrade, with an empty body)."""
        assert self._complete, "one exchange at a time"
        self._mode = mode
        self._head_only = head_only
        self._reply_bytes_max = reply_bytes_max
        self._parser = httptools.HttpResponseParser(self)
        self._parts.clear()
        self._parts_bytes = 0
        self._complete = self.answered = self._until_end = False
        self._headers = {}
        self._in_head = True
        self._head_bytes = 0
        self._waiter = asyncio.get_running_loop().create_future()
        if self.lost or self._transport.is_closing():
            self._fail(Disconnected(f"the connection to {self.where} was closed before the request was sent"))
        elif len(body) <= 65536:
            self._transport.write(request + body)
        else:
            self._transport.write(request)
            self._transport.write(body)
        return self._waiter

    async def next_part(self) -> bytes:
        """More of a streamed body; b"" at its end."""
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._complete:
                return b""
            if self._waiter_more is not None:
                raise RuntimeError("two tasks read one stream: let one of them read")
            self._waiter_more = asyncio.get_running_loop().create_future()
            try:
                await self._waiter_more
            finally:
                self._waiter_more = None
        part = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._parts_bytes = 0
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()
        return part

    def take_raw(self) -> RawConnection:
        """The raw connection after a 101."""
        assert self._raw is not None
        return self._raw

    def close(self) -> None:
        """Close; an exchange in progress fails."""
        self._transport.close()

    def abort(self) -> None:
        """Cut, without waiting for the other side."""
        self._fail(Disconnected(f"the connection to {self.where} was closed by its owner"))
        self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.lost:
            return
        self.lost = True
        if not self._complete:
            if self._until_end and not self._in_head:
                self._finish()
            else:
                why = f": {error}" if error is not None else " before its answer was complete"
                self._fail(Disconnected(f"the connection to {self.where} broke{why}"))
        self.on_lost(self)

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        if self._complete:
            # Nobody asked: a server that closes with a message (408), or a broken one.
            self._transport.abort()
            return
        self.answered = True
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if not self._complete:
                self._fail(Disconnected(f"{self.where} did not answer in HTTP/1.1: {error}"))
            self._transport.abort()
        if self._in_head and not self._complete and self._head_bytes > _HEAD_BYTES_MAX:
            self._fail(ReplyTooLarge(f"the head of the answer from {self.where} is over {_HEAD_BYTES_MAX} bytes"))
            self._transport.abort()

    # --- the parser's callbacks ---

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer
        key = header_name(name)
        text = header_value(value)
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        self._status = status
        self._keep = self._parser.should_keep_alive()
        self._in_head = False
        headers = self._headers
        if self._head_only:
            self._finish()
            return
        self._until_end = (
            "content-length" not in headers and "transfer-encoding" not in headers and status not in (101, 204, 304)
        )
        if self._mode == "stream":
            self._answer(b"")
        elif int(headers.get("content-length") or 0) > self._reply_bytes_max:
            self._too_large()

    def on_body(self, data: bytes) -> None:
        if self._complete:
            return
        self._parts.append(data)
        self._parts_bytes += len(data)
        if self._mode == "stream":
            self._wake()
            if self._parts_bytes > _QUEUED_BYTES_MAX and not self._reading_paused:
                self._reading_paused = True
                self._transport.pause_reading()
        elif self._parts_bytes > self._reply_bytes_max:
            self._too_large()

    def on_message_complete(self) -> None:
        if self._in_head:
            self._headers = {}  # of an interim answer
        elif not self._complete and self._status != 101:
            self._finish()

    # --- ends ---

    def _too_large(self) -> None:
        self._fail(ReplyTooLarge(f"the answer from {self.where} is over {self._reply_bytes_max} bytes: list in pages"))
        self._transport.abort()

    def _upgraded(self, received: bytes) -> None:
        if self._mode != "upgrade":
            self._fail(Disconnected(f"{self.where} switched protocols without being asked"))
            self._transport.abort()
            return
        name = self._transport.get_extra_info("peername")
        peer = Peer(f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "unix")
        self._raw = RawConnection(self._transport, peer, received, on_lost=self._raw_lost)
        self._transport.set_protocol(self._raw)
        self._finish()

    def _raw_lost(self) -> None:
        self.lost = True
        self.on_lost(self)

    def _answer(self, body: bytes) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Reply(self._status, self._headers, body))

    def _finish(self) -> None:
        self._complete = True
        if self._mode == "stream" and not self._head_only:
            self._wake()
            return
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._answer(body)

    def _fail(self, error: Exception) -> None:
        if self._complete:
            return
        self._complete = True
        self._error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self._wake()

    def _wake(self) -> None:
        if self._waiter_more is not None and not self._waiter_more.done():
            self._waiter_more.set_result(None)
