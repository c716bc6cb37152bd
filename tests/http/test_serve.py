"""The listener, spoken to by a raw client."""

import asyncio
import json
import tracemalloc

import pytest

from kaa.http.api import Request, Response, StreamingResponse, Upgrade, frame
from kaa.http.serve import Limits, serve


def echo(request: Request):
    """What came in, as JSON; or what the path asks for."""
    if request.path == "/boom":
        raise RuntimeError("secret detail")
    if request.path == "/slow":
        return slow(request)
    if request.path == "/big":
        return Response(200, [b"x" * 100_000] * 50, "text/plain")
    if request.path == "/huge":
        return Response(200, b"y" * 3_000_000, "text/plain")
    if request.path == "/stream":
        return StreamingResponse(stream_three)
    if request.path == "/forever":
        return StreamingResponse(forever)
    if request.path == "/raw":
        return Upgrade("shout", shout)
    if request.path == "/none":
        return Response(204, b"", headers=(("X-A", "b"),))
    if request.path == "/inject":
        return Response(200, b"ok", headers=(("Warning", "a\r\nX-Evil: 1"),))
    if request.path == "/badheader":
        return Response(200, b"ok", headers=(("bad name", "1"),))
    found = {"m": request.method, "p": request.path, "q": request.query, "b": request.body.decode("latin-1")}
    return Response(200, json.dumps(found | {"h": request.headers}).encode())


async def slow(request: Request):
    await asyncio.sleep(0.05)
    if request.query == "fail":
        raise ValueError("late")
    return Response(200, b"slow")


async def stream_three(writer):
    writer.write(b"one")
    writer.write([b"two", b"-", b"2"])
    writer.write(b"")
    writer.write_framed(frame(b"three"))
    await writer.drain()


async def forever(writer):
    writer.write(b"begun")
    await writer.closed.wait()


async def shout(connection):
    while data := await connection.read():
        connection.write(data.upper())
        await connection.drain()


