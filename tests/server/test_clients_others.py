"""kr8s and lightkube, unchanged, against a listening server: what their users write with built-in kinds."""

import asyncio
import threading
from collections.abc import Iterator

import kr8s
import kr8s.asyncio
import lightkube
import pytest
from kr8s.asyncio import objects
from lightkube.core.exceptions import ApiError
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Node, Pod, Secret, ServiceAccount
from lightkube.types import CascadeType, PatchType
from tests.server.live import LiveServer

#: kr8s names the versions it has been tried with; this one is newer.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Kubernetes version")]
TEMPLATE = {"metadata": {"labels": {"app": "k"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("others"))
    live.start()
    light(live).create(ServiceAccount(metadata=ObjectMeta(name="default", namespace="default")))
    yield live
    live.stop()


def light(server: LiveServer) -> lightkube.Client:
    return lightkube.Client(lightkube.KubeConfig.from_file(str(server.kubeconfig)), field_manager="light")


def deployment(name: str, replicas: int) -> Deployment:
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels={"app": name}), spec=PodSpec(containers=[Container(name="c", image="nginx")])
    )
    return Deployment(
        metadata=ObjectMeta(name=name, namespace="default", labels={"of": "light"}),
        spec=DeploymentSpec(
            replicas=replicas, selector=LabelSelector(matchLabels={"app": name}), template=template
        ),
    )  # fmt: skip


def test_lightkube_makes_reads_changes_and_deletes(server: LiveServer) -> None:
    client = light(server)
    made = client.create(deployment("web", 2))
    assert made.metadata is not None and made.metadata.uid
    found = client.get(Deployment, "web", namespace="default")
    assert found == made
    assert found.metadata is not None and found.spec is not None
    found.metadata.annotations = {"replaced": "1"}
    replaced = client.replace(found)
    assert replaced.metadata.annotations == {"replaced": "1"} and replaced.metadata.generation == 1
    with pytest.raises(ApiError) as stale:
        client.replace(made)
    assert stale.value.status.code == 409 and stale.value.status.reason == "Conflict"
    scale = Deployment.Scale(metadata=ObjectMeta(name="web", namespace="default"), spec=ScaleSpec(replicas=5))
    assert client.replace(scale).spec.replicas == 5
    assert client.patch(Deployment, "web", {"spec": {"replicas": 1}}, namespace="default").spec.replicas == 1
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 4}]
    patched = client.patch(Deployment, "web", operations, namespace="default", patch_type=PatchType.JSON)
    assert patched.spec.replicas == 4
    client.patch(Deployment.Status, "web", {"status": {"replicas": 3}}, namespace="default", patch_type=PatchType.MERGE)
    assert client.get(Deployment, "web", namespace="default").status.replicas == 3
    assert (
        client.patch(Deployment, "web", {"spec": {"replicas": 9}}, namespace="default", dry_run=True).spec.replicas == 9
    )
    client.delete(Deployment, "web", namespace="default", cascade=CascadeType.BACKGROUND)
    with pytest.raises(ApiError) as absent:
        client.get(Deployment, "web", namespace="default")
    assert absent.value.status.code == 404


def test_lightkube_applies(server: LiveServer) -> None:
    client = light(server)
    applied = client.apply(ConfigMap(metadata=ObjectMeta(name="a", namespace="default"), data={"x": "1"}))
    assert [each.manager for each in applied.metadata.managedFields] == ["light"]
    with pytest.raises(ApiError) as conflict:
        client.apply(
            ConfigMap(metadata=ObjectMeta(name="a", namespace="default"), data={"x": "2"}), field_manager="other"
        )
    assert conflict.value.status.code == 409 and 'conflict with "light": .data.x' in conflict.value.status.message
    forced = client.apply(
        ConfigMap(metadata=ObjectMeta(name="a", namespace="default"), data={"x": "2"}),
        field_manager="other", force=True,
    )  # fmt: skip
    assert forced.data == {"x": "2"}
    gone = client.apply(ConfigMap(metadata=ObjectMeta(name="a", namespace="default")), field_manager="other")
    assert not gone.data


def test_lightkube_lists_in_pages_and_by_selectors(server: LiveServer) -> None:
    client = light(server)
    for count in range(7):
        client.create(Secret(
            metadata=ObjectMeta(name=f"s{count}", namespace="default", labels={"odd": str(count % 2)}),
            stringData={"count": str(count)}))  # fmt: skip
    assert [each.metadata.name for each in client.list(Secret, namespace="default", chunk_size=2)] == [
        f"s{count}" for count in range(7)
    ]
    assert len(list(client.list(Secret, namespace="*", labels={"odd": "1"}))) == 3
    assert [each.data for each in client.list(Secret, namespace="default", fields={"metadata.name": "s3"})] == [
        {"count": "Mw=="}
    ]
    client.deletecollection(Secret, namespace="default")
    assert list(client.list(Secret, namespace="default")) == []
    client.create(Node(metadata=ObjectMeta(name="n1")))
    assert [each.metadata.name for each in client.list(Node)] == ["n1"]
    client.delete(Node, "n1")


