"""Deployments and replica sets as users see them, against the real server."""

from typing import Any

from tests.controllers.world import World, world

from kaa.kinds.views import Deployment, Pod, ReplicaSet, ReplicationController
from kaa.meta.errors import StatusError

Json = dict[str, Any]


def template(image: str = "web:1", app: str = "web", **more: Any) -> Json:
    metadata = {"labels": {"app": app}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": image}], **more}}


def deployment(replicas: int = 3, image: str = "web:1", **spec: Any) -> Json:
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(image), **spec,
        },
    }  # fmt: skip


async def complete(at: World, replicas: int = 3, image: str = "web:1") -> Json | None:
    """The deployment, once it is rolled out."""
    obj = await at.get(Deployment.resource, "web")
    assert obj is not None
    status = obj.get("status") or {}
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    done = counts == [replicas] * 3 and status.get("observedGeneration") == obj["metadata"]["generation"]
    same = obj["spec"]["template"]["spec"]["containers"][0]["image"] == image
    settled = any(each.get("reason") == "NewReplicaSetAvailable" for each in status.get("conditions", ()))
    return obj if done and same and settled and not status.get("terminatingReplicas") else None


def conditions(obj: Json) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in obj["status"]["conditions"]}


async def set_image(at: World, image: str, **spec: Any) -> None:
    containers = [{"name": "web", "image": image}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}, **spec}}
    await at.client.patch(Deployment.resource, "web", patch, namespace="default", kind="strategic")


async def test_a_deployment_comes_up_rolls_and_rolls_back() -> None:
    async with world() as at:
        await at.client.create(Deployment.resource, deployment())
        first = await at.until(lambda: complete(at))
        assert conditions(first) == {
            "Available": ("True", "MinimumReplicasAvailable"),
            "Progressing": ("True", "NewReplicaSetAvailable"),
        }
        [one] = await at.items(ReplicaSet.resource)
        digest = one["metadata"]["labels"]["pod-template-hash"]
        assert one["metadata"]["name"] == f"web-{digest}"
        assert one["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
        assert one["metadata"]["annotations"] == {
            "deployment.kubernetes.io/revision": "1",
            "deployment.kubernetes.io/desired-replicas": "3",
            "deployment.kubernetes.io/max-replicas": "4",
        }
        assert first["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
        assert await at.events("ScalingReplicaSet") == [f"Scaled up replica set web-{digest} from 0 to 3"]

        await set_image(at, "web:2")
        second = await at.until(lambda: complete(at, image="web:2"))
        assert second["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
        sets = await at.items(ReplicaSet.resource)
        assert sorted(each["spec"]["replicas"] for each in sets) == [0, 3]

        await set_image(at, "web:1")  # what `kubectl rollout undo` does
        third = await at.until(lambda: complete(at, image="web:1"))
        assert third["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
        again = await at.get(ReplicaSet.resource, one["metadata"]["name"])
        assert again is not None
        assert again["metadata"]["uid"] == one["metadata"]["uid"]
        assert again["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
        assert again["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


async def test_history_is_cut_to_its_limit() -> None:
    async with world() as at:
        await at.client.create(Deployment.resource, deployment(1, revisionHistoryLimit=1))
        for number in range(1, 5):
            await set_image(at, f"web:{number}")
            await at.until(lambda n=number: complete(at, 1, f"web:{n}"))  # type: ignore[misc]

        async def two() -> bool:
            sets = await at.items(ReplicaSet.resource)
            return sorted(each["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for each in sets) == [
                "3", "4",
            ]  # fmt: skip

        await at.until(two)


async def test_recreate_never_runs_two_versions() -> None:
    async with world() as at:
        await at.client.create(Deployment.resource, deployment(2, strategy={"type": "Recreate"}))
        await at.until(lambda: complete(at, 2))
        await set_image(at, "web:2")
        seen: set[tuple[str, ...]] = set()

        async def rolled() -> bool:
            pods = await at.items(Pod.resource)
            seen.add(tuple(sorted({each["spec"]["containers"][0]["image"] for each in pods})))
            return bool(await complete(at, 2, "web:2"))

        await at.until(rolled)
        assert ("web:1", "web:2") not in seen


async def test_a_paused_deployment_scales_and_does_not_roll() -> None:
    async with world() as at:
        await at.client.create(Deployment.resource, deployment(2))
        await at.until(lambda: complete(at, 2))
        await set_image(at, "web:2", paused=True, replicas=4)

        async def scaled() -> Json | None:
            obj = await at.get(Deployment.resource, "web")
            assert obj is not None
            return obj if obj["status"].get("availableReplicas") == 4 else None

        obj = await at.until(scaled)
        assert conditions(obj)["Progressing"] == ("Unknown", "DeploymentPaused")
        assert obj["status"].get("updatedReplicas", 0) == 0
        await at.client.patch(Deployment.resource, "web", {"spec": {"paused": False}}, namespace="default")
        await at.until(lambda: complete(at, 4, "web:2"))


async def test_scaling_while_rolling_is_shared_in_proportion() -> None:
    async with world() as at:
        await at.client.create(
            Deployment.resource,
            deployment(10, strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}),
        )
        await at.until(lambda: complete(at, 10))
        at.nodes.paused = True
        await set_image(at, "web:2")

        async def sizes(*wanted: int) -> bool:
            sets = await at.items(ReplicaSet.resource)
            return sorted(each["spec"]["replicas"] for each in sets) == sorted(wanted)

        await at.until(lambda: sizes(8, 5))
        await at.client.patch(Deployment.resource, "web", {"spec": {"replicas": 15}}, namespace="default")
        await at.until(lambda: sizes(11, 7))
        at.nodes.resume()
        await at.until(lambda: complete(at, 15, "web:2"))


async def test_a_hash_that_is_taken_is_avoided() -> None:
    async with world() as at:
        await at.client.create(Deployment.resource, deployment(1))
        await at.until(lambda: complete(at, 1))
        [one] = await at.items(ReplicaSet.resource)
        await at.client.delete(Deployment.resource, "web", namespace="default", propagation="Orphan")

        async def gone() -> bool:
            return await at.get(Deployment.resource, "web") is None

        await at.until(gone)
        # Not ours to adopt: another template under the name that the hash gives.
        await at.client.delete(ReplicaSet.resource, one["metadata"]["name"], namespace="default")
        name = one["metadata"]["name"]

        async def free() -> bool:
            return await at.get(ReplicaSet.resource, name) is None

        await at.until(free)
        other = template("other:1", app="other")
        await at.client.create(
            ReplicaSet.resource,
            {
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "other"}}, "template": other},
            },
        )
        await at.client.create(Deployment.resource, deployment(1))
        done = await at.until(lambda: complete(at, 1))
        assert done["status"]["collisionCount"] == 1


async def test_orphans_are_adopted_and_strays_released() -> None:
    async with world() as at:
        pod = template()
        pod["metadata"] = {"name": "lone", "namespace": "default", "labels": {"app": "web"}}
        await at.client.create(Pod.resource, pod)
        body = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template()},
        }
        await at.client.create(ReplicaSet.resource, body)

        async def two_owned() -> list[Json] | None:
            pods = await at.items(Pod.resource)
            owned = [each for each in pods if each["metadata"].get("ownerReferences")]
            return owned if len(owned) == 2 == len(pods) else None

        owned = await at.until(two_owned)
        assert "lone" in [each["metadata"]["name"] for each in owned]
        await at.client.patch(Pod.resource, "lone", {"metadata": {"labels": {"app": "else"}}}, namespace="default")

        async def released() -> bool:
            lone = await at.get(Pod.resource, "lone")
            pods = await at.items(Pod.resource, labels="app=web")
            return lone is not None and not lone["metadata"].get("ownerReferences") and len(pods) == 2

        await at.until(released)


async def test_failure_to_make_pods_is_told_and_forgotten() -> None:
    async with world() as at:
        body = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": template(serviceAccountName="no"),
            },
        }  # fmt: skip
        await at.client.create(ReplicaSet.resource, body)

        async def failed() -> Json | None:
            obj = await at.get(ReplicaSet.resource, "web")
            assert obj is not None
            return obj if (obj.get("status") or {}).get("conditions") else None

        obj = await at.until(failed)
        assert conditions(obj) == {"ReplicaFailure": ("True", "FailedCreate")}
        messages = await at.events("FailedCreate")
        assert messages[0].startswith("Error creating: ")


