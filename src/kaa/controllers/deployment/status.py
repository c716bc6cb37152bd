"""The status of a deployment: counts, and the conditions Available, Progressing and ReplicaFailure. Pure.

Reasons, messages and the moments at which they change are the original's: `kubectl rollout status` reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kaa.base.clock import format_seconds, parse_seconds
from kaa.controllers.deployment.rollout import max_unavailable
from kaa.kinds.views.apps import Deployment, ReplicaSet
from kaa.runtime.status import to_wire

__all__ = ["Conditions", "Report", "is_complete", "paused_conditions", "report"]

Json = dict[str, Any]

_UNLIMITED = 2**31 - 1
TIMED_OUT, AVAILABLE_NOW = "ProgressDeadlineExceeded", "NewReplicaSetAvailable"


class Conditions:
    """The conditions of a status being made; each type once."""

    def __init__(self, deployment: Deployment) -> None:
        self._held: list[Json] = [to_wire(each) for each in deployment.status.conditions]

    def get(self, type_: str) -> Json | None:
        """The condition of a type."""
        return next((each for each in self._held if each["type"] == type_), None)

    def remove(self, type_: str) -> None:
        """Take one away."""
        self._held = [each for each in self._held if each["type"] != type_]

    def set(self, type_: str, status: str, reason: str, message: str, now: float, since: str = "") -> None:
        """Set one. One with this status and reason stays untouched; its transition time stays while its status does."""
        held = self.get(type_)
        if held is not None:
            if held["status"] == status and held.get("reason", "") == reason:
                return
            if held["status"] == status:
                since = since or held.get("lastTransitionTime", "")
        self.remove(type_)
        at = format_seconds(now)
        self._held.append(
            {
                "type": type_, "status": status, "reason": reason, "message": message,
                "lastUpdateTime": at, "lastTransitionTime": since or at,
            }
        )  # fmt: skip

    def to_json(self) -> list[Json]:
        """In the wire form."""
        return list(self._held)


@dataclass(frozen=True, slots=True)
class Report:
    """The status in the wire form, and in how many seconds to look again for lack of progress."""

    status: Json
    complete: bool
    look_again_seconds: float | None


def has_deadline(deployment: Deployment) -> bool:
    """Lack of progress is to be reported."""
    return deployment.spec.progress_deadline_seconds not in (None, _UNLIMITED)


def is_complete(deployment: Deployment, status: Json) -> bool:
    """Every wanted pod is of the new template and available, and nothing else is left."""
    wanted = deployment.spec.replicas
    counts = (status.get("updatedReplicas", 0), status.get("replicas", 0), status.get("availableReplicas", 0))
    seen: int = status.get("observedGeneration", 0)
    return counts == (wanted, wanted, wanted) and seen >= deployment.metadata.generation


def paused_conditions(deployment: Deployment, conditions: Conditions, now: float) -> None:
    """Say that a rollout was paused or resumed, once; a deadline that has passed is not hidden by it."""
    if not has_deadline(deployment):
        return
    held = conditions.get("Progressing")
    if held is not None and held.get("reason") == TIMED_OUT:
        return
    paused = held is not None and held.get("reason") == "DeploymentPaused"
    if deployment.spec.paused and not paused:
        conditions.set("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
    elif not deployment.spec.paused and paused:
        conditions.set("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now)


def report(
    deployment: Deployment,
    conditions: Conditions,
    sets: Sequence[ReplicaSet],
    new: ReplicaSet | None,
    now: float,
    *,
    collisions: int | None = None,
    rolling_out: bool = True,
) -> Report:
    """What to say of `sets` (the new one among them). `rolling_out` False is for a deployment that only is scaled."""
    status = _counts(deployment, sets, new, collisions)
    least = deployment.spec.replicas - max_unavailable(deployment)
    if status.get("availableReplicas", 0) >= least:
        conditions.set("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
    else:
        conditions.set(
            "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", now
        )
    look_again: float | None = None
    if rolling_out:
        _progress(deployment, conditions, status, new, now)
        _failure(conditions, sets, new, now)
        look_again = _until_deadline(deployment, conditions, status, now)
    if found := conditions.to_json():
        status["conditions"] = found
    return Report(status, is_complete(deployment, status), look_again)


def _counts(deployment: Deployment, sets: Sequence[ReplicaSet], new: ReplicaSet | None, collisions: int | None) -> Json:
    total = sum(each.status.replicas for each in sets)
    available = sum(each.status.available_replicas for each in sets)
    counts = {
        "replicas": total,
        "updatedReplicas": new.status.replicas if new is not None else 0,
        "readyReplicas": sum(each.status.ready_replicas for each in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total - available),
    }
    status: Json = {"observedGeneration": deployment.metadata.generation}
    status.update({name: count for name, count in counts.items() if count})  # an absent count reads as zero
    terminating = [each.status.terminating_replicas for each in sets]
    if None not in terminating:
        status["terminatingReplicas"] = sum(filter(None, terminating))
    held = deployment.status.collision_count
    if (collisions := collisions if collisions is not None else held) is not None:
        status["collisionCount"] = collisions
    return status


def _progress(deployment: Deployment, conditions: Conditions, status: Json, new: ReplicaSet | None, now: float) -> None:
    if not has_deadline(deployment):
        conditions.remove("Progressing")
        return
    held = conditions.get("Progressing")
    settled = (
        status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and held is not None
        and held.get("reason") == AVAILABLE_NOW
    )
    if settled:
        return
    what = f'ReplicaSet "{new.name}"' if new is not None else f'Deployment "{deployment.name}"'
    if is_complete(deployment, status):
        conditions.set("Progressing", "True", AVAILABLE_NOW, f"{what} has successfully progressed.", now)
    elif _has_progressed(deployment, status):
        # Set anew even with the same reason: its update time is what the deadline counts from.
        since = held.get("lastTransitionTime", "") if held is not None and held["status"] == "True" else ""
        conditions.remove("Progressing")
        conditions.set("Progressing", "True", "ReplicaSetUpdated", f"{what} is progressing.", now, since)
    elif _timed_out(deployment, held, now):
        conditions.set("Progressing", "False", TIMED_OUT, f"{what} has timed out progressing.", now)


def _has_progressed(deployment: Deployment, status: Json) -> bool:
    old = deployment.status
    updated: int = status.get("updatedReplicas", 0)
    return bool(
        updated > old.updated_replicas
        or status.get("replicas", 0) - updated < old.replicas - old.updated_replicas
        or status.get("readyReplicas", 0) > old.ready_replicas
        or status.get("availableReplicas", 0) > old.available_replicas
    )


def _timed_out(deployment: Deployment, held: Json | None, now: float) -> bool:
    if held is None or held.get("reason") == AVAILABLE_NOW:
        return False
    if held.get("reason") == TIMED_OUT:
        return True
    return _deadline(deployment, held) < now


def _deadline(deployment: Deployment, held: Json) -> float:
    since = held.get("lastUpdateTime") or held.get("lastTransitionTime")
    return (parse_seconds(since) if since else 0.0) + float(deployment.spec.progress_deadline_seconds or 0)


def _until_deadline(deployment: Deployment, conditions: Conditions, status: Json, now: float) -> float | None:
    held = conditions.get("Progressing")
    if held is None or not has_deadline(deployment) or is_complete(deployment, status):
        return None
    if held.get("reason") in (TIMED_OUT, AVAILABLE_NOW):
        return None
    # Time stamps are whole seconds: a second later is surely past the deadline.
    return max(0.0, _deadline(deployment, held) - now) + 1.0


def _failure(conditions: Conditions, sets: Sequence[ReplicaSet], new: ReplicaSet | None, now: float) -> None:
    """The new replica set's failure to make or delete pods, else another's."""
    ordered = sorted(sets, key=lambda each: new is None or each.uid != new.uid)
    for each in ordered:
        for failure in each.status.conditions:
            if failure.type == "ReplicaFailure":
                conditions.set("ReplicaFailure", failure.status, failure.reason, failure.message, now)
                return
    conditions.remove("ReplicaFailure")
