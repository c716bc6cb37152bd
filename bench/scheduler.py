"""How many decisions per second the scheduler makes, without an API: `python bench/scheduler.py`. Prints JSON.

A decision is everything from a waiting pod to the pod counted on its node; each pod is a new object, and pods of one
kind come from one template. Spread pods belong to a replica set that spreads over hosts and zones by default.
"""

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


def main() -> None:
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    results = [
        run(nodes, kind, pods)
        for nodes in (500, 5000)
        for kind in ("plain", "default-spread", "spread", "affinity", "anti-affinity")
    ]
    print(json.dumps({"bench": "scheduler", "python": platform.python_version(), "results": results}, indent=1))


if __name__ == "__main__":
    main()
