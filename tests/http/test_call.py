"""The client: one suite for both transports, then sockets only, against the listener and servers that misbehave."""

import asyncio

import pytest

from kaa.http.api import (
    CallError,
    ConnectFailed,
    Disconnected,
    Peer,
    ReplyTooLarge,
    Request,
    Response,
    StreamingResponse,
    TimedOut,
    Upgrade,
    UpgradeRefused,
    frame,
    unframe,
)
from kaa.http.call import Caller, CallLimits
from kaa.http.inprocess import InProcess
from kaa.http.serve import serve


class World:
    """A handler that remembers what its streams saw."""

    def __init__(self):
        self.peers = []
        self.stream_ended = asyncio.Event()

    def __call__(self, request: Request):
        self.peers.append(request.peer)
        match request.path:
            case "/echo":
                shown = f"{request.method} {request.query} {request.headers.get('x-a')} ".encode()
                return Response(201, [shown, request.body], "text/plain", (("X-B", "c"), ("X-B", "d")))
            case "/wait":
                return self.wait()
            case "/lines":
                return StreamingResponse(self.lines)
            case "/flood":
                return StreamingResponse(self.flood)
            case "/broken":
                return StreamingResponse(self.broken)
            case "/raw":
                return Upgrade("shout", self.shout)
            case "/boom":
                raise RuntimeError("no")
            case "/gone":
                return Response(204)
        return Response(404, b'{"code":404}')

    async def wait(self):
        await asyncio.sleep(0.4)
        return Response()

    async def lines(self, writer):
        try:
            writer.write(b"one\ntw")
            await asyncio.sleep(0.01)
            writer.write([b"o\n", b"\nfour"])
            writer.write_framed(frame(b"!\nfi") + frame(b"ve"))
        finally:
            self.stream_ended.set()

    async def flood(self, writer):
        try:
            while True:
                writer.write(b"x" * 100_000 + b"\n")
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            self.stream_ended.set()

    async def broken(self, writer):
        writer.write(b"half\n")
        await asyncio.sleep(0.01)
        raise RuntimeError("on purpose")

    async def shout(self, connection):
        while data := await connection.read():
            connection.write(data.upper())
            await connection.drain()


@pytest.fixture
def world():
    return World()


@pytest.fixture(params=["sockets", "unix", "in-process"])
async def transport(request, world, tmp_path):
    if request.param == "in-process":
        async with InProcess(world, Peer("test")) as transport:
            yield transport
        return
    path = tmp_path / "s" if request.param == "unix" else None
    async with await serve(world, unix_path=path) as server:
        async with Caller(f"http+unix://{path}" if path else f"http://127.0.0.1:{server.port}") as caller:
            yield caller
        assert not caller._open


async def test_a_call(transport):
    reply = await transport.call("POST", "/echo", query="q=1", headers=[("X-A", "ü")], body=b"body")
    assert (reply.status, reply.body) == (201, "POST q=1 ü body".encode())
    assert (reply.headers["content-type"], reply.headers["x-b"]) == ("text/plain", "c, d")
    assert (await transport.call("HEAD", "/echo")).body == b""
    assert (await transport.call("GET", "/gone")).status == 204
    assert (await transport.call("GET", "/none")).status == 404
    assert (await transport.call("GET", "/boom")).status == 500
    assert (await transport.call("GET", "/lines")).body == b"one\ntwo\n\nfour!\nfive"


async def test_lines(transport):
    async with await transport.stream("GET", "/lines") as stream:
        assert stream.status == 200
        assert [line async for line in stream.lines()] == [b"one", b"two", b"", b"four!", b"five"]


async def test_an_answer_that_is_no_stream_is_read_as_one(transport):
    async with await transport.stream("GET", "/none") as stream:
        assert (stream.status, await stream.read()) == (404, b'{"code":404}')


async def test_leaving_a_stream_ends_it_at_the_server(transport, world):
    async with await transport.stream("GET", "/flood") as stream:
        count = 0
        async for line in stream.lines():
            assert len(line) == 100_000
            count += 1
            if count == 50:
                break
    await asyncio.wait_for(world.stream_ended.wait(), 5)
    assert (await transport.call("GET", "/echo")).status == 201


async def test_lines_are_bounded(transport, world):
    async with await transport.stream("GET", "/flood") as stream:
        stream.line_bytes_max = 50_000
        with pytest.raises(ReplyTooLarge):
            async for _ in stream.lines():
                pass


async def test_a_stream_that_breaks_raises(transport):
    async with await transport.stream("GET", "/broken") as stream:
        lines = []
        with pytest.raises(Disconnected):
            lines.extend([lines.append(line) async for line in stream.lines()])
        assert lines == [b"half"]


async def test_timeouts(transport):
    with pytest.raises(TimedOut, match=r"0\.02 s"):
        await transport.call("GET", "/wait", timeout_seconds=0.02)
    with pytest.raises(TimedOut):
        await transport.stream("GET", "/wait", timeout_seconds=0.02)
    with pytest.raises(TimedOut):
        await transport.call("GET", "/flood", timeout_seconds=0.05)
    assert (await transport.call("GET", "/echo")).status == 201


