"""Which conditions of a node turn Unknown when it gives no sign of life. Pure."""

from dataclasses import dataclass
from typing import Any

from kaa.base.clock import format_seconds
from kaa.controllers.settings import NodeLifecycleSettings
from kaa.controllers.shared.objects import at_seconds, condition_of
from kaa.kinds.views.core import Node
from kaa.kinds.views.net import Lease
from kaa.runtime.status import to_wire

__all__ = ["Sign", "silent_conditions", "take_sign"]

Json = dict[str, Any]
_WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of a node: what it said, and when it was seen by our clock (the node's may be wrong)."""

    uid: str
    heartbeat: str | None
    renewed: str | None
    seen_at: float


def take_sign(before: Sign | None, node: Node, lease: Lease | None, now: float) -> Sign:
    """The sign as of now: `before` when nothing new was said."""
    ready = condition_of(node.status.conditions, "Ready")
    heartbeat = ready.last_heartbeat_time if ready is not None else None
    renewed = lease.spec.renew_time if lease is not None else None
    if before is not None and before.uid == node.uid:
        if ready is not None and ready.status == "Unknown" and ready.reason == "NodeStatusUnknown":
            heartbeat = before.heartbeat  # our own words
        if (before.heartbeat, before.renewed) == (heartbeat, renewed):
            return before
    return Sign(node.uid, heartbeat, renewed, now)


def silent_conditions(node: Node, sign: Sign, now: float, settings: NodeLifecycleSettings) -> list[Json]:
    """The conditions to set because the node has been silent for too long; none when it has not."""
    ready = condition_of(node.status.conditions, "Ready")
    if ready is None:
        since = min(sign.seen_at, at_seconds(node.metadata.creation_timestamp, sign.seen_at))
        grace = settings.startup_grace_seconds
    else:
        since, grace = sign.seen_at, settings.monitor_grace_seconds
    if now <= since + grace:
        return []
    changed: list[Json] = []
    at = format_seconds(now)
    for type_ in _WATCHED:
        held = condition_of(node.status.conditions, type_)
        if held is None:
            changed.append(
                {
                    "type": type_, "status": "Unknown", "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.", "lastTransitionTime": at,
                    "lastHeartbeatTime": node.metadata.creation_timestamp or at,
                }
            )  # fmt: skip
        elif held.status != "Unknown":
            changed.append(
                {
                    **to_wire(held), "status": "Unknown", "reason": "NodeStatusUnknown",
                    "message": "Kubelet stopped posting node status.", "lastTransitionTime": at,
                }
            )  # fmt: skip
    return changed
