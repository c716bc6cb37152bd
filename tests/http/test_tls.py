"""TLS: who is trusted on either side, and certificates that change while serving."""

import asyncio
import socket
import ssl

import pytest
from cryptography import x509

from kaa.http.api import ConnectFailed, Request, Response, StreamingResponse
from kaa.http.call import Caller
from kaa.http.serve import Limits, serve
from kaa.http.tls import TlsClient, TlsServer
from kaa.http.websocket import accept


def handler(request: Request):
    if request.path == "/stream":
        return StreamingResponse(stream)
    if request.path == "/ws":
        return accept(request, echo)
    if request.path == "/big":
        return Response(200, [b"x" * 700_000] * 20)
    name = ""
    if request.peer.certificate_der is not None:
        name = x509.load_der_x509_certificate(request.peer.certificate_der).subject.rfc4514_string()
    return Response(200, name.encode())


async def stream(writer):
    for _ in range(100):
        writer.write(b"y" * 1000 + b"\n")
        await asyncio.sleep(0)


async def echo(websocket):
    while (message := await websocket.receive()) is not None:
        await websocket.send(message)


@pytest.fixture
def authority(new_authority):
    return new_authority("cluster")


@pytest.fixture
def client_authority(new_authority):
    return new_authority("clients")


@pytest.fixture
async def server(authority, client_authority, tmp_path):
    (tmp_path / "clients.crt").write_bytes(client_authority.pem)
    tls = TlsServer(*authority.issue_files(tmp_path, "server-1"), tmp_path / "clients.crt")
    async with await serve(handler, tls=tls, limits=Limits(handshake_seconds=0.3)) as server:
        yield server


@pytest.fixture
def caller(server):
    return lambda **tls: Caller(f"https://127.0.0.1:{server.port}", tls=TlsClient(**tls))


async def test_with_and_without_a_client_certificate(caller, authority, client_authority):
    async with caller(ca_pem=authority.pem) as anonymous:
        assert (await anonymous.call("GET", "/")).body == b""
    certificate, key = client_authority.issue("jane")
    async with caller(ca_pem=authority.pem, certificate_pem=certificate, key_pem=key) as jane:
        assert (await jane.call("GET", "/")).body == b"CN=jane"
        assert (await jane.call("GET", "/")).body == b"CN=jane"
    certificates = iter([client_authority.issue("a"), client_authority.issue("b")])
    async with caller(ca_pem=authority.pem, certificate_source=lambda: next(certificates)) as rotating:
        assert (await rotating.call("GET", "/", headers=[("Connection", "close")])).body == b"CN=a"
        assert (await rotating.call("GET", "/")).body == b"CN=b"


async def test_a_certificate_of_another_authority_is_refused(caller, authority, new_authority):
    certificate, key = new_authority("others").issue("mallory")
    async with caller(ca_pem=authority.pem, certificate_pem=certificate, key_pem=key) as mallory:
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            await mallory.call("GET", "/")


async def test_servers_are_checked(server, caller, authority, client_authority):
    async with caller(ca_pem=client_authority.pem) as wary:
        with pytest.raises(ConnectFailed, match="not trusted"):
            await wary.call("GET", "/")
    async with caller(ca_pem=authority.pem, server_name="elsewhere") as wary:
        with pytest.raises(ConnectFailed, match="not trusted"):
            await wary.call("GET", "/")
    async with caller(insecure=True) as careless:
        assert (await careless.call("GET", "/")).status == 200
    async with Caller(f"http://127.0.0.1:{server.port}") as plain:
        told = await plain.call("GET", "/")
        assert (told.status, told.body) == (400, b"Client sent an HTTP request to an HTTPS server.\n")
    with pytest.raises(ValueError, match="key_pem"):
        TlsClient(certificate_pem=b"x").context()


async def test_everything_works_over_tls(caller, authority):
    async with caller(ca_pem=authority.pem) as secure:
        assert len((await secure.call("GET", "/big")).body) == 14_000_000
        async with await secure.stream("GET", "/stream") as reply:
            assert [len(line) async for line in reply.lines()] == [1000] * 100
        async with await secure.websocket("/ws") as websocket:
            await websocket.send(b"z" * 300_000)
            assert await websocket.receive() == b"z" * 300_000


async def test_reload_changes_certificate_and_client_authority_without_a_restart(
    server, caller, authority, client_authority, new_authority, tmp_path
):
    def served() -> str:
        context = TlsClient(insecure=True).context()
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw,
            context.wrap_socket(raw) as wrapped,
        ):
            der = wrapped.getpeercert(binary_form=True)
            assert wrapped.selected_alpn_protocol() == "http/1.1"
        return x509.load_der_x509_certificate(der).subject.rfc4514_string()

    old_certificate, old_key = client_authority.issue("old")
    old = {"ca_pem": authority.pem, "certificate_pem": old_certificate, "key_pem": old_key}
    async with caller(**old) as before:
        assert (await before.call("GET", "/")).body == b"CN=old"
        assert await asyncio.to_thread(served) == "CN=server-1"
        authority.issue_files(tmp_path, "server-2")
        successor = new_authority("new clients")
        (tmp_path / "clients.crt").write_bytes(successor.pem)
        server.tls.reload()
        assert await asyncio.to_thread(served) == "CN=server-2"
        assert (await before.call("GET", "/")).body == b"CN=old"
    async with caller(**old) as after:
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            await after.call("GET", "/")
    certificate, key = successor.issue("new")
    async with caller(ca_pem=authority.pem, certificate_pem=certificate, key_pem=key) as new:
        assert (await new.call("GET", "/")).body == b"CN=new"
    (tmp_path / "server.crt").write_bytes(b"not a certificate")
    with pytest.raises(ssl.SSLError):
        server.tls.reload()
    assert await asyncio.to_thread(served) == "CN=server-2"


async def test_old_protocols_and_silent_handshakes_are_refused(server):
    context = TlsClient(insecure=True).context()
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        assert await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionError:
        pass
    writer.close()
