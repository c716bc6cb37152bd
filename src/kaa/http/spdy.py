"""SPDY/3.1 as Kubernetes streams use it: frames, and a session of either side over a raw `Connection`.

Numbers and the header dictionary are the published ones of SPDY/3. There is no flow control by windows: none of the
peers that still speak SPDY (container runtimes, old clients) keeps any, so WINDOW_UPDATE is read past and not sent;
each stream's unread bytes are bounded by not reading the connection on.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kaa.base import tasks
from kaa.http.api import Connection, Disconnected

__all__ = ["Frame", "Headers", "SpdySession", "SpdyStream", "decode_control", "encode_data", "encode_syn"]

Headers = dict[str, str]
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FLAG_FIN = 0x01
FRAME_BYTES_MAX = 4 * 1024 * 1024
HEADER_BYTES_MAX = 256 * 1024
STREAM_BYTES_MAX = 1024 * 1024
_VERSION = 3
_ID = 0x7FFFFFFF


def _word(text: str) -> bytes:
    return len(text).to_bytes(4, "big") + text.encode()


DICTIONARY = b"".join(
    _word(each)
    for each in (
        *"options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age "
        "allow authorization cache-control connection content-base content-encoding content-language content-length "
        "content-location content-md5 content-range content-type date etag expect expires from host if-match "
        "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
        "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
        "user-agent vary via warning www-authenticate method get status".split(" "),
        *("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"),
    )
) + (
    b"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    b"Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    b"Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    b"00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    b"application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset="
    b"iso-8859-1,utf-,*,enq=0."
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A control frame (`type` from the numbers above) or, with type 0, data."""

    type: int
    stream_id: int
    flags: int = 0
    payload: bytes = b""
    headers: Headers | None = None


class _Packer:
    """Header blocks, compressed in one stream per direction and connection."""

    def __init__(self) -> None:
        self._out = zlib.compressobj(zdict=DICTIONARY)
        self._in = zlib.decompressobj(zdict=DICTIONARY)

    def pack(self, headers: Headers) -> bytes:
        block = [len(headers).to_bytes(4, "big")]
        for name, value in headers.items():
            block += [_word(name.lower()), _word(value)]
        return self._out.compress(b"".join(block)) + self._out.flush(zlib.Z_SYNC_FLUSH)

    def unpack(self, data: bytes) -> Headers:
        try:
            block = self._in.decompress(data, HEADER_BYTES_MAX)
            if self._in.unconsumed_tail:
                raise ValueError(f"it is over {HEADER_BYTES_MAX} bytes")
            at = 4
            found = {}
            for _ in range(int.from_bytes(block[:4], "big")):
                words = []
                for _ in range(2):
                    size = int.from_bytes(block[at : at + 4], "big")
                    words.append(block[at + 4 : at + 4 + size].decode("utf-8", "replace"))
                    at += 4 + size
                    if at > len(block):
                        raise ValueError("a header block ends too early")
                found[words[0]] = words[1]
        except (zlib.error, ValueError) as error:
            raise Disconnected(f"a SPDY header block can't be read: {error}") from error
        return found


def encode_control(type_: int, flags: int, body: bytes) -> bytes:
    """A control frame."""
    head = (0x8000 | _VERSION).to_bytes(2, "big") + type_.to_bytes(2, "big")
    return head + bytes((flags,)) + len(body).to_bytes(3, "big") + body


def encode_data(stream_id: int, data: bytes, *, fin: bool = False) -> bytes:
    """A data frame."""
    return stream_id.to_bytes(4, "big") + bytes((FLAG_FIN if fin else 0,)) + len(data).to_bytes(3, "big") + data


def encode_syn(packer: _Packer, stream_id: int, headers: Headers, *, fin: bool = False) -> bytes:
    """The frame that opens a stream."""
    body = stream_id.to_bytes(4, "big") + bytes(6) + packer.pack(headers)
    return encode_control(SYN_STREAM, FLAG_FIN if fin else 0, body)


def decode_control(type_: int, flags: int, body: bytes, packer: _Packer) -> Frame:
    """A control frame read."""
    stream_id = int.from_bytes(body[:4], "big") & _ID
    if type_ == SYN_STREAM:
        return Frame(type_, stream_id, flags, headers=packer.unpack(body[10:]))
    if type_ in (SYN_REPLY, HEADERS):
        return Frame(type_, stream_id, flags, headers=packer.unpack(body[4:]))
    return Frame(type_, stream_id, flags, body)


class SpdyStream:
    """One stream of a session. Reading ends with b"" when the peer has finished, or the session is over."""

    def __init__(self, session: "SpdySession", stream_id: int, headers: Headers) -> None:
        self.id = stream_id
        self.headers = headers
        self._session = session
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._ended = False
        self._sent_fin = False
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.replied = asyncio.Event()
        self.reset = False
        """The peer refused or broke it off."""

    async def read(self) -> bytes:
        """What has come; b"" at the end."""
        while not self._pieces and not self._ended:
            self._wake.clear()
            await self._wake.wait()
        if not self._pieces:
            return b""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        self._room.set()
        return data

    async def read_all(self, bytes_max: int = FRAME_BYTES_MAX) -> bytes:
        """All until the end; what is beyond the bound is dropped."""
        found = b""
        while data := await self.read():
            found = (found + data)[:bytes_max]
        return found

    async def write(self, data: bytes) -> None:
        """Send; waits while the connection's buffer is full. Raises Disconnected."""
        for at in range(0, len(data), 65536):
            self._session.send(encode_data(self.id, data[at : at + 65536]))
            await self._session.connection.drain()

    def finish(self) -> None:
        """Nothing more will be written: the peer's reading ends."""
        if not self._sent_fin:
            self._sent_fin = True
            self._session.send(encode_data(self.id, b"", fin=True))

    def abort(self) -> None:
        """Break it off in both directions."""
        self._session.send(encode_control(RST_STREAM, 0, self.id.to_bytes(4, "big") + (5).to_bytes(4, "big")))
        self._end()

    def _take(self, data: bytes) -> None:
        if data and not self._ended:
            self._pieces.append(data)
            self._buffered += len(data)
            if self._buffered > STREAM_BYTES_MAX:
                self._room.clear()
            self._wake.set()

    def _end(self) -> None:
        self._ended = True
        self._wake.set()
        self._room.set()
        self.replied.set()


