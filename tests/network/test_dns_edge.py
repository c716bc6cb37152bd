"""Cluster DNS as a node runs it: from informers, and (in a real kernel) behind the Service kube-dns."""

import asyncio
import socket

import msgspec
import pytest
from dnslib import DNSRecord
from tests.network.builders import service
from tests.network.worlds import World

from kaa.base import tasks
from kaa.client import Informers
from kaa.kinds.views import EndpointSlice, Namespace, Service
from kaa.network.backend import ProxySettings, choose
from kaa.network.dns.edge import ClusterDns, kube_dns_service, kube_dns_slice
from kaa.network.netns import Netns
from kaa.network.services import compile_model


def ask(space: Netns, at: tuple[str, int], name: str, kind: str = "A") -> list[str]:
    made = space.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with made:
        made.settimeout(3)
        made.connect(at)
        made.send(DNSRecord.question(name, kind).pack())
        return [str(r.rdata) for r in DNSRecord.parse(made.recv(4096)).rr]


async def running_dns(listen, **options):
    informers = Informers(None)
    dns = ClusterDns(informers, listen, resolv_conf="/nonexistent", **options)
    task = tasks.spawn(dns.run(), name="dns")
    await informers.of(Namespace).replace([msgspec.convert({"metadata": {"name": "default"}}, Namespace)], 1)
    await informers.of(EndpointSlice).replace([], 1)
    return informers, dns, task


async def stop(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_answered_before_the_picture_is_whole():
    informers, dns, task = await running_dns([("127.0.0.1", 0)])
    try:
        await asyncio.sleep(0.05)
        assert not dns.ready.is_set() and dns.server.addresses == []
        await informers.of(Service).replace([service("web")], 1)
        await asyncio.wait_for(dns.ready.wait(), 5)
        at = dns.server.addresses[0]
        assert await asyncio.to_thread(ask, Netns(), at, "web.default.svc.cluster.local") == ["10.96.0.100"]
        await informers.of(Service).replace([], 2)
        assert await asyncio.to_thread(ask, Netns(), at, "web.default.svc.cluster.local") == []
    finally:
        await stop(task)


@pytest.mark.e2e
@pytest.mark.parametrize("backend", ["nftables", "iptables"])
async def test_pods_ask_the_cluster_ip(backend):
    world = await asyncio.to_thread(World)
    rules = choose(ProxySettings("d1", node="n1", pod_cidrs=("10.244.0.0/16",), netns=world.node), backend)
    # 10.244.0.77 is no address of the node yet: a bridge gets its own only with the first pod.
    informers, dns, task = await running_dns([("10.244.0.77", 10053)], netns=world.node)
    try:
        wire = kube_dns_service()
        kube_dns = msgspec.convert(wire, Service)
        piece = msgspec.convert(kube_dns_slice("n1", "10.244.0.77", 10053), EndpointSlice)
        await informers.of(Service).replace([kube_dns, service("web")], 1)
        await asyncio.wait_for(dns.ready.wait(), 5)
        rules.sync(compile_model([kube_dns], [piece], "n1"))
        world.node.run(["ip", "addr", "add", "10.244.0.77/32", "dev", "lo"])
        answer = await asyncio.to_thread(ask, world.pods["a"], ("10.96.0.10", 53), "web.default.svc.cluster.local")
        assert answer == ["10.96.0.100"]
    finally:
        await stop(task)
        rules.cleanup()
        world.close()
