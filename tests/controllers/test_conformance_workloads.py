"""The original's stories of workloads and their owners, with the default controllers and a stand-in for the nodes."""

import asyncio
from typing import Any

import pytest
from tests.controllers.world import World, world
from tests.server.world import Api

Json = dict[str, Any]
CORE, APPS = "/api/v1/namespaces/default", "/apis/apps/v1/namespaces/default"
PODS, CONTROLLERS = f"{CORE}/pods", f"{CORE}/replicationcontrollers"
SETS, DEPLOYMENTS = f"{APPS}/replicasets", f"{APPS}/deployments"
LABELS = {"app": "web"}


def api_of(at: World) -> Api:
    """The same server by its paths."""
    return Api(at.client.transport)  # type: ignore[arg-type]


def template(image: str = "web:1", **more: Any) -> Json:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "web", "image": image}], **more}}


def workload(kind: str, replicas: int, name: str = "web", image: str = "web:1", **spec: Any) -> Json:
    selector: Json = LABELS if kind == "ReplicationController" else {"matchLabels": LABELS}
    version = "v1" if kind == "ReplicationController" else "apps/v1"
    return {"kind": kind, "apiVersion": version, "metadata": {"name": name, "labels": LABELS}, "spec": {
        "replicas": replicas, "selector": selector, "template": template(image), **spec}}  # fmt: skip


async def ready(at: World, path: str, count: int) -> Json:
    """The workload, once so many are ready and its status is of its newest spec."""

    async def is_ready() -> Json | None:
        obj = (await api_of(at).get(path)).ok()
        status = obj.get("status", {})
        good = status.get("readyReplicas", 0) == count == status.get("replicas", 0)
        return obj if good and status.get("observedGeneration") == obj["metadata"]["generation"] else None

    found: Json = await at.until(is_ready)
    return found


async def gone(at: World, path: str) -> None:
    async def is_gone() -> bool:
        return (await api_of(at).get(path)).code == 404

    await at.until(is_gone)


async def pods(at: World) -> list[Json]:
    found: list[Json] = (await api_of(at).get(PODS)).ok()["items"]
    return found


def owners(obj: Json) -> list[tuple[str, str]]:
    return [(each["kind"], each["name"]) for each in obj["metadata"].get("ownerReferences") or ()]


async def scaled(at: World, collection: str) -> None:
    """The `scale` of what runs one pod is read, updated and patched; the pods follow."""
    api, path = api_of(at), f"{collection}/web"
    await ready(at, path, 1)
    scale = (await api.get(f"{path}/scale")).ok()
    assert scale["kind"] == "Scale" and scale["spec"]["replicas"] == 1 == scale["status"]["replicas"]
    scale["spec"]["replicas"] = 2
    assert (await api.put(f"{path}/scale", scale)).ok()["spec"]["replicas"] == 2
    assert (await ready(at, path, 2))["spec"]["replicas"] == 2
    assert (await api.merge(f"{path}/scale", {"spec": {"replicas": 4}})).ok()["spec"]["replicas"] == 4
    assert (await ready(at, path, 4))["spec"]["replicas"] == 4


@pytest.mark.conformance("Deployment, completes the scaling of a Deployment subresource")
async def test_a_deployment_is_scaled() -> None:
    async with world() as at:
        (await api_of(at).post(DEPLOYMENTS, workload("Deployment", 1))).ok(201)
        await scaled(at, DEPLOYMENTS)


@pytest.mark.conformance("ReplicaSet, completes the scaling of a ReplicaSet subresource")
async def test_a_replica_set_is_scaled() -> None:
    async with world() as at:
        (await api_of(at).post(SETS, workload("ReplicaSet", 1))).ok(201)
        await scaled(at, SETS)


@pytest.mark.conformance("Deployment RollingUpdate")
async def test_old_pods_are_replaced() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post(SETS, workload("ReplicaSet", 1, "adopted", "old:1"))).ok(201)
        await ready(at, f"{SETS}/adopted", 1)
        (await api.post(DEPLOYMENTS, workload("Deployment", 1, image="new:1"))).ok(201)
        await ready(at, f"{DEPLOYMENTS}/web", 1)

        async def replaced() -> bool:
            old = (await api.get(f"{SETS}/adopted")).ok()
            return owners(old) == [("Deployment", "web")] and old["spec"]["replicas"] == 0

        await at.until(replaced)
        assert [each["spec"]["containers"][0]["image"] for each in await pods(at)] == ["new:1"]


