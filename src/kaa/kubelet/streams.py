"""exec, attach and port-forward: from whoever asks the node to the runtime's streaming server.

The runtime gives a URL that speaks SPDY/3.1. A client that speaks SPDY too gets a pipe of raw bytes. One that speaks
WebSocket is translated: each message is a channel byte and data; on the runtime's side each channel is a stream. That
is the only way on which standard input ends properly with containerd, whose own WebSocket server can't half-close.
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import orjson

from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.http.api import Answer, CallError, Connection, Disconnected, Header, Request, Response, Upgrade, Upgraded
from kaa.http.call import Caller
from kaa.http.spdy import SpdySession, SpdyStream
from kaa.http.websocket import WebSocket, accept
from kaa.kubelet.cri import api

__all__ = ["StreamOptions", "command_stream", "port_stream"]

_log = Logger("kubelet")
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_NAMES = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", ERROR: "error", RESIZE: "resize"}
_PORT_FORWARD = "portforward.k8s.io"
_TUNNEL = "SPDY/3.1+portforward.k8s.io"
_MESSAGE_BYTES_MAX = 4 * 1024 * 1024


class StreamOptions:
    """Which streams are asked for, from a query in the API's form (`stdin=true`) or the kubelet's (`input=1`)."""

    def __init__(self, request: Request) -> None:
        def flag(*names: str) -> bool:
            return any(request.param(name).lower() in ("1", "true") for name in names)

        self.stdin = flag("stdin", "input")
        self.stdout = flag("stdout", "output")
        self.tty = flag("tty")
        # A terminal has one output.
        self.stderr = flag("stderr", "error") and not self.tty
        self.command = request.params.get("command", [])

    @property
    def channels(self) -> list[int]:
        """Those of a session, in the order in which the runtime expects its streams."""
        wanted = [ERROR]
        wanted += [STDIN] if self.stdin else []
        wanted += [STDOUT] if self.stdout else []
        wanted += [STDERR] if self.stderr else []
        wanted += [RESIZE] if self.tty else []
        return wanted


async def command_stream(request: Request, options: StreamOptions, url: Callable[[], Awaitable[str]]) -> Answer:
    """Answer an exec or attach request; `url` asks the runtime for its streaming URL."""
    if not (options.stdin or options.stdout or options.stderr):
        return _bad("you must specify at least 1 of stdin, stdout, stderr")
    kind = request.headers.get("upgrade", "").lower()
    if kind == "websocket":

        async def serve(socket: WebSocket) -> None:
            await _bridge(socket, options, url)

        return accept(
            request, serve, subprotocols=(V5, V4), subprotocol_required=True, message_bytes_max=_MESSAGE_BYTES_MAX
        )
    if kind == "spdy/3.1":
        return await _pipe(request, url)
    return _bad("this path is a stream: upgrade to websocket or SPDY/3.1")


async def port_stream(request: Request, url: Callable[[], Awaitable[str]]) -> Answer:
    """Answer a port-forward request: raw SPDY, or SPDY within WebSocket messages (as kubectl does)."""
    kind = request.headers.get("upgrade", "").lower()
    if kind == "spdy/3.1":
        return await _pipe(request, url)
    if kind == "websocket":

        async def serve(socket: WebSocket) -> None:
            caller, upgraded = await _connect(await url(), [("X-Stream-Protocol-Version", _PORT_FORWARD)])
            try:
                await _tunnel(socket, upgraded.connection)
            finally:
                upgraded.connection.close()
                await caller.close()

        return accept(
            request, serve, subprotocols=(_TUNNEL,), subprotocol_required=True, message_bytes_max=_MESSAGE_BYTES_MAX
        )
    return _bad("this path is a stream: upgrade to websocket or SPDY/3.1")


def _bad(message: str) -> Response:
    return Response(400, message.encode(), "text/plain")


async def _connect(url: str, headers: list[Header]) -> tuple[Caller, Upgraded]:
    parts = urlsplit(url)
    caller = Caller(f"{parts.scheme}://{parts.netloc}")
    try:
        return caller, await caller.upgrade("POST", parts.path, query=parts.query, headers=headers, protocol="SPDY/3.1")
    except BaseException:
        await caller.close()
        raise


async def _pipe(request: Request, url: Callable[[], Awaitable[str]]) -> Answer:
    versions = request.headers.get("x-stream-protocol-version", "")
    headers: list[Header] = [
        ("X-Stream-Protocol-Version", each.strip()) for each in versions.split(",") if each.strip()
    ]
    try:
        caller, upgraded = await _connect(await url(), headers)
    except (CallError, api.RuntimeFailed) as error:
        return Response(500, f"error executing command in container: {error}".encode(), "text/plain")
    chosen = upgraded.headers.get("x-stream-protocol-version", "")

    async def run(connection: Connection) -> None:
        async with Scope("pipe") as scope:
            there = scope.spawn(_carry(connection, upgraded.connection), name="there")
            back = scope.spawn(_carry(upgraded.connection, connection), name="back")
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        upgraded.connection.close()
        await caller.close()

    return Upgrade("SPDY/3.1", run, [("X-Stream-Protocol-Version", chosen)] if chosen else [])


async def _carry(source: Connection, sink: Connection) -> None:
    try:
        while data := await source.read():
            sink.write(data)
            await sink.drain()
    except Disconnected:
        pass


async def _tunnel(socket: WebSocket, connection: Connection) -> None:
    async def there() -> None:
        try:
            while (message := await socket.receive()) is not None:
                connection.write(message if isinstance(message, bytes) else message.encode())
                await connection.drain()
        except Disconnected:
            pass

    async def back() -> None:
        try:
            while data := await connection.read():
                await socket.send(data)
        except Disconnected:
            pass

    async with Scope("tunnel") as scope:
        ends = {scope.spawn(there(), name="there"), scope.spawn(back(), name="back")}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)


async def _bridge(socket: WebSocket, options: StreamOptions, url: Callable[[], Awaitable[str]]) -> None:
    """Between a WebSocket client and the runtime's SPDY."""
    try:
        caller, upgraded = await _connect(await url(), [("X-Stream-Protocol-Version", V4)])
    except (CallError, api.RuntimeFailed) as error:
        await socket.send(bytes((ERROR,)) + _failure(f"error executing command in container: {error}"))
        return
    session = SpdySession(upgraded.connection)
    try:
        streams: dict[int, SpdyStream] = {}
        for channel in options.channels:
            streams[channel] = session.open_soon({"streamType": _NAMES[channel]})
        await _translate(socket, streams)
    except Disconnected:
        # The client went away: so does the command's terminal.
        pass
    finally:
        await session.close()
        await caller.close()


