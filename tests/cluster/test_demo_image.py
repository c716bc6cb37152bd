"""The demo server, in a real pod: it answers, bears a burst, and drops nothing on its way out."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kaa.kubelet.cri import api
from kaa.kubelet.cri.grpc import GrpcRuntime
from kaa.testing.real_node import RealNode
from kaa.testing.runtime_contract import sandbox, until

pytestmark = pytest.mark.e2e


async def get(ip: str, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, str]:
    reader, writer = await asyncio.open_connection(ip, 8080)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = (await reader.read()).decode()
    writer.close()
    head, _, text = answer.partition("\r\n\r\n")
    return int(head.split()[1]), text.strip()


class Server:
    def __init__(self, runtime: GrpcRuntime, id_: str, ip: str, log: Path) -> None:
        self.runtime, self.id, self.ip, self.log = runtime, id_, ip, log

    async def ended(self) -> api.ContainerStatus | None:
        status = await self.runtime.container_status(self.id)
        return status if status.state is api.ContainerState.EXITED else None

    async def overflows(self) -> int:
        """How many connections the pod's kernel has turned away because nobody had accepted those before."""
        read = await self.runtime.exec_sync(self.id, ["cat", "/proc/net/netstat"])
        names, values = (line.split() for line in read.stdout.decode().splitlines() if line.startswith("TcpExt:"))
        return int(values[names.index("ListenOverflows")])


@pytest.fixture
async def server(node: RealNode, tmp_path: Path) -> AsyncIterator[Server]:
    runtime = GrpcRuntime(node.containerd.socket)
    config = sandbox("web", log_directory=str(tmp_path))
    owner = await runtime.run_sandbox(config)
    made = await runtime.create_container(
        owner,
        api.ContainerConfig(
            api.ContainerMetadata("web"), api.ImageSpec("kaa/demo:v2"), envs=[("POD_NAME", "web-1")], log_path="w.log"
        ),
        config,
    )
    await runtime.start_container(made)
    ip = (await runtime.sandbox_status(owner)).ips[0]

    async def up() -> bool:
        try:
            return (await get(ip, "/healthz"))[0] == 200
        except OSError:
            return False

    await until(up, "the server")
    yield Server(runtime, made, ip, tmp_path / "w.log")
    await runtime.remove_sandbox(owner)
    await runtime.close()


async def test_answers(server: Server) -> None:
    assert await get(server.ip, "/any/path?x=1") == (200, "v2 web-1")
    assert await get(server.ip, "/version") == (200, "v2")
    assert await get(server.ip, "/post", "POST", b"x" * 100_000) == (200, "v2 web-1")
    assert await get(server.ip, "/", "HEAD") == (200, "")
    assert await get(server.ip, "/readyz") == (200, "ok")
    await server.runtime.exec_sync(server.id, ["touch", "/tmp/unready"])
    assert (await get(server.ip, "/readyz"))[0] == 503
    await server.runtime.exec_sync(server.id, ["rm", "/tmp/unready"])
    assert (await get(server.ip, "/readyz"))[0] == 200
    assert "stdout F GET /any/path?x=1 200" in server.log.read_text()


async def test_bears_a_burst(server: Server) -> None:
    before = await server.overflows()
    answers = await asyncio.gather(*(get(server.ip, "/") for _ in range(100)))
    assert set(answers) == {(200, "v2 web-1")}
    # A connection that finds the queue full is tried again by the kernel a second later: that is what must not happen.
    assert await server.overflows() == before


async def test_ends_in_order_with_requests_in_flight(server: Server) -> None:
    slow = asyncio.gather(*(get(server.ip, "/slow") for _ in range(20)))
    await asyncio.sleep(0.3)
    await server.runtime.stop_container(server.id, 10)
    assert set(await slow) == {(200, "v2 web-1")}
    status = await server.runtime.container_status(server.id)
    assert (status.exit_code, status.reason) == (0, "Completed")


async def test_ends_quickly_when_idle(server: Server) -> None:
    started = time.monotonic()
    await server.runtime.stop_container(server.id, 10)
    assert (await server.runtime.container_status(server.id)).exit_code == 0
    assert time.monotonic() - started < 2.0


@pytest.mark.parametrize(("path", "code"), [("/exit", 1), ("/exit/0", 0)])
async def test_ends_when_asked(server: Server, path: str, code: int) -> None:
    assert await get(server.ip, path) == (200, "ending")
    assert (await until(server.ended, "the end")).exit_code == code
