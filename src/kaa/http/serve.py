"""A listener: accepts connections, hands requests to one handler, bounds everything, and closes gracefully."""

import asyncio
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kaa.base import tasks
from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.http.api import Handler
from kaa.http.door import Door
from kaa.http.server_protocol import ServerProtocol
from kaa.http.stream_writer import Flushes
from kaa.http.tls import TlsServer
from kaa.http.wire import Head, http_date

__all__ = ["Limits", "Server", "serve"]

_log = Logger("http")
_FAREWELL_SECONDS = 0.3  # for clients that are owed nothing to answer TLS's goodbye when the listener closes
_CERTIFICATE_SECONDS = 5.0  # between looks at the certificate's files


@dataclass(frozen=True)
class Limits:
    """What a listener takes, and what happens beyond it."""

    header_bytes_max: int = 128 * 1024
    """Request line and headers together; beyond it 431, and the connection ends."""
    body_bytes_max: int = 3 * 1024 * 1024
    """A request's body; beyond it 413, and the connection ends. The original's limit for resources."""
    keepalive_seconds: float = 120.0
    """How long a connection may be idle between requests; then it is closed."""
    request_read_seconds: float = 60.0
    """From a request's first byte to its last (also: from connecting to the first byte); beyond it 408."""
    write_stall_seconds: float = 60.0
    """How long a client may leave a full write buffer as it is; beyond it the connection is cut."""
    connections_max: int = 16384
    """Open connections; the next one is closed at once."""
    pipelined_max: int = 32
    """Requests of one connection that wait for the answer to an earlier one; beyond it we stop reading."""
    write_buffer_bytes_max: int = 256 * 1024
    """Bytes an answer may have buffered before its writing waits. Streams bound themselves by `writer.buffered`."""
    handshake_seconds: float = 10.0
    """For the TLS handshake, silence before it included; beyond it the connection is cut."""
    upgraded_idle_seconds: float = 4 * 3600.0
    """How long an upgraded connection (exec, port-forward) may carry nothing either way; beyond it it is cut. The
    original's streamingConnectionIdleTimeout."""


