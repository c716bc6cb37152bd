"""How the server hands a request on to somebody else and carries back what comes: shared by streams and proxies."""

import asyncio
import os
import posixpath
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from kaa.base import tasks
from kaa.http.api import (
    Answer,
    CallError,
    ConnectFailed,
    Connection,
    Header,
    Request,
    Response,
    StreamReply,
    TimedOut,
    Transport,
    Upgrade,
    UpgradeRefused,
    Writer,
)
from kaa.http.call import Caller
from kaa.http.pipes import join, let_go
from kaa.http.tls import TlsClient
from kaa.meta import errors

__all__ = [
    "Dial",
    "closed_soon",
    "dial_error",
    "direct",
    "forward_upgrade",
    "forwarded_headers",
    "join_path",
    "pass_body",
]

#: `(host, port, tls)` to a transport for a kubelet, as this server: with its client certificate.
Dial = Callable[[str, int, bool], Transport]


def direct(host: str, port: int, tls: bool) -> Transport:
    """To a pod, or another port of a node: as nobody in particular, and without checking its certificate, which is of
    its own making. (The original does the same: who must be sure speaks TLS through a port-forward.)"""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Caller(f"https://{place}", tls=TlsClient(insecure=True)) if tls else Caller(f"http://{place}")


#: Headers of one connection, not of the message (RFC 9110, 7.6.1), and those that are made anew.
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization",
                        "te", "trailer", "transfer-encoding", "upgrade", "content-length", "host"})  # fmt: skip

_BEARER = "base64url.bearer.authorization.k8s.io."


def _is_identity(name: str) -> bool:
    """Credentials and claims of identity are for this server alone: a pod or node never sees them."""
    return name == "authorization" or name.startswith(("impersonate-", "x-remote-"))


def forwarded_headers(request: Request) -> list[Header]:
    """What of a request's headers goes on: not those of the connection, not those that say who asks."""
    named = {each.strip().lower() for each in request.headers.get("connection", "").split(",")}
    kept = []
    for name, value in request.headers.items():
        if name in HOP_BY_HOP or name in named or _is_identity(name):
            continue
        if name == "sec-websocket-protocol" and _BEARER in value:
            # Browsers can't set Authorization: a token may come as a subprotocol.
            value = ", ".join(each for word in value.split(",") if not (each := word.strip()).startswith(_BEARER))
        kept.append((name, value))
    return kept


def join_path(rest: str) -> str:
    """The path to ask for, from what followed the subresource (decoded): "" stays "", dots and double slashes are
    resolved, so that nothing climbs above the root; a trailing slash stays."""
    if not rest:
        return ""
    path = posixpath.normpath("/" + rest.lstrip("/"))
    path = "/" + path.lstrip("/")
    if rest.endswith("/") and not path.endswith("/"):
        path += "/"
    return quote(path, safe="/$&+,;=:@-_.~!'()*")


def dial_error(host: str, port: int, error: CallError) -> str:
    """Why a host can't be reached, in the words of Go's net package, which tools look for."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    cause = error.__cause__
    if isinstance(error, ConnectFailed) and isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return f"dial tcp {place}: connect: {os.strerror(cause.errno).lower()}"
    if isinstance(error, TimedOut) or (isinstance(error, ConnectFailed) and cause is None):
        return f"dial tcp {place}: i/o timeout"
    return str(error)


def closed_soon(transport: Transport) -> Callable[[], None]:
    """For `StreamingResponse.unused`."""
    return lambda: _spawn_close(transport)


def _spawn_close(transport: Transport) -> None:
    tasks.spawn(transport.close(), name="forward/close")


def pass_body(
    reply: StreamReply, transport: Transport, change: "Callable[[bytes], bytes] | None" = None
) -> Callable[[Writer], Awaitable[None]]:
    """The `run` of an answer that carries on another's body, at the pace of the slower side. `change` is called with
    each piece, and with b"" at the end."""

    async def run(writer: Writer) -> None:
        try:
            async for chunk in reply.chunks():
                writer.write(change(chunk) if change is not None else chunk)
                await writer.drain()
                if writer.closed.is_set():
                    return
            if change is not None:
                writer.write(change(b""))
        finally:
            await let_go(reply.aclose(), transport.close())

    return run


async def forward_upgrade(
    transport: Transport, request: Request, path: str, place: str, more: "list[Header] | None" = None
) -> Answer:
    """Ask for the same upgrade, and join the two connections; a refusal is passed on as it is. Owns the transport."""
    protocol = request.headers.get("upgrade", "")
    headers = [*forwarded_headers(request), *(more or ())]
    try:
        upgraded = await transport.upgrade(
            request.method, path or "/", query=request.query, headers=headers, protocol=protocol
        )
    except UpgradeRefused as refused:
        await transport.close()
        reply = refused.reply
        kept = [(name, value) for name, value in reply.headers.items()
                if name not in HOP_BY_HOP and name not in ("content-type", "date")]  # fmt: skip
        return Response(reply.status, reply.body, reply.headers.get("content-type", ""), kept)
    except CallError as error:
        await transport.close()
        host, _, port = place.rpartition(":")
        # The original's words, and no reason: an error that is no Status of its own.
        raise errors.StatusError(500, "", f"error dialing backend: {dial_error(host, int(port), error)}") from error
    except BaseException:
        await transport.close()
        raise
    answered = [(name, value) for name, value in upgraded.headers.items() if name not in HOP_BY_HOP and name != "date"]

    async def run(connection: Connection) -> None:
        try:
            await join(connection, upgraded.connection)
            await _flushed(connection)
        finally:
            upgraded.connection.close()
            await let_go(transport.close())

    def unused() -> None:
        upgraded.connection.abort()
        _spawn_close(transport)

    return Upgrade(upgraded.headers.get("upgrade", protocol), run, answered, unused)


async def _flushed(connection: Connection) -> None:
    """The last bytes are on their way before the connection is closed."""
    try:
        async with asyncio.timeout(5.0):
            await connection.drain()
    except (TimeoutError, CallError):
        pass
