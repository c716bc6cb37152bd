"""Controllers that look after every kind look after custom ones too: owners and dependents, namespaces that go."""

from typing import Any

from tests.controllers.world import World, world

from kaa.controllers.settings import ControllersSettings
from kaa.kinds.views import ConfigMap, Namespace
from kaa.meta.resource import Resource

Json = dict[str, Any]

#: Kinds that come are noticed within the period of discovery, which is 30 s elsewhere.
QUICK = ControllersSettings(discovery_period_seconds=0.2)
CRD = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)
WIDGET = Resource("example.com", "v1", "widgets", "Widget", True)


async def defined(here: World) -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    await here.client.create(CRD, {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]},
    })  # fmt: skip

    async def established() -> bool:
        crd = await here.get(CRD, "widgets.example.com")
        conditions = {each["type"]: each["status"] for each in (crd or {}).get("status", {}).get("conditions", ())}
        return conditions.get("Established") == "True"

    await here.until(established)


def widget(name: str, **metadata: Any) -> Json:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name, **metadata}}


def owned_by(kind: str, api_version: str, owner: Json) -> Json:
    meta = owner["metadata"]
    return {"ownerReferences": [{"apiVersion": api_version, "kind": kind, "name": meta["name"], "uid": meta["uid"]}]}


async def made(here: World, resource: Resource, body: Json, namespace: str = "default") -> Json:
    await here.client.create(resource, body, namespace=namespace)
    found = await here.get(resource, body["metadata"]["name"], namespace)
    assert found is not None
    return found


async def test_dependents_of_custom_objects_and_custom_dependents() -> None:
    async with world(settings=QUICK) as here:
        await defined(here)
        top = await made(here, WIDGET, widget("top"))
        under = await made(here, WIDGET, widget("under", **owned_by("Widget", "example.com/v1", top)))
        owned = {"metadata": {"name": "settings", **owned_by("Widget", "example.com/v1", under)}}
        settings = await made(here, ConfigMap.resource, owned)
        await made(here, WIDGET, widget("last", **owned_by("ConfigMap", "v1", settings)))
        await made(here, WIDGET, widget("free"))
        await here.client.delete(WIDGET, "top", namespace="default")

        async def gone() -> bool:
            return all([await here.get(WIDGET, "under") is None, await here.get(ConfigMap.resource, "settings") is None,
                        await here.get(WIDGET, "last") is None])  # fmt: skip

        await here.until(gone, 30)
        assert await here.get(WIDGET, "free") is not None


async def test_a_namespace_goes_with_its_custom_objects() -> None:
    async with world(settings=QUICK) as here:
        await defined(here)
        await here.client.create(Namespace.resource, {"metadata": {"name": "team"}})
        await made(here, WIDGET, widget("a"), "team")
        await made(here, WIDGET, widget("held", finalizers=["example.com/hold"]), "team")
        await here.client.delete(Namespace.resource, "team")

        async def only_held() -> bool:
            return await here.get(WIDGET, "a", "team") is None

        await here.until(only_held, 30)
        held = await here.get(WIDGET, "held", "team")
        assert held is not None
        assert held["metadata"]["deletionTimestamp"]
        assert await here.get(Namespace.resource, "team") is not None
        await here.client.patch(WIDGET, "held", {"metadata": {"finalizers": None}}, namespace="team")

        async def namespace_gone() -> bool:
            return await here.get(Namespace.resource, "team") is None

        await here.until(namespace_gone, 30)
