"""WebSocket clients of exec, attach and port-forward, translated to the runtime's SPDY streams.

Each WebSocket message is a channel and data. With containerd this is the only way on which standard input ends
properly: its own WebSocket server can't half-close.
"""

import asyncio
import base64
import binascii
import struct
from collections.abc import Awaitable, Sequence

import orjson

from kaa.base.tasks import Scope
from kaa.http.api import Disconnected
from kaa.http.spdy import SpdySession, SpdyStream
from kaa.http.websocket import WebSocket

__all__ = [
    "COMMAND_PROTOCOLS",
    "ERROR",
    "PORT_PROTOCOLS",
    "RESIZE",
    "STDERR",
    "STDIN",
    "STDOUT",
    "Channels",
    "carry_command",
    "carry_ports",
    "failure",
]

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_NAMES = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", ERROR: "error", RESIZE: "resize"}
V5, V4, V4_BASE64, V1, V1_BASE64 = (
    "v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io",
)  # fmt: skip
COMMAND_PROTOCOLS = (V5, V4, V4_BASE64, V1, V1_BASE64)
"""Of exec and attach, the better first. v5 can end standard input; v4 tells the exit code as a Status; v1 as text."""
PORT_PROTOCOLS = (V4, V4_BASE64)


class Channels:
    """A WebSocket whose messages name a channel: binary ones by a byte, base64 ones by a digit. Without an agreed
    protocol it is v1, as it was for the first clients."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.protocol = socket.subprotocol or V1
        self._text = self.protocol in (V4_BASE64, V1_BASE64)

    @property
    def tells_status(self) -> bool:
        """Whether the error channel ends with a Status."""
        return self.protocol in (V5, V4, V4_BASE64)

    @property
    def closed_by_client(self) -> bool:
        """The client has gone, or said goodbye."""
        return self.socket.close_code is not None

    async def send(self, channel: int, data: bytes = b"") -> None:
        """One message; waits while the client is slow. Raises Disconnected."""
        if self._text:
            await self.socket.send(str(channel) + base64.b64encode(data).decode())
        else:
            await self.socket.send(bytes((channel,)) + data)

    async def receive(self) -> tuple[int, bytes] | None:
        """The next message; None at the end. What is no message of the protocol is passed over."""
        while (message := await self.socket.receive()) is not None:
            if not message:
                continue
            if not self._text:
                data = message if isinstance(message, bytes) else message.encode()
                return data[0], data[1:]
            text = message if isinstance(message, str) else message.decode("latin-1")
            try:
                return ord(text[0]) - ord("0"), base64.b64decode(text[1:], validate=True)
            except (binascii.Error, ValueError):
                continue
        return None

    async def fail(self, message: str) -> None:
        """Tell why there is no session."""
        await self.send(ERROR, failure(message) if self.tells_status else message.encode())


async def carry_command(channels: Channels, session: SpdySession, wanted: Sequence[int]) -> None:
    """An exec or attach, from its streams (opened here, in the order the runtime expects) to its end."""
    streams = {channel: session.open_soon({"streamType": _NAMES[channel]}) for channel in wanted}
    # What nobody writes to is finished at once; the runtime waits for it otherwise.
    for channel in (ERROR, STDOUT, STDERR):
        if channel in streams:
            streams[channel].finish()
    # Clients take an empty message per channel as the sign that the streams are there.
    for channel in (STDOUT, STDERR):
        if channel in streams:
            await channels.send(channel)

    async def output(channel: int) -> None:
        while data := await streams[channel].read():
            await channels.send(channel, data)

    async def status() -> None:
        text = await streams[ERROR].read_all(64 * 1024)
        # The command's end is told last, when all its output has been.
        for waited in outputs:
            await waited
        if channels.tells_status:
            await channels.send(ERROR, text or failure("the runtime ended the stream without a status"))
        elif message := _message_of_failure(text):
            await channels.send(ERROR, message)

    async with Scope("exec") as scope:
        outputs = [
            scope.spawn(_quietly(output(channel)), name=_NAMES[channel])
            for channel in (STDOUT, STDERR)
            if channel in streams
        ]
        done = scope.spawn(_quietly(status()), name="status")
        reading = scope.spawn(_quietly(_input(channels, streams)), name="input")
        await asyncio.wait((done, reading), return_when=asyncio.FIRST_COMPLETED)
        if not done.done() and not channels.closed_by_client:
            await asyncio.wait((done,))


async def _quietly(work: Awaitable[None]) -> None:
    try:
        await work
    except Disconnected:
        pass  # the client, or the runtime, has gone: the session is over


async def _input(channels: Channels, streams: dict[int, SpdyStream]) -> None:
    """Client to runtime, until the client closes."""
    while (message := await channels.receive()) is not None:
        channel, data = message
        if channel == CLOSE and channels.protocol == V5:
            # The byte after it names the channel that ends.
            for ended in data[:1]:
                if ended in streams:
                    streams[ended].finish()
        elif channel in (STDIN, RESIZE) and channel in streams and data:
            await streams[channel].write(data)


async def carry_ports(channels: Channels, session: SpdySession, ports: Sequence[int]) -> None:
    """A port-forward in channels: two per port, of data and of errors, each of which begins with the port's number.

    Clients of the time before the tunnel speak this: the official Python client does."""
    pairs: list[tuple[SpdyStream, SpdyStream]] = []  # data and errors of each port
    for number, port in enumerate(ports):
        named = {"port": str(port), "requestID": str(number)}
        errors = session.open_soon({"streamType": "error", **named})
        errors.finish()
        pairs.append((session.open_soon({"streamType": "data", **named}), errors))
        for channel in (2 * number, 2 * number + 1):
            await channels.send(channel, struct.pack("<H", port))

    async def back(number: int) -> None:
        while piece := await pairs[number][0].read():
            await channels.send(2 * number, piece)
        if text := await pairs[number][1].read_all(64 * 1024):
            await channels.send(2 * number + 1, text)

    async def there() -> None:
        while (message := await channels.receive()) is not None:
            channel, piece = message
            if channel % 2 == 0 and channel // 2 < len(pairs) and piece:
                await pairs[channel // 2][0].write(piece)

    async with Scope("ports") as scope:
        carried = [scope.spawn(_quietly(back(number)), name=f"port-{number}") for number in range(len(pairs))]
        reading = scope.spawn(_quietly(there()), name="there")
        left: set[asyncio.Task[None]] = {*carried, reading}
        while not reading.done() and left != {reading}:
            _, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)


def failure(message: str) -> bytes:
    """A Status, as the error channel ends with."""
    return orjson.dumps({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": "InternalError", "code": 500,
    })  # fmt: skip


def _message_of_failure(text: bytes) -> bytes:
    try:
        status = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return b"" if status.get("status") == "Success" else str(status.get("message", "")).encode()
