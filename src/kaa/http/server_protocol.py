"""One connection of a listener: requests are answered in the order they came, within the listener's limits.

The state in one paragraph. `busy` is true from handing a request over until its answer is written as far as the
transport takes it; requests read meanwhile wait in `queue`, and what is not parsed yet in the reader. When the reader
has stopped, the connection ends once it has answered what it owes. `reading` makes requests of bytes, `answering`
bytes of answers; here is only whose turn it is, and when time is over.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

from kaa.base import tasks
from kaa.base.log import Logger
from kaa.http.answering import Answerer, escaped
from kaa.http.api import Answer, Peer, Request, Response, StreamingResponse, Upgrade
from kaa.http.connection import RawConnection
from kaa.http.reading import KEEP, UPGRADE, RequestReader

if TYPE_CHECKING:
    from kaa.http.serve import Server

__all__ = ["ServerProtocol"]

_log = Logger("http")
_ANSWERS_AT_ONCE = 64  # to pipelined requests before other connections get their turn
_HELD_BYTES_MAX = 256 * 1024  # received and not parsed; beyond it the socket is not read
_LINGER_SECONDS = 2.0  # for a refused client to read why, while what it still sends is thrown away


class ServerProtocol(asyncio.Protocol):
    """Made by the listener for each connection. It is the reader's sink and the answerer's turn."""

    __slots__ = (
        "_answerer",
        "_budget",
        "_handler",
        "_limits",
        "_paused_at",
        "_reader",
        "_reading_paused",
        "_server",
        "_task",
        "_transport",
        "busy",
        "deadline",
        "ended",
        "lost",
        "paused",
        "peer",
        "queue",
        "tls",
    )

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._handler = server.handler
        self._limits = server.limits
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._answerer: Answerer = cast(Answerer, None)
        self._reader = RequestReader(server, self)
        self._budget = _ANSWERS_AT_ONCE
        self._paused_at = 0.0
        self._reading_paused = False
        self._task: asyncio.Task[None] | None = None
        self.queue: deque[tuple[Request | Response, int]] = deque()
        self.peer: Peer
        self.busy = False
        self.paused = False
        self.lost = False
        self.ended = False
        """All that is owed is written: what is left is the client's goodbye."""
        self.deadline = 0.0
        self.tls = False

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self._server
        self._transport = cast(asyncio.Transport, transport)
        self._answerer = Answerer(server, self._transport, self)
        server.connections.add(self)
        self.peer = self._peer_of(self._transport)
        if server.closing or len(server.connections) > self._limits.connections_max:
            _log.warning("connection refused: too many are open", connections=len(server.connections) - 1)
            self._reader.stop()
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes_max)
        self.deadline = server.now + self._limits.request_read_seconds

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
        self.lost = True
        self._reader.stop()
        self.queue.clear()
        self._server.connection_gone(self, self._task)
        streaming = self._answerer.streaming
        self._answerer.gone()
        if streaming and self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self.paused = True
        self._paused_at = self._server.now
        self._answerer.pause()

    def resume_writing(self) -> None:
        self.paused = False
        if not self._answerer.resume() and not self.busy:
            self._next()

    def eof_received(self) -> bool:
        if self.tls or self._answerer.streaming or not (self.busy or self.queue):
            return False
        # The client has half-closed and waits for what we owe it.
        self._reader.stopped = True
        return True

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader.stopped:
            return
        if reader.held or self._reading_paused or reader.upgrading:
            reader.held += data
            if len(reader.held) > _HELD_BYTES_MAX:
                self.pause_reading()
            return
        self._budget = _ANSWERS_AT_ONCE
        self._feed(data)

    # --- the reader's sink ---

    def _feed(self, data: bytes) -> None:
        self._reader.feed(data)
        if self.queue and not self.busy and not self.paused:
            asyncio.get_running_loop().call_soon(self._next)

    def accept(self, request: Request, flags: int) -> None:
        """A request is read: answered at once when nothing is owed before it."""
        if self.busy or self.paused or self.queue or self._budget <= 0:
            self.queue.append((request, flags))
        else:
            self._budget -= 1
            self._run(request, flags)

    def refused(self, answer: Response) -> None:
        """Answer after what is owed before it, then end."""
        self.queue.append((answer, 0))
        if not self.busy and not self.paused:
            self._next()

    def interim(self) -> bool:
        """Tell a client that waits for it to send its body, unless something is owed before that."""
        if self.busy or self.queue:
            return False
        self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def pause_reading(self) -> None:
        """Read nothing more from the socket for now."""
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # --- whose turn it is ---

    def _next(self) -> None:
        """Answer what is queued; then read on."""
        if self.lost:
            return
        self._budget = _ANSWERS_AT_ONCE
        while self.queue and not self.busy and not self.paused:
            if self._budget <= 0:
                asyncio.get_running_loop().call_soon(self._next)
                return
            self._budget -= 1
            item, flags = self.queue.popleft()
            if type(item) is Request:
                self._run(item, flags)
            else:
                self._answerer.respond(cast(Response, item), None, flags)
        if self.busy or self.paused or self.lost:
            return
        reader = self._reader
        if reader.continue_owed:
            reader.continue_owed = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if reader.held and not reader.upgrading:
            self._feed(reader.take_held())
        if not reader.held and not reader.upgrading:
            self._resume_reading()

    def _run(self, request: Request, flags: int) -> None:
        try:
            answer = self._handler(request)
        except Exception as error:
            answer = escaped(request, error)
        if type(answer) is Response:
            self._answerer.respond(answer, request, flags)
        else:
            self.busy = True
            self._task = tasks.spawn(self._work(answer, request, flags), name="http/request")

    async def _work(self, answer: Answer | Awaitable[Answer], request: Request, flags: int) -> None:
        """Everything that takes time: an answer to wait for, a stream, an upgraded connection."""
        try:
            if not isinstance(answer, Response | StreamingResponse | Upgrade):
                try:
                    answer = await answer
                except Exception as error:
                    answer = escaped(request, error)
            if self.lost:
                if isinstance(answer, StreamingResponse | Upgrade):
                    answer.discard()
                return
            if isinstance(answer, Response):
                self._task = None
                self._answerer.respond(answer, request, flags)
            elif isinstance(answer, StreamingResponse):
                await self._answerer.stream(answer, request, flags)
            else:
                await self._answerer.upgrade(answer, request, flags)
                if self._answerer.raw is not None:
                    self._upgrade_ended()
        except asyncio.CancelledError:
            if not self.lost:  # by `cut_off`
                self._transport.abort()

    def finished(self, flags: int) -> None:
        """An answer is written: the next one's turn, or the end."""
        was_busy, self.busy = self.busy, False
        self._task = None
        reader = self._reader
        if flags & UPGRADE:
            reader.upgrading = False  # not granted: what follows is requests
        if not flags & KEEP or (self._server.closing and not self.queue):
            self._end()
            return
        limits = self._limits
        self.deadline = self._server.now + (limits.request_read_seconds if reader.mid else limits.keepalive_seconds)
        if was_busy or flags & UPGRADE:
            if self.queue or reader.held or reader.continue_owed or self._reading_paused:
                asyncio.get_running_loop().call_soon(self._next)
            elif reader.stopped:
                self._end()

    def _end(self) -> None:
        """All that is owed is written. The client gets to read it before the connection is gone: closing with unread
        bytes in the socket would reset it."""
        self.ended = True
        self._reader.stop()
        self.queue.clear()
        self.deadline = self._server.now + _LINGER_SECONDS
        if self.tls or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            self._resume_reading()
        if self._server.closing:
            self._server.connection_ended(self)

    # --- the answerer's upgrade ---

    def take_held(self) -> bytes:
        """What came behind the request that is granted its upgrade."""
        return self._reader.take_held()

    def take_over(self, raw: RawConnection) -> None:
        """No longer HTTP."""
        self._transport.set_protocol(raw)
        self._resume_reading()

    def _upgrade_ended(self) -> None:
        """Its `run` is over, and what it wrote is on its way: a client that does not take it is cut."""
        self.ended = True
        self.deadline = self._server.now + self._limits.write_stall_seconds
        if self._server.closing:
            self._server.connection_ended(self)

    def raw_lost(self) -> None:
        """The upgraded connection is gone; its task sees that by its reads."""
        self.lost = True
        self._server.connection_gone(self, self._task)

    # --- the listener's side ---

    def check_deadline(self, now: float) -> None:
        """Called about once a second: end what takes too long."""
        if (raw := self._answerer.raw) is not None:
            # An upgraded connection lives as long as its owner lets it, and as something moves.
            if raw.moved and not self.ended:
                raw.moved = False
                self.deadline = now + self._limits.upgraded_idle_seconds
            elif now > self.deadline:
                raw.abort()
        elif self.paused:
            if now - self._paused_at > self._limits.write_stall_seconds:
                _log.info("connection cut: the client does not read", peer=self.peer.address)
                self._transport.abort()
        elif not self.busy and not self.queue and now > self.deadline:
            if self._reader.mid and not self._reader.stopped:
                self._reader.refuse(408, "Timeout", "the request did not come to its end in time")
            elif self._transport.get_write_buffer_size():
                if now > self.deadline + self._limits.write_stall_seconds:
                    self._transport.abort()
            elif self._reader.stopped:
                self._transport.abort()
            else:
                self.ended = True
                self._transport.close()

    def shut(self) -> None:
        """The listener closes: end when what is owed is done."""
        if self._answerer.streaming and self._task is not None:
            if self._answerer.writer is not None:
                self._answerer.writer.closed.set()
            self._task.cancel()
        elif not (self.busy or self.queue or self._reader.mid or self._reader.stopped):
            self.ended = True
            self._transport.close()

    def cut(self) -> None:
        """Break the connection now."""
        self._transport.abort()

    def cut_off(self) -> "asyncio.Task[None] | None":
        """The grace is over. Returns the task that is still running, cancelled."""
        self._transport.abort()
        if self._task is not None:
            self._task.cancel()
        return self._task