async def test_upgrade(transport):
    upgraded = await transport.upgrade("POST", "/raw", protocol="shout")
    connection = upgraded.connection
    connection.write([b"ab", b"c\nde"])
    assert await connection.readuntil() == b"ABC\n"
    assert await connection.readexactly(2) == b"DE"
    big = b"q" * 3_000_000
    reading = asyncio.ensure_future(connection.readexactly(len(big)))
    connection.write(big)
    await connection.drain()
    assert await reading == big.upper()
    connection.write_eof()
    assert await connection.read() == b""
    connection.close()
    await asyncio.wait_for(connection.closed.wait(), 5)
    with pytest.raises(UpgradeRefused) as refused:
        await transport.upgrade("GET", "/none", protocol="shout")
    assert refused.value.reply.status == 404
    assert refused.value.reply.body == b'{"code":404}'


async def test_closed_transports_say_so(transport):
    waiting = asyncio.ensure_future(transport.call("GET", "/echo"))
    await waiting
    await transport.close()
    with pytest.raises(Disconnected):
        await transport.call("GET", "/echo")


def test_frames():
    assert frame(b"x" * 16) == b"10\r\n" + b"x" * 16 + b"\r\n"
    assert unframe(frame(b"ab") + frame(b"\r\n") + frame(b"c" * 300)) == b"ab\r\n" + b"c" * 300


async def test_the_peer_of_an_in_process_call(world):
    peer = Peer("kubelet", b"der")
    async with InProcess(world, peer) as transport:
        await transport.call("GET", "/echo")
    assert world.peers == [peer]


# --- sockets only ---


async def test_connections_are_reused_and_bounded(world):
    async with await serve(world) as server:
        limits = CallLimits(connections_max=2)
        async with Caller(f"http://127.0.0.1:{server.port}", limits=limits) as caller:
            replies = await asyncio.gather(*[caller.call("GET", "/echo") for _ in range(50)])
            assert {reply.status for reply in replies} == {201}
            assert len({peer.address for peer in world.peers}) <= 2
            assert len(server.connections) <= 2
            waiting = [asyncio.ensure_future(caller.call("GET", "/wait", timeout_seconds=0.1)) for _ in range(5)]
            assert all(isinstance(each, TimedOut) for each in await asyncio.gather(*waiting, return_exceptions=True))
            assert (await caller.call("GET", "/echo")).status == 201


async def test_streams_do_not_take_the_places_of_calls_and_are_bounded(world):
    async with await serve(world) as server:
        limits = CallLimits(connections_max=1, streams_max=2)
        async with Caller(f"http://127.0.0.1:{server.port}", limits=limits) as caller:
            streams = [await caller.stream("GET", "/flood") for _ in range(2)]
            assert (await caller.call("GET", "/echo")).status == 201
            with pytest.raises(CallError, match="close some first"):
                await caller.stream("GET", "/flood")
            for stream in streams:
                await stream.aclose()
                await stream.aclose()
            async with await caller.stream("GET", "/lines") as stream:
                await stream.read()


async def test_headers_are_asked_for_each_time(world):
    tokens = iter("ab")
    async with await serve(world) as server:
        base = f"http://127.0.0.1:{server.port}/"
        async with Caller(base, headers=lambda: [("X-A", next(tokens))]) as caller:
            assert (await caller.call("GET", "/echo")).body == b"GET  a "
            assert (await caller.call("GET", "/echo")).body == b"GET  b "


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/ü", ""])
async def test_what_is_no_path_is_refused(path):
    async with Caller("http://127.0.0.1:1") as caller:
        with pytest.raises(ValueError, match="percent-encode"):
            await caller.call("GET", path)


@pytest.mark.parametrize("url", ["ftp://a", "127.0.0.1:80", "https://"])
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(ValueError, match=r"scheme|host"):
        Caller(url)


async def test_nobody_listens():
    async with Caller("http://127.0.0.1:1") as caller:
        with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1:1"):
            await caller.call("GET", "/")


class Scripted:
    """A raw server: for each connection the next script, a list of what to send after each request; None closes."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.requests = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return Caller(f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}")

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()
        await asyncio.sleep(0.01)

    async def serve(self, reader, writer):
        try:
            for answer in self.scripts.pop(0):
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                if answer is None:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_a_stale_connection_is_replaced_for_reads_only():
    server = Scripted([OK, None], [OK, None], [OK, OK])
    async with server as caller, caller:
        assert (await caller.call("GET", "/")).body == b"ok"
        assert (await caller.call("GET", "/")).body == b"ok"
        with pytest.raises(Disconnected):
            await caller.call("POST", "/", body=b"x")
        assert server.requests == 4
        assert (await caller.call("POST", "/", body=b"x")).body == b"ok"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", Disconnected),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", Disconnected),
        (b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", Disconnected),
        (b"SSH-2.0-OpenSSH\r\n", Disconnected),
        (b"", Disconnected),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 400_000, ReplyTooLarge),
    ],
)
async def test_odd_answers(answer, outcome):
    async with Scripted([answer]) as caller, caller:
        if isinstance(outcome, bytes):
            assert (await caller.call("GET", "/")).body == outcome
        else:
            with pytest.raises(outcome):
                await caller.call("GET", "/")


async def test_answers_are_bounded():
    for answer in (OK, b"HTTP/1.1 200 OK\r\n\r\nok"):
        async with Scripted([answer]) as caller, caller:
            caller.limits = CallLimits(reply_bytes_max=1)
            with pytest.raises(ReplyTooLarge, match="pages"):
                await caller.call("GET", "/")