class Server:
    """A running listener; made by `serve`."""

    def __init__(self, handler: Handler, limits: Limits, clock: Clock, tls: TlsServer | None) -> None:
        self.handler = handler
        self.limits = limits
        self.tls = tls
        self.head = Head()
        self.now = 0.0
        """Monotonic seconds, renewed about once a second: exact enough for the limits."""
        self.connections: set[ServerProtocol] = set()
        self.flushes = Flushes()
        self.closing = False
        self.port = 0
        self.unix_path: str | None = None
        self._clock = clock
        self._listener: asyncio.AbstractServer | Door | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self._quiet = asyncio.Event()
        self._owing: set[ServerProtocol] = set()  # once closing: connections that have not had all they are owed
        self._leftover: set[asyncio.Task[None]] = set()

    def _tick(self) -> None:
        self.now = self._clock.monotonic()
        self.head.date_line = f"Date: {http_date(self._clock.now())}\r\n".encode()

    async def _watch_limits(self) -> None:
        look_again = self.now + _CERTIFICATE_SECONDS
        while True:
            await self._clock.sleep(1.0)
            self._tick()
            for connection in tuple(self.connections):
                connection.check_deadline(self.now)
            if self.tls is not None and self.now >= look_again:
                look_again = self.now + _CERTIFICATE_SECONDS
                self._renew_certificate(self.tls)

    def _renew_certificate(self, tls: TlsServer) -> None:
        try:
            if tls.reload_if_changed():
                _log.info("new connections use the certificate that has changed", file=str(tls.certificate))
        except OSError as error:
            _log.warning("the changed certificate can't be used; the old one stays", error=str(error))

    def has_room(self, arriving: int) -> bool:
        """Whether one more connection may come in, besides those that are still at the door."""
        return not self.closing and len(self.connections) + arriving < self.limits.connections_max

    def connection_gone(self, connection: ServerProtocol, work: asyncio.Task[None] | None) -> None:
        """Called by a connection when it is lost, with the task of its request that may still run."""
        self.connections.discard(connection)
        if work is not None and not work.done():
            self._leftover.add(work)
            work.add_done_callback(self._leftover.discard)
        if self.closing:
            self.connection_ended(connection)
            if not self.connections:
                self._gone.set()

    def connection_ended(self, connection: ServerProtocol) -> None:
        """Called by a connection while the listener closes, when it owes nothing any more."""
        self._owing.discard(connection)
        if not self._owing:
            self._quiet.set()

    async def close(self, grace_seconds: float = 5.0) -> None:
        """Stop accepting; end streams and upgraded connections (their `run` is cancelled, and the final chunk sent);
        let requests in flight end. What is left after the grace is cut, and sooner what is owed nothing: an idle
        client may never answer a goodbye. Safe to call twice."""
        if self.closing:
            return
        self.closing = True
        if self._listener is not None:
            self._listener.close()
            if isinstance(self._listener, Door):
                await self._listener.wait_closed()
        self._unlink()
        self._owing = set(self.connections)
        for connection in tuple(self.connections):
            connection.shut()
        self._owing = {each for each in self._owing if not each.ended and each in self.connections}
        deadline = self._clock.monotonic() + grace_seconds
        if self._owing:
            await _within(grace_seconds, self._quiet)
        await self._wait_gone(_FAREWELL_SECONDS)
        running = set(self._leftover)
        if running:
            await asyncio.wait(running, timeout=max(0.0, deadline - self._clock.monotonic()))
        if self._owing:
            _log.warning("cutting connections that outlived the grace", count=len(self._owing))
        running.update(task for each in tuple(self.connections) if (task := each.cut_off()) is not None)
        if self._ticker is not None:
            running.add(self._ticker)
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=1.0)
        await self._wait_gone(1.0)

    async def _wait_gone(self, timeout_seconds: float) -> None:
        if self.connections:
            await _within(timeout_seconds, self._gone)

    def _unlink(self) -> None:
        if self.unix_path is not None:
            with suppress(OSError):
                os.unlink(self.unix_path)

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def serve(
    handler: Handler,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    unix_path: str | Path | None = None,
    sock: socket.socket | None = None,
    tls: TlsServer | None = None,
    limits: Limits | None = None,
    clock: Clock = REAL,
) -> Server:
    """Listen on `host`:`port` (0: any; see `Server.port`; "::" is both families), on `unix_path`, or on `sock`.

    `sock` is a bound TCP socket (one that was made in another network namespace, say), which the server then owns.

    Raises OSError when the address is taken. A socket left at `unix_path` by a dead process is replaced.
    """
    server = Server(handler, limits or Limits(), clock, tls)
    server._tick()
    loop = asyncio.get_running_loop()
    listening = sock or (_unix_socket(Path(unix_path)) if unix_path is not None else _tcp_socket(host, port))
    try:
        listening.setblocking(False)
        if unix_path is not None:
            server.unix_path = str(unix_path)
        else:
            server.port = listening.getsockname()[1]
        if tls is not None:
            door = Door(
                listening, tls, lambda: ServerProtocol(server), server.has_room, server.limits.handshake_seconds
            )
            door.open()
            server._listener = door
        elif unix_path is not None:
            server._listener = await loop.create_unix_server(
                lambda: ServerProtocol(server), sock=listening, backlog=1024
            )
        else:
            server._listener = await loop.create_server(lambda: ServerProtocol(server), sock=listening, backlog=1024)
    except BaseException:
        listening.close()
        raise
    server._ticker = tasks.spawn(server._watch_limits(), name="http/limits")
    return server


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _tcp_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listening


def _unix_socket(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
            probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with probe:
                if probe.connect_ex(str(path)) == 0:
                    raise OSError(98, f"cannot listen on {path}: another process does")
            path.unlink()
        listening.bind(str(path))
    except OSError:
        listening.close()
        raise
    return listening
