"""What clients send that they should not, byte by byte, and how a listener gets rid of them."""

import asyncio
import json
import os
import re
import socket
import ssl
import time
from pathlib import Path

import pytest

from kaa.http.api import Request, Response, StreamingResponse, Upgrade
from kaa.http.serve import Limits, Server, serve
from kaa.http.tls import TlsClient, TlsServer

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow


def show(request: Request):
    if request.path == "/watch":
        return StreamingResponse(watch)
    if request.path == "/upgrade":
        return Upgrade("raw", silent)
    shown = {"method": request.method, "path": request.path, "raw": request.raw_path, "query": request.query,
             "headers": request.headers, "body": request.body.decode("latin-1")}  # fmt: skip
    return Response(200, json.dumps(shown).encode())


async def watch(writer):
    writer.write(b"first\n")
    await writer.closed.wait()


async def silent(connection):
    while await connection.read():
        pass


class Wire:
    """One connection, by its bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, data: bytes) -> "Wire":
        self.writer.write(data)
        return self

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        line, *lines = head.decode()[:-4].split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        body = await asyncio.wait_for(self.reader.readexactly(int(headers.get("content-length", "0"))), 5)
        return int(line.split()[1]), headers, body

    async def rest(self) -> bytes:
        try:
            return await asyncio.wait_for(self.reader.read(), 5)
        except ConnectionError:
            return b""

    def close(self) -> None:
        self.writer.transport.abort()


@pytest.fixture
async def listen():
    servers: list[Server] = []
    wires: list[Wire] = []

    async def connect(**limits) -> Wire:
        if limits or not servers:
            servers.append(await serve(show, limits=Limits(**limits)))
        wire = Wire(*await asyncio.open_connection("127.0.0.1", servers[-1].port))
        wires.append(wire)
        return wire

    connect.servers = servers
    yield connect
    for wire in wires:
        wire.close()
    for server in servers:
        await server.close(1)


def get(target: str = "/", *headers: str) -> bytes:
    return "\r\n".join((f"GET {target} HTTP/1.1", "Host: a", *headers, "", "")).encode()


REFUSED = {
    "a header folded onto a second line": (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\tc\r\n\r\n", 400),
    "lines that end in LF alone": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "CR alone within a header": (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n", 400),
    "a null byte in the target": (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a null byte in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n", 400),
    "a control character in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nA: \x01\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 0\r\n\r\n", 400),
    "a space before the first header": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "a header without a name": (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
    "a header without a colon": (b"GET / HTTP/1.1\r\nHost: a\r\nNonsense\r\n\r\n", 400),
    "a header name of other letters": (b"GET / HTTP/1.1\r\nHost: a\r\n\xc3\xa4: b\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01", 400),
    "another protocol's greeting": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a version that is none": (b"GET / HTTP/x.y\r\nHost: a\r\n\r\n", 400),
    "an invalid escape in the path": (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "half an escape in the path": (b"GET /a% HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a target that is no path": (b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "thousands of parameters": (b"GET /?" + b"a=b&" * 4000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a length and a chunked body": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a length with a sign": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
    "a length in hexadecimal": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na", 400),
    "a length beyond all numbers": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n", 400),
    "chunked, spelled twice": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
    "chunked after a vertical tab": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "a chunk size with a sign": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
    "a chunk size with an underscore": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1_0\r\n", 400),
    "a chunk size beyond all numbers": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n", 400),
    "a chunk that ends in LF alone": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400),
    "a chunk longer than it says": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_no_http_is_refused_and_nothing_after_it_is_read(listen, what):
    data, status = REFUSED[what]
    wire = await listen()
    await wire.ask(data + get("/smuggled"))
    found, headers, body = await wire.answer()
    assert (found, headers["connection"]) == (status, "close"), body
    assert json.loads(body)["kind"] == "Status"
    assert await wire.rest() == b""


ANSWERED = {
    "HTTP/1.0 is answered and closed": (b"GET /x HTTP/1.0\r\n\r\n", {"path": "/x"}, "close"),
    "an absolute target is its path": (get("http://elsewhere:1/x?y"), {"path": "/x", "query": "y"}, None),
    "an absolute target without a path": (get("https://elsewhere"), {"path": "/"}, None),
    "dots are not resolved": (get("/a/../b/./c"), {"path": "/a/../b/./c"}, None),
    "nor are they when escaped": (get("/a/%2e%2e/b"), {"path": "/a/../b"}, None),
    "double slashes stay": (get("//a//b"), {"path": "//a//b"}, None),
    "an escaped slash is one": (get("/a%2Fb"), {"path": "/a/b", "raw": "/a%2Fb"}, None),
    "escapes are undone once": (get("/a%252Fb"), {"path": "/a%2Fb"}, None),
    "a semicolon is a character": (get("/a;b=c"), {"path": "/a;b=c"}, None),
    "an escaped null byte is one": (get("/a%00b"), {"path": "/a\0b"}, None),
    "bytes that are no UTF-8 are replaced": (get("/%ff"), {"path": "/\ufffd"}, None),
    "an underscore is not a hyphen": (get("/", "X_Remote_User: root"), {"path": "/"}, None),
    "OPTIONS of a path": (b"OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n", {"method": "OPTIONS", "path": "/x"}, None),
    "chunk extensions are passed over": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=\"y\"\r\nab\r\n0\r\n\r\n",
        {"body": "ab"}, None),
    "a chunked body has no length to trust": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\nX: y\r\n\r\n",
        {"body": "ab"}, None),
}  # fmt: skip


@pytest.mark.parametrize("what", ANSWERED)
async def test_what_is_unusual_is_taken_as_it_is_written(listen, what):
    data, expected, connection = ANSWERED[what]
    wire = await listen()
    await wire.ask(data)
    status, headers, body = await wire.answer()
    shown = json.loads(body)
    assert status == 200
    assert {name: shown[name] for name in expected} == expected
    assert headers.get("connection") == connection
    assert not {"x-remote-user", "x"} & set(shown["headers"])


async def test_pipelined_requests_are_answered_in_order_and_bounded(listen):
    wire = await listen(pipelined_max=4)
    await wire.ask(b"".join(get(f"/{i}") for i in range(300)))
    for i in range(300):
        assert json.loads((await wire.answer())[2])["path"] == f"/{i}"


async def test_a_client_that_waits_for_leave_gets_it_or_its_refusal(listen):
    wire = await listen(body_bytes_max=10)
    await wire.ask(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.ask(b"ab")
    assert json.loads((await wire.answer())[2])["body"] == "ab"
    await wire.ask(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n")
    assert (await wire.answer())[0] == 413


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"x" * 30_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 30_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 400, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"A%d: b\r\n" % i for i in range(4000)), 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1f4\r\n" + b"x" * 500 + b"\r\n" + b"1f5\r\n" + b"x" * 501, 413),  # noqa: E501
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * 60_000, 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1;x=" + b"y" * 90 + b"\r\na\r\n") * 900, 413),  # noqa: E501
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * 10_000, 413),
    ],
)  # fmt: skip
async def test_sizes_are_bounded(listen, data, status):
    wire = await listen(header_bytes_max=8000, body_bytes_max=1000)
    await wire.ask(data)
    found, _, body = await wire.answer()
    assert found == status
    assert json.loads(body)["code"] == status


@pytest.mark.parametrize("prefix", [
    b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
])  # fmt: skip
async def test_a_slow_client_has_until_the_limit_however_often_it_sends(listen, prefix):
    wire = await listen(request_read_seconds=0.5)
    await wire.ask(prefix)
    began = time.monotonic()

    async def trickle() -> None:
        while prefix:
            await asyncio.sleep(0.2)
            wire.writer.write(b"a")

    sending = asyncio.ensure_future(trickle())
    try:
        told = await wire.rest()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    assert time.monotonic() - began < 4.5
    assert told.startswith(b"HTTP/1.1 408 " if prefix else b"")


async def test_idle_connections_are_closed_and_busy_ones_are_not(listen):
    idle = await listen(keepalive_seconds=0.4, request_read_seconds=0.4)
    watching = Wire(*await asyncio.open_connection("127.0.0.1", listen.servers[-1].port))
    await watching.ask(get("/watch"))
    await idle.ask(get())
    await idle.answer()
    assert await idle.rest() == b""
    assert (await watching.reader.readuntil(b"first\n")).startswith(b"HTTP/1.1 200")
    assert not watching.reader.at_eof()
    watching.close()


async def test_connections_are_bounded(listen):
    wires = [await listen(connections_max=3), await listen(), await listen()]
    for wire in wires:
        await wire.ask(get())
        assert (await wire.answer())[0] == 200
    assert await (await listen()).rest() == b""
    wires[0].close()
    await asyncio.sleep(0.05)
    assert (await (await (await listen()).ask(get())).answer())[0] == 200


async def test_a_reader_that_stops_reading_is_cut_and_what_it_holds_is_bounded(listen):
    async def flood(writer):
        while not writer.closed.is_set():
            writer.write(b"x" * 65536)
            await writer.drain()

    held = []

    def handler(request: Request):
        async def run(writer):
            held.append(writer)
            await flood(writer)

        return StreamingResponse(run)

    async with await serve(handler, limits=Limits(write_stall_seconds=1.0)) as server:
        raw = socket.create_connection(("127.0.0.1", server.port))
        with raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.sendall(get())
            most = 0
            while not held:
                await asyncio.sleep(0.01)
            deadline = time.monotonic() + 6
            while server.connections and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
                most = max([most, *(writer.buffered for writer in held)])
            assert not server.connections
        assert 0 < most < 2 * Limits().write_buffer_bytes_max


async def test_an_upgraded_connection_on_which_nothing_moves_is_cut(listen):
    wire = await listen(upgraded_idle_seconds=1.0)
    await wire.ask(get("/upgrade", "Connection: Upgrade", "Upgrade: raw"))
    assert (await wire.answer())[0] == 101
    for _ in range(4):
        await asyncio.sleep(0.5)
        await wire.ask(b"x")
    assert not wire.reader.at_eof()
    assert await wire.rest() == b""


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls(new_authority, tmp_path: Path) -> TlsServer:
    return TlsServer(*new_authority("hostile").issue_files(tmp_path, "server"))


async def test_plain_http_on_a_tls_port_is_told_so(tls):
    async with await serve(show, tls=tls) as server:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
        await wire.ask(get())
        assert await wire.rest() == (
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
        )
        wire.close()
        other = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
        await other.ask(b"\x00\x01\x02")
        assert await other.rest() == b""
        other.close()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
async def test_handshakes_have_a_time_limit_and_count_as_connections(tls, sent):
    async with await serve(show, tls=tls, limits=Limits(handshake_seconds=0.5, connections_max=2)) as server:
        wires = [Wire(*await asyncio.open_connection("127.0.0.1", server.port)) for _ in range(2)]
        for wire in wires:
            await wire.ask(sent)
        await asyncio.sleep(0.1)
        third = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
        began = time.monotonic()
        assert await third.rest() == b""
        assert time.monotonic() - began < 0.3
        for wire in wires:
            assert await wire.rest() in (b"", b"\x15\x03\x01\x00\x02\x02\x46")
        assert time.monotonic() - began < 3
        for wire in (*wires, third):
            wire.close()
        secure = Wire(*await asyncio.open_connection("127.0.0.1", server.port, ssl=TlsClient(insecure=True).context()))
        assert (await (await secure.ask(get())).answer())[0] == 200
        secure.close()


async def test_versions_and_protocols(tls):
    async with await serve(show, tls=tls) as server:
        for version, agreed in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            context = TlsClient(insecure=True).context()
            context.minimum_version = context.maximum_version = version
            context.set_alpn_protocols(["h2", "http/1.1"])
            _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
            found = writer.get_extra_info("ssl_object")
            assert (found.version(), found.selected_alpn_protocol()) == (agreed, "http/1.1")
            writer.transport.abort()
        old = TlsClient(insecure=True).context()
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=old)


async def test_changed_certificates_are_taken_up_by_themselves(new_authority, tmp_path, monkeypatch):
    monkeypatch.setattr("kaa.http.serve._CERTIFICATE_SECONDS", 0.5)
    authority = new_authority("renewed")
    tls = TlsServer(*authority.issue_files(tmp_path, "before"))

    async def name(port: int) -> str:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=TlsClient(insecure=True).context())
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return re.search(rb"before|after", der)[0].decode()

    async with await serve(show, tls=tls) as server:
        assert await name(server.port) == "before"
        certificate, key = authority.issue("after")
        (tmp_path / "server.crt").write_bytes(certificate)  # and not its key yet
        await asyncio.sleep(1.5)
        assert await name(server.port) == "before"
        (tmp_path / "server.key").write_bytes(key)
        deadline = time.monotonic() + 5
        while await name(server.port) != "after":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        os.unlink(tmp_path / "server.key")
        await asyncio.sleep(1.2)
        assert await name(server.port) == "after"


@pytest.mark.parametrize("secure", [False, True])
async def test_closing_is_quick_with_idle_clients_and_clean_for_watches(tls, secure):
    server = await serve(show, tls=tls if secure else None)
    context = TlsClient(insecure=True).context() if secure else None
    idle, watches = [], []
    for _ in range(50):
        # Raw sockets that never read: they do not answer a goodbye.
        raw = await asyncio.to_thread(_greet, server.port, context)
        idle.append(raw)
        watching = Wire(*await asyncio.open_connection("127.0.0.1", server.port, ssl=context))
        await watching.ask(get("/watch"))
        await watching.reader.readuntil(b"first\n\r\n")
        watches.append(watching)
    began = time.monotonic()
    closing = asyncio.ensure_future(server.close(grace_seconds=30))
    for each in watches:
        assert await each.rest() == b"0\r\n\r\n"
        each.close()
    await closing
    assert time.monotonic() - began < 2
    assert not server.connections
    for raw in idle:
        raw.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


def _greet(port: int, context: ssl.SSLContext | None) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=5)
    made = context.wrap_socket(raw) if context is not None else raw
    made.sendall(get())
    assert made.recv(12) == b"HTTP/1.1 200"
    return made
