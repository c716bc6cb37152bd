"""A client for one base URL, with a bounded pool of connections.

Calls share up to `connections_max` connections and wait for one beyond it; a stream or an upgraded connection has one
of its own while it lasts (`streams_max`, refused beyond it). A request that meets a pooled connection which the server
has just closed is sent once more on a new one, if nothing of it can have been acted on (GET, HEAD, OPTIONS).
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from kaa.base.clock import REAL, Clock
from kaa.http.api import (
    CallError,
    ConnectFailed,
    Disconnected,
    Header,
    Reply,
    StreamReply,
    Upgraded,
    UpgradeRefused,
)
from kaa.http.client_protocol import ClientProtocol, Mode
from kaa.http.tls import TlsClient
from kaa.http.transport import Ask, BaseTransport
from kaa.http.wire import request_head

__all__ = ["CallLimits", "Caller"]

_REPLAYABLE = ("GET", "HEAD", "OPTIONS")
T = TypeVar("T")


@dataclass(frozen=True)
class CallLimits:
    """What a caller takes and holds."""

    connections_max: int = 8
    """Connections for calls; further calls wait for a free one, within their own timeouts. A handshake costs more than
    a call, so a burst is better carried by few connections."""
    streams_max: int = 1024
    """Streams and upgraded connections that are open at once; the next one fails."""
    idle_seconds: float = 60.0
    """A connection idle for longer is not used again: the server may be about to close it."""
    certified_seconds: float = 300.0
    """A connection made with a client certificate that may be renewed meanwhile is used no longer: the server would
    refuse its requests once that certificate has expired."""
    connect_seconds: float = 10.0
    """For connecting, TLS included."""
    reply_bytes_max: int = 512 * 1024 * 1024
    """A call's answer; beyond it ReplyTooLarge."""
    line_bytes_max: int = 32 * 1024 * 1024
    """A line of a stream; beyond it ReplyTooLarge."""


