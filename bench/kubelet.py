"""What the kubelet adds to the raw CRI calls, and what it costs at rest. Prints JSON.

    python bench/kubelet.py --pods 50 --starts 4,6,10

The API server is in memory and in the same process, so its work is in the figures, too. Pods are counted ready when
the API says so. `raw` are bare pods (bench/cri.py); `same` are the kubelet's own configurations (mounts, masked paths,
seccomp, cgroups) by raw calls: that is the floor it adds to. `rest` is the CPU time of this process over some seconds
with all pods running.
"""

import argparse
import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.cri import start_pods
from tests.kubelet.worlds import World, world

from kaa.base import log
from kaa.kinds.views import Pod
from kaa.kubelet.cri import api
from kaa.kubelet.cri.grpc import GrpcRuntime
from kaa.testing.real_node import real_node


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def start(w: World, names: list[str]) -> list[float]:
    """Create pods at once; when each was ready, in seconds."""
    began = time.perf_counter()
    container = {"name": "web", "image": "busybox:1.36", "command": ["sleep", "3600"]}
    times: dict[str, float] = {}
    informer = w.kubelet.pods._informer  # type: ignore[union-attr]

    def seen(_old: Pod | None, new: Pod | None) -> None:
        if new is not None and new.ready and new.name in names:
            times.setdefault(new.name, time.perf_counter() - began)

    stop = informer.on_change(seen)
    await asyncio.gather(*(w.create(name, containers=[container]) for name in names))
    while len(times) < len(names):
        await asyncio.sleep(0.005)
    stop()
    return list(times.values())


class Recording(GrpcRuntime):
    """Keeps the last configurations it was given, to make the same without a kubelet."""

    sandbox: api.SandboxConfig
    container: api.ContainerConfig

    async def run_sandbox(self, config: api.SandboxConfig, runtime_handler: str = "") -> str:
        self.sandbox = config
        return await super().run_sandbox(config, runtime_handler)

    async def create_container(self, sandbox_id: str, config: api.ContainerConfig, sandbox: api.SandboxConfig) -> str:
        self.container = config
        return await super().create_container(sandbox_id, config, sandbox)


async def start_same(runtime: Recording, pods: int, at: int, cgroup_root: str, directory: Path) -> float:
    """The floor: the same sandboxes and containers by raw calls, `at` at a time; seconds for all."""
    slots = asyncio.Semaphore(at)
    (directory / "d").mkdir(exist_ok=True)
    (directory / "f").touch()
    mounts = [
        replace(each, host_path=str(directory / ("d" if each.container_path.startswith("/var") else "f")))
        for each in runtime.container.mounts
    ]

    async def one(number: int) -> str:
        sandbox = replace(
            runtime.sandbox,
            metadata=api.SandboxMetadata(f"raw-{number}", f"raw-uid-{number}", "default"),
            labels={},
            log_directory=str(directory / f"logs-{number}"),
            linux=replace(runtime.sandbox.linux, cgroup_parent=f"{cgroup_root}/raw-{number}"),
        )
        container = replace(runtime.container, labels={}, mounts=mounts)
        async with slots:
            owner = await GrpcRuntime.run_sandbox(runtime, sandbox)
            id_ = await GrpcRuntime.create_container(runtime, owner, container, sandbox)
            await runtime.start_container(id_)
        return owner

    began = time.perf_counter()
    owners = await asyncio.gather(*(one(number) for number in range(pods)))
    seconds = time.perf_counter() - began
    for owner in owners:
        await runtime.remove_sandbox(owner)
    return seconds


async def remove(w: World, names: list[str]) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(w.delete(name) for name in names))
    for name in names:
        await w.until_gone(name, seconds=120)
    return time.perf_counter() - began


async def measure(pods: int, starts: list[int], rest_seconds: float) -> Any:
    results: dict[str, Any] = {"pods": pods}
    with tempfile.TemporaryDirectory(prefix="kaa-bench-") as text:
        directory = Path(text)
        async with real_node(directory) as node:
            runtime = Recording(node.containerd.socket)
            await start_pods(runtime, 1, 1, node.cgroup_root)
            raw = await start_pods(runtime, 10, 1, node.cgroup_root)
            results["raw_one_milliseconds"] = raw["milliseconds_p50"]["pod"]
            many = [await start_pods(runtime, pods, at, node.cgroup_root) for at in starts]
            results["raw_all_seconds"] = {run["at"]: round(pods / run["pods_per_second"], 3) for run in many}
            results |= {"same_seconds": {}, "all_seconds": {}}
            for at in starts:
                options = {
                    "manage_cgroups": True, "manage_mounts": True, "cgroup_root": node.cgroup_root, "starts_max": at,
                }  # fmt: skip
                async with world(directory, runtime, **options) as w:
                    one = []
                    for index in range(10):
                        one += await start(w, [f"one-{index}"])
                        await remove(w, [f"one-{index}"])
                    results["one_milliseconds"] = round(statistics.median(one) * 1000, 1)
                    names = [f"p-{index}" for index in range(pods)]
                    before = cpu()
                    results["all_seconds"][at] = round(max(await start(w, names)), 3)
                    results["cpu_seconds_for_all"] = round(cpu() - before, 3)
                    await asyncio.sleep(2)
                    before = cpu()
                    await asyncio.sleep(rest_seconds)
                    results["rest_percent_of_a_core"] = round((cpu() - before) / rest_seconds * 100, 3)
                    results["removal_seconds"] = round(await remove(w, names), 3)
                    await w.settled_runtime()
                    floor = await start_same(runtime, pods, at, node.cgroup_root, directory)
                    results["same_seconds"][at] = round(floor, 3)
                    assert w.kubelet is not None
                    assert w.kubelet.parts is not None
                    w.kubelet.parts.cgroups.teardown()
            await runtime.close()
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--starts", default="10")
    parser.add_argument("--rest", type=float, default=20.0)
    chosen = parser.parse_args()
    log.set_level("warning")
    numbers = [int(each) for each in chosen.starts.split(",")]
    print(json.dumps(asyncio.run(measure(chosen.pods, numbers, chosen.rest)), indent=2))
