"""The order of the queue: priority first, then who has waited longer."""

from typing import Any

from kaa.kinds.views.core import Pod
from kaa.scheduler.framework import Plugin

__all__ = ["PrioritySort"]


class PrioritySort(Plugin):
    """QueueSort."""

    name = "PrioritySort"

    def sort_key(self, pod: Pod, since: float) -> tuple[Any, ...]:
        """`since`: when the pod last entered the queue."""
        return (-(pod.spec.priority or 0), since)
