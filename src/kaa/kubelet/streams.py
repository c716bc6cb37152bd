"""exec, attach and port-forward: from whoever asks the node to the runtime's streaming server.

The runtime gives a URL that speaks SPDY/3.1. A client that speaks SPDY too gets a pipe of raw bytes, as does one that
tunnels SPDY through WebSocket messages. The channels of WebSocket clients are translated (`channels`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from kaa.base import tasks
from kaa.base.tasks import Scope
from kaa.http.api import Answer, CallError, Connection, Disconnected, Header, Request, Response, Upgrade, Upgraded
from kaa.http.call import Caller
from kaa.http.pipes import join, let_go
from kaa.http.spdy import SpdySession
from kaa.http.websocket import WebSocket, accept
from kaa.kubelet.channels import (
    COMMAND_PROTOCOLS,
    ERROR,
    PORT_PROTOCOLS,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Channels,
    carry_command,
    carry_ports,
)
from kaa.kubelet.cri import api

__all__ = ["StreamOptions", "command_stream", "port_stream"]

_VERSIONS = "x-stream-protocol-version"
_STATUS_VERSION = "v4.channel.k8s.io"  # of the runtime's error stream: it ends with a Status
_PORT_FORWARD = "portforward.k8s.io"
_TUNNEL = "SPDY/3.1+portforward.k8s.io"
_MESSAGE_BYTES_MAX = 4 * 1024 * 1024
_PORTS_MAX = 64

Url = Callable[[], Awaitable[str]]


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

    def use_terminal(self, tty: bool) -> None:
        """The container has a terminal, or has none, whatever was asked for."""
        self.tty = tty
        self.stderr = self.stderr and not tty

    @property
    def channels(self) -> list[int]:
        """Those of a session, in the order in which the runtime expects its streams."""
        wanted = [ERROR]
        wanted += [STDIN] if self.stdin else []
        wanted += [STDOUT] if self.stdout else []
        wanted += [STDERR] if self.stderr else []
        wanted += [RESIZE] if self.tty else []
        return wanted


async def command_stream(request: Request, options: StreamOptions, url: Url) -> Answer:
    """Answer an exec or attach request; `url` asks the runtime for its streaming URL."""
    if not (options.stdin or options.stdout or options.stderr):
        return _bad("you must specify at least 1 of stdin, stdout, stderr")
    kind = request.headers.get("upgrade", "").lower()
    if kind == "spdy/3.1":
        return await _pipe(request, url)
    if kind != "websocket":
        return _bad("this path is a stream: upgrade to websocket or SPDY/3.1")
    try:
        place = await url()
    except api.RuntimeFailed as error:
        return _failed(error)

    async def serve(socket: WebSocket) -> None:
        channels = Channels(socket)
        try:
            caller, upgraded = await _connect(place, [("X-Stream-Protocol-Version", _STATUS_VERSION)])
        except CallError as error:
            await channels.fail(f"error executing command in container: {error}")
            return
        session = SpdySession(upgraded.connection)
        try:
            await carry_command(channels, session, options.channels)
        except Disconnected:
            pass  # the client went away: so does the command's terminal
        finally:
            await let_go(session.close(), caller.close())

    return _websocket(request, serve, COMMAND_PROTOCOLS)


async def port_stream(request: Request, url: Url) -> Answer:
    """Answer a port-forward request: raw SPDY, SPDY within WebSocket messages (as kubectl does), or channels."""
    kind = request.headers.get("upgrade", "").lower()
    if kind == "spdy/3.1":
        return await _pipe(request, url)
    if kind != "websocket":
        return _bad("this path is a stream: upgrade to websocket or SPDY/3.1")
    tunnelled = _TUNNEL in request.headers.get("sec-websocket-protocol", "")
    try:
        ports = [] if tunnelled else _ports(request)
        place = await url()
    except ValueError as error:
        return _bad(str(error))
    except api.RuntimeFailed as error:
        return _failed(error)
    headers = [("X-Stream-Protocol-Version", _PORT_FORWARD)]

    async def tunnel(socket: WebSocket) -> None:
        caller, upgraded = await _connect(place, headers)
        try:
            await _tunnel(socket, upgraded.connection)
        finally:
            upgraded.connection.close()
            await let_go(caller.close())

    async def serve(socket: WebSocket) -> None:
        caller, upgraded = await _connect(place, headers)
        session = SpdySession(upgraded.connection)
        try:
            await carry_ports(Channels(socket), session, ports)
        except Disconnected:
            pass
        finally:
            await let_go(session.close(), caller.close())

    return _websocket(request, tunnel, (_TUNNEL,)) if tunnelled else _websocket(request, serve, PORT_PROTOCOLS)


def _websocket(request: Request, serve: Callable[[WebSocket], Awaitable[None]], protocols: tuple[str, ...]) -> Answer:
    offered = bool(request.headers.get("sec-websocket-protocol"))
    return accept(
        request,
        serve,
        subprotocols=protocols,
        subprotocol_required=offered,
        message_bytes_max=_MESSAGE_BYTES_MAX,
    )


def _ports(request: Request) -> list[int]:
    """The ports of a client that speaks channels; raises ValueError."""
    words = [word for name in ("port", "ports") for text in request.params.get(name, []) for word in text.split(",")]
    if not words:
        raise ValueError('query parameter "port" is required')
    if len(words) > _PORTS_MAX:
        raise ValueError(f"at most {_PORTS_MAX} ports can be forwarded at once")
    for word in words:
        if not word.isdigit() or int(word) > 65535:
            raise ValueError(f'unable to parse "{word}" as a port')
        if int(word) < 1:
            raise ValueError(f'port "{word}" must be > 0')
    return [int(word) for word in words]


def _bad(message: str) -> Response:
    return Response(400, message.encode(), "text/plain")


def _failed(error: Exception) -> Response:
    return Response(500, str(error).encode(), "text/plain")


async def _connect(url: str, headers: list[Header]) -> tuple[Caller, Upgraded]:
    parts = urlsplit(url)
    caller = Caller(f"{parts.scheme}://{parts.netloc}")
    try:
        return caller, await caller.upgrade("POST", parts.path, query=parts.query, headers=headers, protocol="SPDY/3.1")
    except BaseException:
        await caller.close()
        raise


async def _pipe(request: Request, url: Url) -> Answer:
    versions = request.headers.get(_VERSIONS, "")
    headers: list[Header] = [
        ("X-Stream-Protocol-Version", each.strip()) for each in versions.split(",") if each.strip()
    ]
    try:
        caller, upgraded = await _connect(await url(), headers)
    except (CallError, api.RuntimeFailed) as error:
        return _failed(error)
    chosen = upgraded.headers.get(_VERSIONS, "")

    async def run(connection: Connection) -> None:
        try:
            await join(connection, upgraded.connection)
        finally:
            upgraded.connection.close()
            await let_go(caller.close())

    def unused() -> None:
        tasks.spawn(caller.close(), name="streams/close")

    return Upgrade("SPDY/3.1", run, [("X-Stream-Protocol-Version", chosen)] if chosen else [], unused)


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
