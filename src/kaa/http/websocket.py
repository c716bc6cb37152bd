"""RFC 6455 on a raw connection, either side.

No extensions (compression is not offered and not agreed to). Messages are bounded; pings are answered while somebody
receives.
"""

import asyncio
import base64
import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence

from kaa.http.api import Connection, Disconnected, Header, Request, Response, Transport, Upgrade
from kaa.http.wire import status_response

__all__ = ["MESSAGE_BYTES_MAX", "ProtocolError", "WebSocket", "accept", "connect"]

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


class ProtocolError(Exception):
    """The other side broke RFC 6455; `code` is what it is closed with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def mask(data: bytes, key: bytes) -> bytes:
    """`data` with the four bytes of `key` laid over it again and again: also takes the mask off."""
    size = len(data)
    if not size:
        return data
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")).to_bytes(size, "little")


class WebSocket:
    """An open WebSocket. One task receives; any may send."""

    def __init__(
        self,
        connection: Connection,
        *,
        client: bool,
        subprotocol: str = "",
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        close_seconds: float = 5.0,
    ) -> None:
        self.connection = connection
        self.subprotocol = subprotocol
        """What was agreed on; "" for none."""
        self.close_code: int | None = None
        """Why the other side closed; 1005 when it gave no reason, 1006 when the connection just broke."""
        self.close_reason = ""
        self._client = client
        self._message_bytes_max = message_bytes_max
        self._close_seconds = close_seconds
        self._close_sent = False
        self._receiving = False
        self._ended = asyncio.Event()

    @property
    def buffered(self) -> int:
        """Bytes sent that the kernel has not taken yet."""
        return self.connection.buffered

    async def receive(self) -> bytes | str | None:
        """The next message: str for text, bytes for binary; None once closed, for whatever reason (`close_code`)."""
        if self._receiving:
            raise RuntimeError("two tasks receive from one WebSocket: let one of them receive")
        if self._ended.is_set():
            return None
        self._receiving = True
        try:
            return await self._message()
        except Disconnected:
            self._end(1006, "the connection broke")
        except ProtocolError as error:
            self._send_close(error.code, str(error))
            self._end(error.code, str(error))
        finally:
            self._receiving = False
        return None

    async def send(self, message: bytes | str) -> None:
        """Send one message and wait while the write buffer is full. Raises Disconnected once closed."""
        self.send_soon(message)
        await self.connection.drain()

    def send_soon(self, message: bytes | str) -> None:
        """As `send`, without waiting: for callers that watch `buffered`."""
        if self._close_sent or self._ended.is_set():
            raise Disconnected("the WebSocket is closed")
        if isinstance(message, str):
            self._write(_TEXT, message.encode())
        else:
            self._write(_BINARY, message)

    async def ping(self, data: bytes = b"") -> None:
        """Ask the other side for a sign of life, which keeps proxies from closing; its answer is not awaited."""
        if len(data) > 125:
            raise ValueError("a ping carries at most 125 bytes")
        if not self._close_sent and not self._ended.is_set():
            self._write(_PING, data)
            await self.connection.drain()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """The closing handshake, for a bounded time; then the connection is closed. Safe to call twice."""
        self._send_close(code, reason)
        if not self._ended.is_set():
            try:
                async with asyncio.timeout(self._close_seconds):
                    if self._receiving:
                        await self._ended.wait()
                    else:
                        while await self.receive() is not None:
                            pass  # what was under way when we closed
            except TimeoutError:
                self._end(1006, "no answer to close in time")
        self.connection.close()

    def _end(self, code: int, reason: str) -> None:
        if not self._ended.is_set():
            self.close_code, self.close_reason = code, reason
            self._ended.set()
            self.connection.close()

    def _send_close(self, code: int, reason: str) -> None:
        if not self._close_sent:
            self._close_sent = True
            payload = b"" if code == 1005 else code.to_bytes(2, "big") + _cut_utf8(reason, 123)
            self._write(_CLOSE, payload)

    def _write(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        masked = 0x80 if self._client else 0
        if size < 126:
            head = bytes((0x80 | opcode, masked | size))
        elif size < 65536:
            head = bytes((0x80 | opcode, masked | 126)) + size.to_bytes(2, "big")
        else:
            head = bytes((0x80 | opcode, masked | 127)) + size.to_bytes(8, "big")
        if self._client:
            key = os.urandom(4)
            self.connection.write(b"".join((head, key, mask(payload, key))))
        else:
            self.connection.write(head + payload)

    async def _message(self) -> bytes | str | None:
        parts: list[bytes] = []
        size = 0
        kind = 0
        while True:
            final, opcode, payload = await self._frame(self._message_bytes_max - size)
            if opcode >= _CLOSE:
                if opcode == _CLOSE:
                    self._closed_by_peer(payload)
                    return None
                if opcode == _PING and not self._close_sent:
                    self._write(_PONG, payload)
                    await self.connection.drain()  # pings without end must not fill our buffer
                continue
            if (opcode == _CONTINUATION) != bool(kind):
                raise ProtocolError(1002, "a message was begun within another, or continued without one")
            kind = kind or opcode
            parts.append(payload)
            size += len(payload)
            if len(parts) > 65536:
                raise ProtocolError(1009, "a message is in too many fragments")
            if final:
                data = parts[0] if len(parts) == 1 else b"".join(parts)
                if kind == _BINARY:
                    return data
                try:
                    return data.decode()
                except UnicodeDecodeError:
                    raise ProtocolError(1007, "a text message is not UTF-8") from None

    async def _frame(self, size_max: int) -> tuple[bool, int, bytes]:
        first, second = await self.connection.readexactly(2)
        final, opcode, size = bool(first & 0x80), first & 0x0F, second & 0x7F
        if first & 0x70:
            raise ProtocolError(1002, "reserved bits are set, and no extension was agreed on")
        if opcode not in (_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG):
            raise ProtocolError(1002, f"opcode {opcode} is not known")
        if opcode >= _CLOSE and (size > 125 or not final):
            raise ProtocolError(1002, "a control frame is fragmented or over 125 bytes")
        if bool(second & 0x80) == self._client:
            raise ProtocolError(1002, "clients mask their frames, servers do not")
        if size == 126:
            size = int.from_bytes(await self.connection.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.connection.readexactly(8), "big")
        if opcode < _CLOSE and size > size_max:
            raise ProtocolError(1009, f"a message is over {self._message_bytes_max} bytes")
        key = b"" if self._client else await self.connection.readexactly(4)
        payload = await self.connection.readexactly(size) if size else b""
        return final, opcode, mask(payload, key) if key else payload

    def _closed_by_peer(self, payload: bytes) -> None:
        if len(payload) == 1:
            raise ProtocolError(1002, "a close frame has half a code")
        code, reason = 1005, ""
        if payload:
            code = int.from_bytes(payload[:2], "big")
            if code not in _CLOSE_CODES and not 3000 <= code < 5000:
                raise ProtocolError(1002, f"close code {code} may not be sent")
            try:
                reason = payload[2:].decode()
            except UnicodeDecodeError:
                raise ProtocolError(1007, "a close reason is not UTF-8") from None
        self._send_close(code, "")
        self._end(code, reason)

    async def __aenter__(self) -> "WebSocket":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _cut_utf8(text: str, bytes_max: int) -> bytes:
    return text.encode()[:bytes_max].decode(errors="ignore").encode()


def _answer_to(key: str) -> str:
    return base64.b64encode(
        hashlib.sha1(key.encode("latin-1", "replace") + _GUID, usedforsecurity=False).digest()
    ).decode()


def _tokens(value: str) -> list[str]:
    return [token for part in value.split(",") if (token := part.strip())]


def accept(
    request: Request,
    run: Callable[[WebSocket], Awaitable[None]],
    *,
    subprotocols: Sequence[str] = (),
    subprotocol_required: bool = False,
    headers: Sequence[Header] = (),
    message_bytes_max: int = MESSAGE_BYTES_MAX,
) -> Upgrade | Response:
    """Answer a handshake: an Upgrade that gives `run` an open WebSocket, or a Response that says what is wrong.

    The first of the client's subprotocols that is in `subprotocols` is agreed on; with `subprotocol_required`, a client
    that offers none of them is refused. When `run` returns, the WebSocket is closed with 1000; when it raises, 1011.
    """
    given = request.headers
    if request.method != "GET" or "websocket" not in [each.lower() for each in _tokens(given.get("upgrade", ""))]:
        return status_response(400, "BadRequest", "this path speaks WebSocket: send GET with Upgrade: websocket")
    if given.get("sec-websocket-version") != "13":
        refused = status_response(426, "BadRequest", "only version 13 of WebSocket is spoken here")
        refused.headers = (("Sec-WebSocket-Version", "13"),)
        return refused
    key = given.get("sec-websocket-key", "")
    try:
        key_valid = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        key_valid = False
    if not key_valid:
        return status_response(400, "BadRequest", "Sec-WebSocket-Key must be 16 bytes in base64")
    offered = _tokens(given.get("sec-websocket-protocol", ""))
    agreed = next((each for each in offered if each in subprotocols), "")
    if subprotocol_required and not agreed:
        wanted = ", ".join(subprotocols)
        return status_response(400, "BadRequest", f"none of the subprotocols {offered} is spoken here: offer {wanted}")
    answer: list[Header] = [("Sec-WebSocket-Accept", _answer_to(key)), *headers]
    if agreed:
        answer.append(("Sec-WebSocket-Protocol", agreed))

    async def serve(connection: Connection) -> None:
        socket = WebSocket(connection, client=False, subprotocol=agreed, message_bytes_max=message_bytes_max)
        code, reason = 1000, ""
        try:
            await run(socket)
        except asyncio.CancelledError:
            socket._send_close(1001, "the server is closing")
            raise
        except Disconnected:
            code = 1001
        except Exception:
            code, reason = 1011, "internal error"
            raise
        finally:
            if not connection.closed.is_set() and not socket._close_sent:
                await socket.close(code, reason)

    return Upgrade("websocket", serve, answer)


async def connect(
    transport: Transport,
    path: str,
    *,
    subprotocols: Sequence[str] = (),
    headers: Sequence[Header] = (),
    query: str = "",
    message_bytes_max: int = MESSAGE_BYTES_MAX,
    timeout_seconds: float = 60.0,
) -> WebSocket:
    """Open a WebSocket through any transport. Raises UpgradeRefused with the server's answer if it says no."""
    key = base64.b64encode(os.urandom(16)).decode()
    asked: list[Header] = [("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", "13"), *headers]
    if subprotocols:
        asked.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
    upgraded = await transport.upgrade(
        "GET", path, query=query, headers=asked, protocol="websocket", timeout_seconds=timeout_seconds
    )
    agreed = upgraded.headers.get("sec-websocket-protocol", "")
    if upgraded.headers.get("sec-websocket-accept") != _answer_to(key) or (agreed and agreed not in subprotocols):
        upgraded.connection.abort()
        raise Disconnected("the server's WebSocket handshake does not match ours: is there a proxy in between?")
    return WebSocket(upgraded.connection, client=True, subprotocol=agreed, message_bytes_max=message_bytes_max)
