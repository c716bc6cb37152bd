"""A whole cluster, from cold to full: what a user waits for, and what it costs to keep. Prints JSON.

    python bench/cluster.py [--replicas 50] [--simulated 1000] [--idle-seconds 30]

Starts a cluster of its own with `kaa up` in a temporary home, and removes it. "Cold" is no Kaa process and a warm page
cache. Memory is PSS of all Kaa processes, containerd excluded. Beside each figure stands the original's on such a
machine (etcd, kube-apiserver, controller manager, scheduler and kubelet 1.36), and the ratio.
"""

import argparse
import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from kaa.client.client import Client
from kaa.kinds.views import Deployment, Node, Pod, ServiceAccount
from kaa.meta.errors import StatusError

ORIGINAL = {
    "api_ready_seconds": 1.36,
    "node_ready_seconds": 2.7,
    "first_pod_running_seconds": 4.5,
    "resident_megabytes": 580,
    "core_percent_at_rest": 3.4,
    "deployment_of_50_seconds": 8.5,
}
UNVERIFIED = ssl._create_unverified_context()  # readiness of a server on loopback whose CA is being made


def kaa(home: Path, *arguments: str, wait: bool = True) -> subprocess.Popen[bytes]:
    """Run the command in that home; its output goes to our standard error."""
    run = subprocess.Popen(
        [sys.executable, "-m", "kaa", *arguments], env={**os.environ, "KAA_HOME": str(home)}, stdout=sys.stderr
    )
    if wait and run.wait() != 0:
        raise SystemExit(f"kaa {' '.join(arguments)} failed with {run.returncode}")
    return run


def processes(home: Path) -> list[psutil.Process]:
    """Kaa's own processes of that home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("KAA_HOME") != str(home):
                continue
            if any(Path(word).name == "kaa" or word == "kaa" for word in process.cmdline()[:3]):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def megabytes(home: Path) -> dict[str, float]:
    """PSS by process."""
    out = {}
    for process in processes(home):
        words = process.cmdline()
        out[" ".join(words[2:4]) + f" [{process.pid}]"] = round(process.memory_full_info().pss / 1e6, 1)
    return out


def cpu_seconds(home: Path) -> float:
    """User and system time of all of them so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes(home))


async def until(check: Any, timeout_seconds: float = 120.0, step_seconds: float = 0.01) -> None:
    """Poll until true."""
    deadline = time.perf_counter() + timeout_seconds
    while True:
        try:
            if await check():
                return
        except (OSError, StatusError, urllib.error.URLError):
            pass
        if time.perf_counter() > deadline:
            raise SystemExit(f"{check.__name__}: not within {timeout_seconds:.0f} s")
        await asyncio.sleep(step_seconds)


async def started(home: Path, port: int, figures: dict[str, Any]) -> Client:
    """From nothing to a running pod."""
    begun = time.perf_counter()
    up = kaa(home, "up", "--secure-port", str(port), wait=False)

    async def api_ready() -> bool:
        url = f"https://127.0.0.1:{port}/readyz"
        with urllib.request.urlopen(url, context=UNVERIFIED, timeout=1) as answer:
            return bool(answer.status == 200)

    await until(api_ready, step_seconds=0.005)
    figures["api_ready_seconds"] = time.perf_counter() - begun
    client = Client.from_kubeconfig(home / "kubeconfig")

    async def account() -> bool:
        return bool(await client.get(ServiceAccount, "default", "default"))

    await until(account)
    pod = {
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "first", "namespace": "default"},
        "spec": {"terminationGracePeriodSeconds": 0,
                 "containers": [{"name": "main", "image": "busybox:1.36", "command": ["sleep", "3600"]}]},
    }  # fmt: skip
    await client.create(Pod.resource, pod, namespace="default")

    async def node_ready() -> bool:
        return any(node.ready for node in (await client.list(Node)).items)

    async def pod_running() -> bool:
        return (await client.get(Pod, "first", "default")).status.phase == "Running"

    await until(node_ready)
    figures["node_ready_seconds"] = time.perf_counter() - begun
    await until(pod_running)
    figures["first_pod_running_seconds"] = time.perf_counter() - begun
    if up.wait() != 0:
        raise SystemExit(f"kaa up failed with {up.returncode}")
    figures["kaa_up_seconds"] = time.perf_counter() - begun
    await client.delete(Pod.resource, "first", namespace="default")
    return client


