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
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from kaa.kubelet.cri import api
from kaa.kubelet.cri.grpc import GrpcRuntime
from kaa.kubelet.security import MASKED_PATHS, READONLY_PATHS
from kaa.testing.real_node import real_node

Configs = tuple[api.SandboxConfig, api.ContainerConfig]


def bare(number: int, cgroup_root: str = "", image: str = "busybox:1.36") -> Configs:
    """The least a runtime takes: no mounts, no profiles, no log."""
    sandbox = api.SandboxConfig(
        api.SandboxMetadata(f"bench-{number}", f"uid-{number}", "default"),
        linux=api.LinuxSandbox(cgroup_parent=f"{cgroup_root}/bench-{number}" if cgroup_root else ""),
    )
    return sandbox, api.ContainerConfig(api.ContainerMetadata("main"), api.ImageSpec(image), command=["sleep", "3600"])


def full(number: int, scratch: Path, cgroup_root: str) -> Configs:
    """What every kubelet asks for: the sandbox's seccomp profile, DNS, a log, hidden paths, and the three mounts of a
    pod with a service account. The files are made here, outside of what is timed."""
    sandbox, container = bare(number, cgroup_root)
    directory = scratch / str(number)
    (directory / "account").mkdir(parents=True, exist_ok=True)
    for name in ("hosts", "termination"):
        (directory / name).touch()
    (directory / "logs" / "main").mkdir(parents=True, exist_ok=True)
    profile = api.SecurityProfile(api.ProfileType.RUNTIME_DEFAULT)
    linux = replace(sandbox.linux, security=api.SandboxSecurity(seccomp=profile))
    mounts = (
        api.Mount("/var/run/secrets/kubernetes.io/serviceaccount", str(directory / "account"), readonly=True),
        api.Mount("/etc/hosts", str(directory / "hosts")),
        api.Mount("/dev/termination-log", str(directory / "termination")),
    )
    security = api.ContainerSecurity(masked_paths=MASKED_PATHS, readonly_paths=READONLY_PATHS)
    return (
        replace(sandbox, hostname=f"bench-{number}", log_directory=str(directory / "logs"), linux=linux,
                dns=api.DNSConfig(servers=("10.96.0.10",), searches=("cluster.local",), options=("ndots:5",))),
        replace(container, mounts=mounts, log_path="main/0.log", linux=api.LinuxContainer(security=security)),
    )  # fmt: skip


async def start_pods(
    runtime: api.Runtime,
    pods: int,
    at: int,
    cgroup_root: str = "",
    image: str = "busybox:1.36",
    scratch: Path | None = None,
) -> Any:
    """Start `pods` pods, `at` at a time, and remove them; seconds of each step and of the whole.

    With `scratch`, pods as `full` as a kubelet's; else `bare` ones.
    """
    configs = [
        full(number, scratch, cgroup_root) if scratch is not None else bare(number, cgroup_root, image)
        for number in range(pods)
    ]
    slots = asyncio.Semaphore(at)
    steps: dict[str, list[float]] = {"sandbox": [], "create": [], "start": [], "pod": []}

    async def one(number: int) -> str:
        config, made = configs[number]
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
