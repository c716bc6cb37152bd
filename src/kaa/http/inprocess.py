"""The client interface straight against a handler: no sockets, no threads, the same answers.

For tests, and for a cluster in one process. Works on any event loop, also one with virtual time.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from kaa.base import tasks
from kaa.base.log import Logger
from kaa.http.api import (
    LOCAL_PEER,
    Answer,
    Disconnected,
    Handler,
    Header,
    Peer,
    Reply,
    Request,
    Response,
    StreamingResponse,
    StreamReply,
    Upgrade,
    Upgraded,
    UpgradeRefused,
    unframe,
)
from kaa.http.connection import MemoryConnection, memory_pair
from kaa.http.transport import Ask, BaseTransport, fields_of
from kaa.http.wire import status_response

__all__ = ["InProcess"]

_log = Logger("http")
_BUFFERED_BYTES_MAX = 256 * 1024


class InProcess(BaseTransport):
    """An `api.Transport` on a handler. Requests come from `peer`; `headers` are added to each, as in `Caller`."""

    def __init__(
        self,
        handler: Handler,
        peer: Peer = LOCAL_PEER,
        *,
        headers: Callable[[], Sequence[Header]] | None = None,
        prefix: str = "",
        line_bytes_max: int = 32 * 1024 * 1024,
    ) -> None:
        self._where = "in-process"
        self._handler = handler
        self._peer = peer
        self._headers = headers
        self._prefix = prefix
        self._line_bytes_max = line_bytes_max
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    async def _call(self, ask: Ask) -> Reply:
        answer = await self._answer(ask)
        if isinstance(answer, StreamingResponse):
            async with self._open(answer, ask.method) as stream:
                return Reply(stream.status, stream.headers, await stream.read())
        return _reply(_whole(answer), ask.method)

    async def _stream(self, ask: Ask) -> StreamReply:
        answer = await self._answer(ask)
        if isinstance(answer, StreamingResponse):
            stream = self._open(answer, ask.method)
            try:
                # As over a socket: it has begun when its caller learns of it, or a watch misses what is written next.
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                await stream.aclose()
                raise
            return stream
        return _WholeReply(_reply(_whole(answer), ask.method), self._line_bytes_max)

    async def _upgrade(self, ask: Ask, protocol: str) -> Upgraded:
        answer = await self._answer(ask)
        if isinstance(answer, Upgrade):
            ours, theirs = memory_pair(self._peer, LOCAL_PEER)
            self._spawn(_run_upgrade(answer, theirs), "http/in-process-upgrade")
            agreed = (("Connection", "Upgrade"), ("Upgrade", answer.protocol), *answer.headers)
            return Upgraded(fields_of(agreed), ours)
        if isinstance(answer, StreamingResponse):
            async with self._open(answer, ask.method) as stream:
                reply = Reply(stream.status, stream.headers, await stream.read())
        else:
            reply = _reply(answer, ask.method)
        raise UpgradeRefused(f"the answer to an upgrade to {protocol} is {reply.status}", reply)

    async def close(self) -> None:
        """See `api.Transport.close`."""
        self._closed = True
        while running := [task for task in self._running if task is not asyncio.current_task()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    async def _answer(self, ask: Ask) -> Answer:
        if self._closed:
            raise Disconnected("the in-process transport is closed")
        provided = tuple(self._headers()) if self._headers is not None else ()
        fields = fields_of((("Host", "in-process"), *provided, *ask.headers))
        path, _, query = (self._prefix + ask.path).partition("?")
        if ask.body:
            fields["content-length"] = str(len(ask.body))
        request = Request(ask.method, path, query or ask.query, fields, ask.body, self._peer)
        try:
            answer = self._handler(request)
            if not isinstance(answer, Response | StreamingResponse | Upgrade):
                answer = await answer
        except Exception as error:
            _log.error("a handler failed", request=repr(request), error=repr(error), exc=error)
            return status_response(500, "InternalError", f"Internal error occurred: {type(error).__name__}")
        return answer

    def _open(self, answer: StreamingResponse, method: str) -> "_MemoryStreamReply":
        writer = _MemoryWriter()
        fields = fields_of((("Content-Type", answer.content_type), *answer.headers))
        if answer.length is not None:
            fields["content-length"] = str(answer.length)
        if method == "HEAD":
            answer.discard()
            writer.finish()
            task = None
        else:
            task = self._spawn(_run_stream(answer, writer), "http/in-process-stream")
        return _MemoryStreamReply(answer.status, fields, self._line_bytes_max, writer, task)

    def _spawn(self, work, name: str) -> asyncio.Task[None]:  # type: ignore[no-untyped-def]
        task: asyncio.Task[None] = tasks.spawn(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


def _whole(answer: Response | Upgrade) -> Response:
    if isinstance(answer, Upgrade):
        answer.discard()
        return status_response(400, "BadRequest", f"this path speaks {answer.protocol}: ask for an upgrade")
    return answer


def _reply(answer: Response, method: str) -> Reply:
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    fields = fields_of((("Content-Type", answer.content_type), ("Content-Length", str(len(body))), *answer.headers))
    return Reply(answer.status, fields, b"" if method == "HEAD" or answer.status in (204, 304) else body)


async def _run_stream(answer: StreamingResponse, writer: "_MemoryWriter") -> None:
    try:
        await answer.run(writer)
        writer.finish()
    except asyncio.CancelledError:
        writer.finish()
    except Exception as error:
        _log.error("a stream failed", error=repr(error), exc=error)
        writer.abort()


async def _run_upgrade(answer: Upgrade, connection: MemoryConnection) -> None:
    try:
        await answer.run(connection)
    except (asyncio.CancelledError, Disconnected):
        pass  # by the transport's close; by the other end
    except Exception as error:
        _log.error("an upgraded connection failed", error=repr(error), exc=error)
    finally:
        connection.close()


class _MemoryWriter:
    """`api.Writer` whose other end is in this process."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.parts: deque[bytes] = deque()
        self.finished = False
        self.broken = False
        self._bytes = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self._more = asyncio.Event()

    @property
    def buffered(self) -> int:
        return self._bytes

    def write(self, data: bytes | Sequence[bytes]) -> None:
        if not self.closed.is_set():
            self._put(data if isinstance(data, bytes) else b"".join(data))

    def write_framed(self, framed: bytes) -> None:
        if not self.closed.is_set():
            self._put(unframe(framed))

    def _put(self, data: bytes) -> None:
        if data:
            self.parts.append(data)
            self._bytes += len(data)
            self._more.set()
            if self._bytes > _BUFFERED_BYTES_MAX:
                self._drained.clear()

    async def drain(self) -> None:
        if not self._drained.is_set():
            await self._drained.wait()

    def close(self) -> None:
        self.closed.set()
        self._drained.set()

    def abort(self) -> None:
        self.broken = True
        self.finish()

    def finish(self) -> None:
        self.finished = True
        self.close()
        self._more.set()

    async def take(self) -> bytes:
        while not self.parts:
            if self.broken:
                raise Disconnected("the stream was cut by the server")
            if self.finished:
                return b""
            self._more.clear()
            await self._more.wait()
        data = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        self.parts.clear()
        self._bytes = 0
        self._drained.set()
        return data


class _MemoryStreamReply(StreamReply):
    __slots__ = ("_task", "_writer")

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        line_bytes_max: int,
        writer: _MemoryWriter,
        task: asyncio.Task[None] | None,
    ) -> None:
        super().__init__(status, headers, line_bytes_max)
        self._writer = writer
        self._task = task

    async def _next(self) -> bytes:
        return await self._writer.take()

    async def _close(self) -> None:
        self._writer.finish()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])


class _WholeReply(StreamReply):
    __slots__ = ("_body",)

    def __init__(self, reply: Reply, line_bytes_max: int) -> None:
        super().__init__(reply.status, reply.headers, line_bytes_max)
        self._body = reply.body

    async def _next(self) -> bytes:
        body, self._body = self._body, b""
        return body

    async def _close(self) -> None:
        self._body = b""
