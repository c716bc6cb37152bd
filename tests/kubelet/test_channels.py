"""exec, attach and port-forward in WebSocket channels, against a runtime made of a few lines of SPDY."""

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator

import pytest

from kaa.base.tasks import Scope
from kaa.http.api import Connection, Request, Response, Upgrade, UpgradeRefused
from kaa.http.inprocess import InProcess
from kaa.http.serve import serve
from kaa.http.spdy import SpdySession, SpdyStream
from kaa.kubelet.cri import api
from kaa.kubelet.streams import StreamOptions, command_stream, port_stream

SUCCESS = json.dumps({"metadata": {}, "status": "Success"}).encode()
FAILURE = json.dumps({"metadata": {}, "status": "Failure", "message": "exit code 3", "reason": "NonZeroExitCode"})


class Runtime:
    """Echoes standard input in capitals to both outputs, then tells the status; forwards to nothing."""

    def __init__(self) -> None:
        self.streams: dict[str, SpdyStream] = {}
        self.sizes: list[bytes] = []
        self.sessions = 0
        self.status = SUCCESS
        self.url = ""
        self.broken = False

    def __call__(self, request: Request):
        if request.path == "/refuses":
            return Response(404, b"no such session")
        version = request.headers.get("x-stream-protocol-version", "").partition(",")[0]
        return Upgrade("SPDY/3.1", self.session, [("X-Stream-Protocol-Version", version)])

    async def session(self, connection: Connection) -> None:
        opened: asyncio.Queue[SpdyStream] = asyncio.Queue()
        session = SpdySession(connection, client=False, on_stream=opened.put_nowait)
        self.sessions += 1
        async with Scope("session") as scope:
            scope.spawn(self.work(opened, scope), name="work")
            await session.closed()
        await session.close()
        self.sessions -= 1

    async def work(self, opened: "asyncio.Queue[SpdyStream]", scope: Scope) -> None:
        while True:
            stream = await opened.get()
            kind = stream.headers["streamtype"]
            if kind == "data":
                scope.spawn(self.forward(stream, self.streams["error"]), name="forward")
            self.streams[kind] = stream
            if kind == "resize":
                scope.spawn(self.resized(stream), name="resize")
            if kind == "stdout" and "stdin" in self.streams:
                scope.spawn(self.echo(), name="echo")
            elif kind == "stdout":
                await stream.write(b"out")
                await self.end()

    async def echo(self) -> None:
        while data := await self.streams["stdin"].read():
            for name in ("stdout", "stderr"):
                if name in self.streams:
                    await self.streams[name].write(data.upper())
        await self.end()

    async def end(self) -> None:
        for name in ("stdout", "stderr"):
            if name in self.streams:
                self.streams[name].finish()
        await self.streams["error"].write(self.status)
        self.streams["error"].finish()

    async def resized(self, stream: SpdyStream) -> None:
        while data := await stream.read():
            self.sizes.append(data)

    async def forward(self, data: SpdyStream, error: SpdyStream) -> None:
        if data.headers["port"] == "9":
            await error.write(b"connection refused")
            error.finish()
            data.finish()
            return
        error.finish()
        while piece := await data.read():
            await data.write(piece.upper())
        data.finish()


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    runtime = Runtime()
    async with await serve(runtime) as server:
        runtime.url = f"http://127.0.0.1:{server.port}/session"
        yield runtime
        async with asyncio.timeout(5):
            while runtime.sessions:
                await asyncio.sleep(0.01)


@pytest.fixture
async def node(runtime: Runtime) -> AsyncIterator[InProcess]:
    async def url() -> str:
        if runtime.broken:
            raise api.Unsupported("there is no process")
        return runtime.url

    async def handler(request: Request):
        if request.path == "/ports":
            return await port_stream(request, url)
        return await command_stream(request, StreamOptions(request), url)

    async with InProcess(handler) as transport:
        yield transport


async def everything(socket) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while (message := await socket.receive()) is not None:
        if isinstance(message, str):
            channel, data = int(message[0]), base64.b64decode(message[1:])
        else:
            channel, data = message[0], message[1:]
        found[channel] = found.get(channel, b"") + data
    return found


async def test_v5_ends_standard_input_and_tells_the_status_last(node: InProcess) -> None:
    query = "stdin=true&stdout=true&stderr=true&command=x"
    async with await node.websocket("/exec", ["v5.channel.k8s.io", "v4.channel.k8s.io"], query=query) as socket:
        assert socket.subprotocol == "v5.channel.k8s.io"
        assert [await socket.receive(), await socket.receive()] == [b"\x01", b"\x02"]
        await socket.send(b"\x00" + b"x" * 3_000_000)
        await socket.send(b"\xff\x00")
        found = await everything(socket)
        assert found == {1: b"X" * 3_000_000, 2: b"X" * 3_000_000, 3: SUCCESS}
        assert socket.close_code == 1000


