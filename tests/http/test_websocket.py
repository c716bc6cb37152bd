"""WebSockets: both sides against each other, and each against raw frames."""

import asyncio

import pytest

from kaa.http.api import Disconnected, Peer, Request, UpgradeRefused
from kaa.http.call import Caller
from kaa.http.connection import memory_pair
from kaa.http.inprocess import InProcess
from kaa.http.serve import serve
from kaa.http.websocket import WebSocket, accept, mask


async def echo(socket: WebSocket):
    while (message := await socket.receive()) is not None:
        if message == "fail":
            raise RuntimeError("on purpose")
        if message == "return":
            return
        await socket.send(message)


def handler(request: Request):
    return accept(request, echo, subprotocols=("v5", "v4"), subprotocol_required=request.path == "/strict")


@pytest.fixture(params=["sockets", "in-process"])
async def transport(request):
    if request.param == "in-process":
        async with InProcess(handler) as transport:
            yield transport
        return
    async with await serve(handler) as server, Caller(f"http://127.0.0.1:{server.port}") as caller:
        yield caller


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 7, 125, 126, 65535, 65536, 1_000_003])
async def test_messages_of_all_sizes_come_back(transport, size):
    async with await transport.websocket("/") as socket:
        data = bytes(range(251)) * (size // 251 + 1)
        await socket.send(data[:size])
        assert await socket.receive() == data[:size]
        await socket.send("ü" * size)
        assert await socket.receive() == "ü" * size


async def test_the_first_offered_subprotocol_that_is_spoken_is_agreed_on(transport):
    for offered, agreed in ((("v6", "v4", "v5"), "v4"), ((), ""), (("v6",), "")):
        async with await transport.websocket("/", offered) as socket:
            assert socket.subprotocol == agreed
    with pytest.raises(UpgradeRefused) as refused:
        await transport.websocket("/strict", ("v6",))
    assert refused.value.reply.status == 400


async def test_closing_from_either_side(transport):
    socket = await transport.websocket("/")
    await socket.send("last words")
    await socket.close(4000, "bye")
    assert (socket.close_code, socket.close_reason) == (4000, "")
    with pytest.raises(Disconnected):
        await socket.send("too late")
    for word, code in (("return", 1000), ("fail", 1011)):
        socket = await transport.websocket("/")
        await socket.send(word)
        assert await socket.receive() is None
        assert socket.close_code == code
        assert await socket.receive() is None
        await socket.close()


async def test_closing_while_another_task_receives(transport):
    socket = await transport.websocket("/")
    receiving = asyncio.ensure_future(socket.receive())
    await asyncio.sleep(0.01)
    with pytest.raises(RuntimeError, match="two tasks"):
        await socket.receive()
    await socket.close()
    assert await receiving is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"upgrade": "websocket"}, 426),
        ({"upgrade": "websocket", "sec-websocket-version": "13"}, 400),
        ({"upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "short"}, 400),
        ({"upgrade": "websocket", "sec-websocket-version": "8", "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="}, 426),
    ],
)
def test_handshakes_that_are_refused(headers, status):
    assert handler(Request("GET", "/", headers=headers)).status == status


def test_the_handshake_of_the_specification():
    headers = {
        "upgrade": "WebSocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-protocol": "chat, v5",
    }
    answer = handler(Request("GET", "/", headers=headers))
    assert dict(answer.headers) == {
        "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol": "v5",
    }


def test_mask():
    assert mask(b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("7f9f4d5158")
    for size in range(20):
        data = bytes(range(size))
        assert mask(mask(data, b"\x01\xfe\x80\x00"), b"\x01\xfe\x80\x00") == data


def raw_frame(opcode, payload, final=True, key=b"\1\2\3\4", reserved=0):
    head = bytes(((0x80 if final else 0) | reserved | opcode,))
    size = len(payload)
    if size < 126:
        head += bytes((0x80 | size,))
    elif size < 65536:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    return head + key + mask(payload, key)


@pytest.fixture
async def raw():
    """(a server's WebSocket with a limit of 1000 bytes, the raw end of its client)."""
    client, server = memory_pair(Peer("client"), Peer("server"))
    yield WebSocket(server, client=False, message_bytes_max=1000, close_seconds=0.05), client
    client.close()


async def test_fragments_with_a_ping_between(raw):
    socket, client = raw
    client.write(raw_frame(1, b"a\xc3", final=False) + raw_frame(9, b"are you?") + raw_frame(0, b"\xbc"))
    assert await socket.receive() == "aü"
    assert await client.read() == b"\x8a\x08are you?"


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (raw_frame(2, b"x" * 1001), 1009),
        (raw_frame(2, b"x" * 600, final=False) + raw_frame(0, b"x" * 401), 1009),
        (b"\x82\xff" + (1 << 62).to_bytes(8, "big"), 1009),
        (raw_frame(1, b"\xff"), 1007),
        (raw_frame(3, b""), 1002),
        (raw_frame(11, b""), 1002),
        (raw_frame(1, b"", reserved=0x40), 1002),
        (raw_frame(0, b"no beginning"), 1002),
        (raw_frame(1, b"a", final=False) + raw_frame(1, b"b"), 1002),
        (raw_frame(9, b"x" * 126), 1002),
        (raw_frame(9, b"x", final=False), 1002),
        (b"\x81\x01a", 1002),
        (raw_frame(8, b"\x03"), 1002),
        (raw_frame(8, (1005).to_bytes(2, "big")), 1002),
        (raw_frame(8, (1000).to_bytes(2, "big") + b"\xff"), 1007),
    ],
)
async def test_what_breaks_the_protocol_is_closed_with_its_code(raw, frames, code):
    socket, client = raw
    client.write(frames)
    assert await socket.receive() is None
    assert socket.close_code == code
    answer = await client.read()
    assert answer[0] == 0x88
    assert int.from_bytes(answer[2:4], "big") == code


@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        (raw_frame(8, b""), 1005, ""),
        (raw_frame(8, (1001).to_bytes(2, "big") + "tschüß".encode()), 1001, "tschüß"),
        (b"\x81", 1006, "the connection broke"),
    ],
)
async def test_how_the_other_side_ended(raw, frames, code, reason):
    socket, client = raw
    client.write(frames)
    client.write_eof()
    assert await socket.receive() is None
    assert (socket.close_code, socket.close_reason) == (code, reason)


async def test_a_peer_that_does_not_answer_close_is_left_after_a_while(raw):
    socket, client = raw
    await socket.close(1000, "x" * 200)
    assert socket.close_code == 1006
    assert (await client.read())[:2] == bytes((0x88, 125))
    assert client.closed.is_set()


async def test_the_listener_closes_with_1001():
    server = await serve(handler)
    async with Caller(f"http://127.0.0.1:{server.port}") as caller:
        socket = await caller.websocket("/")
        await server.close(1)
        assert await socket.receive() is None
        assert socket.close_code == 1001
