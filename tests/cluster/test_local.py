"""The cluster in one process: a pod's whole life, and the real kubectl on it."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from kaa.cluster.local import LocalCluster
from kaa.kinds.views import Node, Pod, ServiceAccount
from kaa.meta.errors import StatusError
from kaa.simulated.nodes import LABEL

KUBECTL = Path(sys.executable).parent / "kubectl"


def pod(name: str, **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {f"simulated.kaa.dev/{key.replace('_', '-')}": value for key, value in annotations.items()},
        },
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "any"}]},
    }


async def until(cluster: LocalCluster, name: str, phase: str) -> Pod:
    async with asyncio.timeout(10):
        while True:
            try:
                found = await cluster.client.get(Pod, name, "default")
                if found.status.phase == phase:
                    return found
            except StatusError as error:
                if error.code == 404 and phase == "gone":
                    return Pod()
                raise
            await asyncio.sleep(0.01)


async def account(cluster: LocalCluster) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                await cluster.client.get(ServiceAccount, "default", "default")
                return
            except StatusError:
                await asyncio.sleep(0.01)


async def test_a_pod_lives_on_a_simulated_node(cluster: LocalCluster) -> None:
    nodes = (await cluster.client.list(Node)).items
    assert [each.name for each in nodes] == ["sim-0", "sim-1"]
    assert all(LABEL in each.labels for each in nodes)
    await account(cluster)
    await cluster.client.create(Pod.resource, pod("a"))
    running = await until(cluster, "a", "Running")
    assert running.ready
    assert running.spec.node_name in ("sim-0", "sim-1")
    assert running.status.pod_ip.startswith("100.64.")
    await cluster.client.delete(Pod.resource, "a", namespace="default")
    await until(cluster, "a", "gone")


@pytest.mark.parametrize(("code", "phase"), [("0", "Succeeded"), ("3", "Failed")])
async def test_a_pod_ends_as_planned(cluster: LocalCluster, code: str, phase: str) -> None:
    await account(cluster)
    await cluster.client.create(Pod.resource, pod("b", exit_after="100ms", exit_code=code))
    ended = await until(cluster, "b", phase)
    state = ended.status.container_statuses[0].state.terminated
    assert state is not None
    assert state.exit_code == int(code)
    assert not ended.ready


async def test_the_real_kubectl(cluster: LocalCluster) -> None:
    kubeconfig = await cluster.kubeconfig()
    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    process = await asyncio.create_subprocess_exec(
        *(str(KUBECTL), "--kubeconfig", str(kubeconfig), "get", "nodes", "-o", "name"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert out.decode().split() == ["node/sim-0", "node/sim-1"]


async def test_another_user_may_less(cluster: LocalCluster) -> None:
    client = cluster.client_as("jane", ["developers"])
    with pytest.raises(StatusError) as refused:
        await client.list(Node)
    assert refused.value.code == 403