@pytest.mark.conformance("Deployment RevisionHistoryLimit")
async def test_old_replica_sets_are_deleted() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post(SETS, workload("ReplicaSet", 1, "adopted", "old:1"))).ok(201)
        await ready(at, f"{SETS}/adopted", 1)
        (await api.post(DEPLOYMENTS, workload("Deployment", 1, image="new:1", revisionHistoryLimit=0))).ok(201)
        await gone(at, f"{SETS}/adopted")
        await ready(at, f"{DEPLOYMENTS}/web", 1)
        assert len((await api.get(SETS)).names) == 1


@pytest.mark.conformance("Deployment Rollover")
async def test_a_rollout_is_overtaken_by_the_next() -> None:
    async with world() as at:
        api = api_of(at)
        strategy = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        made = workload("Deployment", 2, strategy=strategy, minReadySeconds=0)
        (await api.post(DEPLOYMENTS, made)).ok(201)
        await ready(at, f"{DEPLOYMENTS}/web", 2)
        at.nodes.paused = True  # the second image never becomes ready
        for image in ("web:2", "web:3"):
            patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}
            (await api.ask("PATCH", f"{DEPLOYMENTS}/web", patch, media="application/strategic-merge-patch+json")).ok()

            async def begun(image: str = image) -> bool:
                return any(each["spec"]["containers"][0]["image"] == image for each in await pods(at))

            await at.until(begun)
        at.nodes.resume()

        async def rolled() -> bool:
            sets = (await api.get(SETS)).ok()["items"]
            kept = {
                each["spec"]["template"]["spec"]["containers"][0]["image"]: each["spec"]["replicas"] for each in sets
            }
            return kept == {"web:1": 0, "web:2": 0, "web:3": 2}

        await at.until(rolled)
        await ready(at, f"{DEPLOYMENTS}/web", 2)


@pytest.mark.conformance("Deployment, completes the lifecycle of a Deployment")
async def test_the_life_of_a_deployment() -> None:
    async with world() as at:
        api, path = api_of(at), f"{DEPLOYMENTS}/web"
        (await api.post(DEPLOYMENTS, workload("Deployment", 2))).ok(201)
        await ready(at, path, 2)
        patch = {"metadata": {"labels": {"patched": "true"}}, "spec": {"replicas": 1, "template": {"spec": {
            "terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": "web:2"}]}}}}  # fmt: skip
        (await api.ask("PATCH", path, patch, media="application/strategic-merge-patch+json")).ok()
        found = await ready(at, path, 1)
        assert found["metadata"]["labels"] == {**LABELS, "patched": "true"}
        assert (await api.get("/apis/apps/v1/deployments", labelSelector="patched=true")).names == ["web"]
        found["spec"]["replicas"] = 3
        (await api.put(path, found)).ok()
        found = await ready(at, path, 3)
        mine = {"type": "Mine", "status": "True", "reason": "E2E", "message": "patched", "lastUpdateTime":
                "2026-01-05T10:00:00Z", "lastTransitionTime": "2026-01-05T10:00:00Z"}  # fmt: skip
        seen = (await api.merge(f"{path}/status", {"status": {"conditions": [mine]}})).ok()
        assert seen["status"]["conditions"] == [mine] and (await api.get(f"{path}/status")).ok()["kind"] == "Deployment"
        seen = (await api.get(f"{path}/status")).ok()
        seen["metadata"]["annotations"]["by"] = "status"
        (await api.put(f"{path}/status", seen)).ok()
        (await api.delete(path)).ok()
        await gone(at, path)


@pytest.mark.conformance("ReplicaSet, is created, Replaced and Patched")
async def test_a_replica_set_is_replaced_and_patched() -> None:
    async with world() as at:
        api, path = api_of(at), f"{SETS}/web"
        (await api.post(SETS, workload("ReplicaSet", 1))).ok(201)
        await ready(at, path, 1)
        scale = (await api.get(f"{path}/scale")).ok()
        scale["spec"]["replicas"] = 2
        (await api.put(f"{path}/scale", scale)).ok()
        await ready(at, path, 2)
        patch = {"metadata": {"labels": {"patched": "true"}}, "spec": {"replicas": 3, "template": {"spec": {
            "terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": "web:2"}]}}}}  # fmt: skip
        (await api.ask("PATCH", path, patch, media="application/strategic-merge-patch+json")).ok()
        found = await ready(at, path, 3)
        assert found["metadata"]["labels"]["patched"] == "true"
        assert sorted(each["spec"]["containers"][0]["image"] for each in await pods(at)) == ["web:1", "web:1", "web:2"]


