"""SPDY/3.1 between two sessions of ours, and against peers that break it."""

import asyncio
import zlib

import pytest

from kaa.http.api import LOCAL_PEER, Disconnected
from kaa.http.connection import memory_pair
from kaa.http.spdy import (
    DICTIONARY,
    HEADER_BYTES_MAX,
    PING,
    STREAM_BYTES_MAX,
    SYN_STREAM,
    SpdySession,
    SpdyStream,
    encode_control,
)


@pytest.fixture
async def pair():
    """A client's session, the streams its server has accepted, and the server's session."""
    ours, theirs = memory_pair(LOCAL_PEER, LOCAL_PEER)
    accepted: asyncio.Queue[SpdyStream] = asyncio.Queue()
    client = SpdySession(ours)
    server = SpdySession(theirs, client=False, on_stream=accepted.put_nowait, streams_max=4)
    yield client, accepted, server
    await client.close()
    await server.close()


async def test_streams_carry_headers_and_bytes_and_end_each_way_by_themselves(pair):
    client, accepted, _ = pair
    stream = await client.open({"streamType": "stdin", "Port": "80"})
    other = await accepted.get()
    assert other.headers == {"streamtype": "stdin", "port": "80"}
    await stream.write(b"there")
    assert await other.read() == b"there"
    stream.finish()
    assert await other.read() == b""
    await other.write(b"back" * 50_000)
    other.finish()
    assert await stream.read_all() == b"back" * 50_000
    again = await client.open({"streamType": "error"})  # the compression of headers goes on
    assert (await accepted.get()).headers == {"streamtype": "error"}
    again.abort()


async def test_streams_are_bounded_in_number_and_refused_beyond(pair):
    client, accepted, _ = pair
    for _ in range(4):
        await client.open({"a": "b"})
    with pytest.raises(Disconnected):
        await client.open({"a": "b"})
    assert accepted.qsize() == 4


async def test_a_stream_nobody_reads_slows_its_writer_down(pair):
    client, accepted, _ = pair
    stream = await client.open({"a": "b"})
    other = await accepted.get()
    sent = 0

    async def write_on():
        nonlocal sent
        while True:
            await stream.write(b"x" * 65536)
            sent += 65536

    writing = asyncio.ensure_future(write_on())
    before = -1
    while sent != before:
        before = sent
        await asyncio.sleep(0.05)
    assert sent < 3 * STREAM_BYTES_MAX
    assert len(await other.read()) >= STREAM_BYTES_MAX
    await asyncio.sleep(0.05)
    assert sent > before
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def test_pings_are_answered_and_the_end_of_the_connection_ends_the_streams(pair):
    client, accepted, server = pair
    stream = await client.open({"a": "b"})
    other = await accepted.get()
    client.send(encode_control(PING, 0, b"\0\0\0\1"))
    await client.close()
    assert await other.read() == b""
    assert await stream.read() == b""
    await asyncio.wait_for(server.closed(), 5)


def packed(data: bytes) -> bytes:
    made = zlib.compressobj(zdict=DICTIONARY)
    return made.compress(data) + made.flush(zlib.Z_SYNC_FLUSH)


def syn(header_block: bytes) -> bytes:
    return encode_control(SYN_STREAM, 0, (1).to_bytes(4, "big") + bytes(6) + header_block)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x80\x02" + bytes(6), id="another version"),
        pytest.param(b"\x00\x00\x00\x01\x00\xff\xff\xff", id="a frame too large"),
        pytest.param(syn(b"no zlib"), id="headers not compressed"),
        pytest.param(syn(packed((2**31).to_bytes(4, "big"))), id="more headers said than there are"),
        pytest.param(syn(packed((1).to_bytes(4, "big") + b"\xff\xff\xff\xff")), id="a name longer than its block"),
        pytest.param(syn(packed(bytes(HEADER_BYTES_MAX * 20))), id="a block that unpacks to megabytes"),
    ],
)
async def test_what_breaks_the_protocol_ends_the_session(data):
    ours, theirs = memory_pair(LOCAL_PEER, LOCAL_PEER)
    session = SpdySession(theirs, client=False, on_stream=lambda stream: None)
    ours.write(data)
    await asyncio.wait_for(session.closed(), 5)
    await session.close()
    ours.close()
