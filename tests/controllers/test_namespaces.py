"""Namespaces: what they have from the start, and how they go."""

from collections import Counter
from typing import Any

from tests.controllers.world import World, world

from kaa.controllers.namespace import Emptying, conditions_of
from kaa.kinds.views import ConfigMap, Namespace, Pod, ServiceAccount
from kaa.kinds.views.core import PodCondition

Json = dict[str, Any]


def test_conditions_name_what_remains() -> None:
    emptied = Emptying(remaining=Counter({"pods.": 2, "widgets.example.com": 1}), finalizers=Counter({"a/b": 1}))
    made = {each["type"]: each for each in conditions_of((), emptied, 1000.0)}
    assert made["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: pods. has 2 resource instances, widgets.example.com has 1 resource instances"
    )
    assert made["NamespaceFinalizersRemaining"]["message"] == (
        "Some content in the namespace has finalizers remaining: a/b in 1 resource instances"
    )
    assert made["NamespaceDeletionContentFailure"]["status"] == "False"
    assert made["NamespaceDeletionContentFailure"]["reason"] == "ContentDeleted"


def test_conditions_keep_their_time_while_they_keep_their_status() -> None:
    held = PodCondition(type="NamespaceContentRemaining", status="True", last_transition_time="2026-01-01T00:00:00Z")
    made = conditions_of((held,), Emptying(remaining=Counter({"pods.": 1})), 1e9)
    [remaining] = [each for each in made if each["type"] == held.type]
    assert remaining["lastTransitionTime"] == "2026-01-01T00:00:00Z"


async def make(at: World, name: str) -> None:
    await at.client.create(Namespace.resource, {"metadata": {"name": name}})


async def test_a_namespace_has_its_account_and_authority_and_keeps_them() -> None:
    async with world() as at:
        await make(at, "team")
        await at.until(lambda: at.get(ServiceAccount.resource, "default", "team"))
        made = await at.until(lambda: at.get(ConfigMap.resource, "kube-root-ca.crt", "team"))
        assert made["data"] == {"ca.crt": "PEM"}
        assert "kubernetes.io/description" in made["metadata"]["annotations"]
        await at.client.delete(ServiceAccount.resource, "default", namespace="team")
        patch = {"data": {"ca.crt": "forged", "more": "x"}}
        await at.client.patch(ConfigMap.resource, "kube-root-ca.crt", patch, namespace="team")

        async def mended() -> bool:
            held = await at.get(ConfigMap.resource, "kube-root-ca.crt", "team")
            account = await at.get(ServiceAccount.resource, "default", "team")
            return held is not None and held["data"] == {"ca.crt": "PEM"} and account is not None

        await at.until(mended)


async def test_a_namespace_goes_with_everything_in_it() -> None:
    async with world() as at:
        await make(at, "team")
        await at.until(lambda: at.get(ServiceAccount.resource, "default", "team"))
        spec = {"containers": [{"name": "web", "image": "web:1"}]}
        await at.client.create(Pod.resource, {"metadata": {"name": "a", "namespace": "team"}, "spec": spec})
        await at.client.create(ConfigMap.resource, {"metadata": {"name": "a", "namespace": "team"}})
        await at.client.delete(Namespace.resource, "team")

        async def gone() -> bool:
            return await at.get(Namespace.resource, "team") is None

        await at.until(gone)
        for resource in (Pod.resource, ConfigMap.resource, ServiceAccount.resource):
            assert not await at.items(resource, "team")


async def test_what_holds_a_namespace_up_is_said_and_pods_come_first() -> None:
    async with world() as at:
        await make(at, "team")
        await at.until(lambda: at.get(ServiceAccount.resource, "default", "team"))
        metadata: Json = {"name": "held", "namespace": "team", "finalizers": ["example.com/wait"]}
        spec = {"containers": [{"name": "web", "image": "web:1"}]}
        await at.client.create(Pod.resource, {"metadata": metadata, "spec": spec})
        await at.client.create(ConfigMap.resource, {"metadata": {"name": "used", "namespace": "team"}})
        await at.client.delete(Namespace.resource, "team")

        async def told() -> str:
            obj = await at.get(Namespace.resource, "team")
            assert obj is not None
            return next(
                (
                    each["message"] for each in obj["status"].get("conditions", ())
                    if each["type"] == "NamespaceFinalizersRemaining" and each["status"] == "True"
                ),
                "",
            )  # fmt: skip

        message = await at.until(told)
        assert message == (
            "Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances"
        )
        assert await at.get(ConfigMap.resource, "used", "team") is not None
        await at.client.patch(Pod.resource, "held", {"metadata": {"finalizers": None}}, namespace="team")

        async def gone() -> bool:
            return await at.get(Namespace.resource, "team") is None

        await at.until(gone)
