"""Answers into bytes of one connection, one at a time: at once, in pieces, over time, or as another protocol."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from kaa.base.log import Logger
from kaa.http.api import Disconnected, Peer, Request, Response, StreamingResponse, Upgrade
from kaa.http.connection import RawConnection
from kaa.http.reading import KEEP, OLD, UPGRADE
from kaa.http.stream_writer import SocketWriter
from kaa.http.wire import render_headers, status_response

if TYPE_CHECKING:
    from kaa.http.serve import Server

__all__ = ["Answerer", "Turn", "escaped"]

_log = Logger("http")
_JOIN_BYTES = 64 * 1024  # bodies up to this are joined to their head: one write is cheaper than two
_PIECE_BYTES = 256 * 1024  # larger bodies are written in pieces of this


class Turn(Protocol):
    """What an answerer needs of its connection."""

    #: The transport's buffer is full.
    paused: bool
    lost: bool
    #: A body is being written in pieces, or a task is at work: the next request waits.
    busy: bool
    peer: Peer

    def finished(self, flags: int) -> None:
        """The answer is written as far as the transport takes it."""

    def take_over(self, raw: RawConnection) -> None:
        """The transport's bytes are the raw connection's from now on."""

    def raw_lost(self) -> None:
        """The raw connection is gone."""

    def take_held(self) -> bytes:
        """What came behind the request."""


class Answerer:
    """Writes to one transport. `streaming`: a `run` is at work; `raw`: the connection is no longer HTTP."""

    __slots__ = ("_pump_flags", "_rest", "_server", "_transport", "_turn", "raw", "streaming", "writer")

    def __init__(self, server: "Server", transport: asyncio.Transport, turn: Turn) -> None:
        self._server = server
        self._transport = transport
        self._turn = turn
        self._rest: Iterator[memoryview | bytes] | None = None
        self._pump_flags = 0
        self.writer: SocketWriter | None = None
        self.raw: RawConnection | None = None
        self.streaming = False

    def respond(self, answer: Response, request: Request | None, flags: int) -> None:
        """Write a whole answer; one too large for one write goes out piece by piece."""
        if self._server.closing:
            flags &= ~KEEP
        body = answer.body
        try:
            length = len(body) if type(body) is bytes else answer.length
            head = self._head(answer, flags)
        except Exception as error:
            answer = escaped(request, error)
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
            self._turn.busy = True
            self._pump_flags = flags
            self._rest = _pieces(head, (body,) if type(body) is bytes else body)  # type: ignore[arg-type]
            self._pump()
            return
        self._turn.finished(flags)

    def _head(self, answer: Response | StreamingResponse, flags: int) -> bytes:
        head = self._server.head.start(answer.status, answer.content_type) + self._server.head.date_line
        if answer.headers:
            head += render_headers(answer.headers)
        if not flags & KEEP:
            head += b"Connection: close\r\n"
        elif flags & OLD:
            head += b"Connection: keep-alive\r\n"
        return head

    def _pump(self) -> None:
        """Write a piece of a large body; the next when the transport has room, after others had their turn."""
        if self._rest is None or self._turn.paused or self._turn.lost:
            return
        piece = next(self._rest, None)
        if piece is None:
            self._rest = None
            self._turn.finished(self._pump_flags)
            return
        self._transport.write(piece)
        if not self._turn.paused:
            asyncio.get_running_loop().call_soon(self._pump)

    async def stream(self, answer: StreamingResponse, request: Request, flags: int) -> None:
        """Write a body over time."""
        chunked = answer.length is None and not flags & OLD
        if answer.length is None and not chunked:
            flags &= ~KEEP  # only its end tells an old client where the body ends
        try:
            head = self._head(answer, flags)
        except ValueError as error:
            answer.discard()
            self.respond(escaped(request, error), request, flags)
            return
        if answer.length is not None:
            head += b"Content-Length: %d\r\n" % answer.length
        elif chunked:
            head += b"Transfer-Encoding: chunked\r\n"
        self._transport.write(head + b"\r\n")
        if request.method == "HEAD":
            answer.discard()
            self._turn.finished(flags)
            return
        self.writer = writer = SocketWriter(
            self._transport, self._server.flushes, chunked=chunked, paused=self._turn.paused
        )
        self.streaming = True
        try:
            await answer.run(writer)
        except asyncio.CancelledError:
            if answer.length is not None or not (self._server.closing or writer.closed.is_set()):
                self._transport.abort()
                return
        except Exception as error:
            _log.error("a stream failed", request=repr(request), error=repr(error), exc=error)
            writer.flush()
            self._transport.close()
            return
        finally:
            self.streaming = False
            self.writer = None
        if not self._turn.lost:
            writer.finish()
            self._turn.finished(flags)

    async def upgrade(self, answer: Upgrade, request: Request, flags: int) -> None:
        """Switch protocols, if that was asked for, and run the other one to its end."""
        if not flags & UPGRADE:
            answer.discard()
            message = f"this path speaks {answer.protocol}: send Connection: Upgrade and Upgrade: {answer.protocol}"
            self.respond(status_response(400, "BadRequest", message), request, flags)
            return
        try:
            head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" + render_headers(
                (("Upgrade", answer.protocol), *answer.headers)
            )
        except ValueError as error:
            answer.discard()
            self.respond(escaped(request, error), request, flags)
            return
        self._transport.write(head + b"\r\n")
        turn = self._turn
        self.raw = raw = RawConnection(self._transport, turn.peer, turn.take_held(), on_lost=turn.raw_lost)
        if turn.paused:
            raw.pause_writing()
        self.streaming = True
        turn.take_over(raw)
        try:
            await answer.run(raw)
        except (asyncio.CancelledError, Disconnected):
            pass  # by the listener's close; by the client
        except Exception as error:
            _log.error("an upgraded connection failed", request=repr(request), error=repr(error), exc=error)
        finally:
            raw.close()

    # --- the transport's side ---

    def pause(self) -> None:
        """The transport's buffer is full."""
        if self.writer is not None:
            self.writer.pause()

    def resume(self) -> bool:
        """The transport has room again. Returns whether an answer goes on by that."""
        if self.writer is not None:
            self.writer.resume()
        if self._rest is not None:
            self._pump()
            return True
        return False

    def gone(self) -> None:
        """The client is."""
        self._rest = None
        if self.writer is not None:
            self.writer.lost()


def escaped(request: Request | None, error: Exception) -> Response:
    """The answer for an error that a handler let out: it tells nothing, the log does."""
    _log.error("a handler failed", request=repr(request), error=repr(error), exc=error)
    return status_response(500, "InternalError", f"Internal error occurred: {type(error).__name__}")


def _pieces(head: bytes, body: Iterable[bytes]) -> Iterator[memoryview | bytes]:
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