async def _translate(socket: WebSocket, streams: dict[int, SpdyStream]) -> None:
    # What nobody writes to is finished at once; the runtime waits for it otherwise.
    for channel in (ERROR, STDOUT, STDERR):
        if channel in streams:
            streams[channel].finish()
    # Clients take an empty message per channel as the sign that the streams are there.
    for channel in (STDOUT, STDERR):
        if channel in streams:
            await socket.send(bytes((channel,)))

    async def output(channel: int) -> None:
        while data := await streams[channel].read():
            await socket.send(bytes((channel,)) + data)

    async def status() -> None:
        text = await streams[ERROR].read_all(64 * 1024)
        # The command's end is told last, when all its output has been.
        await asyncio.gather(*(waited for waited in outputs))
        await socket.send(bytes((ERROR,)) + (text or _failure("the runtime ended the stream without a status")))

    async with Scope("exec") as scope:
        outputs = [
            scope.spawn(output(channel), name=_NAMES[channel]) for channel in (STDOUT, STDERR) if channel in streams
        ]
        done = scope.spawn(status(), name="status")
        reading = scope.spawn(_input(socket, streams), name="input")
        await asyncio.wait((done, reading), return_when=asyncio.FIRST_COMPLETED)
        if reading.done() and not done.done() and socket.close_code is None:
            await asyncio.wait((done,))


async def _input(socket: WebSocket, streams: dict[int, SpdyStream]) -> None:
    """Client to runtime, until the client closes."""
    while (message := await socket.receive()) is not None:
        data = message if isinstance(message, bytes) else message.encode()
        if not data:
            continue
        channel = data[0]
        if channel == CLOSE:
            # v5: the byte after it names the channel that ends.
            for ended in data[1:2]:
                if ended in streams:
                    streams[ended].finish()
        elif channel in (STDIN, RESIZE) and channel in streams and len(data) > 1:
            await streams[channel].write(data[1:])


def _failure(message: str) -> bytes:
    return orjson.dumps({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": "InternalError", "code": 500,
    })  # fmt: skip
