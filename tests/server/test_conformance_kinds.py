"""The same walk with every kind that is stored: made, dry-run, read in each form, watched, patched four ways, updated,
applied, its status written, deleted, and deleted in numbers by selectors."""

import copy
from typing import Any

import orjson
import pytest
import yaml
from tests.server.test_operations import KINDS, REGISTRY, discovered, example, operations, place, status_written
from tests.server.world import PODS, TABLE, Api, World

Json = dict[str, Any]
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIALS = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
#: Its instances come and go with it, which tests of its own follow; a namespace waits for its controller.
ELSEWHERE = ("customresourcedefinition", "namespace")
FILES = sorted(each.stem for each in KINDS.glob("*.yaml"))
NAMES = [each for each in FILES if each not in ELSEWHERE]


def renamed(obj: Json, suffix: str) -> Json:
    """Another one of the kind. Some have names that mean something."""
    made = copy.deepcopy(obj)
    name = made["metadata"]["name"]
    made["metadata"]["name"] = f"10.98.7.{ord(suffix)}" if made["kind"] == "IPAddress" else f"{name}-{suffix}"
    if made["kind"] == "APIService":
        made["spec"]["version"] = f"v{ord(suffix)}"
        made["metadata"]["name"] = f"v{ord(suffix)}.{made['spec']['group']}"
    if made["kind"] == "ServiceCIDR":
        made["spec"]["cidrs"] = [f"10.{ord(suffix)}.0.0/16"]
    if made["kind"] == "Service":
        made["spec"].pop("clusterIP", None)
        for port in made["spec"]["ports"]:
            port.pop("nodePort", None)
    return made


async def gone(api: Api, path: str) -> None:
    """Taken off, with whatever holds it."""
    answer = await api.get(path)
    if answer.code == 200:
        (await api.merge(path, {"metadata": {"finalizers": None}})).ok()
        await api.delete(path, gracePeriodSeconds=0)
    assert (await api.get(path)).code == 404


@pytest.mark.parametrize("name", NAMES)
async def test_every_operation_on_every_kind(world: World, name: str) -> None:
    api, obj = world.admin, example(name)
    at, everywhere = place(obj)
    spec = REGISTRY.by_kind(obj["apiVersion"], obj["kind"])
    assert spec is not None
    one = f"{at}/{obj['metadata']['name']}"
    obj["metadata"].setdefault("labels", {})["walk"] = "one"

    trial = (await api.post(at, obj, dryRun="All")).ok(201)
    assert trial["metadata"]["uid"] and (await api.get(one)).code == 404
    revision = (await api.get(at)).revision
    async with await api.watch(everywhere, resourceVersion=revision, labelSelector="walk") as watching:
        made = (await api.post(at, obj)).ok(201)
        assert (made["kind"], made["apiVersion"]) == (obj["kind"], obj["apiVersion"])
        again = await api.post(at, obj)
        assert (again.code, again.reason) == (409, "AlreadyExists")
        found = (await api.get(one)).ok()
        assert found == made
        assert (await watching.next()) == {"type": "ADDED", "object": made}

        assert (await api.get(at, labelSelector="walk=one")).names == [obj["metadata"]["name"]]
        assert (await api.get(everywhere, fieldSelector=f"metadata.name={made['metadata']['name']}")).names
        table = (await api.get(at, accept=TABLE, labelSelector="walk")).ok()
        assert len(table["rows"]) == 1 and len(table["rows"][0]["cells"]) == len(table["columnDefinitions"])
        partial = (await api.get(one, accept=PARTIAL)).ok()
        assert partial["metadata"] == made["metadata"] and set(partial) == {"kind", "apiVersion", "metadata"}
        listed = (await api.get(at, accept=PARTIALS, labelSelector="walk")).ok()
        assert [each["metadata"]["uid"] for each in listed["items"]] == [made["metadata"]["uid"]]
        read = yaml.load((await api.get(one, accept="application/yaml")).body, yaml.CSafeLoader)
        assert read["metadata"]["uid"] == made["metadata"]["uid"]

        patches: list[tuple[str, Any]] = [
            ("application/merge-patch+json", {"metadata": {"annotations": {"merge": "1"}}}),
            ("application/strategic-merge-patch+json", {"metadata": {"annotations": {"strategic": "1"}}}),
            ("application/json-patch+json", [{"op": "add", "path": "/metadata/annotations/json", "value": "1"}]),
        ]
        for media, body in patches:
            patched = (await api.ask("PATCH", one, body, media=media)).ok()
        assert {"merge", "strategic", "json"} <= set(patched["metadata"]["annotations"])
        applied = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": {
            "name": obj["metadata"]["name"], "annotations": {"applied": "1"}}}  # fmt: skip
        after = (await api.apply(one, applied, "walker")).ok()
        assert after["metadata"]["annotations"]["applied"] == "1"
        withdrawn = (await api.apply(one, {**applied, "metadata": {"name": obj["metadata"]["name"]}}, "walker")).ok()
        assert "applied" not in withdrawn["metadata"]["annotations"]

        updated = copy.deepcopy(withdrawn)
        updated["metadata"]["labels"]["updated"] = "true"
        updated = (await api.put(one, updated)).ok()
        stale = await api.put(one, {**withdrawn, "metadata": {**withdrawn["metadata"], "labels": {"x": "y"}}})
        assert (stale.code, stale.reason) == (409, "Conflict")
        types = [(await watching.next())["type"] for _ in range(6)]
        assert types == ["MODIFIED"] * 6
        assert updated["metadata"].get("generation") == made["metadata"].get("generation"), "metadata is no change"

        if "status" in spec.subresources:
            assert (await api.get(f"{one}/status")).ok() == updated
            state = copy.deepcopy(updated)
            state["metadata"]["annotations"] = {"by": "status"}
            state = (await api.put(f"{one}/status", state)).ok()
            assert state["spec"] == updated["spec"]
            (await api.merge(f"{one}/status", {"metadata": {"labels": {}}})).ok()

    (await api.delete(one, {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})).ok()
    await gone(api, one)

    for suffix in "ab":
        another = renamed(obj, suffix)
        another["metadata"]["labels"] = {"walk": "many", "which": suffix}
        (await api.post(at, another)).ok(201)
    assert len((await api.get(at, labelSelector="walk in (many),which")).names) == 2
    (await api.delete(at, labelSelector="walk=many,which=b", gracePeriodSeconds=0)).ok()
    await gone(api, f"{at}/{renamed(obj, 'b')['metadata']['name']}")
    assert (await api.get(at, labelSelector="walk=many")).names == [renamed(obj, "a")["metadata"]["name"]]