def test_lightkube_watches_and_waits(server: LiveServer) -> None:
    client = light(server)
    client.create(deployment("waits", 1))

    def later() -> None:
        light(server).patch(Deployment.Status, "waits", {"status": {"conditions": [
            {"type": "Available", "status": "True"}]}}, namespace="default", patch_type=PatchType.MERGE)  # fmt: skip

    timer = threading.Timer(0.2, later)
    timer.start()
    done = client.wait(Deployment, "waits", for_conditions=["Available"], namespace="default")
    timer.join()
    assert done.status.conditions[0].status == "True"
    revision = done.metadata.resourceVersion
    client.patch(Deployment, "waits", {"metadata": {"labels": {"of": "later"}}}, namespace="default")
    client.delete(Deployment, "waits", namespace="default")
    following = client.watch(Deployment, namespace="default", resource_version=revision, server_timeout=5)
    seen = [next(following)[0] for _ in range(2)]
    assert seen == ["MODIFIED", "DELETED"]


async def kr8s_api(server: LiveServer) -> kr8s.asyncio.Api:
    return await kr8s.asyncio.api(kubeconfig=str(server.kubeconfig))


def settled(pod: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod, "labels": {"of": "kr8s"}},
        "spec": TEMPLATE["spec"],
    }


async def test_kr8s_knows_the_server(server: LiveServer) -> None:
    api = await kr8s_api(server)
    assert (await api.async_version())["gitVersion"].startswith("v1.36")
    assert {"Pod", "Deployment", "Lease"} <= {each["kind"] for each in await api.async_api_resources()}
    assert await api.async_whoami() == "kubernetes-admin"


async def test_kr8s_makes_reads_changes_and_deletes(server: LiveServer) -> None:
    api = await kr8s_api(server)
    made = await objects.ConfigMap({"metadata": {"name": "k"}, "data": {"a": "1"}}, api=api)
    await made.create()
    assert await made.exists() and made.raw["metadata"]["uid"]
    with pytest.raises(kr8s.ServerError) as taken:
        await (await objects.ConfigMap({"metadata": {"name": "k"}}, api=api)).create()
    assert taken.value.response.status_code == 409
    await made.patch({"data": {"b": "2"}})
    await made.patch([{"op": "remove", "path": "/data/a"}], type="json")
    await made.label(tier="front")
    await made.annotate({"example.com/note": "here"})
    await made.refresh()
    assert made.raw["data"] == {"b": "2"} and made.labels == {"tier": "front"}
    found = [each.name async for each in api.async_get("configmaps", label_selector={"tier": "front"})]
    assert found == ["k"]
    await made.remove_label("tier")
    await made.delete()
    assert not await made.exists()
    with pytest.raises(kr8s.NotFoundError):
        await objects.ConfigMap.get("k", api=api)


async def test_kr8s_scales_watches_and_waits(server: LiveServer) -> None:
    api = await kr8s_api(server)
    body = {"metadata": {"name": "kd"}, "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "k"}},
            "template": TEMPLATE}}  # fmt: skip
    made = await objects.Deployment(body, api=api)
    await made.create()
    client = light(server)

    async def answering() -> None:
        """Stands in for the controller: kr8s waits until as many are there as were asked for."""
        await asyncio.sleep(0.2)
        await asyncio.to_thread(
            client.patch, Deployment.Status, "kd", {"status": {"replicas": 3, "readyReplicas": 3,
            "observedGeneration": 2}}, namespace="default", patch_type=PatchType.MERGE,
        )  # fmt: skip

    task = asyncio.ensure_future(answering())
    async with asyncio.timeout(20):
        await made.scale(3)
        await task
        assert made.replicas == 3
        pod = await objects.Pod(settled("kp"), api=api)
        await pod.create()

        async def ready() -> None:
            await asyncio.sleep(0.2)
            await asyncio.to_thread(
                client.patch, Pod.Status, "kp", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
                namespace="default", patch_type=PatchType.MERGE,
            )  # fmt: skip

        task = asyncio.ensure_future(ready())
        await pod.wait("condition=Ready")
        await task
        seen = []
        async for kind, each in api.async_watch("pods", label_selector={"of": "kr8s"}):
            seen.append((kind, each.name))
            if kind == "ADDED":
                await pod.delete()
            if kind == "DELETED":
                break
    assert seen[0] == ("ADDED", "kp") and seen[-1] == ("DELETED", "kp")
    await made.delete(propagation_policy="Background")
