"""What the node and its pods use: `/stats/summary` and a few metrics."""

from typing import TYPE_CHECKING, Any

from kaa.base.clock import format_seconds
from kaa.kubelet import hardware, names
from kaa.kubelet.cri import api

if TYPE_CHECKING:
    from kaa.kubelet.kubelet import Kubelet

__all__ = ["metrics_text", "summary"]

Json = dict[str, Any]


async def summary(kubelet: "Kubelet") -> Json:
    """The stats summary: per container from the runtime, the node's from /proc."""
    now = format_seconds(kubelet.clock.now())
    try:
        found = await kubelet.runtime.list_container_stats()
    except api.RuntimeFailed:
        found = []
    by_pod: dict[str, list[api.ContainerStats]] = {}
    for each in found:
        by_pod.setdefault(each.attributes.labels.get(names.POD_UID, ""), []).append(each)
    pods = []
    for uid, worker in (kubelet.pods.workers if kubelet.pods else {}).items():
        containers = [_container(each, now) for each in by_pod.get(uid, ())]
        pods.append(
            {
                "podRef": {"name": worker.pod.name, "namespace": worker.pod.namespace, "uid": uid},
                "startTime": format_seconds(worker.memo.started_at) if worker.memo.started_at else None,
                "containers": containers,
                "cpu": {"time": now, **_sum(containers, "cpu")},
                "memory": {"time": now, **_sum(containers, "memory")},
            }
        )
    total = int(kubelet.parts.memory_capacity) if kubelet.parts else 0
    available = hardware.available_memory()
    free, size = hardware.available_disk(kubelet.settings.root_dir)
    node = {
        "nodeName": kubelet.settings.node_name,
        "cpu": {"time": now, **_sum(pods, "cpu")},
        "memory": {"time": now, "availableBytes": available, "workingSetBytes": max(0, total - available)},
        "fs": {"time": now, "availableBytes": free, "capacityBytes": size, "usedBytes": size - free},
    }
    return {"node": node, "pods": pods}


def _container(stats: api.ContainerStats, now: str) -> Json:
    result: Json = {"name": stats.attributes.labels.get(names.CONTAINER_NAME) or stats.attributes.metadata.name}
    if stats.cpu is not None:
        result["cpu"] = _present(
            time=now, usageNanoCores=stats.cpu.usage_nano_cores, usageCoreNanoSeconds=stats.cpu.usage_core_nanoseconds
        )
    if stats.memory is not None:
        memory = stats.memory
        result["memory"] = _present(
            time=now,
            workingSetBytes=memory.working_set_bytes,
            usageBytes=memory.usage_bytes,
            rssBytes=memory.rss_bytes,
            availableBytes=memory.available_bytes,
        )
    if stats.writable_layer is not None:
        layer = stats.writable_layer
        result["rootfs"] = _present(time=now, usedBytes=layer.used_bytes, inodesUsed=layer.inodes_used)
    return result


def _present(**values: Any) -> Json:
    return {key: value for key, value in values.items() if value is not None}


def _sum(parts: list[Json], kind: str) -> Json:
    total: Json = {}
    for part in parts:
        for key, value in (part.get(kind) or {}).items():
            if isinstance(value, int):
                total[key] = total.get(key, 0) + value
    return total


def metrics_text(kubelet: "Kubelet") -> str:
    """Prometheus text: small on purpose."""
    pods = kubelet.pods
    workers = list(pods.workers.values()) if pods else []
    running = sum(len(worker.seen.running) for worker in workers)
    lines = [
        "# TYPE kubelet_running_pods gauge",
        f"kubelet_running_pods {sum(1 for worker in workers if worker.seen.running)}",
        "# TYPE kubelet_running_containers gauge",
        f'kubelet_running_containers{{container_state="running"}} {running}',
        "# TYPE kubelet_node_name gauge",
        f'kubelet_node_name{{node="{kubelet.settings.node_name}"}} 1',
    ]
    return "\n".join(lines) + "\n"