@pytest.mark.conformance("IPAddress API")
async def test_addresses(world: World) -> None:
    await operations(world.admin, example("ipaddress"))


@pytest.mark.conformance("VolumeAttributesClass, lifecycle")
async def test_volume_attributes_classes(world: World) -> None:
    await operations(world.admin, example("volumeattributesclass"))


@pytest.mark.conformance("CRUD operations for resourceclaims")
async def test_resource_claims(world: World) -> None:
    api, obj = world.admin, example("resourceclaim")
    await operations(api, obj)
    at, _ = place(obj)
    (await api.post(at, obj)).ok(201)
    reserved = [{"resource": "pods", "name": "p", "uid": "0b6b3b4c-0000-4000-8000-000000000000"}]
    allocation = {"devices": {"results": [
        {"request": "card", "driver": "gpu.example.com", "pool": "rack-1", "device": "card-0"},
        {"request": "card", "driver": "gpu.example.com", "pool": "rack-1", "device": "card-1"},
        {"request": "link/fast", "driver": "gpu.example.com", "pool": "rack-1", "device": "card-2"},
    ]}}  # fmt: skip
    found = await status_written(
        api, f"{at}/training", {"allocation": allocation, "reservedFor": reserved}, marked=False
    )
    assert found["status"]["reservedFor"] == reserved


@pytest.mark.conformance("CRUD operations for resourceclaimtemplates")
async def test_resource_claim_templates(world: World) -> None:
    await operations(world.admin, example("resourceclaimtemplate"))


@pytest.mark.conformance("CRUD operations for resoureslices")
async def test_resource_slices(world: World) -> None:
    await operations(world.admin, example("resourceslice"))


@pytest.mark.conformance("CronJob API Operations")
async def test_cron_jobs(world: World) -> None:
    api, obj = world.admin, example("cronjob")
    obj["spec"]["suspend"] = True
    await operations(api, obj)
    at, _ = place(obj)
    (await api.post(at, obj)).ok(201)
    found = await status_written(api, f"{at}/nightly", {"lastScheduleTime": "2026-01-05T10:00:00Z"})
    assert found["metadata"]["annotations"] == {"by": "update"}
    assert (await api.get(f"{at}/nightly/status")).ok() == found


