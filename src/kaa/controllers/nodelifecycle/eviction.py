"""Deletes pods that do not tolerate a NoExecute taint of their node, or not any longer."""

from collections.abc import Iterable
from typing import Any

from kaa.base.clock import format_seconds
from kaa.controllers.nodelifecycle.taints import leave_at, no_execute
from kaa.controllers.shared.objects import at_seconds, condition_of
from kaa.controllers.shared.pods import PODS_BY_NODE, node_index
from kaa.kinds.views.core import Node, Pod
from kaa.meta.errors import StatusError
from kaa.runtime import Controller, For, Maps, Parts, Result, Session

__all__ = ["TaintEvictionController"]

_SCHEDULED_MAX = 200_000


def never(_old: Any, _new: Any) -> bool:
    """Pods are queued for their node's taints, not for themselves."""
    return False


def place_changed(old: Pod | None, new: Pod | None) -> bool:
    """A pod was bound, or tolerates something else, or is gone."""
    if old is None or new is None:
        return True
    return old.spec.node_name != new.spec.node_name or old.spec.tolerations != new.spec.tolerations


def endangered(pod: Pod, controller: "TaintEvictionController") -> Iterable[str]:
    """A pod on a node that sends pods away, or one whose deadline is known."""
    if pod.key in controller.scheduled:
        return (pod.key,)
    node = controller.nodes.get(pod.spec.node_name) if pod.spec.node_name else None
    return (pod.key,) if node is not None and no_execute(node) else ()


def taints_changed(old: Node | None, new: Node | None) -> bool:
    """The taints that send pods away changed."""
    return (no_execute(old) if old is not None else []) != (no_execute(new) if new is not None else [])


def pods_of(node: Node, controller: "TaintEvictionController") -> Iterable[str]:
    """The pods of a node."""
    return [pod.key for pod in controller.pods.by(PODS_BY_NODE, node.name)]


class TaintEvictionController(Controller[Pod]):
    """Delete each Pod when the time that it tolerates its node's NoExecute taints is over."""

    name, workers, component = "tainteviction", 8, "taint-eviction-controller"
    watches = (
        For(Pod, when=never),
        Maps(Pod, endangered, when=place_changed),
        Maps(Node, pods_of, when=taints_changed),
    )

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.nodes = parts.informers.of(Node).lister
        self.pods = parts.informers.of(Pod).lister
        self.pods.add_index(PODS_BY_NODE, node_index)
        #: Pods with a deadline: when its taints were first seen. Past the bound new ones count from now each time.
        self.scheduled: dict[str, float] = {}

    async def reconcile(self, obj: Pod, io: Session) -> Result | None:
        now = io.clock.now()
        node = self.nodes.get(obj.spec.node_name) if obj.spec.node_name else None
        taints = no_execute(node) if node is not None else []
        if obj.deleting or obj.finished or not taints:
            self._cancel(obj, io)
            return None
        bound = condition_of(obj.status.conditions, "PodScheduled")
        bound_at = at_seconds(bound.last_transition_time if bound is not None else obj.metadata.creation_timestamp)
        first_seen = self.scheduled.get(obj.key, now)
        deadline = leave_at(obj.spec.tolerations, taints, bound_at, first_seen)
        if deadline is None:
            self._cancel(obj, io)
            return None
        if deadline > now:
            if len(self.scheduled) < _SCHEDULED_MAX:
                self.scheduled.setdefault(obj.key, now)
            return Result(deadline - now)
        self.scheduled.pop(obj.key, None)
        await self._evict(obj, io)
        return None

    async def reconcile_gone(self, key: str, io: Session) -> Result | None:
        self.scheduled.pop(key, None)
        return None

    def _cancel(self, pod: Pod, io: Session) -> None:
        if self.scheduled.pop(pod.key, None) is not None and not pod.deleting:
            io.event(pod, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {pod.key}")

    async def _evict(self, pod: Pod, io: Session) -> None:
        io.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {pod.key}")
        target = {
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": format_seconds(io.clock.now()),
        }  # fmt: skip
        patch = {"metadata": {"uid": pod.uid}, "status": {"conditions": [target]}}
        try:
            await io.patch(
                Pod.resource, pod.name, patch, namespace=pod.namespace, kind="strategic", subresource="status"
            )
            await io.delete(pod)
        except StatusError as error:
            if error.code not in (404, 409):
                raise
