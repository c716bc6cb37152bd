"""A webhook for tests: a TLS server of its own in this loop, answering by a function, remembering what it was asked."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Any

import orjson

from kaa.cluster.pki import Authority
from kaa.http.api import Request, Response
from kaa.http.serve import serve
from kaa.http.tls import TlsServer

Json = dict[str, Any]
Answering = Callable[[Json], Json | Awaitable[Json]]


@dataclass
class Hook:
    """`url` and `ca_bundle` are what a clientConfig needs; `asked` are the questions so far."""

    port: int
    ca_bundle: str
    asked: list[Json] = field(default_factory=list)

    def client_config(self, path: str = "/hook") -> Json:
        """By URL."""
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.ca_bundle}

    def service_config(self, namespace: str, name: str, path: str = "/hook", port: int = 443) -> Json:
        """By service."""
        return {"service": {"namespace": namespace, "name": name, "path": path, "port": port},
                "caBundle": self.ca_bundle}  # fmt: skip


@asynccontextmanager
async def hook(directory: Path, answer: Answering, names: tuple[str, ...] = (),
               host: str = "127.0.0.1") -> AsyncIterator[Hook]:  # fmt: skip
    """A hook that answers `answer(question)`; it may be async, and may raise to answer 500."""
    authority = Authority(directory, "hook-ca", "hooks")
    certificate, key = authority.server_files("hook", "hook", ["localhost", "127.0.0.1", *names])
    found: Hook

    async def handle(request: Request) -> Response:
        question = orjson.loads(request.body)
        found.asked.append(question)
        try:
            made = answer(question)
            body = await made if isawaitable(made) else made
        except Exception as error:
            return Response(500, repr(error).encode(), "text/plain")
        return Response(200, orjson.dumps(body))

    server = await serve(handle, host=host, tls=TlsServer(certificate, key))
    found = Hook(server.port, base64.b64encode(authority.pem).decode())
    try:
        yield found
    finally:
        await server.close(0.1)


def host_address() -> str:
    """An address of this machine that endpoints may have: they may not be loopback addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: asks for a route
        address: str = probe.getsockname()[0]
    return address


async def slow(seconds: float, answer: Json) -> Json:
    """An answer that takes its time."""
    await asyncio.sleep(seconds)
    return answer