async def adopts_and_releases(at: World, collection: str, made: Json) -> None:
    api = api_of(at)
    lone = {"kind": "Pod", "apiVersion": "v1", **template()}
    lone["metadata"] = {"name": "lone", "labels": LABELS}
    (await api.post(PODS, lone)).ok(201)
    (await api.post(collection, made)).ok(201)

    async def adopted() -> bool:
        return owners((await api.get(f"{PODS}/lone")).ok()) == [(made["kind"], "web")]

    await at.until(adopted)
    (await api.merge(f"{PODS}/lone", {"metadata": {"labels": {"app": "another"}}})).ok()

    async def released() -> bool:
        return owners((await api.get(f"{PODS}/lone")).ok()) == [] and len(await pods(at)) == 2

    await at.until(released)


@pytest.mark.conformance("Replica Set, adopt matching pods and release non matching pods")
async def test_a_replica_set_adopts_and_releases() -> None:
    async with world() as at:
        await adopts_and_releases(at, SETS, workload("ReplicaSet", 1))


@pytest.mark.conformance("Replication Controller, adopt matching pods", "Replication Controller, release pods")
async def test_a_replication_controller_adopts_and_releases() -> None:
    async with world() as at:
        await adopts_and_releases(at, CONTROLLERS, workload("ReplicationController", 1))


@pytest.mark.conformance("Replication Controller, lifecycle")
async def test_the_life_of_a_replication_controller() -> None:
    async with world() as at:
        api, path = api_of(at), f"{CONTROLLERS}/web"
        (await api.post(CONTROLLERS, workload("ReplicationController", 1))).ok(201)
        await ready(at, path, 1)
        (await api.merge(path, {"metadata": {"labels": {"patched": "true"}}})).ok()
        seen = (await api.merge(f"{path}/status", {"status": {"readyReplicas": 0, "availableReplicas": 0}})).ok()
        assert seen["status"].get("readyReplicas", 0) == 0 == seen["status"].get("availableReplicas", 0)
        assert (await api.get(f"{path}/status")).ok()["metadata"]["labels"]["patched"] == "true"
        (await api.merge(f"{path}/scale", {"spec": {"replicas": 2}})).ok()
        found = await ready(at, path, 2)
        assert (await api.get("/api/v1/replicationcontrollers", labelSelector="patched=true")).names == ["web"]
        found["metadata"]["annotations"] = {"updated": "true"}
        (await api.put(path, found)).ok()
        (await api.delete(CONTROLLERS, labelSelector="patched=true")).ok()
        await gone(at, path)


@pytest.mark.conformance("Garbage Collector, delete deployment,  propagation policy background")
async def test_a_deployment_goes_with_its_sets_and_pods() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post(DEPLOYMENTS, workload("Deployment", 2))).ok(201)
        await ready(at, f"{DEPLOYMENTS}/web", 2)
        (await api.delete(f"{DEPLOYMENTS}/web", propagationPolicy="Background")).ok()
        assert (await api.get(f"{DEPLOYMENTS}/web")).code == 404

        async def nothing() -> bool:
            return not (await api.get(SETS)).names and not await pods(at)

        await at.until(nothing)


@pytest.mark.conformance("Garbage Collector, delete deployment, propagation policy orphan")
async def test_a_deployment_leaves_its_set_behind() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post(DEPLOYMENTS, workload("Deployment", 2))).ok(201)
        await ready(at, f"{DEPLOYMENTS}/web", 2)
        [name] = (await api.get(SETS)).names
        (await api.delete(f"{DEPLOYMENTS}/web", {"propagationPolicy": "Orphan"})).ok()
        await gone(at, f"{DEPLOYMENTS}/web")
        await asyncio.sleep(0.3)  # whoever wanted to take them would have
        assert owners((await api.get(f"{SETS}/{name}")).ok()) == []
        assert [owners(each) for each in await pods(at)] == [[("ReplicaSet", name)]] * 2


