"""Certificates renewed while everything runs: new connections see the new ones, what goes on over old ones goes on."""

import asyncio
import datetime
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from kaa.base.clock import REAL, Clock
from kaa.client.client import Client
from kaa.client.config import load_kubeconfig, open_client
from kaa.cluster import certificates
from kaa.cluster.local import LocalCluster
from kaa.cluster.pki import Authority, KeyPair, write_pair
from kaa.cluster.renewal import ClientRotation, RotationFailed, keep_renewed
from kaa.http.api import Request, Response
from kaa.http.call import Caller, CallLimits
from kaa.http.serve import serve
from kaa.http.tls import TlsClient, TlsServer
from kaa.kinds.views import ConfigMap
from kaa.kinds.views.certificates import CertificateSigningRequest

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

NAMES = ["localhost", "127.0.0.1"]


class Ahead(Clock):
    """Real time, plus what a test adds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return REAL.now() + self.ahead

    def monotonic(self) -> float:
        return REAL.monotonic() + self.ahead


def held(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def ends_in(path: Path, clock: Clock) -> float:
    return held(path).not_valid_after_utc.timestamp() - clock.now()


@pytest.mark.parametrize(
    ("life", "passed", "renewed"),
    [
        (365 * 86400.0, 0, False),
        (365 * 86400.0, 300 * 86400, False),
        (365 * 86400.0, 306 * 86400, True),  # less than sixty days are left
        (3600.0, 2000, False),
        (3600.0, 2400, True),  # less than a third is left
    ],
)
def test_when_a_certificate_is_renewed(tmp_path: Path, life: float, passed: float, renewed: bool):
    clock = Ahead()
    authority = Authority(tmp_path, "ca", "kubernetes", clock, life)
    server, key = authority.server_files("apiserver", "kube-apiserver", NAMES)
    client, _ = authority.client_files("admin", "kubernetes-admin", ["system:masters"])
    stranger = Authority(tmp_path / "other", "ca", "somebody", clock, life)
    write_pair(tmp_path / "theirs.crt", tmp_path / "theirs.key", stranger.client("x"))
    before = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    clock.ahead = passed
    assert authority.renew() == (["admin", "apiserver"] if renewed else [])
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == ({"admin.crt", "admin.key", "apiserver.crt", "apiserver.key"} if renewed else set())
    if renewed:
        assert held(server).subject.rfc4514_string() == "CN=kube-apiserver"
        assert held(client).subject.rfc4514_string() == "CN=kubernetes-admin,O=system:masters"
        names = held(server).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert {str(each.value) for each in names} == set(NAMES)
        assert abs(ends_in(server, clock) - life) < 5
        held(server).verify_directly_issued_by(held(authority.certificate_path))
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(server, key)
    assert authority.renew() == []


async def test_a_server_goes_on_under_a_new_certificate(tmp_path: Path):
    """Lives of seconds: renewed twice, while a watch goes on and every new connection checks what it is shown."""
    authority = Authority(tmp_path, "ca", "kubernetes", leaf_seconds=6.0)
    server, key = authority.server_files("apiserver", "kube-apiserver", NAMES)
    mine = authority.client_files("admin", "kubernetes-admin", ["system:masters"])
    tls = TlsServer(server, key, authority.certificate_path)
    told: list[str] = []
    async with LocalCluster(simulated_nodes=0, controllers=False, scheduler=False) as cluster:
        listener = await serve(cluster.server.app, port=0, tls=tls)
        renewing = asyncio.ensure_future(keep_renewed(authority.renew, told.extend, check_seconds=0.2))
        looking = asyncio.ensure_future(_reload(tls))
        source: Any = lambda: tuple(each.read_bytes() for each in mine)  # noqa: E731
        caller = Caller(
            f"https://127.0.0.1:{listener.port}", tls=TlsClient(authority.pem, certificate_source=source),
            limits=CallLimits(certified_seconds=0.5),
        )  # fmt: skip
        client = Client(caller)
        try:
            watch = client.watch(ConfigMap, namespace="default")
            coming = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0.1)
            shown = set()
            deadline = REAL.monotonic() + 20
            while len(shown) < 3 and REAL.monotonic() < deadline:
                shown.add(await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", listener.port)))
                await client.list(ConfigMap, "default")
                await asyncio.sleep(0.3)
            assert len(shown) == 3
            assert told.count("apiserver") >= 2
            assert told.count("admin") >= 2
            first = min(held_pem(each).not_valid_after_utc for each in shown)
            assert first < max(held_pem(each).not_valid_after_utc for each in shown)
            # The watch was opened under the first certificates, and tells what happens now.
            assert not coming.done()
            await cluster.client.create(ConfigMap.resource, {"metadata": {"name": "late", "namespace": "default"}})
            event = await asyncio.wait_for(coming, 5)
            assert event.object.name == "late"
        finally:
            await watch.aclose()
            for task in (renewing, looking, coming):
                task.cancel()
            await asyncio.wait([renewing, looking])
            await client.close()
            await listener.close(0.2)


def held_pem(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


async def _reload(tls: TlsServer) -> None:
    """As the listener does by itself, only more often."""
    while True:
        await asyncio.sleep(0.1)
        try:
            tls.reload_if_changed()
        except OSError:
            continue


async def test_connections_do_not_outlive_a_certificate_that_rotates(tmp_path: Path):
    clock = Ahead()
    authority = Authority(tmp_path, "ca", "kubernetes")
    server, key = authority.server_files("server", "server", NAMES)
    first, second = authority.client("first"), authority.client("second")
    current = [first]
    seen: list[str] = []

    def handler(request: Request) -> Response:
        assert request.peer.certificate_der is not None
        seen.append(x509.load_der_x509_certificate(request.peer.certificate_der).subject.rfc4514_string())
        return Response(200, b"{}")

    listener = await serve(handler, port=0, tls=TlsServer(server, key, authority.certificate_path))
    tls = TlsClient(authority.pem, certificate_source=lambda: (current[0].certificate, current[0].key))
    caller = Caller(f"https://127.0.0.1:{listener.port}", tls=tls, limits=CallLimits(idle_seconds=1e9), clock=clock)
    try:
        await caller.call("GET", "/")
        current[0] = second
        await caller.call("GET", "/")  # the connection there is still goes
        clock.ahead = 301.0
        await caller.call("GET", "/")
        assert seen == ["CN=first", "CN=first", "CN=second"]
    finally:
        await caller.close()
        await listener.close(0.2)


async def test_a_node_exchanges_its_certificate_by_a_request(tmp_path: Path):
    async with LocalCluster(simulated_nodes=0, scheduler=False) as cluster:
        await cluster.kubeconfig()
        pki = cluster._dir / "pki"
        url = f"https://127.0.0.1:{_port(cluster)}"
        kubeconfig, *_ = certificates.ensure_node(pki, url, "n1", ["127.0.0.1"])
        access = load_kubeconfig(kubeconfig)
        client = open_client(access)
        paths = Path(access.certificate_file), Path(access.key_file)
        rotation = ClientRotation(client, *paths)
        try:
            before = held(paths[0])
            share = (rotation.due() - before.not_valid_before_utc.timestamp()) / (
                before.not_valid_after_utc - before.not_valid_before_utc
            ).total_seconds()
            assert 0.7 <= share <= 0.9
            await rotation.rotate()
            after = held(paths[0])
            assert after.serial_number != before.serial_number
            assert after.subject == before.subject
            assert paths[1].stat().st_mode & 0o777 == 0o600
            (asked,) = (await cluster.client.list(CertificateSigningRequest)).items
            assert asked.spec.username == "system:node:n1"
            fresh = open_client(load_kubeconfig(kubeconfig))
            try:
                await fresh.list(CertificateSigningRequest)  # the new pair opens the door
            finally:
                await fresh.close()
        finally:
            await client.close()


async def test_a_node_goes_on_asking(tmp_path: Path):
    """Run as it runs in an agent: an old certificate is exchanged at once, a fresh one is left alone."""
    async with LocalCluster(simulated_nodes=0, scheduler=False) as cluster:
        node = cluster.client_as("system:node:n1", ["system:nodes"])
        old = Authority(tmp_path, "ca", "x", leaf_seconds=10.0)
        pair = old.client("system:node:n1", ["system:nodes"])
        paths = tmp_path / "n1.crt", tmp_path / "n1.key"
        write_pair(*paths, pair)
        clock = Ahead()
        clock.ahead = 10.0
        running = asyncio.ensure_future(ClientRotation(node, *paths, clock).run())
        try:
            for _ in range(500):
                if paths[0].read_bytes() != pair.certificate:
                    break
                await asyncio.sleep(0.02)
            assert ends_in(paths[0], REAL) > 300 * 86400
            await asyncio.sleep(0.1)
            assert len((await cluster.client.list(CertificateSigningRequest)).items) == 1
        finally:
            running.cancel()
            await asyncio.wait([running])


async def test_a_request_that_is_denied(tmp_path: Path):
    async with LocalCluster(simulated_nodes=0, controllers=False, scheduler=False) as cluster:
        node = cluster.client_as("system:node:n1", ["system:nodes"])
        pair = Authority(tmp_path, "ca", "x").client("system:node:n1", ["system:nodes"])
        paths = tmp_path / "n1.crt", tmp_path / "n1.key"
        write_pair(*paths, pair)
        rotating = asyncio.ensure_future(ClientRotation(node, *paths).rotate())
        for _ in range(200):
            if found := (await cluster.client.list_json(CertificateSigningRequest.resource))["items"]:
                break
            await asyncio.sleep(0.02)
        whole = await cluster.client.get_json(CertificateSigningRequest.resource, found[0]["metadata"]["name"])
        whole["status"]["conditions"] = [{"type": "Denied", "status": "True", "reason": "No", "message": "not you"}]
        await cluster.client.update(CertificateSigningRequest.resource, whole, subresource="approval")
        with pytest.raises(RotationFailed, match="was denied: No: not you"):
            await asyncio.wait_for(rotating, 10)
        assert paths[0].read_bytes() == pair.certificate


def _port(cluster: LocalCluster) -> int:
    assert cluster._kubeconfig is not None
    return int(load_kubeconfig(cluster._kubeconfig).server.rpartition(":")[2])


def test_the_administrators_kubeconfig_follows(tmp_path: Path):
    path = tmp_path / "kubeconfig"
    certificates.ensure_admin(tmp_path / "pki", "https://127.0.0.1:6443", path)
    before = load_kubeconfig(path).certificate_pem
    pki = tmp_path / "pki"
    clock = Ahead()
    clock.ahead = -320 * 86400.0
    old = Authority(pki, "ca", "kubernetes", clock).client("kubernetes-admin", ["system:masters"])
    write_pair(pki / "admin.crt", pki / "admin.key", KeyPair(old.certificate, old.key))
    os.utime(path, (1.0, 1.0))  # files are told apart by their times
    assert certificates.renew(pki) == ["admin"]
    certificates.ensure_admin(pki, "https://127.0.0.1:6443", path)
    after = load_kubeconfig(path).certificate_pem
    assert after != before
    assert after == (pki / "admin.crt").read_bytes()
    left = x509.load_pem_x509_certificate(after or b"").not_valid_after_utc
    assert left - datetime.datetime.fromtimestamp(REAL.now(), datetime.UTC) > datetime.timedelta(days=300)