class SpdySession:
    """Streams over one connection. The client opens odd ones; `on_stream` gets those that the peer opens."""

    def __init__(
        self,
        connection: Connection,
        *,
        client: bool = True,
        on_stream: Callable[[SpdyStream], None] | None = None,
        streams_max: int = 256,
    ) -> None:
        self.connection = connection
        self.streams: dict[int, SpdyStream] = {}
        self._packer = _Packer()
        self._next_id = 1 if client else 2
        self._on_stream = on_stream
        self._streams_max = streams_max
        self._reader = tasks.spawn(self._read_on(), name="spdy")

    def send(self, frame: bytes) -> None:
        """Queue a frame; lost when the connection is closed."""
        self.connection.write(frame)

    async def open(self, headers: Headers) -> SpdyStream:
        """Open a stream and wait for the peer's word. Raises Disconnected when it is refused."""
        stream = self.open_soon(headers)
        await stream.replied.wait()
        if stream.reset or (stream._ended and not self.streams):
            raise Disconnected("the peer refused a SPDY stream")
        return stream

    def open_soon(self, headers: Headers) -> SpdyStream:
        """Open a stream without waiting."""
        stream = SpdyStream(self, self._next_id, headers)
        self._next_id += 2
        self.streams[stream.id] = stream
        self.send(encode_syn(self._packer, stream.id, headers))
        return stream

    async def closed(self) -> None:
        """Until the session is over."""
        await asyncio.wait((self._reader,))

    async def close(self) -> None:
        """End the session and its connection."""
        self._reader.cancel()
        await asyncio.wait((self._reader,))
        self.connection.close()

    async def _read_on(self) -> None:
        try:
            while True:
                frame = await self._frame()
                self._handle(frame)
                await self._room(self.streams.values())
                if frame.type in (PING, SYN_STREAM):
                    await self.connection.drain()  # answers to a peer that reads none must not pile up
        except Disconnected:
            pass
        finally:
            for stream in list(self.streams.values()):
                stream._end()

    async def _room(self, streams: Iterable[SpdyStream]) -> None:
        for stream in list(streams):
            if not stream._room.is_set():
                await stream._room.wait()

    async def _frame(self) -> Frame:
        head = await self.connection.readexactly(8)
        flags, size = head[4], int.from_bytes(head[5:8], "big")
        if size > FRAME_BYTES_MAX:
            raise Disconnected(f"a SPDY frame of {size} bytes is over the limit")
        body = await self.connection.readexactly(size) if size else b""
        if head[0] & 0x80:
            version, type_ = int.from_bytes(head[:2], "big") & 0x7FFF, int.from_bytes(head[2:4], "big")
            if version != _VERSION:
                raise Disconnected(f"the peer speaks SPDY/{version}, not SPDY/3")
            return decode_control(type_, flags, body, self._packer)
        return Frame(0, int.from_bytes(head[:4], "big") & _ID, flags, body)

    def _handle(self, frame: Frame) -> None:
        if frame.type == PING:
            # Pings of ours would be odd as a client; the peer's go back as they are.
            self.send(encode_control(PING, 0, frame.payload))
            return
        if frame.type == GOAWAY:
            return
        if frame.type == SYN_STREAM:
            self._accept(frame)
            return
        stream = self.streams.get(frame.stream_id)
        if stream is None:
            return
        if frame.type == 0:
            stream._take(frame.payload)
        elif frame.type == SYN_REPLY:
            stream.replied.set()
        elif frame.type == RST_STREAM:
            stream.reset = True
            stream._end()
        if frame.type in (0, SYN_REPLY, HEADERS) and frame.flags & FLAG_FIN:
            stream._end()
        if stream._ended and (stream._sent_fin or stream.reset):
            self.streams.pop(stream.id, None)

    def _accept(self, frame: Frame) -> None:
        if self._on_stream is None or len(self.streams) >= self._streams_max or frame.stream_id in self.streams:
            body = frame.stream_id.to_bytes(4, "big") + (3).to_bytes(4, "big")  # REFUSED_STREAM
            self.send(encode_control(RST_STREAM, 0, body))
            return
        stream = SpdyStream(self, frame.stream_id, frame.headers or {})
        stream.replied.set()
        self.streams[stream.id] = stream
        self.send(encode_control(SYN_REPLY, 0, frame.stream_id.to_bytes(4, "big") + self._packer.pack({})))
        if frame.flags & FLAG_FIN:
            stream._end()
        self._on_stream(stream)
