"""Cordoned nodes take no pods, but for those that tolerate it."""

from collections.abc import Iterable

from kaa.kinds.views.core import Taint
from kaa.scheduler.arrays import Bools, Rows, np
from kaa.scheduler.framework import Change, Code, Cycle, Plugin, Reach, Why
from kaa.scheduler.matching import tolerated

__all__ = ["NodeUnschedulable"]

_TAINT = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class NodeUnschedulable(Plugin):
    """Filter: `spec.unschedulable` is not set, or the pod tolerates the taint that stands for it."""

    name = "NodeUnschedulable"
    reach = Reach.NODE
    turned_by = {Change.NODE_ADDED: None, Change.NODE_TAINTS: None}

    def filter(self, cycle: Cycle, rows: Rows) -> Bools:
        """Not cordoned."""
        cordoned: Bools = cycle.snapshot.unschedulable.at(rows)
        if tolerated(cycle.shape.spec.tolerations, _TAINT):
            return np.ones(len(cordoned), np.bool_)
        return ~cordoned

    def explain(self, cycle: Cycle, rows: Rows) -> Iterable[Why]:
        """One reason."""
        yield Why("node(s) were unschedulable", ~self.filter(cycle, rows), Code.UNRESOLVABLE)
