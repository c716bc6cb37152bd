"""The taints a node should have for its conditions, and when a pod must leave a node for its taints. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kaa.base.clock import format_seconds
from kaa.controllers.shared.objects import at_seconds
from kaa.kinds.views.core import Node, Taint, Toleration
from kaa.runtime.status import to_wire

__all__ = ["NOT_READY", "UNREACHABLE", "leave_at", "no_execute", "plan_taints", "tolerates"]

Json = dict[str, Any]

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"

_BY_CONDITION: Mapping[tuple[str, str], str] = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
_OURS = {(key, "NoSchedule") for key in (*_BY_CONDITION.values(), UNSCHEDULABLE)} | {
    (NOT_READY, "NoExecute"),
    (UNREACHABLE, "NoExecute"),
}


def no_execute(node: Node) -> list[Taint]:
    """The taints of a node that send pods away."""
    return [each for each in node.spec.taints if each.effect == "NoExecute"]


def sends_away(node: Node) -> str:
    """The NoExecute taint that its Ready condition asks for; "" when it is ready, or has not said anything yet."""
    for each in node.status.conditions:
        if each.type == "Ready":
            return {"False": NOT_READY, "Unknown": UNREACHABLE}.get(each.status, "")
    return ""


def is_sent_away(node: Node) -> bool:
    """It has a NoExecute taint for its Ready condition, of either kind."""
    return any(each.effect == "NoExecute" and each.key in (NOT_READY, UNREACHABLE) for each in node.spec.taints)


def plan_taints(node: Node, *, send_away: bool, now: float) -> list[Json] | None:
    """The node's taints as they should be; None when they are. Taints of others are left alone.

    `send_away` says whether the node's pods may be sent away if its Ready condition asks for it.
    """
    wanted = {
        (_BY_CONDITION[(each.type, each.status)], "NoSchedule")
        for each in node.status.conditions
        if (each.type, each.status) in _BY_CONDITION
    }
    if node.spec.unschedulable:
        wanted.add((UNSCHEDULABLE, "NoSchedule"))
    if send_away and (key := sends_away(node)):
        wanted.add((key, "NoExecute"))
    present = {(each.key, each.effect) for each in node.spec.taints}
    if present & _OURS == wanted:
        return None
    kept = [each for each in node.spec.taints if (each.key, each.effect) not in _OURS - wanted]
    added = [
        {"key": key, "effect": effect, "timeAdded": format_seconds(now)} for key, effect in sorted(wanted - present)
    ]
    return [*(to_wire(each) for each in kept), *added]


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether a toleration is for a taint."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    return toleration.operator == "Exists" or (bool(toleration.key) and toleration.value == taint.value)


def leave_at(
    tolerations: Sequence[Toleration], taints: Iterable[Taint], bound_at: float, first_seen: float
) -> float | None:
    """When a pod must leave: 0 for at once, None for never.

    The time a toleration grants counts from when the taint came, or the pod was bound, whichever was later;
    `first_seen` stands in for a taint that does not say.
    """
    deadline: float | None = None
    for taint in taints:
        used = next((each for each in tolerations if tolerates(each, taint)), None)
        if used is None:
            return 0.0
        if used.toleration_seconds is None:
            continue
        if used.toleration_seconds <= 0:
            return 0.0
        until = max(at_seconds(taint.time_added, first_seen), bound_at) + used.toleration_seconds
        deadline = until if deadline is None else min(deadline, until)
    return deadline
