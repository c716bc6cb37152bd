"""Owners and dependents: the graph's answers as tables, deletions against the real server."""

from typing import Any

import pytest
from tests.controllers.world import World, world

from kaa.controllers.garbage.graph import Graph, Item
from kaa.kinds.views import ConfigMap, Deployment, Namespace, Node, Pod, ReplicaSet, Secret
from kaa.kinds.views.base import View
from kaa.meta.resource import Resource
from kaa.testing.builders import node, pod, replica_set

Json = dict[str, Any]


def put(graph: Graph, obj: View) -> list[tuple[str, bool]]:
    return [(look.uid, look.later) for look in graph.put(Item.of(obj))]


def test_a_dependent_whose_owner_is_unknown_is_looked_at_later() -> None:
    graph, owner = Graph(), replica_set("set").view()
    dependent = pod("a").owned_by(owner).view()
    assert put(graph, dependent) == [("uid-a", True)]
    assert put(graph, owner) == []
    assert [each.name for each in graph.dependents("uid-set")] == ["a"]


def test_when_the_owner_goes_its_dependents_are_looked_at() -> None:
    graph, owner = Graph(), replica_set("set").view()
    put(graph, owner)
    assert put(graph, pod("a").owned_by(owner).view()) == []
    assert [look.uid for look in graph.remove("uid-set")] == ["uid-a"]
    assert [look.uid for look in graph.remove("uid-a")] == []
    assert not graph.has_dependents("uid-set")


def test_foreground_deletion_looks_at_dependents_and_waits_for_the_last() -> None:
    graph = Graph()
    owner = replica_set("set")
    put(graph, owner.view())
    put(graph, pod("a").owned_by(owner.view()).view())
    going = owner.deleting().finalizers("foregroundDeletion").view()
    assert put(graph, going) == [("uid-a", False), ("uid-set", False)]
    assert put(graph, going) == []
    assert [look.uid for look in graph.remove("uid-a")] == ["uid-set"]


def test_an_owner_elsewhere_is_no_owner() -> None:
    graph, owner = Graph(), replica_set("set", "other").view()
    put(graph, owner)
    assert put(graph, pod("a").owned_by(owner).view()) == [("uid-a", False)]
    cluster_wide = node("n").view()
    put(graph, cluster_wide)
    assert put(graph, pod("b").owned_by(cluster_wide).view()) == []


def config(name: str, *owners: Json, namespace: str = "default", **metadata: Any) -> Json:
    return {"metadata": {"name": name, "namespace": namespace, "ownerReferences": list(owners), **metadata}}


def reference(obj: Json, **more: Any) -> Json:
    metadata = obj["metadata"]
    return {
        "apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": metadata["name"], "uid": metadata["uid"], **more,
    }  # fmt: skip


async def names(at: World, resource: Resource, namespace: str = "default") -> set[str]:
    return {each["metadata"]["name"] for each in await at.items(resource, namespace)} - {"kube-root-ca.crt"}


async def gone(at: World, resource: Resource, *wanted: str) -> None:
    async def none() -> bool:
        return not await names(at, resource) & set(wanted)

    await at.until(none)


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
async def test_a_chain_of_owners_goes(policy: str) -> None:
    async with world() as at:
        top = await at.client.create(ConfigMap.resource, config("top"))
        block = {"blockOwnerDeletion": True}
        mid = await at.client.create(Secret.resource, config("mid", reference(top, **block)))
        await at.client.create(ConfigMap.resource, config("leaf", reference(mid, **block)))
        await at.client.create(ConfigMap.resource, config("aside"))
        await at.client.delete(ConfigMap.resource, "top", namespace="default", propagation=policy)
        await gone(at, ConfigMap.resource, "top", "leaf")
        await gone(at, Secret.resource, "mid")
        assert await names(at, ConfigMap.resource) == {"aside"}


