"""What a set of pods wants: how many more, which of them away, and its status. Pure.

The order in which pods are given up is the original's: first what costs least to lose.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any

from kaa.controllers.shared.objects import at_seconds, condition, conditions_wire
from kaa.controllers.shared.pods import available_at, ready_since
from kaa.kinds.views.apps import ReplicaSet
from kaa.kinds.views.core import Pod, ReplicationController

__all__ = ["BURST_MAX", "DELETION_COST", "AnySet", "Plan", "next_availability", "plan_replicas", "status_of"]

Json = dict[str, Any]
AnySet = ReplicaSet | ReplicationController

BURST_MAX = 500
"""Pods made or deleted in one reconcile."""
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

_PHASE = {"Pending": 0, "Unknown": 1, "Running": 2}


@dataclass(frozen=True, slots=True)
class Plan:
    """Make so many pods, or delete these."""

    create: int = 0
    delete: tuple[Pod, ...] = ()


def plan_replicas(
    set_: AnySet, active: Sequence[Pod], neighbours: Mapping[str, int] | None = None, *, now: float = 0.0
) -> Plan:
    """From the set and its active pods. `neighbours` counts the related active pods per node (its own ones when None):
    of pods that are doubled up on a node one is given up before one that is alone on its node."""
    missing = set_.spec.replicas - len(active)
    if missing >= 0:
        return Plan(create=min(missing, BURST_MAX))
    extra = min(-missing, BURST_MAX)
    if -missing >= len(active):
        return Plan(delete=tuple(active[:extra]))
    if neighbours is None:
        neighbours = Counter(pod.spec.node_name for pod in active)
    ranked = [_Ranked(pod, neighbours.get(pod.spec.node_name, 0), now) for pod in active]
    ranked.sort(key=cmp_to_key(_compare))
    return Plan(delete=tuple(each.pod for each in ranked[:extra]))


class _Ranked:
    """A pod with what is compared, worked out once."""

    __slots__ = ("cheap", "created", "created_age", "pod", "ready_age", "ready_at")

    def __init__(self, pod: Pod, neighbours: int, now: float) -> None:
        self.pod = pod
        # Smaller goes first: unassigned, pending, not ready, low cost, crowded.
        self.cheap = (
            bool(pod.spec.node_name),
            _PHASE.get(pod.status.phase, 2),
            pod.ready,
            _cost(pod),
            -neighbours,
        )
        self.ready_at = ready_since(pod)
        self.ready_age = _magnitude(now - self.ready_at) if self.ready_at else 0
        self.created = at_seconds(pod.metadata.creation_timestamp)
        self.created_age = _magnitude(now - self.created)


def _compare(one: _Ranked, other: _Ranked) -> int:
    """Below zero: `one` goes first."""
    if one.cheap != other.cheap:
        return -1 if one.cheap < other.cheap else 1
    if one.pod.ready and one.ready_at != other.ready_at:
        if not one.ready_at or not other.ready_at:
            return -1 if not one.ready_at else 1
        return _by_age(one.ready_age, other.ready_age, one, other)
    restarts = _restarts(other.pod)[0] - _restarts(one.pod)[0] or _restarts(other.pod)[1] - _restarts(one.pod)[1]
    if restarts:
        return restarts
    if one.created != other.created:
        return _by_age(one.created_age, other.created_age, one, other)
    return 0


def _by_age(age: int, other_age: int, one: _Ranked, other: _Ranked) -> int:
    """Newer first, but only by magnitude: among pods of about one age the choice is as good as random (by UID)."""
    if age != other_age:
        return age - other_age
    return -1 if one.pod.uid < other.pod.uid else 1


def _magnitude(seconds: float) -> int:
    return int(math.log2(seconds * 1e9)) if seconds > 0 else -1


def _cost(pod: Pod) -> int:
    text = pod.metadata.annotations.get(DELETION_COST, "")
    try:
        return int(text) if text else 0
    except ValueError:
        return 0  # the API refuses others; one that slipped through counts as none


def _restarts(pod: Pod) -> tuple[int, int]:
    """The most restarts of a container, and of a sidecar."""
    sidecars = {each.name for each in pod.spec.init_containers if each.restart_policy == "Always"}
    main = max((each.restart_count for each in pod.status.container_statuses), default=0)
    side = max((each.restart_count for each in pod.status.init_container_statuses if each.name in sidecars), default=0)
    return main, side


def status_of(
    set_: AnySet,
    active: Sequence[Pod],
    terminating: int,
    made: int,
    error: Exception | None,
    now: float,
) -> Json:
    """The status in the wire form. `made` pods were created just now, beyond the active ones."""
    min_ready = set_.spec.min_ready_seconds
    template_labels = ((set_.spec.template.get("metadata") or {}).get("labels") or {}).items()
    labeled = ready = available = 0
    for pod in active:
        if template_labels <= pod.metadata.labels.items():
            labeled += 1
        if pod.ready:
            ready += 1
            at = available_at(pod, min_ready)
            if at is not None and at <= now:
                available += 1
    # Zero counts are left out: the view reads an absent one as zero.
    status: Json = {"replicas": len(active) + made, "observedGeneration": set_.metadata.generation}
    for name, count in (
        ("fullyLabeledReplicas", labeled + made), ("readyReplicas", ready), ("availableReplicas", available),
    ):  # fmt: skip
        if count:
            status[name] = count
    if isinstance(set_, ReplicaSet):
        status["terminatingReplicas"] = terminating
    conditions = _conditions(set_, len(active), error, now)
    if conditions:
        status["conditions"] = conditions
    return status


def _conditions(set_: AnySet, active_count: int, error: Exception | None, now: float) -> list[Json]:
    present = set_.status.conditions
    failed = any(each.type == "ReplicaFailure" for each in present)
    if error is None:
        return conditions_wire(each for each in present if each.type != "ReplicaFailure")
    if failed:
        return conditions_wire(present)
    reason = "FailedCreate" if active_count < set_.spec.replicas else "FailedDelete"
    return [*conditions_wire(present), condition("ReplicaFailure", "True", reason, str(error), now)]


def next_availability(set_: AnySet, active: Sequence[Pod], now: float) -> float | None:
    """Seconds until a pod that is ready turns available; None when none will without news."""
    min_ready = set_.spec.min_ready_seconds
    if not min_ready:
        return None
    due = [at for pod in active if (at := available_at(pod, min_ready)) is not None and at > now]
    # Time stamps are whole seconds: a little later is surely past it.
    return max(0.05, min(due) - now + 0.05) if due else None