async def deployment(client: Client, replicas: int) -> float:
    """From the create of a deployment until all of its pods are ready."""
    manifest = {
        "kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "many", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "many"}},
                 "template": {"metadata": {"labels": {"app": "many"}},
                              "spec": {"terminationGracePeriodSeconds": 0, "containers": [
                                  {"name": "main", "image": "busybox:1.36", "command": ["sleep", "3600"]}]}}},
    }  # fmt: skip
    begun = time.perf_counter()
    await client.create(Deployment.resource, manifest, namespace="default")

    async def all_ready() -> bool:
        return (await client.get(Deployment, "many", "default")).status.ready_replicas == replicas

    await until(all_ready, 300.0, 0.05)
    took = time.perf_counter() - begun
    await client.delete(Deployment.resource, "many", namespace="default", propagation="Background")

    async def none_left() -> bool:
        return not (await client.list(Pod, "default")).items

    await until(none_left, 300.0, 0.2)
    return took


async def simulated(home: Path, client: Client, count: int) -> float:
    """From the command until that many more nodes are Ready."""
    before = len((await client.list(Node)).items)
    begun = time.perf_counter()
    kaa(home, "node", "add", "--simulated", str(count), wait=False)

    async def registered() -> bool:
        nodes = (await client.list(Node)).items
        return len(nodes) >= before + count and all(node.ready for node in nodes)

    await until(registered, 120.0, 0.2)
    return time.perf_counter() - begun


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All of it, in one cluster."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="kb-") as directory:
        home = Path(directory, "k")
        try:
            client = await started(home, options.port, figures)
            await asyncio.sleep(10)
            memory = megabytes(home)
            figures["resident_megabytes"] = round(sum(memory.values()), 1)
            figures["resident_by_process"] = memory
            spent, begun = cpu_seconds(home), time.perf_counter()
            await asyncio.sleep(options.idle_seconds)
            figures["core_percent_at_rest"] = round(
                (cpu_seconds(home) - spent) / (time.perf_counter() - begun) * 100, 2
            )
            figures.update(await replicas(home, client, options.replicas))
            figures["simulated_nodes"] = options.simulated
            figures["simulated_nodes_ready_seconds"] = await simulated(home, client, options.simulated)
            await client.close()
        finally:
            kaa(home, "down", "--delete")
    figures = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    figures["original"] = ORIGINAL
    figures["ratio_to_original"] = {
        name: round(figures[name] / value, 3) for name, value in ORIGINAL.items() if name in figures
    }
    return figures


async def replicas(home: Path, client: Client, count: int) -> dict[str, Any]:
    """A deployment beside the raw CRI calls of as many pods alike, in turn on the same containerd."""
    from bench.cri import start_pods

    from kaa.kubelet.cri.grpc import GrpcRuntime

    runtime = GrpcRuntime(agent_option(home, "container-runtime-endpoint"))
    groups = agent_option(home, "cgroup-root") + "/bench"  # goes with the cluster
    floor, kaas = [], []
    with tempfile.TemporaryDirectory(prefix="kb-") as scratch:
        for _ in range(3):
            # In turn, so that both meet the same machine; what was removed before has settled.
            raw = await start_pods(runtime, count, 8, groups, scratch=Path(scratch))
            floor.append(count / raw["pods_per_second"])
            await asyncio.sleep(5)
            kaas.append(await deployment(client, count))
            await asyncio.sleep(10)
    await runtime.close()
    return {
        f"deployment_of_{count}_seconds": statistics.median(kaas),
        f"raw_cri_of_{count}_seconds": statistics.median(floor),
        "ratio_to_raw_cri": round(statistics.median(kaas) / statistics.median(floor), 3),
        "runs": [[round(a, 2), round(b, 2)] for a, b in zip(floor, kaas, strict=True)],
    }


def agent_option(home: Path, name: str) -> str:
    """What the cluster's agent was told, such as the runtime's socket."""
    for process in processes(home):
        for word in process.cmdline():
            if word.startswith(f"--{name}="):
                return word.partition("=")[2]
    raise SystemExit("no agent of that cluster is running")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", type=int, default=50)
    parser.add_argument("--simulated", type=int, default=1000)
    parser.add_argument("--idle-seconds", type=float, default=30)
    parser.add_argument("--port", type=int, default=16943)
    sys.path.insert(0, str(Path(__file__).parent.parent))
    print(json.dumps(asyncio.run(measure(parser.parse_args())), indent=2))