async def test_foreground_deletion_waits_for_what_blocks() -> None:
    async with world() as at:
        top = await at.client.create(ConfigMap.resource, config("top"))
        held = config("held", reference(top, blockOwnerDeletion=True), finalizers=["example.com/wait"])
        await at.client.create(ConfigMap.resource, held)
        await at.client.delete(ConfigMap.resource, "top", namespace="default", propagation="Foreground")

        async def held_is_going() -> bool:
            obj = await at.get(ConfigMap.resource, "held")
            return obj is not None and "deletionTimestamp" in obj["metadata"]

        await at.until(held_is_going)
        assert await names(at, ConfigMap.resource) == {"top", "held"}
        await at.client.patch(ConfigMap.resource, "held", {"metadata": {"finalizers": None}}, namespace="default")
        await gone(at, ConfigMap.resource, "top", "held")


async def test_orphans_stay_and_lose_their_reference() -> None:
    async with world() as at:
        top = await at.client.create(ConfigMap.resource, config("top"))
        other = await at.client.create(ConfigMap.resource, config("other"))
        await at.client.create(ConfigMap.resource, config("child", reference(top), reference(other)))
        await at.client.delete(ConfigMap.resource, "top", namespace="default", propagation="Orphan")
        await gone(at, ConfigMap.resource, "top")
        child = await at.get(ConfigMap.resource, "child")
        assert child is not None
        assert [each["name"] for each in child["metadata"]["ownerReferences"]] == ["other"]


async def test_of_two_owners_the_lost_one_is_forgotten() -> None:
    async with world() as at:
        one = await at.client.create(ConfigMap.resource, config("one"))
        two = await at.client.create(ConfigMap.resource, config("two"))
        await at.client.create(ConfigMap.resource, config("child", reference(one), reference(two)))
        await at.client.delete(ConfigMap.resource, "one", namespace="default")

        async def one_left() -> bool:
            child = await at.get(ConfigMap.resource, "child")
            assert child is not None
            return [each["name"] for each in child["metadata"]["ownerReferences"]] == ["two"]

        await at.until(one_left)


async def test_an_owner_in_another_namespace_is_refused_and_told() -> None:
    async with world() as at:
        await at.client.create(Namespace.resource, {"metadata": {"name": "other"}})
        owner = await at.client.create(ConfigMap.resource, config("owner", namespace="other"))
        await at.client.create(ConfigMap.resource, config("child", reference(owner)))
        await gone(at, ConfigMap.resource, "child")
        [message] = await at.events("OwnerRefInvalidNamespace")
        assert message.startswith("ownerRef [v1/ConfigMap, namespace: default, name: owner, uid: ")
        assert message.endswith('] does not exist in namespace "default"')


async def test_a_circle_of_owners_goes_in_the_foreground() -> None:
    async with world() as at:
        first = await at.client.create(ConfigMap.resource, config("first"))
        second = await at.client.create(ConfigMap.resource, config("second", reference(first, blockOwnerDeletion=True)))
        references = [reference(second, blockOwnerDeletion=True)]
        await at.client.patch(
            ConfigMap.resource, "first", {"metadata": {"ownerReferences": references}}, namespace="default"
        )
        await at.client.delete(ConfigMap.resource, "first", namespace="default", propagation="Foreground")
        await gone(at, ConfigMap.resource, "first", "second")


async def test_a_deployment_takes_its_pods_along() -> None:
    async with world() as at:
        labels = {"app": "web"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
        spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
        metadata = {"name": "web", "namespace": "default"}
        await at.client.create(Deployment.resource, {"metadata": metadata, "spec": spec})

        async def up() -> bool:
            return len(await at.items(Pod.resource)) == 3

        await at.until(up)
        await at.client.delete(Deployment.resource, "web", namespace="default", propagation="Foreground")

        async def down() -> bool:
            kinds = (Deployment.resource, ReplicaSet.resource, Pod.resource)
            return not any([await at.items(each) for each in kinds])

        await at.until(down)
        assert await names(at, Node.resource, "") == {"node-a", "node-b"}
