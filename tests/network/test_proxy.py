"""The proxy's edge on a backend that only remembers: when it syncs, what it survives, what balancers are told."""

import asyncio
import http.client
import json
import socket

import pytest
from tests.network.builders import endpoint, piece, service

from kaa.base import tasks
from kaa.client import Informers
from kaa.kinds.views import EndpointSlice, Service
from kaa.network import proxy as proxy_module
from kaa.network.backend import ProxySettings, SyncReport
from kaa.network.ledger import changed_ports
from kaa.network.proxy import ServiceProxy
from kaa.network.services import Model


class Remembers:
    """A backend without a kernel."""

    name = "remembers"

    def __init__(self) -> None:
        self.models: list[Model] = [Model()]
        self.fail = 0
        self.here = True

    def sync(self, model: Model) -> SyncReport:
        if self.fail:
            self.fail -= 1
            raise RuntimeError("the kernel said no")
        report = SyncReport(len(self.models) == 1, len(changed_ports(self.models[-1], model)), 1)
        self.models.append(model)
        return report

    def intact(self) -> bool:
        return self.here

    def cleanup(self) -> None:
        self.models.append(Model())


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


async def until(check) -> None:
    async with asyncio.timeout(5):
        while not check():
            await asyncio.sleep(0.01)


@pytest.fixture
async def informers():
    return Informers(None)  # never started: the tests feed it


async def feed(informers, services=(), slices=(), revision=1):
    await informers.of(Service).replace(list(services), revision)
    await informers.of(EndpointSlice).replace(list(slices), revision)


async def test_syncs_once_for_a_burst_and_not_before_the_picture_is_whole(informers):
    backend = Remembers()
    proxy = ServiceProxy(informers, backend, ProxySettings("t", node="n1"))
    running = tasks.spawn(proxy.run(), name="proxy")
    try:
        await asyncio.sleep(0.05)
        assert len(backend.models) == 1
        await feed(informers, [service("a")], [piece("a", endpoint("10.0.0.1"))])
        await asyncio.wait_for(proxy.synced.wait(), 5)
        assert [len(m.ports) for m in backend.models] == [0, 1]
        await feed(informers, [service(f"s{i}", ip=f"10.96.0.{i}") for i in range(50)], revision=2)
        await until(lambda: proxy.metrics.service_ports == 50)
        assert len(backend.models) <= 4
        assert proxy.metrics.full_syncs == 1
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await proxy.cleanup()
    assert backend.models[-1].ports == {}


async def test_a_failed_sync_is_tried_again(informers, monkeypatch):
    monkeypatch.setattr(proxy_module, "Backoff", lambda **_: _Quick())
    backend = Remembers()
    backend.fail = 2
    proxy = ServiceProxy(informers, backend, ProxySettings("t"))
    running = tasks.spawn(proxy.run(), name="proxy")
    try:
        await feed(informers, [service("a")])
        await asyncio.wait_for(proxy.synced.wait(), 5)
        assert proxy.metrics.failures == 2
        assert proxy.health.healthy
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class _Quick:
    def next_seconds(self) -> float:
        return 0.01

    def reset(self) -> None: ...


def ask(port: int, path: str = "/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body, dict(answer.getheaders())


async def test_health_check_node_port_and_healthz(informers):
    check, own = free_port(), free_port()
    proxy = ServiceProxy(
        informers, Remembers(), ProxySettings("t", node="n1"), health_port=own, health_address="127.0.0.1"
    )
    running = tasks.spawn(proxy.run(), name="proxy")
    balanced = service("web", type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=check)
    try:
        await feed(informers, [balanced], [piece("web", endpoint("10.0.0.1", nodeName="n1"))])
        await asyncio.wait_for(proxy.synced.wait(), 5)
        status, body, headers = await asyncio.to_thread(ask, check)
        assert (status, body) == (
            200,
            {
                "service": {"namespace": "default", "name": "web"},
                "localEndpoints": 1,
                "serviceProxyHealthy": True,
            },
        )
        assert headers["X-Load-Balancing-Endpoint-Weight"] == "1"
        assert (await asyncio.to_thread(ask, own, "/healthz"))[0] == 200
        await feed(informers, [balanced], [], 2)
        await until(lambda: proxy.metrics.syncs == 2)
        await asyncio.sleep(0.05)
        assert (await asyncio.to_thread(ask, check))[0] == 503
        await feed(informers, [], [], 3)
        await until(lambda: proxy.metrics.syncs == 3)
        await asyncio.sleep(0.05)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(ask, check)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