@pytest.mark.conformance("Garbage Collector, delete replication controller, propagation policy orphan")
async def test_a_replication_controller_leaves_its_pods_behind() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post(CONTROLLERS, workload("ReplicationController", 10))).ok(201)
        await ready(at, f"{CONTROLLERS}/web", 10)
        (await api.delete(f"{CONTROLLERS}/web", {"propagationPolicy": "Orphan"})).ok()
        await gone(at, f"{CONTROLLERS}/web")
        await asyncio.sleep(0.3)
        assert [owners(each) for each in await pods(at)] == [[]] * 10


@pytest.mark.conformance("Garbage Collector, delete replication controller, after owned pods")
async def test_a_replication_controller_goes_after_its_pods() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post(CONTROLLERS, workload("ReplicationController", 10))).ok(201)
        await ready(at, f"{CONTROLLERS}/web", 10)
        async with await api.watch("/api/v1/pods", resourceVersion=(await api.get(PODS)).revision) as pod_watch:
            revision = (await api.get(CONTROLLERS)).revision
            (await api.delete(f"{CONTROLLERS}/web", {"propagationPolicy": "Foreground"})).ok()
            going = (await api.get(f"{CONTROLLERS}/web")).ok()["metadata"]
            assert going["finalizers"] == ["foregroundDeletion"] and going["deletionTimestamp"]
            async with await api.watch(CONTROLLERS, resourceVersion=revision) as watching:
                while (last := await watching.next(15))["type"] != "DELETED":
                    pass
            deleted: list[int] = []
            while len(deleted) < 10:
                event = await pod_watch.next()
                if event["type"] == "DELETED":
                    deleted.append(int(event["object"]["metadata"]["resourceVersion"]))
        assert max(deleted) < int(last["object"]["metadata"]["resourceVersion"])
        assert await pods(at) == []


@pytest.mark.conformance("Garbage Collector, multiple owners")
async def test_what_somebody_else_owns_too_stays() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post(CONTROLLERS, workload("ReplicationController", 10))).ok(201)
        await ready(at, f"{CONTROLLERS}/web", 10)
        other = workload("ReplicationController", 0, "stays")
        other["spec"]["selector"] = other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        stays = (await api.post(CONTROLLERS, other)).ok(201)["metadata"]
        shared = [each["metadata"]["name"] for each in await pods(at)][:5]
        for name in shared:
            reference = {"apiVersion": "v1", "kind": "ReplicationController", "name": "stays", "uid": stays["uid"]}
            (await api.ask("PATCH", f"{PODS}/{name}", {"metadata": {"ownerReferences": [reference]}},
                           media="application/strategic-merge-patch+json")).ok()  # fmt: skip
        (await api.delete(f"{CONTROLLERS}/web", {"propagationPolicy": "Foreground"})).ok()
        await gone(at, f"{CONTROLLERS}/web")
        left = await pods(at)
        assert [each["metadata"]["name"] for each in left] == sorted(shared)
        assert all(owners(each) == [("ReplicationController", "stays")] for each in left)
        assert not any("deletionTimestamp" in each["metadata"] for each in left)


@pytest.mark.conformance("Garbage Collector, dependency cycle")
async def test_a_circle_of_pods_goes() -> None:
    async with world() as at:
        api, uids = api_of(at), {}
        for name in ("pod1", "pod2", "pod3"):
            made = {"kind": "Pod", "apiVersion": "v1", **template()}
            made["metadata"] = {"name": name}
            uids[name] = (await api.post(PODS, made)).ok(201)["metadata"]["uid"]
        for name, owner in (("pod1", "pod3"), ("pod2", "pod1"), ("pod3", "pod2")):
            reference = {"apiVersion": "v1", "kind": "Pod", "name": owner, "uid": uids[owner], "controller": True,
                         "blockOwnerDeletion": True}  # fmt: skip
            (await api.merge(f"{PODS}/{name}", {"metadata": {"ownerReferences": [reference]}})).ok()
        (await api.delete(f"{PODS}/pod1", {"propagationPolicy": "Foreground"})).ok()

        async def none() -> bool:
            return not await pods(at)

        await at.until(none)
