"""Pods wait outside of the queue while they have gates."""

from kaa.kinds.views.core import Pod
from kaa.scheduler.framework import SUCCESS, Code, Plugin, Status

__all__ = ["SchedulingGates"]


class SchedulingGates(Plugin):
    """PreEnqueue: no gates left. The condition that says so is the API server's, from the pod's creation on."""

    name = "SchedulingGates"

    def pre_enqueue(self, pod: Pod) -> Status:
        """Named in the order they stand in the pod."""
        gates = [gate.name for gate in pod.spec.scheduling_gates]
        if not gates:
            return SUCCESS
        return Status(Code.UNRESOLVABLE, f"waiting for scheduling gates: [{' '.join(gates)}]")
