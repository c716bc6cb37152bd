"""How a pod ends: its containers have finished for good (`finish`), or it is deleted (`end`)."""

import shutil
from typing import TYPE_CHECKING

from kaa.base.log import Logger
from kaa.kinds.views import Pod
from kaa.kubelet import lifecycle
from kaa.kubelet.lifecycle import Plan
from kaa.kubelet.mounts.volumes import remove_pod_dir
from kaa.kubelet.names import log_directory_name
from kaa.kubelet.parts import Parts
from kaa.kubelet.seen import PodSeen
from kaa.kubelet.stopping import stop_all
from kaa.meta.errors import StatusError

if TYPE_CHECKING:
    from kaa.kubelet.worker import Worker

__all__ = ["end", "finish", "remove_orphan"]

_log = Logger("kubelet")
ORPHAN_GRACE_SECONDS = 1.0


async def finish(worker: "Worker", how: tuple[str, str, str]) -> None:
    """The pod will never run again: stop what is left, say so, give its resources back. Containers and logs stay
    until it is deleted."""
    parts, pod = worker.parts, worker.pod
    if how[1] == "DeadlineExceeded" and worker.memo.finished is None:
        parts.event(pod, "Normal", "DeadlineExceeded", lifecycle.DEADLINE_MESSAGE)
    worker.memo.finished = how
    await _stop(worker, float(pod.spec.termination_grace_period_seconds))
    if not pod.finished:
        # Else it was said by an earlier kubelet, who knew more than is left to see now.
        worker.publish()
    await _give_back(worker)


async def end(worker: "Worker") -> None:
    """The pod is being deleted, or gone: stop it within its grace, say how it ended, and let its object go."""
    parts, pod = worker.parts, worker.pod
    grace = pod.metadata.deletion_grace_period_seconds if pod.deleting else None
    if grace is None:
        grace = pod.spec.termination_grace_period_seconds
    if worker.seen.running:
        worker.parts.probes.sync(
            pod, worker.memo, lifecycle.started_containers(pod, worker.seen), worker.address, readiness_only=True
        )
    # Less than a second would not even let the signal arrive.
    await _stop(worker, max(1.0, float(grace)))
    if worker.memo.finished is None:
        worker.memo.finished = (pod.status.phase if pod.finished else _final_phase(pod, worker.seen), "", "")
    worker.plan = Plan(initialized=worker.plan.initialized)
    if not worker.removed:
        worker.publish()
    await _give_back(worker)
    if not worker.removed:
        await worker.writer.flush()
        await _let_go(parts, pod)
    await _clean(parts, pod.namespace, pod.name, pod.uid, worker.seen)
    worker.close()


async def _stop(worker: "Worker", grace: float) -> None:
    parts, pod = worker.parts, worker.pod
    await stop_all(parts, pod, worker.seen, grace, worker.address, worker.hooks_begun)
    ready = [sandbox for sandbox in worker.seen.sandboxes if sandbox.ready]
    for container in worker.seen.running:
        worker.looking.stale.add(container.id)
    await worker.looking.look()
    for sandbox in ready:
        await parts.runtime.stop_sandbox(sandbox.id)
        worker.looking.stale.add(sandbox.id)
    parts.probes.forget(pod.uid)
    await worker.looking.look()


def _final_phase(pod: Pod, seen: PodSeen) -> str:
    ended = [seen.latest(container.name) for container in pod.spec.containers]
    good = bool(ended) and all(each is not None and each.exited and each.exit_code == 0 for each in ended)
    return "Succeeded" if good else "Failed"


async def _give_back(worker: "Worker") -> None:
    """Volumes and cgroup."""
    worker.references.close()
    worker.volumes.teardown()
    if not await remove_pod_dir(worker.parts.settings, worker.pod.uid):
        raise OSError(f"volumes of pod {worker.pod.key} are still in use")
    worker.parts.cgroups.remove(worker.pod.uid)


async def _let_go(parts: Parts, pod: Pod) -> None:
    try:
        await parts.client.delete(Pod.resource, pod.name, namespace=pod.namespace, grace_seconds=0, uid=pod.uid)
    except StatusError as error:
        # Gone already, or the name is another pod's.
        if error.code not in (404, 409):
            raise


async def _clean(parts: Parts, namespace: str, name: str, uid: str, seen: PodSeen) -> None:
    """Take the pod's containers, sandboxes and logs away. Raises RuntimeFailed."""
    for container in seen.each():
        parts.owners.pop(container.id, None)
    for sandbox in seen.sandboxes:
        await parts.runtime.remove_sandbox(sandbox.id)
        parts.owners.pop(sandbox.id, None)
    for container in seen.each():
        await parts.runtime.remove_container(container.id)
    parts.cgroups.remove(uid)
    shutil.rmtree(parts.settings.log_dir / log_directory_name(namespace, name, uid), ignore_errors=True)


async def remove_orphan(parts: Parts, namespace: str, name: str, uid: str, seen: PodSeen) -> None:
    """A pod that the API doesn't know (any more): deleted while no kubelet ran. Raises RuntimeFailed, OSError."""
    _log.info("removing a pod that is not in the API", pod=f"{namespace}/{name}", uid=uid)
    for container in seen.running:
        await parts.runtime.stop_container(container.id, ORPHAN_GRACE_SECONDS)
    for sandbox in seen.sandboxes:
        await parts.runtime.stop_sandbox(sandbox.id)
    if not await remove_pod_dir(parts.settings, uid):
        raise OSError(f"volumes of pod {namespace}/{name} are still in use")
    await _clean(parts, namespace, name, uid, seen)
