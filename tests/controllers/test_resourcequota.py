"""The quota controller: bounds are taken up, what goes is free again, and nothing is overspent meanwhile."""

import asyncio
from typing import Any

import pytest
from tests.controllers.world import World, world

from kaa.controllers.resourcequota import ResourceQuota, counted
from kaa.controllers.settings import ControllersSettings
from kaa.kinds.core.usage import texts
from kaa.kinds.views.core import ConfigMap, Pod, Secret
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource

Json = dict[str, Any]
SERVICES = Resource("", "v1", "services", "Service", True, "service")
CONTROLLERS = Resource("", "v1", "replicationcontrollers", "ReplicationController", True)


def pod(name: str, cpu: str = "", **spec: Any) -> Json:
    container: Json = {"name": "c", "image": "x"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


async def quota(here: World, name: str, spec: Json | None = None, /, **hard: str) -> None:
    hard = {key.replace("__", "/").replace("_", "."): value for key, value in hard.items()}
    body: Json = {"metadata": {"name": name}, "spec": {"hard": hard, **(spec or {})}}
    await here.client.create(ResourceQuota.resource, body, namespace="default")
    await here.until(lambda: used_is(here, name, None))


async def used_is(here: World, name: str, wanted: Json | None) -> bool:
    found = await here.get(ResourceQuota.resource, name)
    status = (found or {}).get("status") or {}
    if wanted is None:
        return bool(found) and status.get("hard") == found["spec"]["hard"]  # type: ignore[index]
    return bool(status.get("used") == wanted)


def test_counting_is_by_kind_and_scope() -> None:
    there = [{"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "300m"}}}]}},
             {"metadata": {}, "spec": {"activeDeadlineSeconds": 5}},
             {"metadata": {}, "status": {"phase": "Failed"}}]  # fmt: skip
    hard = {"pods": "9", "requests.cpu": "2", "count/pods": "9", "count/deployments.apps": "3"}
    plain = {"spec": {"hard": hard}}
    assert texts(counted(plain, {"pods": there}, {"deployments.apps": 2}, 0.0)) == {
        "pods": "2", "requests.cpu": "300m", "count/pods": "3", "count/deployments.apps": "2"
    }  # fmt: skip
    scoped = {"spec": {"hard": {"pods": "9"}, "scopes": ["Terminating"]}}
    assert texts(counted(scoped, {"pods": there}, {}, 0.0)) == {"pods": "1"}


@pytest.mark.conformance("ResourceQuota, object count quota, pod")
@pytest.mark.conformance("ResourceQuota, manage lifecycle of a ResourceQuota")
async def test_pods_come_and_go() -> None:
    async with world() as here:
        client = here.client
        await quota(here, "q", pods="2", requests_cpu="500m")
        await client.create(Pod.resource, pod("a", "200m"), namespace="default")
        assert await used_is(here, "q", {"pods": "1", "requests.cpu": "200m"})
        with pytest.raises(StatusError, match=r"exceeded quota: q, requested: requests.cpu=400m"):
            await client.create(Pod.resource, pod("b", "400m"), namespace="default")
        with pytest.raises(StatusError, match=r"failed quota: q: must specify requests.cpu for: c"):
            await client.create(Pod.resource, pod("b"), namespace="default")
        await client.create(Pod.resource, pod("b", "300m"), namespace="default")
        await client.delete(Pod.resource, "a", namespace="default", grace_seconds=0)
        await here.until(lambda: used_is(here, "q", {"pods": "1", "requests.cpu": "300m"}))
        await client.patch(Pod.resource, "b", {"status": {"phase": "Succeeded"}}, namespace="default",
                           subresource="status")  # fmt: skip
        await here.until(lambda: used_is(here, "q", {"pods": "0", "requests.cpu": "0"}))
        # New bounds are taken up, and what is there counts.
        await client.patch(ResourceQuota.resource, "q", {"spec": {"hard": {"pods": "5", "requests.cpu": None,
                           "count/pods": "9"}}}, namespace="default")  # fmt: skip
        await here.until(lambda: used_is(here, "q", {"pods": "0", "count/pods": "1"}))


async def test_fifty_at_once_then_room_again() -> None:
    async with world() as here:
        client = here.client
        await quota(here, "q", pods="10")

        refused: list[int] = []

        async def make(number: int) -> bool:
            try:
                await client.create(Pod.resource, pod(f"p{number}"), namespace="default")
            except StatusError as error:
                refused.append(error.code)
                return False
            return True

        made = await asyncio.gather(*(make(number) for number in range(50)))
        assert (sum(made), refused) == (10, [403] * 40)
        assert await used_is(here, "q", {"pods": "10"})
        await client.delete_collection(Pod.resource, namespace="default", grace_seconds=0)
        await here.until(lambda: used_is(here, "q", {"pods": "0"}))
        assert await make(100)


@pytest.mark.conformance("ResourceQuota, object count quota, secret")
@pytest.mark.conformance("ResourceQuota, object count quota, replicationController")
@pytest.mark.conformance("ResourceQuota, object count quota, resourcequotas")
async def test_objects_are_counted() -> None:
    async with world() as here:
        client = here.client
        there = len(await here.items(ConfigMap.resource))
        await quota(here, "q", configmaps=str(there + 1), secrets="1", services="3", services_nodeports="1",
                    replicationcontrollers="1", resourcequotas="1")  # fmt: skip
        before = {"configmaps": str(there), "secrets": "0", "services": "1", "services.nodeports": "0",
                  "replicationcontrollers": "0", "resourcequotas": "1"}  # fmt: skip
        await here.until(lambda: used_is(here, "q", before))
        things: list[tuple[Resource, Json]] = [
            (ConfigMap.resource, {}), (Secret.resource, {}),
            (SERVICES, {"spec": {"type": "NodePort", "ports": [{"port": 80}]}}),
            (CONTROLLERS, {"spec": {"replicas": 0, "selector": {"a": "b"}, "template": {
                "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}}}),
        ]  # fmt: skip
        for resource, body in things:
            await client.create(resource, {"metadata": {"name": "one"}, **body}, namespace="default")
            with pytest.raises(StatusError, match="exceeded quota: q"):
                await client.create(resource, {"metadata": {"name": "two"}, **body}, namespace="default")
        after = {"configmaps": str(there + 1), "secrets": "1", "services": "2", "services.nodeports": "1",
                 "replicationcontrollers": "1", "resourcequotas": "1"}  # fmt: skip
        assert await used_is(here, "q", after)
        for resource, _ in things:
            await client.delete(resource, "one", namespace="default")
        await here.until(lambda: used_is(here, "q", before))


@pytest.mark.conformance("ResourceQuota, quota scope, Terminating and NotTerminating scope")
async def test_scopes() -> None:
    async with world() as here:
        client = here.client
        for name in ("Terminating", "NotTerminating", "BestEffort", "NotBestEffort"):
            await quota(here, name.lower(), {"scopes": [name]}, pods="1")
        await client.create(Pod.resource, pod("a"), namespace="default")
        wanted = {"terminating": "0", "notterminating": "1", "besteffort": "1", "notbesteffort": "0"}
        for name, number in wanted.items():
            assert await used_is(here, name, {"pods": number}), name
        await client.delete(Pod.resource, "a", namespace="default", grace_seconds=0)
        for name in wanted:
            await here.until(lambda name=name: used_is(here, name, {"pods": "0"}))
        await client.create(Pod.resource, pod("b", "100m", activeDeadlineSeconds=3600), namespace="default")
        assert await used_is(here, "terminating", {"pods": "1"})
        assert await used_is(here, "notbesteffort", {"pods": "1"})


async def test_what_was_counted_and_never_made_is_found_in_time() -> None:
    settings = ControllersSettings(root_ca_pem="PEM", batch_seconds=0.02, quota_period_seconds=0.2)
    async with world(settings=settings) as here:
        await quota(here, "q", pods="3")
        await here.client.patch(ResourceQuota.resource, "q", {"status": {"used": {"pods": "3"}}}, namespace="default",
                                subresource="status")  # fmt: skip
        await here.until(lambda: used_is(here, "q", {"pods": "0"}))
