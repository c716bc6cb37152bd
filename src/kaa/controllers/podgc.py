"""Pods that nobody else will remove: too many finished ones, those of lost nodes, those that never got a node."""

from collections.abc import Iterable, Sequence

from kaa.base.clock import format_seconds
from kaa.base.tasks import Scope
from kaa.controllers.settings import settings_of
from kaa.controllers.shared.objects import at_seconds
from kaa.controllers.shared.pods import with_condition
from kaa.kinds.views.base import View
from kaa.kinds.views.core import Node, Pod
from kaa.meta.errors import StatusError
from kaa.runtime import Controller, Parts, Result, Session

__all__ = ["PodGCController", "on_lost_nodes", "out_of_service", "too_many_finished", "unscheduled_and_going"]

_SWEEP = "sweep"
_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def too_many_finished(pods: Iterable[Pod], count_max: int) -> list[Pod]:
    """The finished pods beyond the limit: evicted ones first, then the oldest."""
    finished = [pod for pod in pods if pod.finished]
    extra = len(finished) - count_max
    if extra <= 0:
        return []
    finished.sort(
        key=lambda pod: (pod.status.reason != "Evicted", at_seconds(pod.metadata.creation_timestamp), pod.name)
    )
    return finished[:extra]


def unscheduled_and_going(pods: Iterable[Pod]) -> list[Pod]:
    """Being deleted without ever having had a node: there is no kubelet to finish it."""
    return [pod for pod in pods if pod.deleting and not pod.spec.node_name]


def out_of_service(pods: Iterable[Pod], nodes: Iterable[Node]) -> list[Pod]:
    """Being deleted on a node that is not ready and that somebody has declared out of service."""
    names = {
        node.name
        for node in nodes
        if not node.ready and any(taint.key == _OUT_OF_SERVICE for taint in node.spec.taints)
    }
    return [pod for pod in pods if pod.deleting and pod.spec.node_name in names] if names else []


def on_lost_nodes(pods: Iterable[Pod], nodes: Iterable[str]) -> dict[str, list[Pod]]:
    """The pods of nodes that do not exist, by the node's name."""
    known = set(nodes)
    lost: dict[str, list[Pod]] = {}
    for pod in pods:
        name = pod.spec.node_name
        if name and name not in known:
            lost.setdefault(name, []).append(pod)
    return lost


class PodGCController(Controller[View]):
    """Sweep every 20 seconds."""

    name, component = "podgc", "pod-garbage-collector-controller"

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.settings = settings_of(parts.settings).pod_gc
        self.pods = parts.informers.of(Pod).lister
        self.nodes = parts.informers.of(Node).lister
        self._missing_since: dict[str, float] = {}  # by the name of a node; monotonic seconds

    async def start(self, scope: Scope) -> None:
        """Sweep now, and then once per period."""
        self._missing_since.clear()
        self.enqueue(_SWEEP)

    async def reconcile_key(self, key: str, io: Session) -> Result | None:
        """One sweep."""
        again = Result(self.settings.period_seconds)
        pods = list(self.pods.all())
        await self._remove(too_many_finished(pods, self.settings.terminated_pods_max), io)
        await self._remove(out_of_service(pods, self.nodes.all()), io)
        await io.clock.sleep(0)
        for node, lost in (await self._lost(pods, io)).items():
            self.log.info("removing the pods of a node that is gone", node=node, pods=len(lost))
            await self._remove(lost, io, "PodGC: node no longer exists")
        await self._remove(unscheduled_and_going(pods), io)
        return again

    async def _lost(self, pods: Sequence[Pod], io: Session) -> dict[str, list[Pod]]:
        """The pods of nodes that have been missing for the time of quarantine, and are when asked for live."""
        now = io.clock.monotonic()
        found = on_lost_nodes(pods, self.nodes.keys())
        self._missing_since = {name: self._missing_since.get(name, now) for name in found}
        lost: dict[str, list[Pod]] = {}
        for name, theirs in found.items():
            if now - self._missing_since[name] < self.settings.quarantine_seconds:
                continue
            try:
                await io.client.get(Node, name)
            except StatusError as error:
                if error.code != 404:
                    raise
                lost[name] = theirs
        return lost

    async def _remove(self, pods: Sequence[Pod], io: Session, why: str = "") -> None:
        for number, pod in enumerate(pods, 1):
            if number % 50 == 0:
                await io.clock.sleep(0)
            try:
                if not pod.finished:
                    await self._fail(pod, why, io)
                # Without the session: the next sweep is far away, and need not wait for each of them to be gone.
                await io.client.delete(
                    Pod.resource, pod.name, namespace=pod.namespace, uid=pod.uid, grace_seconds=0
                )  # fmt: skip
            except StatusError as error:
                if error.code not in (404, 409):
                    raise

    async def _fail(self, pod: Pod, why: str, io: Session) -> None:
        """Whoever counts pods must see it fail before it is gone."""
        status: dict[str, object] = {"phase": "Failed"}
        if why:
            target = {
                "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": why,
                "lastTransitionTime": format_seconds(io.clock.now()),
            }  # fmt: skip
            status["conditions"] = with_condition(pod.status, target)
        patch = {"metadata": {"uid": pod.uid}, "status": status}
        await io.client.patch(Pod.resource, pod.name, patch, namespace=pod.namespace, subresource="status")