class Caller(BaseTransport):
    """An `api.Transport` over sockets.

    `base_url` is `https://host:port/prefix`, `http://...`, or a Unix socket as `http+unix:///run/x.sock`.
    `headers` is called for each request, so that a token can rotate: it gives what to add, Authorization mostly.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tls: TlsClient | None = None,
        headers: Callable[[], Sequence[Header]] | None = None,
        user_agent: str = "kaa",
        limits: CallLimits | None = None,
        clock: Clock = REAL,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https", "http+unix"):
            raise ValueError(f"{base_url!r}: the scheme must be http, https or http+unix")
        if parts.scheme != "http+unix" and not parts.hostname:
            raise ValueError(f"{base_url!r} names no host")
        self.base_url = base_url
        self.limits = limits or CallLimits()
        self._unix_path = parts.path if parts.scheme == "http+unix" else None
        self._prefix = "" if self._unix_path else parts.path.rstrip("/")
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._host_header = "localhost" if self._unix_path else parts.netloc.rpartition("@")[2]
        self._tls = (tls or TlsClient()) if parts.scheme == "https" else None
        self._context: ssl.SSLContext | None = None
        self._headers = headers
        self._user_agent = ("User-Agent", user_agent)
        self._clock = clock
        self._idle: list[ClientProtocol] = []
        self._open: set[ClientProtocol] = set()
        self._calling = 0  # connections that calls hold or are making
        self._streams = 0
        self._raw: set[ClientProtocol] = set()  # upgraded connections, which count as streams until they are gone
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._where = self._unix_path or f"{self._host}:{self._port}"

    # --- the exchanges of a transport ---

    async def _call(self, ask: Ask) -> Reply:
        head = self._head(ask)
        await self._enter()
        try:
            connection, reply = await self._exchange(ask, head, "call")
            self._give_back(connection)
            return reply
        finally:
            self._leave()

    async def _stream(self, ask: Ask) -> StreamReply:
        head = self._head(ask)
        self._enter_stream()
        try:
            connection, reply = await self._exchange(ask, head, "stream")
        except BaseException:
            self._streams -= 1
            raise
        return _SocketStreamReply(self, connection, reply)

    async def _upgrade(self, ask: Ask, protocol: str) -> Upgraded:
        head = self._head(ask)
        self._enter_stream()
        try:
            connection, reply = await self._exchange(ask, head, "upgrade")
        except BaseException:
            self._streams -= 1
            raise
        if reply.status != 101:
            self._streams -= 1
            self._give_back(connection)
            raise UpgradeRefused(f"{self._where} answered {reply.status} to an upgrade to {protocol}", reply)
        self._raw.add(connection)
        return Upgraded(reply.headers, connection.take_raw())

    async def close(self) -> None:
        """See `api.Transport.close`."""
        self._closed = True
        self._idle.clear()
        connections = tuple(self._open)
        for connection in connections:
            connection.abort()
        while self._waiting:
            if not (waiter := self._waiting.popleft()).done():
                waiter.set_result(None)
        # Transports tell their protocols on the next turns of the loop; an owner that leaves must leave nothing open.
        for _ in range(100):
            if not self._open:
                break
            await asyncio.sleep(0)

    # --- one exchange ---

    def _head(self, ask: Ask) -> bytes:
        target = f"{self._prefix}{ask.path}?{ask.query}" if ask.query else f"{self._prefix}{ask.path}"
        provided = tuple(self._headers()) if self._headers is not None else ()
        headers = (self._user_agent, *provided, *ask.headers)
        return request_head(ask.method, target, self._host_header, headers, len(ask.body))

    async def _exchange(self, ask: Ask, head: bytes, mode: Mode) -> tuple[ClientProtocol, Reply]:
        method = ask.method
        while True:
            if self._closed:
                raise Disconnected(f"the caller of {self._where} is closed")
            connection = self._take_idle()
            pooled = connection is not None
            if connection is None:
                connection = await self._connect()
            nothing_sent = connection.lost
            try:
                reply = await connection.send(head, ask.body, mode, method == "HEAD", self.limits.reply_bytes_max)
            except Disconnected:
                connection.abort()
                if pooled and not connection.answered and (nothing_sent or method in _REPLAYABLE):
                    continue  # ends: each turn uses up a pooled connection
                raise
            except BaseException:
                connection.abort()
                raise
            return connection, reply

    def _take_idle(self) -> ClientProtocol | None:
        oldest = self._clock.monotonic() - self.limits.idle_seconds
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and connection.idle_since >= oldest and not self._outlived(connection):
                return connection
            connection.close()
        return None

    def _outlived(self, connection: ClientProtocol) -> bool:
        if self._tls is None or self._tls.certificate_source is None:
            return False
        return self._clock.monotonic() - connection.made_at > self.limits.certified_seconds

    async def _connect(self) -> ClientProtocol:
        loop = asyncio.get_running_loop()
        connection = ClientProtocol(self._where, self._lost)
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                if self._unix_path is not None:
                    await loop.create_unix_connection(lambda: connection, self._unix_path)
                elif self._tls is not None:
                    name = self._tls.server_name or self._host
                    await loop.create_connection(
                        lambda: connection, self._host, self._port, ssl=self._tls_context(), server_hostname=name
                    )
                else:
                    await loop.create_connection(lambda: connection, self._host, self._port)
        except ssl.SSLCertVerificationError as error:
            raise ConnectFailed(
                f"{self._where}: its certificate is not trusted ({error.verify_message}): check the CA and the name"
            ) from error
        except TimeoutError:
            raise ConnectFailed(f"{self._where}: no connection in {self.limits.connect_seconds:g} s") from None
        except (OSError, ssl.SSLError, ValueError) as error:
            raise ConnectFailed(f"{self._where}: cannot connect: {error}") from error
        connection.made_at = self._clock.monotonic()
        if not connection.lost:
            self._open.add(connection)
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        assert self._tls is not None
        if self._tls.certificate_source is not None:
            return self._tls.context()
        if self._context is None:
            self._context = self._tls.context()
        return self._context

    def _give_back(self, connection: ClientProtocol) -> None:
        if connection.reusable and not self._closed and len(self._idle) < self.limits.connections_max:
            connection.idle_since = self._clock.monotonic()
            self._idle.append(connection)
        elif connection.complete:
            connection.close()
        else:
            connection.abort()

    def _lost(self, connection: ClientProtocol) -> None:
        self._open.discard(connection)
        if connection in self._raw:
            self._raw.discard(connection)
            self._streams -= 1
        if connection in self._idle:
            self._idle.remove(connection)

    # --- bounds ---

    async def _enter(self) -> None:
        while self._calling >= self.limits.connections_max and not self._closed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except BaseException:
                if waiter.done() and not waiter.cancelled():
                    self._wake_one()  # the turn was ours and we cannot take it
                raise
        self._calling += 1

    def _leave(self) -> None:
        self._calling -= 1
        self._wake_one()

    def _wake_one(self) -> None:
        while self._waiting:
            if not (waiter := self._waiting.popleft()).done():
                waiter.set_result(None)
                return

    def _enter_stream(self) -> None:
        if self._streams >= self.limits.streams_max:
            raise CallError(f"{self._where}: {self._streams} streams are open already: close some first")
        self._streams += 1

    def _stream_ended(self, connection: ClientProtocol) -> None:
        self._streams -= 1
        self._give_back(connection)


class _SocketStreamReply(StreamReply):
    __slots__ = ("_caller", "_connection")

    def __init__(self, caller: Caller, connection: ClientProtocol, reply: Reply) -> None:
        super().__init__(reply.status, reply.headers, caller.limits.line_bytes_max)
        self._caller = caller
        self._connection: ClientProtocol | None = connection

    async def _next(self) -> bytes:
        if self._connection is None:
            return b""
        return await self._connection.next_part()

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._caller._stream_ended(connection)
