"""Custom resources as users meet them: kubectl, the oldest and today's, and the Python clients that operators use."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client, config
from lightkube import Client as LightClient
from lightkube import KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import PatchType
from tests.server.definitions import definition, version
from tests.server.live import FOUND, Kubectl, LiveServer

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

Json = dict[str, Any]

SCHEMA: Json = {
    "type": "object",
    "description": "What a widget should be.",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "description": "How big."},
        "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
        "replicas": {"type": "integer"},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
    },
}
COLUMNS = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
           {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1}]  # fmt: skip
SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
         "labelSelectorPath": ".status.selector"}  # fmt: skip


def crd(kind: str) -> Json:
    return definition(
        version(schema=SCHEMA, additionalPrinterColumns=COLUMNS, subresources={"status": {}, "scale": SCALE}),
        kind=kind, names={"shortNames": [kind.lower()[:3]], "categories": ["all"]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("custom"))
    live.start()
    yield live
    live.stop()


@pytest.fixture(params=sorted(FOUND))
def kubectl(request: pytest.FixtureRequest, server: LiveServer) -> Kubectl:
    return Kubectl(FOUND[request.param], server)


def manifest(kind: str, name: str, **spec: Any) -> str:
    return str(yaml.safe_dump({"apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}))


def test_kubectl(kubectl: Kubectl) -> None:
    kind = "Gadget" if "1.32" in kubectl.binary else "Widget"
    plural, short = kind.lower() + "s", kind.lower()[:3]
    kubectl.run("apply", "-f", "-", text=yaml.safe_dump(crd(kind)))
    kubectl.run("wait", "--for=condition=established", "--timeout=10s", f"crd/{plural}.example.com")
    # The very next command uses it: discovery, schema and validation are there.
    kubectl.run("create", "-f", "-", text=manifest(kind, "a", size=1))
    assert kubectl.run("get", short).splitlines()[0].split() == ["NAME", "SIZE"]
    assert kubectl.run("get", short, "-o", "wide").splitlines()[1].split() == ["a", "1", "red"]
    assert f"{kind.lower()}.example.com/a" in kubectl.run("get", "all", "-o", "name")
    told = kubectl.run("explain", f"{plural}.spec", "--recursive")
    assert "What a widget should be." in told
    assert all(word in told for word in ("size", "color", "parts", "name"))
    assert "How big." in kubectl.run("explain", f"{plural}.spec.size")
    kubectl.run("create", "-f", "-", text=manifest(kind, "b", size=1, odd=2), code=1)
    assert 'unknown field "spec.odd"' in kubectl.errors
    kubectl.run("create", "-f", "-", "--validate=warn", text=manifest(kind, "b", size=1, odd=2))
    assert 'Warning: unknown field "spec.odd"' in kubectl.errors
    kubectl.run("apply", "-f", "-", text=manifest(kind, "c", size=0), code=1)
    assert "spec.size in body should be greater than or equal to 1" in kubectl.errors
    kubectl.run("apply", "-f", "-", text=manifest(kind, "c", size=1))
    assert "configured" in kubectl.run("apply", "-f", "-", text=manifest(kind, "c", size=2))
    kubectl.run("apply", "--server-side", "-f", "-", text=manifest(kind, "d", size=1))
    kubectl.run("apply", "--server-side", "--field-manager=other", "-f", "-", text=manifest(kind, "d", size=2), code=1)
    assert 'conflict with "kubectl": .spec.size' in kubectl.errors
    kubectl.run("scale", f"{plural}/c", "--replicas=3")
    assert kubectl.run("get", plural, "c", "-o", "jsonpath={.spec.replicas}") == "3"
    kubectl.run("patch", plural, "c", "--type=merge", "-p", '{"spec":{"color":"green"}}')
    kubectl.run("patch", plural, "c", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Fine"}}')
    kubectl.run("wait", f"{plural}/c", "--for=jsonpath={.status.phase}=Fine", "--timeout=5s")
    kubectl.run("label", plural, "c", "x=y")
    kubectl.run("edit", plural, "c", KUBE_EDITOR="sed -i s/green/red/")
    assert kubectl.run("get", plural, "-l", "x=y", "-o", "jsonpath={.items[*].spec.color}") == "red"
    following = kubectl.start("get", plural, "-w", "-o", "name")
    try:
        kubectl.run("create", "-f", "-", text=manifest(kind, "late", size=1))
        assert following.stdout is not None
        seen = ""
        while "late" not in seen:
            seen = following.stdout.readline()
            assert seen
    finally:
        following.terminate()
        following.communicate(timeout=10)
    assert "Fine" in kubectl.run("describe", plural, "c")
    assert kubectl.run("auth", "can-i", "create", plural).strip() == "yes"
    kubectl.run("delete", plural, "--all")
    kubectl.run("delete", "crd", f"{plural}.example.com")
    kubectl.run("get", plural, code=1)
    assert "the server could not find the requested resource" in kubectl.errors  # it remembers that there was one


@pytest.fixture
def gizmos(server: LiveServer) -> Iterator[client.ApiClient]:
    made = config.new_client_from_config(str(server.kubeconfig))
    extensions = client.ApiextensionsV1Api(made)
    extensions.create_custom_resource_definition(crd("Gizmo"))
    for _ in range(200):
        found = extensions.read_custom_resource_definition("gizmos.example.com")
        if any(each.type == "Established" and each.status == "True" for each in found.status.conditions or ()):
            break
        time.sleep(0.02)
    yield made
    extensions.delete_custom_resource_definition("gizmos.example.com")
    for _ in range(200):
        if not extensions.list_custom_resource_definition().items:
            break
        time.sleep(0.02)
    made.close()


def gizmo(name: str, **spec: Any) -> Json:
    return {"apiVersion": "example.com/v1", "kind": "Gizmo", "metadata": {"name": name}, "spec": spec}


def test_the_official_client(gizmos: client.ApiClient) -> None:
    custom = client.CustomObjectsApi(gizmos)
    place = ("example.com", "v1", "default", "gizmos")
    made = custom.create_namespaced_custom_object(*place, gizmo("a", size=1))
    assert made["spec"] == {"size": 1, "color": "red"}
    changed = custom.patch_namespaced_custom_object(*place, "a", {"spec": {"size": 2}})
    assert changed["metadata"]["generation"] == 2
    custom.patch_namespaced_custom_object_status(*place, "a", {"status": {"replicas": 1, "selector": "app=a"}})
    custom.patch_namespaced_custom_object_scale(*place, "a", {"spec": {"replicas": 4}})
    scale = custom.get_namespaced_custom_object_scale(*place, "a")
    assert (scale["spec"], scale["status"]) == ({"replicas": 4}, {"replicas": 1, "selector": "app=a"})
    changed = custom.get_namespaced_custom_object(*place, "a")
    changed["spec"]["color"] = "blue"
    with pytest.raises(client.ApiException) as refused:
        custom.replace_namespaced_custom_object(*place, "a", changed)
    assert refused.value.status == 422
    assert json.loads(refused.value.body)["details"]["causes"][0]["field"] == "spec.color"
    listed = custom.list_cluster_custom_object("example.com", "v1", "gizmos")["items"]
    assert [each["metadata"]["name"] for each in listed] == ["a"]
    custom.delete_collection_namespaced_custom_object(*place)
    assert custom.list_namespaced_custom_object(*place)["items"] == []


def test_lightkube(gizmos: client.ApiClient, server: LiveServer) -> None:
    kind = create_namespaced_resource("example.com", "v1", "Gizmo", "gizmos")
    api = LightClient(config=KubeConfig.from_file(str(server.kubeconfig)), namespace="default", field_manager="light")
    api.apply(kind(metadata={"name": "l"}, spec={"size": 1}))
    assert api.get(kind, "l").spec == {"size": 1, "color": "red"}
    api.patch(kind, "l", {"spec": {"size": 5}}, patch_type=PatchType.MERGE)
    assert [each.spec["size"] for each in api.list(kind)] == [5]
    with pytest.raises(ApiError, match="greater than or equal to 1"):
        api.create(kind(metadata={"name": "m"}, spec={"size": 0}))
    for event, found in api.watch(kind):
        assert (event, found.metadata.name) == ("ADDED", "l")
        break
    api.delete(kind, "l")


@pytest.mark.filterwarnings("ignore:Kubernetes version .* is not supported")  # it lags behind by a version
async def test_kr8s(gizmos: client.ApiClient, server: LiveServer) -> None:
    import kr8s.asyncio
    from kr8s.asyncio.objects import new_class

    api = await kr8s.asyncio.api(kubeconfig=str(server.kubeconfig), namespace="default")
    kind = new_class("Gizmo", version="example.com/v1", namespaced=True, scalable=True)
    made = await kind(gizmo("k", size=1, replicas=1), api=api)
    await made.create()
    assert made.spec.color == "red"
    await made.patch({"spec": {"size": 3}})
    await made.scale(2)
    found = [each async for each in api.get("gizmos.example.com")]
    assert [(each.name, each.spec.size, each.spec.replicas) for each in found] == [("k", 3, 2)]
    await made.delete()
    assert [each async for each in api.get("gizmos.example.com")] == []
