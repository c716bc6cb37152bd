"""kubectl, old and new, on a cluster whose controllers, scheduler and nodes act on what it asks for."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.controllers.test_conformance_cluster import inside, nodes, until

from kaa.cluster.local import LocalCluster

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

KUBECTLS = {
    "1.32": str(Path(sys.prefix) / "kubectl-1.32" / "kubectl"),
    "today": str(Path(sys.prefix) / "bin" / "kubectl"),
}
CONTROLLER = """
apiVersion: v1
kind: ReplicationController
metadata: {name: agnhost-primary, labels: {app: agnhost}}
spec:
  replicas: REPLICAS
  selector: {app: agnhost}
  template:
    metadata: {labels: {app: agnhost}}
    spec: {containers: [{name: agnhost-primary, image: "example.com/agnhost:1", ports: [{containerPort: 6379}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: agnhost-primary, labels: {app: agnhost}}
spec: {selector: {app: agnhost}, ports: [{port: 6379, targetPort: 6379}]}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: web, image: "example.com/agnhost:1"}]}
"""
Run = Callable[..., Awaitable[str]]


@pytest.fixture(params=sorted(KUBECTLS))
async def k(request: pytest.FixtureRequest, cluster: LocalCluster, tmp_path: Path) -> Run:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(await cluster.kubeconfig())}

    async def run(*words: str, text: str = "", code: int = 0) -> str:
        """Its standard output, once it has ended as it should."""
        done = await asyncio.to_thread(
            subprocess.run, [KUBECTLS[request.param], *words], input=text, capture_output=True, text=True, timeout=60,
            check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return str(done.stdout)

    await nodes(cluster, 2)
    return run


async def running(k: Run, count: int, selector: str) -> list[str]:
    """Names of the pods with those labels, once so many run and no others are there."""

    async def as_many() -> list[str] | None:
        found: list[Any] = json.loads(await k("get", "pods", "-l", selector, "-o", "json"))["items"]
        good = [each for each in found if each["status"].get("phase") == "Running"]
        return [each["metadata"]["name"] for each in good] if len(good) == count == len(found) else None

    if not count:
        await k("wait", "--for=delete", "pods", "-l", selector, "--timeout=20s")
        return []
    names: list[str] = await until(as_many, 30)
    return names


@pytest.mark.conformance("Kubectl, check version v1", "Kubectl, cluster info")
async def test_what_the_cluster_is(k: Run) -> None:
    assert "v1" in (await k("api-versions")).splitlines()
    assert "Kubernetes control plane" in (told := await k("cluster-info")) and "is running at" in told
    version = json.loads(await k("version", "-o", "json"))
    assert version["serverVersion"]["minor"] == "36"
    dumped = await k("cluster-info", "dump", "--namespaces=default")
    assert '"kind": "NodeList"' in dumped and '"kind": "PodList"' in dumped


@pytest.mark.conformance("Kubectl, describe pod or rc", "Kubectl, replication controller",
                         "Kubectl, scale replication controller")  # fmt: skip
async def test_a_replication_controller(k: Run) -> None:
    await k("create", "-f", "-", text=CONTROLLER.replace("REPLICAS", "2"))
    names = await running(k, 2, "app=agnhost")
    assert all(each.startswith("agnhost-primary-") for each in names)
    for wanted in ("1", "2"):
        assert "scaled" in await k("scale", "rc", "agnhost-primary", f"--replicas={wanted}", "--timeout=30s")
        names = await running(k, int(wanted), "app=agnhost")
    for what, words in (
        (("pod", names[0]), ("Name:", "Namespace:", "Node:", "Labels:", "app=agnhost", "Status:", "Running", "IP:",
                             "Controlled By:", "ReplicationController/agnhost-primary", "Image:", "State:",
                             "QoS Class:")),
        (("rc", "agnhost-primary"), ("Name:", "Namespace:", "Selector:", "Labels:", "app=agnhost", "Replicas:",
                                     "2 current / 2 desired", "Pods Status:", "2 Running", "Pod Template:", "Image:",
                                     "Events:", "SuccessfulCreate")),
        (("service", "agnhost-primary"), ("Name:", "Namespace:", "Labels:", "Selector:", "Type:", "ClusterIP", "IP:",
                                          "Port:", "<unset>", "6379/TCP", "Endpoints:", "Session Affinity:")),
        (("namespace", "default"), ("Name:", "Labels:", "Annotations:", "Status:", "Active")),
    ):  # fmt: skip
        told = await k("describe", *what)
        assert [word for word in words if word not in told] == []
    node = (await k("get", "nodes", "-o", "name")).split()[0]
    told = await k("describe", node)
    words = (
        "Name:",
        "Labels:",
        "Annotations:",
        "CreationTimestamp:",
        "Conditions:",
        "Type",
        "Status",
        "LastHeartbeatTime",
        "Addresses:",
        "Capacity:",
        "Version:",
        "Kernel Version:",
        "Kubelet Version:",
        "Pods:",
    )
    assert [word for word in words if word not in told] == []
    await k("delete", "rc,service", "-l", "app=agnhost")
    await running(k, 0, "app=agnhost")


@pytest.mark.conformance("Kubectl, diff Deployment")
async def test_a_difference_is_shown(k: Run) -> None:
    await k("create", "-f", "-", text=DEPLOYMENT)
    told = await k("diff", "-f", "-", text=DEPLOYMENT.replace("agnhost:1", "busybox:1"), code=1)
    assert "-        - image: example.com/agnhost:1" in told.replace("-      - ", "-        - ")
    assert "+        - image: example.com/busybox:1" in told.replace("+      - ", "+        - ")


@pytest.mark.conformance("Kubectl, label update", "Kubectl, replace", "Kubectl, server-side dry-run Pod")
async def test_a_pod_is_labelled_replaced_and_not_changed_by_a_trial(k: Run) -> None:
    image = "jsonpath={.spec.containers[0].image}"
    await k("run", "pause", "--image=example.com/httpd:1", "--labels=run=pause")
    await k("wait", "--for=condition=Ready", "pod/pause", "--timeout=20s")
    await k("label", "pods", "pause", "testing-label=testing-label-value")
    assert "testing-label-value" in await k("get", "pod", "pause", "-L", "testing-label")
    assert "pause" in await k("get", "pod", "-l", "testing-label=testing-label-value")
    await k("label", "pods", "pause", "testing-label-")
    assert "testing-label-value" not in await k("get", "pod", "pause", "-L", "testing-label")
    patch = '{"spec":{"containers":[{"name": "pause","image": "example.com/busybox:1"}]}}'
    await k("patch", "pod", "pause", "-p", patch, "--dry-run=server")
    assert await k("get", "pod", "pause", "-o", image) == "example.com/httpd:1"
    found = json.loads(await k("get", "pod", "pause", "-o", "json"))
    found["spec"]["containers"][0]["image"] = "example.com/busybox:1"
    await k("replace", "-f", "-", text=json.dumps(found))
    assert await k("get", "pod", "pause", "-o", image) == "example.com/busybox:1"
    fresh = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pause"},
             "spec": {"containers": [{"name": "other", "image": "example.com/other:1"}]}}  # fmt: skip
    await k("replace", "--force", "--grace-period=0", "-f", "-", text=json.dumps(fresh))
    assert await k("get", "pod", "pause", "-o", image) == "example.com/other:1"


async def test_rollouts_and_cascades(k: Run, cluster: LocalCluster) -> None:
    """The rollout family on something that rolls, and each way of deleting it."""
    await k("apply", "-f", "-", text=DEPLOYMENT)
    assert "successfully rolled out" in await k("rollout", "status", "deploy/web", "--timeout=30s")
    await k("annotate", "deploy/web", "kubernetes.io/change-cause=the first")
    await k("set", "image", "deploy/web", "web=example.com/agnhost:2")
    await k("annotate", "deploy/web", "kubernetes.io/change-cause=the second")
    assert "successfully rolled out" in await k("rollout", "status", "deploy/web", "--timeout=30s")
    history = await k("rollout", "history", "deploy/web")
    assert [line.split(None, 1) for line in history.splitlines() if line[:1].isdigit()] == [
        ["1", "the first"], ["2", "the second"],
    ]  # fmt: skip
    assert "example.com/agnhost:1" in await k("rollout", "history", "deploy/web", "--revision=1")
    assert "rolled back" in await k("rollout", "undo", "deploy/web")
    assert "successfully rolled out" in await k("rollout", "status", "deploy/web", "--timeout=30s")
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert await k("get", "deploy", "web", "-o", image) == "example.com/agnhost:1"
    await k("rollout", "pause", "deploy/web")
    await k("set", "env", "deploy/web", "A=b")
    assert "not found" not in await k("rollout", "resume", "deploy/web")
    await k("rollout", "restart", "deploy/web")
    assert "successfully rolled out" in await k("rollout", "status", "deploy/web", "--timeout=30s")
    await k("wait", "--for=condition=Available", "deploy/web", "--timeout=20s")
    assert "deployment.apps/web" in (told := await k("get", "all")) and "replicaset.apps/web-" in told
    assert "ScalingReplicaSet" in await k("events", "--for", "deployment/web")

    await k("delete", "deploy", "web", "--cascade=orphan")
    assert "replicaset.apps/web-" in await k("get", "rs", "-l", "app=web", "-o", "name")
    await k("apply", "-f", "-", text=DEPLOYMENT)
    await k("rollout", "status", "deploy/web", "--timeout=30s")
    await k("delete", "deploy", "web", "--cascade=foreground", "--timeout=30s")
    api = inside(cluster)
    assert (await api.get("/apis/apps/v1/namespaces/default/replicasets")).names == []
    await k("apply", "-f", "-", text=DEPLOYMENT)
    await k("rollout", "status", "deploy/web", "--timeout=30s")
    await k("delete", "deploy", "web", "--cascade=background", "--timeout=30s")
    await running(k, 0, "app=web")