class Client:
    """A raw connection with just enough parsing for tests."""

    @classmethod
    async def open(cls, port: int) -> "Client":
        self = cls()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    def send(self, data: bytes | str):
        self.writer.write(data.encode() if isinstance(data, str) else data)
        return self

    async def reply(self, method="GET"):
        """(status, headers, body) of the next answer."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode()
        line, *rest = head[:-4].split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in rest)}
        status = int(line.split()[1])
        if method == "HEAD" or status in (100, 101, 204, 304):
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
            return status, headers, body
        if "content-length" in headers:
            return status, headers, await self.reader.readexactly(int(headers["content-length"]))
        return status, headers, await self.reader.read()

    async def ended(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(), 5) == b""
        except ConnectionError:
            return True

    async def close(self):
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


@pytest.fixture
async def dial():
    """`await dial(limits...)` starts a listener and connects; later calls connect again."""
    clients, servers = [], []

    async def connect(handler=echo, **limits):
        if not servers or limits or handler is not echo:
            servers.append(await serve(handler, limits=Limits(**limits)))
        client = await Client.open(servers[-1].port)
        client.server = servers[-1]
        clients.append(client)
        return client

    yield connect
    for client in clients:
        await client.close()
    for server in servers:
        await server.close(1)
        assert not server.connections


GET = "GET {} HTTP/1.1\r\nHost: a\r\n{}\r\n"


def get(path="/", *headers):
    return GET.format(path, "".join(f"{each}\r\n" for each in headers))


async def test_a_request_arrives_whole(dial):
    client = await dial()
    client.send("POST /a%20b?x=1&y=2&x=3 HTTP/1.1\r\nHost: a\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 3\r\n\r\nabc")
    status, headers, body = await client.reply()
    found = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert headers["date"].endswith("GMT")
    assert (found["m"], found["p"], found["q"], found["b"]) == ("POST", "/a b", "x=1&y=2&x=3", "abc")
    assert found["h"]["x-two"] == "1, 2"


def test_parameters():
    request = Request("GET", "/", "a=1&a=2&b=&c=%2F")
    assert request.params == {"a": ["1", "2"], "b": [""], "c": ["/"]}
    assert (request.param("a"), request.param("z", "d"), request.param("b", "d")) == ("1", "d", "")


async def test_chunked_body_and_its_trailers_are_no_headers(dial):
    client = await dial()
    head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(head + "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nAuthorization: evil\r\n\r\n")
    found = json.loads((await client.reply())[2])
    assert found["b"] == "abcde"
    assert "authorization" not in found["h"]


async def test_bytes_one_by_one(dial):
    client = await dial()
    for byte in get("/one?q", "A: b"):
        client.send(byte)
        await asyncio.sleep(0)
    assert json.loads((await client.reply())[2])["p"] == "/one"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("NONSENSE\r\n\r\n", 400),
        ("FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET /\r\n\r\n", 505),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 400),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET ftp://x/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nabc", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 3\r\n\r\n", 417),
        ("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + "x" * 1001, 413),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: " + "x" * 40_000, 431),
        ("GET /" + "x" * 40_000, 431),
        ("GET / HTTP/1.1\r\nHost: a\r\n" + "a:\r\n" * 300, 431),
    ],
)
async def test_malformed_requests_are_refused_and_end_the_connection(dial, request_text, status):
    client = await dial(body_bytes_max=1000, header_bytes_max=10_000)
    client.send(request_text)
    found, headers, body = await client.reply()
    assert (found, headers["connection"]) == (status, "close")
    answer = json.loads(body)
    assert (answer["kind"], answer["status"], answer["code"]) == ("Status", "Failure", status)
    assert await client.ended()


async def test_the_wording_of_413_is_the_originals(dial):
    client = await dial()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3145729\r\n\r\n")
    answer = json.loads((await client.reply())[2])
    assert answer["message"] == "Request entity too large: limit is 3145728"
    assert answer["reason"] == "RequestEntityTooLarge"


async def test_a_client_that_goes_on_sending_gets_to_read_its_413(dial):
    client = await dial(body_bytes_max=1000)
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + "x" * 2_000_000)
    assert (await client.reply())[0] == 413


async def test_a_body_over_the_limit_by_tiny_chunks_and_endless_trailers(dial):
    client = await dial(body_bytes_max=100, header_bytes_max=1000)
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    for _ in range(40):
        client.send("T: " + "x" * 1000 + "\r\n")
        await asyncio.sleep(0.001)
    assert (await client.reply())[0] == 413


async def test_keepalive_and_its_ends(dial):
    client = await dial()
    for _ in range(3):
        client.send(get())
        status, headers, _ = await client.reply()
        assert status == 200
        assert "connection" not in headers
    client.send(get("/", "Connection: close"))
    assert (await client.reply())[1]["connection"] == "close"
    assert await client.ended()


async def test_http_1_0(dial):
    client = await dial()
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert (await client.reply())[1]["connection"] == "keep-alive"
    client.send("GET /stream HTTP/1.0\r\n\r\n")
    _, headers, body = await client.reply()
    assert "transfer-encoding" not in headers
    assert body == b"onetwo-2three"


async def test_pipelined_answers_come_in_order(dial):
    client = await dial()
    paths = ["/slow", "/1", "/stream", "/2", "/slow?fail", "/big", "/3", "/huge", "/4"]
    client.send("".join(get(path) for path in paths))
    bodies = [(await client.reply())[2] for _ in paths]
    assert bodies[0] == b"slow"
    assert bodies[2] == b"onetwo-2three"
    assert [json.loads(bodies[i])["p"] for i in (1, 3, 6, 8)] == ["/1", "/2", "/3", "/4"]
    assert json.loads(bodies[4])["code"] == 500
    assert len(bodies[5]) == 5_000_000
    assert len(bodies[7]) == 3_000_000


async def test_many_pipelined_requests_are_bounded_and_all_answered(dial):
    client = await dial(pipelined_max=4)
    count = 3000
    client.send(get("/slow") + get("/n") * count)
    assert (await client.reply())[2] == b"slow"
    for _ in range(count):
        assert (await client.reply())[0] == 200


async def test_a_malformed_request_behind_a_slow_one_is_answered_second(dial):
    client = await dial()
    client.send(get("/slow") + "NONSENSE\r\n\r\n")
    assert (await client.reply())[2] == b"slow"
    assert (await client.reply())[0] == 400
    assert await client.ended()


async def test_half_closed_clients_get_what_is_owed(dial):
    client = await dial()
    client.send(get("/slow"))
    client.writer.write_eof()
    assert (await client.reply())[2] == b"slow"
    assert await client.ended()


async def test_head_and_204_have_no_body(dial):
    client = await dial()
    client.send(get("/big").replace("GET", "HEAD", 1))
    status, headers, _ = await client.reply("HEAD")
    assert (status, headers["content-length"]) == (200, "5000000")
    client.send(get("/stream").replace("GET", "HEAD", 1))
    assert (await client.reply("HEAD"))[1]["transfer-encoding"] == "chunked"
    client.send(get("/none"))
    status, headers, _ = await client.reply()
    assert (status, headers["x-a"]) == (204, "b")
    assert "content-length" not in headers
    client.send(get("/last"))
    assert (await client.reply())[0] == 200


async def test_expect_continue(dial):
    client = await dial(body_bytes_max=1000)
    head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n"
    client.send(head.format(3))
    assert (await client.reply())[0] == 100
    client.send("abc")
    assert json.loads((await client.reply())[2])["b"] == "abc"
    client.send(get("/slow") + head.format(2))
    assert (await client.reply())[2] == b"slow"
    assert (await client.reply())[0] == 100
    client.send("de")
    assert json.loads((await client.reply())[2])["b"] == "de"
    client.send(head.format(1001))
    assert (await client.reply())[0] == 413


async def test_escaped_exceptions_become_500_and_tell_nothing(dial):
    client = await dial()
    for path in ("/boom", "/slow?fail", "/badheader"):
        client.send(get(path))
        status, _, body = await client.reply()
        assert status == 500
        assert json.loads(body)["reason"] == "InternalError"
        assert b"secret" not in body


async def test_headers_cannot_be_injected(dial):
    client = await dial()
    client.send(get("/inject"))
    headers = (await client.reply())[1]
    assert headers["warning"] == "a  X-Evil: 1"
    assert "x-evil" not in headers


async def test_absolute_form_and_options_star(dial):
    client = await dial()
    client.send("GET http://a/p/q?r HTTP/1.1\r\nHost: a\r\n\r\n")
    assert json.loads((await client.reply())[2])["p"] == "/p/q"
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert json.loads((await client.reply())[2])["p"] == "*"


# --- streams and upgrades ---


async def test_a_stream_that_fails_has_no_final_chunk(dial):
    async def run(writer):
        writer.write(b"half")
        raise RuntimeError("lost the thread")

    client = await dial(lambda request: StreamingResponse(run))
    client.send(get())
    await client.reader.readuntil(b"\r\n\r\n")
    assert await client.reader.read() == b"4\r\nhalf\r\n"


async def test_a_stream_is_cancelled_when_the_client_goes(dial):
    ended = asyncio.Event()
    seen = []

    async def run(writer):
        writer.write(b"x")
        try:
            await asyncio.sleep(30)
        finally:
            seen.append(writer.closed.is_set())
            ended.set()

    client = await dial(lambda request: StreamingResponse(run))
    client.send(get())
    await client.reader.readuntil(b"x")
    await client.close()
    await asyncio.wait_for(ended.wait(), 5)
    assert seen == [True]


async def test_closing_the_writer_ends_the_stream_cleanly_and_keeps_the_connection(dial):
    writers = []

    async def run(writer):
        writers.append(writer)
        await writer.closed.wait()

    client = await dial(lambda request: StreamingResponse(run))
    for _ in range(2):
        client.send(get())
        await client.reader.readuntil(b"\r\n\r\n")
        writers[-1].write(b"bye")
        writers[-1].close()
        writers[-1].write(b"too late")
        assert await client.reader.readexactly(13) == b"3\r\nbye\r\n0\r\n\r\n"


async def test_a_slow_reader_is_seen_by_buffered_waits_in_drain_and_can_be_cut(dial):
    reached = asyncio.Event()
    waited = []

    async def run(writer):
        while writer.buffered < 8_000_000:
            writer.write(b"z" * 1_000_000)
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(0.05):
                await writer.drain()
        except TimeoutError:
            waited.append(True)
        writer.abort()
        reached.set()

    client = await dial(lambda request: StreamingResponse(run))
    client.send(get())
    await asyncio.wait_for(reached.wait(), 5)
    assert waited == [True]


async def test_a_large_answer_to_a_client_that_does_not_read_is_held_in_pieces(dial):
    client = await dial(lambda request: Response(200, [b"x" * 1_000_000] * 100))
    client.writer.transport.pause_reading()
    tracemalloc.start()
    client.send(get())
    await asyncio.sleep(0.1)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 5_000_000
    client.writer.transport.resume_reading()
    assert len((await client.reply())[2]) == 100_000_000


UPGRADE = ("Connection: Upgrade", "Upgrade: shout")


async def test_upgrade_hands_over_what_came_with_it(dial):
    client = await dial()
    client.send(get("/raw", *UPGRADE) + "early")
    status, headers, _ = await client.reply()
    assert (status, headers["upgrade"]) == (101, "shout")
    assert await client.reader.readexactly(5) == b"EARLY"
    client.send("GET / HTTP/1.1\r\n\r\n")
    assert await client.reader.readexactly(18) == b"GET / HTTP/1.1\r\n\r\n"
    client.writer.write_eof()
    assert await client.ended()


async def test_an_upgrade_behind_other_requests(dial):
    client = await dial()
    client.send(get("/slow") + get("/1") + get("/raw", *UPGRADE) + "x" * 300_000)
    assert (await client.reply())[2] == b"slow"
    assert (await client.reply())[0] == 200
    assert (await client.reply())[0] == 101
    assert await client.reader.readexactly(300_000) == b"X" * 300_000


@pytest.mark.parametrize("first", ["/plain", "/slow"])
async def test_an_upgrade_that_is_not_granted_is_a_request_like_others(dial, first):
    client = await dial()
    client.send(get(first, "Connection: Upgrade", "Upgrade: h2c") + get("/after"))
    assert (await client.reply())[0] == 200
    assert json.loads((await client.reply())[2])["p"] == "/after"


@pytest.mark.parametrize("before", ["", get("/slow")])
async def test_the_body_of_a_request_to_upgrade_is_not_the_next_request(dial, before):
    client = await dial()
    smuggled = get("/evil")
    head = (
        f"POST /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: {len(smuggled)}\r\n\r\n"
    )
    client.send(before + head + smuggled[:7])
    await asyncio.sleep(0.01)
    client.send(smuggled[7:] + get("/after"))
    if before:
        assert (await client.reply())[2] == b"slow"
    found = json.loads((await client.reply())[2])
    assert (found["p"], found["b"]) == ("/x", smuggled)
    assert json.loads((await client.reply())[2])["p"] == "/after"


async def test_a_path_that_upgrades_says_so_to_a_plain_request(dial):
    client = await dial()
    client.send(get("/raw"))
    status, _, body = await client.reply()
    assert status == 400
    assert "Upgrade: shout" in json.loads(body)["message"]


# --- limits in time and number, and the end ---


async def test_slow_requests_get_408_and_silent_connections_are_closed(dial):
    client = await dial(request_read_seconds=0.1, keepalive_seconds=0.1)
    client.send("GET / HTTP/1.1\r\nHo")
    silent = await Client.open(client.server.port)
    idle = await Client.open(client.server.port)
    idle.send(get())
    assert (await idle.reply())[0] == 200
    assert (await client.reply())[0] == 408
    assert await client.ended()
    assert await silent.ended()
    assert await idle.ended()
    await silent.close()
    await idle.close()


async def test_a_stalled_reader_is_cut(dial):
    client = await dial(lambda request: Response(200, [b"x" * 1_000_000] * 100), write_stall_seconds=0.1)
    client.writer.transport.pause_reading()
    client.send(get())
    for _ in range(400):
        await asyncio.sleep(0.01)
        if not client.server.connections:
            break
    assert not client.server.connections


async def test_connections_over_the_limit_are_closed(dial):
    first = await dial(connections_max=1)
    first.send(get())
    await first.reply()
    second = await Client.open(first.server.port)
    assert await second.ended()
    await second.close()
    first.send(get())
    assert (await first.reply())[0] == 200


async def test_close_lets_requests_end_and_ends_streams_cleanly(dial):
    working, stream, idle, raw = await dial(), await dial(), await dial(), await dial()
    stream.send(get("/forever"))
    await stream.reader.readuntil(b"begun\r\n")
    raw.send(get("/raw", *UPGRADE))
    assert (await raw.reply())[0] == 101
    working.send(get("/slow"))
    await asyncio.sleep(0.02)
    await working.server.close(5)
    _, headers, body = await working.reply()
    assert (headers["connection"], body) == ("close", b"slow")
    assert await stream.reader.read() == b"0\r\n\r\n"
    assert await idle.ended()
    assert await raw.ended()
    with pytest.raises(OSError):
        await Client.open(working.server.port)


async def test_close_cuts_what_outlives_the_grace():
    cancelled = []

    async def stubborn(request):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    server = await serve(stubborn)
    client = await Client.open(server.port)
    client.send(get())
    await asyncio.sleep(0.02)
    await server.close(0.05)
    assert cancelled == [True]
    assert await client.ended()
    await client.close()


async def test_a_handler_runs_to_its_end_when_the_client_leaves(dial):
    done = asyncio.Event()

    async def work(request):
        await asyncio.sleep(0.05)
        done.set()
        return Response(200, b"nobody reads this")

    client = await dial(work)
    client.send(get())
    await asyncio.sleep(0.01)
    client.writer.transport.abort()
    await asyncio.wait_for(done.wait(), 5)


async def test_unix_socket(tmp_path):
    path = tmp_path / "x.sock"
    async with await serve(lambda request: Response(200, request.peer.address.encode()), unix_path=path):
        client = Client()
        client.reader, client.writer = await asyncio.open_unix_connection(path)
        client.send(get())
        assert (await client.reply())[2] == b"unix"
        with pytest.raises(OSError, match="another process does"):
            await serve(echo, unix_path=path)
        await client.close()
    assert not path.exists()


async def test_a_taken_port_is_named():
    async with await serve(echo) as server:
        with pytest.raises(OSError, match=f"port {server.port}"):
            await serve(echo, port=server.port)
