"""One connection of a listener: parse, hand over, answer in order.

The state in one paragraph. `_busy` is true from handing a request over until its answer is written as far as the
transport takes it; requests parsed meanwhile wait in `_queue`, and what is not parsed yet in `_held` (after too many
queued requests, or after one that asks for an upgrade, whose answer decides what the bytes after it are).
`_stopped` means that nothing more is read: the connection ends once it has answered what it owes.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import httptools

from kaa.base import tasks
from kaa.base.log import Logger
from kaa.http.api import Answer, Disconnected, Peer, Request, Response, StreamingResponse, Upgrade
from kaa.http.connection import RawConnection
from kaa.http.stream_writer import SocketWriter
from kaa.http.wire import header_name, header_value, render_headers, status_response

if TYPE_CHECKING:
    from kaa.http.serve import Server

__all__ = ["ServerProtocol"]

_log = Logger("http")
_FEED_BYTES = 16 * 1024  # parsed at once, which bounds how many requests can come of it
_ANSWERS_AT_ONCE = 64  # to pipelined requests before other connections get their turn
_JOIN_BYTES = 64 * 1024  # bodies up to this are joined to their head: one write is cheaper than two
_PIECE_BYTES = 256 * 1024  # larger bodies are written in pieces of this
_REPEATS_MAX = 256  # of headers that stood before
_LINGER_SECONDS = 2.0  # for a refused client to read why, while what it still sends is thrown away

_KEEP, _OLD, _UPGRADE = 1, 2, 4  # flags of a request: keep the connection; HTTP/1.0; asks for an upgrade


class _Stop(Exception):
    """Leaves the parser after a refusal."""


class ServerProtocol(asyncio.Protocol):
    """Made by the listener for each connection."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_budget",
        "_busy",
        "_continue",
        "_deadline",
        "_flags",
        "_handler",
        "_headers",
        "_held",
        "_in_head",
        "_limits",
        "_lost",
        "_mid",
        "_owed",
        "_parser",
        "_paused",
        "_paused_at",
        "_peer",
        "_pump_flags",
        "_queue",
        "_raw",
        "_reading_paused",
        "_received",
        "_repeats",
        "_rest",
        "_server",
        "_stopped",
        "_streaming",
        "_task",
        "_transport",
        "_upgrading",
        "_url",
        "_wanted",
        "_writer",
        "tls",
    )

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._handler = server.handler
        self._limits = server.limits
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._parser: Any = httptools.HttpRequestParser(self)
        self._queue: deque[tuple[Request | Response, int]] = deque()
        self._held = b""
        self._headers: dict[str, str] = {}
        self._url = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._received = 0
        self._repeats = 0
        self._wanted = 0  # bytes of a body that the parser leaves to us (a request that asks for an upgrade)
        self._owed: tuple[Request, int] | None = None  # the request they belong to
        self._mid = False
        self._in_head = False
        self._busy = False
        self._continue = False
        self._stopped = False
        self._lost = False
        self._upgrading = False
        self._paused = False
        self._paused_at = 0.0
        self._reading_paused = False
        self._budget = _ANSWERS_AT_ONCE
        self._rest: Iterator[memoryview | bytes] | None = None
        self._pump_flags = 0
        self._task: asyncio.Task[None] | None = None
        self._streaming = False
        self._writer: SocketWriter | None = None
        self._raw: RawConnection | None = None
        self._deadline = 0.0
        self.tls = False

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self._server
        self._transport = cast(asyncio.Transport, transport)
        server.connections.add(self)
        if server.closing or len(server.connections) > self._limits.connections_max:
            _log.warning("connection refused: too many are open", connections=len(server.connections) - 1)
            self._stopped = True
            self._transport.abort()
            return
        self._peer = self._peer_of(self._transport)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes_max)
        self._deadline = server.now + self._limits.request_read_seconds

    def _peer_of(self, transport: asyncio.Transport) -> Peer:
        certificate = None
        if (connection := transport.get_extra_info("ssl_object")) is not None:
            self.tls = True
            certificate = connection.getpeercert(binary_form=True)
        name = transport.get_extra_info("peername")
        if not isinstance(name, tuple):
            return Peer("unix", certificate)
        return Peer(f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}", certificate)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._stopped = True
        self._queue.clear()
        self._held = b""
        self._rest = None
        self._server.connection_gone(self, self._task)
        if self._writer is not None:
            self._writer.lost()
        if self._streaming and self._raw is None and self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._paused = True
        self._paused_at = self._server.now
        if self._writer is not None:
            self._writer.pause()

    def resume_writing(self) -> None:
        self._paused = False
        if self._writer is not None:
            self._writer.resume()
        if self._rest is not None:
            self._pump()
        elif not self._busy:
            self._next()

    def eof_received(self) -> bool:
        if self.tls or self._streaming or not (self._busy or self._queue):
            return False
        # The client has half-closed and waits for what we owe it.
        self._stopped = True
        return True

    def data_received(self, data: bytes) -> None:
        if self._stopped:
            return
        if self._held or self._reading_paused or self._upgrading:
            self._held += data
            if len(self._held) > _PIECE_BYTES:
                self._pause_reading()
            return
        self._budget = _ANSWERS_AT_ONCE
        self._feed(data)

    # --- reading ---

    def _feed(self, data: bytes) -> None:
        """Parse; what may not be parsed yet goes to `_held`."""
        if self._wanted:
            data = self._take_owed(data)
        at, size = 0, len(data)
        while at < size:
            if self._stopped:
                return
            if self._upgrading or len(self._queue) >= self._limits.pipelined_max:
                self._held = data[at:] + self._held
                self._pause_reading()
                break
            piece = data if size <= _FEED_BYTES else data[at : at + _FEED_BYTES]
            at += len(piece)
            before = self._received if self._mid else -1
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                self._held = piece[upgrade.args[0] :] + data[at:] + self._held
                self._parser = httptools.HttpRequestParser(self)
                self._upgrade_asked()
                return
            except httptools.HttpParserCallbackError as error:
                if not isinstance(error.__context__, _Stop):
                    _log.error("a callback failed", error=repr(error.__context__), exc=error)
                    self._transport.abort()
                return
            except httptools.HttpParserError as error:
                self._refuse(400, "BadRequest", f"the request is malformed: {error}")
                return
            if self._mid and before >= 0:
                self._received += len(piece)
                if self._in_head and self._received > self._limits.header_bytes_max:
                    self._refuse_head()
                elif self._received > self._limits.header_bytes_max + 8 * self._limits.body_bytes_max + _FEED_BYTES:
                    self._refuse_body()  # chunks of a byte each, or endless trailers
        if self._queue and not self._busy and not self._paused:
            asyncio.get_running_loop().call_soon(self._next)

    def on_message_begin(self) -> None:
        self._headers = {}
        self._url = b""
        self._mid = self._in_head = True
        self._received = 1
        self._repeats = 0
        self._deadline = self._server.now + self._limits.request_read_seconds

    def on_url(self, url: bytes) -> None:
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nothing of ours reads those, and they must not pass for headers
        key = header_name(name)
        headers = self._headers
        if key in headers:
            if key == "host":
                self._refuse(400, "BadRequest", "the request has several Host headers")
                raise _Stop
            self._repeats += 1
            if self._repeats > _REPEATS_MAX:  # each one copies what was joined before
                self._refuse_head()
                raise _Stop
            headers[key] = f"{headers[key]}{'; ' if key == 'cookie' else ', '}{header_value(value)}"
        else:
            headers[key] = header_value(value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        headers = self._headers
        version = self._parser.get_http_version()
        if version == "1.1":
            self._flags = _KEEP if self._parser.should_keep_alive() else 0
            if "host" not in headers:
                self._refuse(400, "BadRequest", "the request has no Host header")
                raise _Stop
        elif version == "1.0":
            self._flags = _OLD | (_KEEP if self._parser.should_keep_alive() else 0)
        else:
            self._refuse(505, "BadRequest", f"HTTP/{version} is not spoken here: use HTTP/1.1")
            raise _Stop
        coding = headers.get("transfer-encoding")
        if coding is not None:
            if coding.lower() != "chunked" or version == "1.0":
                self._refuse(501, "BadRequest", f"transfer coding {coding!r} is not supported: use chunked alone")
                raise _Stop
        elif int(headers.get("content-length") or 0) > self._limits.body_bytes_max:
            self._refuse_body()
            raise _Stop
        if "expect" in headers:
            self._expected(headers["expect"])

    def _expected(self, expectation: str) -> None:
        if expectation.lower() != "100-continue":
            self._refuse(417, "BadRequest", f"expectation {expectation!r} is not supported")
            raise _Stop
        if self._busy or self._queue:
            self._continue = True
        else:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._body_bytes > self._limits.body_bytes_max:
            self._refuse_body()
            raise _Stop
        self._body.append(data)

    def on_message_complete(self) -> None:
        self._mid = False
        self._continue = False
        target = self._url.decode("latin-1")
        if target[0] != "/":
            target = self._origin_form(target)
        path, _, query = target.partition("?")
        body = b""
        if self._body:
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body = []
            self._body_bytes = 0
        request = Request(self._parser.get_method().decode(), path, query, self._headers, body, self._peer)
        flags = self._flags
        if "upgrade" in self._headers and self._parser.should_upgrade():
            self._owed = (request, flags | _UPGRADE)  # the parser leaves by an exception now
            return
        if not flags & _KEEP:
            self._stopped = True
        self._accept(request, flags)

    def _accept(self, request: Request, flags: int) -> None:
        if self._busy or self._paused or self._queue or self._budget <= 0:
            self._queue.append((request, flags))
        else:
            self._budget -= 1
            self._run(request, flags)

    def _origin_form(self, target: str) -> str:
        method = self._parser.get_method()
        if method == b"OPTIONS" and target == "*":
            return target
        scheme, _, rest = target.partition("://")
        if method == b"CONNECT" or scheme.lower() not in ("http", "https"):
            self._refuse(400, "BadRequest", "the request target is no path: this is not a proxy")
            raise _Stop
        slash = rest.find("/")
        return rest[slash:] if slash >= 0 else "/"

    def _upgrade_asked(self) -> None:
        """A request asks for another protocol; what follows it is in `_held` until its answer decides."""
        if self._owed is None:
            self._refuse(400, "BadRequest", "CONNECT is not supported: this is not a proxy")
            return
        request, flags = self._owed
        if "transfer-encoding" in request.headers:
            self._refuse(400, "BadRequest", "a request to upgrade may not have a chunked body: send Content-Length")
            return
        # The parser takes such a request for ended at its head, so its body is ours to take: read as the next
        # request it would be a way to smuggle one in.
        self._upgrading = True
        self._wanted = int(request.headers.get("content-length") or 0)
        if self._wanted:
            self._mid = True
            self._upgrading = False
            held, self._held = self._held, b""
            self._feed(held)
        else:
            self._owed = None
            self._accept(request, flags)

    def _take_owed(self, data: bytes) -> bytes:
        piece, rest = data[: self._wanted], data[self._wanted :]
        self._wanted -= len(piece)
        self._body.append(piece)
        if not self._wanted and self._owed is not None:
            (request, flags), self._owed = self._owed, None
            request.body, self._body = b"".join(self._body), []
            self._mid = False
            self._upgrading = True
            self._accept(request, flags)
            if not self._upgrading:
                return rest
            self._held = rest + self._held
            return b""
        return rest

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # --- refusing ---

    def _refuse_head(self) -> None:
        limit = self._limits.header_bytes_max
        self._refuse(431, "RequestHeaderFieldsTooLarge", f"request line and headers are over {limit} bytes")

    def _refuse_body(self) -> None:
        limit = self._limits.body_bytes_max
        self._refuse(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")

    def _refuse(self, status: int, reason: str, message: str) -> None:
        """Answer with a `Status` after what is owed before it, then end the connection."""
        if self._stopped:
            return
        self._stopped = True
        self._mid = False
        self._body = []
        self._held = b""
        self._queue.append((status_response(status, reason, message), 0))
        if not self._busy and not self._paused:
            self._next()

    # --- answering ---

    def _next(self) -> None:
        """Answer what is queued; then read on."""
        if self._lost:
            return
        self._budget = _ANSWERS_AT_ONCE
        while self._queue and not self._busy and not self._paused:
            if self._budget <= 0:
                asyncio.get_running_loop().call_soon(self._next)
                return
            self._budget -= 1
            item, flags = self._queue.popleft()
            if type(item) is Request:
                self._run(item, flags)
            else:
                self._respond(cast(Response, item), None, flags)
        if self._busy or self._paused or self._lost:
            return
        if self._continue:
            self._continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._held and not self._upgrading:
            held, self._held = self._held, b""
            self._feed(held)
        if not self._held and not self._upgrading:
            self._resume_reading()

    def _run(self, request: Request, flags: int) -> None:
        try:
            answer = self._handler(request)
        except Exception as error:
            answer = _escaped(request, error)
        if type(answer) is Response:
            self._respond(answer, request, flags)
        else:
            self._busy = True
            self._task = tasks.spawn(self._work(answer, request, flags), name="http/request")

    async def _work(self, answer: Answer | Awaitable[Answer], request: Request, flags: int) -> None:
        """Everything that takes time: an answer to wait for, a stream, an upgraded connection."""
        try:
            if not isinstance(answer, Response | StreamingResponse | Upgrade):
                try:
                    answer = await answer
                except Exception as error:
                    answer = _escaped(request, error)
            if self._lost:
                return
            if isinstance(answer, Response):
                self._task = None
                self._respond(answer, request, flags)
            elif isinstance(answer, StreamingResponse):
                await self._stream(answer, request, flags)
            else:
                await self._upgrade(answer, request, flags)
        except asyncio.CancelledError:
            if not self._lost:  # by `cut`
                self._transport.abort()

    def _head(self, answer: Response | StreamingResponse, flags: int) -> bytes:
        head = self._server.head.start(answer.status, answer.content_type) + self._server.head.date_line
        if answer.headers:
            head += render_headers(answer.headers)
        if not flags & _KEEP:
            head += b"Connection: close\r\n"
        elif flags & _OLD:
            head += b"Connection: keep-alive\r\n"
        return head

    def _respond(self, answer: Response, request: Request | None, flags: int) -> None:
        if self._server.closing:
            flags &= ~_KEEP
        body = answer.body
        try:
            length = len(body) if type(body) is bytes else sum(map(len, body))  # type: ignore[arg-type]
            head = self._head(answer, flags)
        except Exception as error:
            answer = _escaped(request, error)
            body, length, head = answer.body, len(answer.body), self._head(answer, flags)
        if answer.status in (204, 304):
            head, length = head + b"\r\n", 0
        else:
            head = b"%bContent-Length: %d\r\n\r\n" % (head, length)
        if length == 0 or (request is not None and request.method == "HEAD"):
            self._transport.write(head)
        elif length <= _JOIN_BYTES:
            self._transport.write(head + body if type(body) is bytes else b"".join((head, *body)))
        else:
            self._busy = True
            self._pump_flags = flags
            self._rest = _pieces(head, (body,) if type(body) is bytes else body)  # type: ignore[arg-type]
            self._pump()
            return
        self._finished(flags)

    def _pump(self) -> None:
        """Write a piece of a large body; the next when the transport has room, after others had their turn."""
        if self._rest is None or self._paused or self._lost:
            return
        piece = next(self._rest, None)
        if piece is None:
            self._rest = None
            self._finished(self._pump_flags)
            return
        self._transport.write(piece)
        if not self._paused:
            asyncio.get_running_loop().call_soon(self._pump)

    def _finished(self, flags: int) -> None:
        """An answer is written: the next one's turn, or the end."""
        was_busy, self._busy = self._busy, False
        self._task = None
        if flags & _UPGRADE:
            self._upgrading = False  # not granted: what follows is requests
        if not flags & _KEEP or (self._server.closing and not self._queue):
            self._end()
            return
        limits = self._limits
        self._deadline = self._server.now + (limits.request_read_seconds if self._mid else limits.keepalive_seconds)
        if was_busy or flags & _UPGRADE:
            if self._queue or self._held or self._continue or self._reading_paused:
                asyncio.get_running_loop().call_soon(self._next)
            elif self._stopped:
                self._end()

    def _end(self) -> None:
        """All that is owed is written. The client gets to read it before the connection is gone: closing with unread
        bytes in the socket would reset it."""
        self._stopped = True
        self._queue.clear()
        self._held = b""
        self._deadline = self._server.now + _LINGER_SECONDS
        if self.tls or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            self._resume_reading()

    async def _stream(self, answer: StreamingResponse, request: Request, flags: int) -> None:
        try:
            head = self._head(answer, flags)
        except ValueError as error:
            self._respond(_escaped(request, error), request, flags)
            return
        chunked = not flags & _OLD
        if not chunked:
            flags &= ~_KEEP
        self._transport.write(head + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"))
        if request.method == "HEAD":
            self._finished(flags)
            return
        self._writer = writer = SocketWriter(self._transport, chunked=chunked, paused=self._paused)
        self._streaming = True
        try:
            await answer.run(writer)
        except asyncio.CancelledError:
            if not self._server.closing and not writer.closed.is_set():
                self._transport.abort()
                return
        except Exception as error:
            _log.error("a stream failed", request=repr(request), error=repr(error), exc=error)
            writer.flush()
            self._transport.close()
            return
        finally:
            self._streaming = False
            self._writer = None
        if not self._lost:
            writer.finish()
            self._finished(flags)

    async def _upgrade(self, answer: Upgrade, request: Request, flags: int) -> None:
        if not flags & _UPGRADE:
            message = f"this path speaks {answer.protocol}: send Connection: Upgrade and Upgrade: {answer.protocol}"
            self._respond(status_response(400, "BadRequest", message), request, flags)
            return
        try:
            head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" + render_headers(
                (("Upgrade", answer.protocol), *answer.headers)
            )
        except ValueError as error:
            self._respond(_escaped(request, error), request, flags)
            return
        self._transport.write(head + b"\r\n")
        held, self._held = self._held, b""
        self._raw = raw = RawConnection(self._transport, self._peer, held, on_lost=self._raw_lost)
        if self._paused:
            raw.pause_writing()
        self._streaming = True
        self._transport.set_protocol(raw)
        self._resume_reading()
        try:
            await answer.run(raw)
        except (asyncio.CancelledError, Disconnected):
            pass  # by the listener's close; by the client
        except Exception as error:
            _log.error("an upgraded connection failed", request=repr(request), error=repr(error), exc=error)
        finally:
            raw.close()

    def _raw_lost(self) -> None:
        self._lost = True
        self._server.connection_gone(self, self._task)

    # --- the listener's side ---

    def check_deadline(self, now: float) -> None:
        """Called about once a second: end what takes too long."""
        if self._raw is not None:
            return  # an upgraded connection lives as long as its owner lets it
        if self._paused:
            if now - self._paused_at > self._limits.write_stall_seconds:
                _log.info("connection cut: the client does not read", peer=self._peer.address)
                self._transport.abort()
        elif not self._busy and not self._queue and now > self._deadline:
            if self._mid and not self._stopped:
                self._refuse(408, "Timeout", "the request did not come to its end in time")
            elif self._transport.get_write_buffer_size():
                if now > self._deadline + self._limits.write_stall_seconds:
                    self._transport.abort()
            elif self._stopped:
                self._transport.abort()
            else:
                self._transport.close()

    def shut(self) -> None:
        """The listener closes: end when what is owed is done."""
        if self._streaming and self._task is not None:
            if self._writer is not None:
                self._writer.closed.set()
            self._task.cancel()
        elif not (self._busy or self._queue or self._mid or self._stopped):
            self._transport.close()

    def cut(self) -> "asyncio.Task[None] | None":
        """The grace is over. Returns the task that is still running, cancelled."""
        self._transport.abort()
        if self._task is not None:
            self._task.cancel()
        return self._task


def _escaped(request: Request | None, error: Exception) -> Response:
    _log.error("a handler failed", request=repr(request), error=repr(error), exc=error)
    return status_response(500, "InternalError", f"Internal error occurred: {type(error).__name__}")


def _pieces(head: bytes, body: Sequence[bytes]) -> Iterator[memoryview | bytes]:
    """The body in pieces of bounded size: small ones joined, large ones cut, never the whole at once."""
    waiting, size = [head], len(head)
    for part in body:
        if size + len(part) <= _PIECE_BYTES:
            waiting.append(part)
            size += len(part)
            continue
        if waiting:
            yield b"".join(waiting)
        waiting, size = [], 0
        if len(part) <= _PIECE_BYTES:
            waiting, size = [part], len(part)
            continue
        view = memoryview(part)
        for at in range(0, len(part), _PIECE_BYTES):
            yield view[at : at + _PIECE_BYTES]
    if waiting:
        yield b"".join(waiting)