@pytest.mark.conformance("Jobs, manage lifecycle")
async def test_jobs(world: World) -> None:
    api, obj = world.admin, example("job")
    obj["spec"]["suspend"] = True
    obj["metadata"]["labels"] = {"e2e": "report"}
    at, everywhere = place(obj)
    (await api.post(at, obj)).ok(201)
    patched = (await api.merge(f"{at}/report", {"metadata": {"labels": {"patched": "true"}}})).ok()
    assert patched["metadata"]["labels"] == {"e2e": "report", "patched": "true"}
    found = (await api.get(f"{at}/report")).ok()
    found["metadata"]["annotations"] = {"updated": "true"}
    assert (await api.put(f"{at}/report", found)).ok()["metadata"]["annotations"]["updated"] == "true"
    assert (await api.get(everywhere, labelSelector="e2e=report")).names == ["report"]
    (await api.delete(at, labelSelector="e2e=report", propagationPolicy="Background")).ok()
    assert (await api.get(everywhere, labelSelector="e2e=report")).names == []


@pytest.mark.conformance("StatefulSet, list, patch and delete a collection of StatefulSets")
async def test_stateful_sets(world: World) -> None:
    await operations(world.admin, example("statefulset"))


@pytest.mark.conformance("StatefulSet, status sub-resource")
async def test_the_status_of_a_stateful_set(world: World) -> None:
    await conditions_of(world.admin, "statefulset")


@pytest.mark.conformance("DaemonSet, status sub-resource")
async def test_the_status_of_a_daemon_set(world: World) -> None:
    await conditions_of(world.admin, "daemonset")


async def conditions_of(api: Api, name: str) -> None:
    """As the original's tests of workloads do: read, updated and patched, each seen by the next reader."""
    obj = example(name)
    at, _ = place(obj)
    (await api.post(at, obj)).ok(201)
    at = f"{at}/{obj['metadata']['name']}/status"
    assert "conditions" not in (await api.get(at)).ok()["status"]
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    found = (await api.get(at)).ok()
    counts = {each: 0 for each in ("replicas", "currentNumberScheduled", "desiredNumberScheduled", "numberReady",
                                   "numberMisscheduled", "availableReplicas") if each in found["status"]}  # fmt: skip
    found["status"]["conditions"] = [condition]
    assert (await api.put(at, found)).ok()["status"]["conditions"] == [condition]
    assert (await api.get(at)).ok()["status"]["conditions"] == [condition]
    patched = {**condition, "type": "StatusPatched", "reason": "Patched"}
    (await api.merge(at, {"status": {**counts, "conditions": [patched]}})).ok()
    assert (await api.get(at)).ok()["status"]["conditions"] == [patched]


@pytest.mark.conformance("CSIInlineVolumes should support Pods with inline volumes")
async def test_pods_with_volumes_of_a_driver(world: World) -> None:
    api = world.admin
    volume = {"name": "scratch", "csi": {"driver": "scratch.csi.example.com", "volumeAttributes": {"size": "1Gi"}}}
    for name in ("inline", "another"):
        made = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "labels": {"of": "csi"}}, "spec": {
            "containers": [{"name": "c", "image": "busybox"}], "volumes": [volume]}}  # fmt: skip
        assert (await api.post(PODS, made)).ok(201)["spec"]["volumes"][0] == volume
    assert (await api.get(f"{PODS}/inline")).ok()["spec"]["volumes"][0] == volume
    assert (await api.get("/api/v1/pods", labelSelector="of=csi")).names == ["another", "inline"]
    patched = (await api.merge(f"{PODS}/inline", {"metadata": {"labels": {"patched": "true"}}})).ok()
    assert patched["metadata"]["labels"] == {"of": "csi", "patched": "true"}
    (await api.delete(f"{PODS}/inline")).ok()
    (await api.delete(PODS, labelSelector="of=csi")).ok()
    assert (await api.get(PODS)).names == []


async def test_groups_and_kinds_of_the_walk_are_discovered(world: World) -> None:
    seen = set()
    for name in NAMES:
        obj = example(name)
        if "/" in obj["apiVersion"]:
            await discovered(world.admin, obj)
        seen.add(obj["kind"])
    core = orjson.loads((await world.admin.get("/api/v1")).body)["resources"]
    assert seen - {each["kind"] for each in core} >= {"Deployment", "Role", "Lease"}
    assert len(NAMES) == len(FILES) - len(ELSEWHERE)
