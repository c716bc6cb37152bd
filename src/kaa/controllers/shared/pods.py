"""What controllers ask about pods, and pods made from templates. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kaa.client.listers import Lister
from kaa.controllers.shared.objects import at_seconds, condition_of, owner_reference
from kaa.kinds.views.base import View
from kaa.kinds.views.core import Pod, PodStatus
from kaa.runtime.status import to_wire

__all__ = [
    "PODS_BY_LABEL",
    "PODS_BY_NODE",
    "available_at",
    "is_active",
    "is_terminating",
    "labels_index",
    "node_index",
    "pod_from_template",
    "pods_with",
    "ready_since",
    "with_condition",
]

Json = dict[str, Any]
PODS_BY_LABEL = "namespace-label"
PODS_BY_NODE = "node"


def is_active(pod: Pod) -> bool:
    """It neither finished nor is being deleted."""
    return not pod.finished and not pod.deleting


def is_terminating(pod: Pod) -> bool:
    """It is being deleted and has not finished."""
    return pod.deleting and not pod.finished


def ready_since(pod: Pod) -> float:
    """When it turned ready, in seconds since the epoch; 0 when it is not ready, or does not say."""
    ready = condition_of(pod.status.conditions, "Ready")
    return at_seconds(ready.last_transition_time) if ready is not None and ready.status == "True" else 0.0


def available_at(pod: Pod, min_ready_seconds: int) -> float | None:
    """When it is or will be available; None when it is not ready, or does not say since when."""
    if not pod.ready:
        return None
    if min_ready_seconds == 0:
        return 0.0
    since = ready_since(pod)
    return since + min_ready_seconds if since else None


def pod_from_template(template: Json, owner: View) -> Json:
    """The pod that `owner` makes of its template; its name is generated from the owner's."""
    metadata = template.get("metadata") or {}
    made: Json = {
        "generateName": f"{owner.name}-",
        "namespace": owner.namespace,
        "ownerReferences": [owner_reference(owner)],
    }
    for field in ("labels", "annotations", "finalizers"):
        if metadata.get(field):
            made[field] = metadata[field]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": template.get("spec") or {}}


def with_condition(status: PodStatus, new: Json) -> list[Json]:
    """The conditions with one of them set, keeping its transition time when its status stays."""
    kept: list[Json] = []
    for each in status.conditions:
        if each.type != new["type"]:
            kept.append(to_wire(each))
        elif each.status == new["status"] and each.last_transition_time:
            new = {**new, "lastTransitionTime": each.last_transition_time}
    return [*kept, new]


# --- indexes ----------------------------------------------------------------------------------------------------


def labels_index(obj: View) -> Iterable[str]:
    """Under `namespace/key=value`, for each label."""
    namespace = obj.metadata.namespace
    return [f"{namespace}/{key}={value}" for key, value in obj.metadata.labels.items()]


def node_index(pod: Pod) -> Iterable[str]:
    """Under the node it is bound to."""
    return (pod.spec.node_name,) if pod.spec.node_name else ()


def pods_with(pods: Lister[Pod], namespace: str, labels: Mapping[str, str]) -> list[Pod]:
    """The pods with all of these labels; looks only at those with the rarest of them. Wants `PODS_BY_LABEL`."""
    fewest: Collection[Pod] | None = None
    for key, value in labels.items():
        found = pods.by(PODS_BY_LABEL, f"{namespace}/{key}={value}")
        if fewest is None or len(found) < len(fewest):
            fewest = found
    wanted = labels.items()
    return [pod for pod in fewest or () if wanted <= pod.metadata.labels.items()]
