"""Every operation on the kinds of the smaller groups: found in discovery, made, read, watched, changed, taken away."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.server.world import Api, World

from kaa.kinds.registry import builtin

Json = dict[str, Any]
KINDS = Path(__file__).parents[2] / "examples" / "kinds"
REGISTRY = builtin()


def example(name: str, at: int = 0) -> Json:
    found: Json = list(yaml.safe_load_all((KINDS / f"{name}.yaml").read_text()))[at]
    return found


def place(obj: Json) -> tuple[str, str]:
    """The path of a kind's collection in the default namespace, and that of all namespaces."""
    spec = REGISTRY.by_kind(obj["apiVersion"], obj["kind"])
    assert spec is not None
    resource = spec.resource
    root = f"/apis/{resource.api_version}" if resource.group else "/api/v1"
    everywhere = f"{root}/{resource.plural}"
    return (f"{root}/namespaces/default/{resource.plural}" if resource.namespaced else everywhere), everywhere


async def discovered(api: Api, obj: Json) -> None:
    group, _, version = obj["apiVersion"].rpartition("/")
    groups = (await api.get("/apis")).ok()["groups"]
    assert version in [each["version"] for found in groups if found["name"] == group for each in found["versions"]]
    listed = (await api.get(f"/apis/{obj['apiVersion']}")).ok()["resources"]
    assert obj["kind"] in [each["kind"] for each in listed]


async def operations(api: Api, obj: Json) -> None:
    """What the conformance tests of these kinds have in common."""
    if "/" in obj["apiVersion"]:
        await discovered(api, obj)
    at, everywhere = place(obj)
    name = obj["metadata"]["name"]
    revision = (await api.get(at)).revision
    async with await api.watch(everywhere, resourceVersion=revision) as watching:
        made = (await api.post(at, obj)).ok(201)
        assert (await api.get(f"{at}/{name}")).ok()["metadata"]["uid"] == made["metadata"]["uid"]
        assert name in (await api.get(at)).names and name in (await api.get(everywhere)).names
        patched = (await api.merge(f"{at}/{name}", {"metadata": {"annotations": {"patched": "true"}}})).ok()
        assert patched["metadata"]["annotations"]["patched"] == "true"
        updated = copy.deepcopy(patched)
        updated["metadata"].setdefault("labels", {})["updated"] = "true"
        assert (await api.put(f"{at}/{name}", updated)).ok()["metadata"]["labels"]["updated"] == "true"
        assert (await api.get(at, labelSelector="updated=true")).names == [name]
        (await api.delete(f"{at}/{name}")).ok()
        assert (await api.get(f"{at}/{name}")).code == 404
        assert await watching.take(4) == [
            ("ADDED", name), ("MODIFIED", name), ("MODIFIED", name), ("DELETED", name),
        ]  # fmt: skip
    for count in range(2):
        another = copy.deepcopy(obj)
        another["metadata"] = {"name": _other_name(name, count), "labels": {"group": "many"}}
        (await api.post(at, another)).ok(201)
    assert len((await api.get(at, labelSelector="group=many")).names) == 2
    (await api.delete(at, labelSelector="group=many")).ok()
    assert (await api.get(at, labelSelector="group=many")).names == []


def _other_name(name: str, count: int) -> str:
    return f"{name}-{count}" if not name[0].isdigit() else f"10.99.8.{count}"


async def status_written(api: Api, at: str, status: Json, *, marked: bool = True) -> Json:
    """Through /status only: by patch, and by update. Answers the object. Kinds that are not `marked` keep their
    metadata as it was: their status is written alone."""
    (await api.merge(at, {"status": status})).ok()
    untouched = (await api.get(at)).ok().get("status", {})
    assert all(untouched.get(name) != value for name, value in status.items())
    found = (await api.merge(f"{at}/status", {"metadata": {"annotations": {"by": "status"}}, "status": status})).ok()
    assert {name: found["status"][name] for name in status} == status
    assert (found["metadata"].get("annotations") or {}).get("by") == ("status" if marked else None)
    found["metadata"]["annotations"] = {"by": "update"}
    return (await api.put(f"{at}/status", found)).ok()