async def test_a_replication_controller_keeps_its_pods() -> None:
    async with world() as at:
        body = {
            "metadata": {"name": "old", "namespace": "default"},
            "spec": {"replicas": 2, "selector": {"app": "web"}, "template": template()},
        }
        await at.client.create(ReplicationController.resource, body)

        async def available(count: int) -> bool:
            obj = await at.get(ReplicationController.resource, "old")
            assert obj is not None
            return (obj.get("status") or {}).get("availableReplicas", 0) == count

        await at.until(lambda: available(2))
        [one, _] = await at.items(Pod.resource)
        await at.client.delete(Pod.resource, one["metadata"]["name"], namespace="default")

        async def replaced() -> bool:
            names = [each["metadata"]["name"] for each in await at.items(Pod.resource)]
            return one["metadata"]["name"] not in names and len(names) == 2

        await at.until(replaced)
        await at.until(lambda: available(2))


async def test_fifty_replicas_settle_in_few_writes() -> None:
    async with world() as at:
        at.counted.writes.clear()
        await at.client.create(Deployment.resource, deployment(50))
        await at.until(lambda: complete(at, 50), 60)
        await at.until(lambda: at.manager.idle)
        writes = dict(at.counted.writes)
        assert writes.pop("POST pods") == 50
        assert writes.pop("POST replicasets") == 1
        writes.pop("POST events", None)
        writes.pop("PATCH events", None)
        assert sum(writes.values()) < 60, writes
        try:
            await at.client.delete(Deployment.resource, "web", namespace="default")
        except StatusError as error:  # pragma: no cover - says why
            raise AssertionError(error) from error

        async def nothing_left() -> bool:
            return not await at.items(ReplicaSet.resource) and not await at.items(Pod.resource)

        await at.until(nothing_left, 30)