@pytest.mark.parametrize(
    ("protocol", "status", "told"),
    [
        ("v4.channel.k8s.io", FAILURE, FAILURE.encode()),
        ("v4.base64.channel.k8s.io", FAILURE, FAILURE.encode()),
        ("channel.k8s.io", FAILURE, b"exit code 3"),
        ("base64.channel.k8s.io", FAILURE, b"exit code 3"),
        ("channel.k8s.io", SUCCESS.decode(), None),
        ("", SUCCESS.decode(), None),
    ],
)
async def test_older_protocols(node: InProcess, runtime: Runtime, protocol: str, status: str, told: bytes) -> None:
    runtime.status = status.encode()
    async with await node.websocket("/exec", [protocol] if protocol else [], query="stdout=1&command=x") as socket:
        assert socket.subprotocol == protocol
        found = await everything(socket)
    assert found.get(1) == b"out"
    assert found.get(3) == told


async def test_a_terminal_has_one_output_and_a_size(node: InProcess, runtime: Runtime) -> None:
    query = "stdin=1&stdout=1&stderr=1&tty=1&command=x"
    async with await node.websocket("/exec", ["v4.channel.k8s.io"], query=query) as socket:
        assert await socket.receive() == b"\x01"
        await socket.send(b'\x04{"Width":80,"Height":24}')
        await socket.send(b"\x00hi")
        assert await socket.receive() == b"\x01HI"
        async with asyncio.timeout(5):
            while not runtime.sizes:
                await asyncio.sleep(0.01)
        assert runtime.sizes == [b'{"Width":80,"Height":24}']
        assert "stderr" not in runtime.streams


async def test_a_client_that_leaves_takes_its_session_along(node: InProcess, runtime: Runtime) -> None:
    query = "stdin=1&stdout=1&command=x"
    socket = await node.websocket("/exec", ["v4.channel.k8s.io"], query=query)
    await socket.receive()
    assert runtime.sessions == 1
    socket.connection.abort()
    async with asyncio.timeout(5):
        while runtime.sessions:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "query", "protocol", "code", "text"),
    [
        ("/exec", "command=x", "v5.channel.k8s.io", 400, b"you must specify at least 1 of stdin, stdout, stderr"),
        ("/exec", "command=x&stdout=1", "v9.channel.k8s.io", 400, b"v9.channel.k8s.io"),
        ("/ports", "", "v4.channel.k8s.io", 400, b'query parameter "port" is required'),
        ("/ports", "port=x", "v4.channel.k8s.io", 400, b'unable to parse "x" as a port'),
        ("/ports", "port=0", "v4.channel.k8s.io", 400, b'port "0" must be > 0'),
        ("/ports", "port=" + ",".join(["1"] * 65), "v4.channel.k8s.io", 400, b"at most 64 ports"),
    ],
)
async def test_what_is_refused(node: InProcess, path, query, protocol, code, text) -> None:
    with pytest.raises(UpgradeRefused) as refused:
        await node.websocket(path, [protocol], query=query)
    assert (refused.value.reply.status, text in refused.value.reply.body) == (code, True)


async def test_a_runtime_that_cannot_is_told_of(node: InProcess, runtime: Runtime) -> None:
    runtime.broken = True
    for path, query in (("/exec", "stdout=1&command=x"), ("/ports", "port=80")):
        with pytest.raises(UpgradeRefused) as refused:
            await node.websocket(path, ["v4.channel.k8s.io"], query=query)
        assert (refused.value.reply.status, b"there is no process" in refused.value.reply.body) == (500, True)
    runtime.broken = False
    runtime.url = runtime.url.replace("session", "refuses")
    async with await node.websocket("/exec", ["v4.channel.k8s.io"], query="stdout=1&command=x") as socket:
        status = json.loads((await everything(socket))[3])
        assert status["status"] == "Failure"
        assert "404" in status["message"]


async def test_ports_in_channels(node: InProcess) -> None:
    async with await node.websocket("/ports", ["v4.channel.k8s.io"], query="ports=80,9") as socket:
        found: dict[int, bytes] = {}
        async with asyncio.timeout(5):
            while found.get(3, b"") != struct.pack("<H", 9) + b"connection refused" or 0 not in found:
                message = await socket.receive()
                assert isinstance(message, bytes)
                found[message[0]] = found.get(message[0], b"") + message[1:]
        assert (found[0], found[1], found[2]) == (struct.pack("<H", 80), struct.pack("<H", 80), struct.pack("<H", 9))
        await socket.send(b"\x00" + b"web")
        assert await socket.receive() == b"\x00WEB"
