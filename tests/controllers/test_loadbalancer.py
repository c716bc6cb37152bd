"""Load balancers on the nodes' own addresses."""

from typing import Any

import pytest
from tests.controllers.world import World, world

from kaa.controllers.defaults import CONTROLLERS, default_makers
from kaa.controllers.loadbalancer import conflicting, ingress_of
from kaa.controllers.settings import ControllersSettings
from kaa.kinds.views import Service
from kaa.testing.builders import node, service

Json = dict[str, Any]


def test_ingress_is_the_ready_nodes_addresses() -> None:
    excluded = "node.kubernetes.io/exclude-from-external-load-balancers"
    nodes = [
        node("c").ready().address("192.0.2.3").address("203.0.113.3", "ExternalIP").view(),
        node("a").ready().address("192.0.2.1").view(),
        node("b").ready("False").address("192.0.2.2").view(),
        node("d").ready().address("192.0.2.4").label(excluded, "").view(),
        node("e").ready().view(),
    ]
    assert [each["ip"] for each in ingress_of(nodes)] == ["192.0.2.1", "203.0.113.3"]


def test_the_older_service_has_the_port() -> None:
    old = service("old").created(1).port(80).with_spec(type="LoadBalancer").view()
    new = service("new").created(2).port(443).port(80).with_spec(type="LoadBalancer").view()
    udp = service("udp").created(3).port(80, protocol="UDP").with_spec(type="LoadBalancer").view()
    everyone = [old, new, udp]
    assert conflicting(new, everyone) == (old, "80/TCP")
    assert conflicting(old, everyone) is None
    assert conflicting(udp, everyone) is None


def test_controllers_are_switched_off_by_name() -> None:
    makers = default_makers(ControllersSettings(disabled=frozenset({"service-lb"})))
    assert len(makers) == len(CONTROLLERS) - 1
    with pytest.raises(ValueError, match=r"no controller is called nonsense; there are .*deployment, "):
        default_makers(ControllersSettings(disabled=frozenset({"nonsense"})))


async def make(at: World, name: str, **spec: Any) -> None:
    body = {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": name}, **spec}
    await at.client.create(Service.resource, {"metadata": {"name": name, "namespace": "default"}, "spec": body})


async def test_a_service_shows_the_nodes_until_it_is_no_load_balancer() -> None:
    async with world() as at:
        await make(at, "web")
        await make(at, "elsewhere", loadBalancerClass="example.com/lb")

        async def shows(name: str, *addresses: str) -> bool:
            obj = await at.get(Service.resource, name)
            assert obj is not None
            ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
            return tuple(each["ip"] for each in ingress) == addresses

        await at.until(lambda: shows("web", "192.0.2.1", "192.0.2.2"))
        assert await at.events("EnsuredLoadBalancer") == ["Ensured load balancer"]
        assert await shows("elsewhere")
        await make(at, "second")
        await at.until(lambda: at.events("SyncLoadBalancerFailed"))
        patch = {"spec": {"type": "ClusterIP"}}
        await at.client.patch(Service.resource, "web", patch, namespace="default")
        await at.until(lambda: shows("web"))
        await at.until(lambda: shows("second", "192.0.2.1", "192.0.2.2"))
