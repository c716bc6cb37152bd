"""Of every kind: the main resource writes no status, the status subresource nothing else, and generation counts."""

from typing import Any

import pytest
from tests.server.samples import SAMPLES, path_of, sample
from tests.server.world import Api, World

from kaa.kinds.metadata import keep_for_status

Json = dict[str, Any]

#: A status each kind takes, where it has one.
STATUS: dict[str, Json] = {
    "Namespace": {"phase": "Active", "conditions": [
        {"type": "NamespaceContentRemaining", "status": "False", "reason": "R", "message": "m",
         "lastTransitionTime": "2026-01-02T03:04:05Z"}]},
    "Node": {"phase": "Running", "capacity": {"cpu": "3"}},
    "PersistentVolume": {"phase": "Available", "message": "m"},
    "PersistentVolumeClaim": {"phase": "Bound"},
    "Pod": {"phase": "Running", "message": "m"},
    "ReplicationController": {"replicas": 1},
    "ResourceQuota": {"hard": {"pods": "1"}},
    "Service": {"conditions": [{"type": "X", "status": "True", "reason": "R", "message": "",
                                "lastTransitionTime": "2026-01-02T03:04:05Z"}]},
    "DaemonSet": {"currentNumberScheduled": 1, "numberMisscheduled": 0, "desiredNumberScheduled": 1, "numberReady": 0},
    "Deployment": {"replicas": 1}, "ReplicaSet": {"replicas": 1}, "StatefulSet": {"replicas": 1},
    "HorizontalPodAutoscaler": {"currentReplicas": 1, "desiredReplicas": 1},
    "CronJob": {"lastScheduleTime": "2026-01-02T03:04:05Z"},
    "Job": {"ready": 0, "failed": 1},
    "Ingress": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
    "PodDisruptionBudget": {"currentHealthy": 1, "desiredHealthy": 1, "disruptionsAllowed": 0, "expectedPods": 1},
    "VolumeAttachment": {"attached": True},
    "ValidatingAdmissionPolicy": {"observedGeneration": 1},
    "CustomResourceDefinition": {"storedVersions": ["v1"]},
    "ResourceClaim": {"allocation": {"devices": {"results": [
        {"request": "r", "driver": "d.example.com", "pool": "p", "device": "x"}]}}},
    "PriorityLevelConfiguration": {"conditions": [{"type": "X", "status": "True"}]},
    "FlowSchema": {"conditions": [{"type": "X", "status": "True"}]},
}  # fmt: skip


def without_owners(obj: Json) -> Json:
    """The object but for its status and what every write changes."""
    meta = {name: value for name, value in obj["metadata"].items() if name not in ("managedFields", "resourceVersion")}
    return {**{name: value for name, value in obj.items() if name != "status"}, "metadata": meta}


@pytest.mark.parametrize(("version", "plural", "kind", "namespaced", "content"), SAMPLES,
                         ids=[f"{each[0]}-{each[2]}" for each in SAMPLES])  # fmt: skip
async def test_status_and_the_rest_are_apart(
    world: World, version: str, plural: str, kind: str, namespaced: bool, content: Json
) -> None:
    api: Api = world.admin
    spec = world.server.parts.registry.by_kind(version, kind)
    assert spec is not None
    at, body = path_of(version, plural, namespaced), sample(version, kind, "iso", content)
    name = body["metadata"]["name"]
    made = (await api.post(at, body)).ok(201)
    generation = made["metadata"].get("generation")
    assert generation == (1 if spec.rules.generation else None)
    if not spec.has_status:
        assert (await api.get(f"{at}/{name}/status")).code == 404
        return
    told = {**(made.get("status") or {}), **STATUS[kind]}
    # Through the main resource: nothing of it arrives, at create as little as later.
    second = sample(version, kind, "iso2", content)
    fresh = await api.post(at, {**second, "status": told}, dryRun="All")
    if not spec.rules.status_on_create:
        assert fresh.ok(201).get("status") == made.get("status"), fresh.body
    assert (await api.put(f"{at}/{name}", {**made, "status": told})).ok().get("status") == made.get("status")
    main = await api.merge(f"{at}/{name}", {"status": told})
    assert main.ok().get("status") == made.get("status")
    # Through status: nothing else arrives.
    other = {**main.json, "status": told}
    other["metadata"] = {**other["metadata"], "labels": {"of": "another"}, "annotations": {"a": "b"}}
    if "spec" in other:
        other["spec"] = {}
    written = (await api.put(f"{at}/{name}/status", other)).ok()
    assert all(item in written["status"].items() for item in STATUS[kind].items()), written["status"]
    expected = {**main.json, "metadata": {**main.json["metadata"], "labels": {"of": "another"},
                                          "annotations": {"a": "b"}}}  # fmt: skip
    keep_for_status(expected, main.json, spec.resource.qualified)
    if kind == "Namespace":
        expected["metadata"]["labels"]["kubernetes.io/metadata.name"] = name
    assert without_owners(written) == without_owners(expected)
    assert written["metadata"].get("generation") == generation
    # And what status said stands, whatever the main resource says next.
    again = (await api.merge(f"{at}/{name}", {"metadata": {"labels": {"of": "third"}}, "status": None})).ok()
    assert again["status"] == written["status"] and again["metadata"].get("generation") == generation
    # A revision that is gone is a conflict there too.
    stale = {**again, "metadata": {**again["metadata"], "resourceVersion": made["metadata"]["resourceVersion"]}}
    assert (await api.put(f"{at}/{name}/status", stale)).code == 409


@pytest.mark.parametrize(
    ("resource", "kept"),
    [("pods", {"ownerReferences"}), ("deployments.apps", {"labels"}), ("services", set()),
     ("flowschemas.flowcontrol.apiserver.k8s.io", {"labels", "annotations", "finalizers", "ownerReferences"})],
)  # fmt: skip
def test_metadata_that_status_keeps(resource: str, kept: set[str]) -> None:
    old = {"metadata": {"labels": {"a": "1"}, "annotations": {"a": "1"}, "ownerReferences": [{"uid": "1"}]}}
    new = {"metadata": {"labels": {"a": "2"}, "annotations": {"a": "2"}, "finalizers": ["x/y"]}}
    before = {name: new["metadata"].get(name) for name in ("labels", "annotations", "finalizers", "ownerReferences")}
    keep_for_status(new, old, resource)
    for name, was in before.items():
        assert new["metadata"].get(name) == (old["metadata"].get(name) if name in kept else was), name