@pytest.mark.conformance("RuntimeClass API")
async def test_runtime_classes(world: World) -> None:
    await operations(world.admin, example("runtimeclass"))


@pytest.mark.conformance("IngressClass API")
async def test_ingress_classes(world: World) -> None:
    await operations(world.admin, example("ingressclass"))


@pytest.mark.conformance("Ingress API")
async def test_ingresses(world: World) -> None:
    api, obj = world.admin, example("ingress")
    await operations(api, obj)
    at, _ = place(obj)
    (await api.post(at, obj)).ok(201)
    found = await status_written(api, f"{at}/shop", {"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}})
    assert found["status"] == {"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}}
    refused = await api.merge(f"{at}/shop/status", {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3"}]}}})
    assert refused.code == 422 and "status.loadBalancer.ingress[0].ip: Invalid value" in refused.message


@pytest.mark.conformance("EndpointSlice API")
async def test_endpoint_slices(world: World) -> None:
    await operations(world.admin, example("endpointslice"))


@pytest.mark.conformance("lease API should be available")
async def test_leases(world: World) -> None:
    await operations(world.admin, example("lease"))


@pytest.mark.conformance("Priority and Fairness FlowSchema API")
async def test_flow_schemas(world: World) -> None:
    api, obj = world.admin, example("flowschema")
    await operations(api, obj)
    at, _ = place(obj)
    (await api.post(at, obj)).ok(201)
    condition = {"type": "Dangling", "status": "False", "reason": "Found", "message": "it is there"}
    await status_written(api, f"{at}/example-operators", {"conditions": [condition]}, marked=False)


@pytest.mark.conformance("Priority and Fairness PriorityLevelConfiguration API")
async def test_priority_levels(world: World) -> None:
    api, obj = world.admin, example("prioritylevelconfiguration")
    await operations(api, obj)
    at, _ = place(obj)
    (await api.post(at, obj)).ok(201)
    condition = {"type": "Known", "status": "True", "reason": "Seen", "message": "it is there"}
    await status_written(api, f"{at}/example-operators", {"conditions": [condition]}, marked=False)


@pytest.mark.conformance("ValidatingAdmissionPolicy API")
async def test_admission_policies(world: World) -> None:
    api, obj = world.admin, example("validatingadmissionpolicy")
    await operations(api, obj)
    at, _ = place(obj)
    (await api.post(at, obj)).ok(201)
    condition = {
        "type": "Ready", "status": "True", "reason": "Checked", "message": "", "lastTransitionTime":
        "2026-01-05T10:00:00Z",
    }  # fmt: skip
    await status_written(api, f"{at}/replica-limit", {"conditions": [condition]}, marked=False)
    refused = await api.merge(f"{at}/replica-limit/status", {"status": {"conditions": [{"type": "Ready"}]}})
    assert refused.code == 422
    await operations(api, example("validatingadmissionpolicybinding"))


@pytest.mark.parametrize("name", ["mutatingadmissionpolicy", "mutatingadmissionpolicybinding",
                                  "mutatingwebhookconfiguration", "validatingwebhookconfiguration"])  # fmt: skip
async def test_admission_kinds(world: World, name: str) -> None:
    await operations(world.admin, example(name))


@pytest.mark.conformance("CertificateSigningRequest API")
async def test_certificate_requests(world: World) -> None:
    api, obj = world.as_user("jane", "system:masters", "team-a"), example("certificatesigningrequest")
    obj["spec"]["username"] = "somebody-else"
    await operations(api, obj)
    at, _ = place(obj)
    made = (await api.post(at, obj)).ok(201)
    assert made["spec"]["username"] == "jane" and "team-a" in made["spec"]["groups"]
    approved = {"type": "Approved", "status": "True", "reason": "Seen", "message": "it is jane"}
    ways = f"{at}/jane"
    # Decisions are made by /approval alone, the certificate is given by /status alone.
    assert (
        "conditions" not in (await api.merge(f"{ways}/status", {"status": {"conditions": [approved]}})).ok()["status"]
    )
    found = (await api.merge(f"{ways}/approval", {"status": {"conditions": [approved]}})).ok()
    assert [each["type"] for each in found["status"]["conditions"]] == ["Approved"]
    undone = await api.merge(f"{ways}/approval", {"status": {"conditions": []}})
    assert undone.code == 422 and 'updates may not remove a condition of type "Approved"' in undone.message
    both = await api.merge(f"{ways}/approval", {"status": {"conditions": [approved, {**approved, "type": "Denied"}]}})
    assert both.code == 422 and "Approved and Denied conditions are mutually exclusive" in both.message
    wrong = await api.merge(f"{ways}/status", {"status": {"certificate": "aGVsbG8="}})
    assert wrong.code == 422 and "must contain at least one CERTIFICATE PEM block" in wrong.message
    changed = (await api.merge(ways, {"spec": {"signerName": "example.com/other"}})).ok()
    assert changed["spec"]["signerName"] == "kubernetes.io/kube-apiserver-client"


@pytest.mark.conformance("PodDisruptionBudget: create, update, patch, and delete object")
@pytest.mark.conformance("PodDisruptionBudget: list and delete collection")
async def test_disruption_budgets(world: World) -> None:
    await operations(world.admin, example("poddisruptionbudget"))


@pytest.mark.conformance("PodDisruptionBudget: update and patch status")
async def test_the_status_of_a_disruption_budget(world: World) -> None:
    api, obj = world.admin, example("poddisruptionbudget")
    at, _ = place(obj)
    (await api.post(at, obj)).ok(201)
    await status_written(api, f"{at}/db", {"disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2})


@pytest.mark.conformance("CSIDriver, lifecycle")
async def test_csi_drivers(world: World) -> None:
    await operations(world.admin, example("csidriver"))


@pytest.mark.conformance("CSINode, lifecycle")
async def test_csi_nodes(world: World) -> None:
    await operations(world.admin, example("csinode"))


@pytest.mark.conformance("CSIStorageCapacity API")
async def test_csi_capacities(world: World) -> None:
    await operations(world.admin, example("csistoragecapacity"))


@pytest.mark.conformance("StorageClass, lifecycle")
async def test_storage_classes(world: World) -> None:
    await operations(world.admin, example("storageclass"))


@pytest.mark.conformance("VolumeAttachment, apply changes to a volumeattachment status")
async def test_volume_attachments(world: World) -> None:
    api, obj = world.admin, example("volumeattachment")
    await operations(api, obj)
    at, _ = place(obj)
    (await api.post(at, obj)).ok(201)
    await status_written(api, f"{at}/csi-0123", {"attached": True}, marked=False)


@pytest.mark.conformance("PersistentVolumes(Claims), apply changes to a pv/pvc status")
async def test_the_status_of_volumes_and_claims(world: World) -> None:
    api = world.admin
    for name, status in (
        ("persistentvolume", {"phase": "Available", "message": "seen"}),
        (
            "persistentvolumeclaim",
            {"phase": "Bound", "accessModes": ["ReadWriteMany"], "capacity": {"storage": "50Gi"}},
        ),
    ):
        obj = example(name)
        at, _ = place(obj)
        (await api.post(at, obj)).ok(201)
        await status_written(api, f"{at}/{obj['metadata']['name']}", status)


@pytest.mark.parametrize("name", ["priorityclass", "volumeattributesclass", "ipaddress", "servicecidr", "deviceclass",
                                  "resourceclaim", "resourceclaimtemplate", "resourceslice", "networkpolicy", "role",
                                  "horizontalpodautoscaler", "podtemplate"])  # fmt: skip
async def test_other_kinds(world: World, name: str) -> None:
    await operations(world.admin, example(name))
