"""The floor: how long the raw CRI calls of a pod take, at several concurrencies. Prints JSON.

    python bench/cri.py --pods 20 --at 1,4,8

A pod is RunPodSandbox, CreateContainer and StartContainer. What a kubelet adds is measured against this.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from kaa.kubelet.cri import api
from kaa.kubelet.cri.grpc import GrpcRuntime
from kaa.testing.real_node import real_node


async def start_pods(
    runtime: api.Runtime, pods: int, at: int, cgroup_root: str = "", image: str = "busybox:1.36"
) -> Any:
    """Start `pods` pods, `at` at a time, and remove them; seconds of each step and of the whole."""
    slots = asyncio.Semaphore(at)
    steps: dict[str, list[float]] = {"sandbox": [], "create": [], "start": [], "pod": []}

    async def one(number: int) -> str:
        config = api.SandboxConfig(
            api.SandboxMetadata(f"bench-{at}-{number}", f"uid-{at}-{number}", "default"),
            linux=api.LinuxSandbox(cgroup_parent=f"{cgroup_root}/bench-{number}" if cgroup_root else ""),
        )
        made = api.ContainerConfig(api.ContainerMetadata("main"), api.ImageSpec(image), command=["sleep", "3600"])
        async with slots:
            times = [time.perf_counter()]
            owner = await runtime.run_sandbox(config)
            times.append(time.perf_counter())
            id_ = await runtime.create_container(owner, made, config)
            times.append(time.perf_counter())
            await runtime.start_container(id_)
            times.append(time.perf_counter())
        for name, seconds in zip(steps, (*(b - a for a, b in pairwise(times)), times[-1] - times[0]), strict=True):
            steps[name].append(seconds)
        return owner

    begun = time.perf_counter()
    owners = await asyncio.gather(*(one(number) for number in range(pods)))
    whole = time.perf_counter() - begun
    begun = time.perf_counter()

    async def remove(owner: str) -> None:
        async with slots:
            await runtime.stop_sandbox(owner)
            await runtime.remove_sandbox(owner)

    await asyncio.gather(*(remove(owner) for owner in owners))
    return {
        "pods": pods,
        "at": at,
        "pods_per_second": round(pods / whole, 2),
        "removals_per_second": round(pods / (time.perf_counter() - begun), 2),
        "milliseconds_p50": {name: round(statistics.median(values) * 1000, 1) for name, values in steps.items()},
        "milliseconds_max": {name: round(max(values) * 1000, 1) for name, values in steps.items()},
    }


async def measure(pods: int, concurrencies: list[int]) -> Any:
    """On a containerd of its own."""
    with tempfile.TemporaryDirectory(prefix="kaa-bench-") as directory:
        begun = time.perf_counter()
        async with real_node(Path(directory)) as node:
            ready = time.perf_counter() - begun
            runtime = GrpcRuntime(node.containerd.socket)
            version = await runtime.version()
            await start_pods(runtime, 1, 1, node.cgroup_root)  # warm
            results = [await start_pods(runtime, pods, at, node.cgroup_root) for at in concurrencies]
            await runtime.close()
    return {
        "runtime": f"{version.runtime_name} {version.runtime_version}",
        "containerd_and_images_ready_milliseconds": round(ready * 1000),
        "runs": results,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pods", type=int, default=20)
    parser.add_argument("--at", default="1,4,8")
    chosen = parser.parse_args()
    print(json.dumps(asyncio.run(measure(chosen.pods, [int(n) for n in chosen.at.split(",")])), indent=2))
