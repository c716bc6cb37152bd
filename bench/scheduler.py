"""How many decisions per second the scheduler makes: `python bench/scheduler.py [PODS]`. Prints JSON.

A decision is everything from a waiting pod to the pod counted on its node; each pod is a new object, and pods of one
kind come from one template. Spread pods belong to a replica set that spreads over hosts and zones by default.
`end_to_end` is the whole way on one core: server on the memory store, in-process transport, scheduler; pods waiting at
the start, bound at the end.
"""

import asyncio
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from kaa.kinds.views import Node, Pod
from kaa.meta import selectors
from kaa.scheduler.registry import WEIGHTS, default_plugins
from kaa.scheduler.runner import Decision, Runner
from kaa.scheduler.snapshot import Snapshot

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def node(number: int) -> Node:
    name = f"node-{number:05}"
    amounts = {"cpu": "32", "memory": "128Gi", "pods": "110"}
    return msgspec.convert(
        {
            "metadata": {"name": name, "uid": name, "labels": {HOST: name, ZONE: f"zone-{number % 3}"}},
            "status": {"capacity": amounts, "allocatable": amounts},
        },
        Node,
    )


def pod(kind: str, number: int) -> Pod:
    name = f"{kind}-{number}"
    labels = {"app": f"{kind}-{number % 10}"}
    spec: dict = {
        "containers": [
            {"name": "main", "image": "main:1", "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}}}
        ]
    }
    owners = []
    if kind == "default-spread":
        owners = [{"kind": "ReplicaSet", "name": labels["app"], "uid": labels["app"], "controller": True}]
    elif kind == "spread":
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": ZONE,
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": labels},
            }
        ]
    elif kind == "affinity":
        term = {"labelSelector": {"matchLabels": labels}, "topologyKey": ZONE}
        spec["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    elif kind == "anti-affinity":
        term = {"labelSelector": {"matchLabels": labels}, "topologyKey": HOST}
        preferred = [{"weight": 100, "podAffinityTerm": term}]
        spec["affinity"] = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    metadata = {"name": name, "namespace": "default", "uid": name, "labels": labels, "ownerReferences": owners}
    return msgspec.convert({"metadata": metadata, "spec": spec}, Pod)


def run(nodes: int, kind: str, pods: int) -> dict:
    snapshot = Snapshot()
    for number in range(nodes):
        snapshot.set_node(node(number))

    def selector_of(shape):
        return selectors.from_map({"app": shape.labels["app"]}) if shape.owner else selectors.EVERYTHING

    runner = Runner(snapshot, default_plugins(selector_of=selector_of), WEIGHTS)
    waiting = [pod(kind, number) for number in range(pods)]
    took = []
    began = time.perf_counter()
    for each in waiting:
        at = time.perf_counter()
        cycle = runner.cycle(each)
        result = runner.decide(cycle)
        assert isinstance(result, Decision), result.message
        snapshot.assume(each, cycle.shape, result.node)
        took.append(time.perf_counter() - at)
    seconds = time.perf_counter() - began
    return {
        "nodes": nodes,
        "kind": kind,
        "pods": pods,
        "decisions_per_second": round(pods / seconds),
        "decision_us_median": round(statistics.median(took) * 1e6, 1),
        "decision_us_p99": round(statistics.quantiles(took, n=100)[98] * 1e6, 1),
    }


async def end_to_end(nodes: int, pods: int) -> dict:
    from kaa.client import Client
    from kaa.http.inprocess import InProcess
    from kaa.scheduler import Scheduler
    from kaa.server.server import ApiServer, ServerSettings
    from kaa.store.memory import MemoryStore

    settings = ServerSettings(authorization_mode=("AlwaysAllow",), disable_admission_plugins=("ServiceAccount",))
    server = ApiServer(MemoryStore(), settings)
    await server.start(listen=False)
    client = Client(InProcess(server.app))
    for number in range(nodes):
        made = {"apiVersion": "v1", "kind": "Node", **msgspec.to_builtins(node(number))}
        await client.create(Node.resource, made)
        await client.patch(Node.resource, made["metadata"]["name"], {"status": made["status"]}, subresource="status")
    for number in range(pods):
        container = {"name": "main", "image": "main:1", "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}}}
        metadata = {"name": f"p-{number}", "namespace": "default", "labels": {"app": f"a{number % 10}"}}
        await client.create(Pod.resource, {"metadata": metadata, "spec": {"containers": [container]}})
    scheduler = Scheduler(client)
    began = time.perf_counter()
    lag = 0.0
    async with scheduler:
        synced = time.perf_counter()
        while scheduler.attempts["scheduled"] < pods or scheduler.snapshot.assumed:
            at = time.perf_counter()
            await asyncio.sleep(0.001)
            lag = max(lag, time.perf_counter() - at - 0.001)
        ended = time.perf_counter()
    await client.close()
    await server.stop()
    return {
        "nodes": nodes,
        "pods": pods,
        "bound_per_second": round(pods / (ended - synced)),
        "with_start_per_second": round(pods / (ended - began)),
        "loop_lag_ms_max": round(lag * 1000, 1),
        "decision_us_mean": round(scheduler.decision_seconds.sum / scheduler.decision_seconds.count * 1e6, 1),
    }


def main() -> None:
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    results = [
        run(nodes, kind, pods)
        for nodes in (500, 5000)
        for kind in ("plain", "default-spread", "spread", "affinity", "anti-affinity")
    ]
    whole = asyncio.run(end_to_end(1000, pods))
    shown = {"bench": "scheduler", "python": platform.python_version(), "results": results, "end_to_end": whole}
    print(json.dumps(shown, indent=1))


if __name__ == "__main__":
    main()
