"""A pod that names its node runs there or nowhere."""

from collections.abc import Iterable

from kaa.scheduler.arrays import Bools, Rows, np
from kaa.scheduler.framework import SKIP, SUCCESS, Change, Code, Cycle, Narrowed, Plugin, Status, Why

__all__ = ["NodeName"]


class NodeName(Plugin):
    """Filter: `spec.nodeName`, where it is set. Such pods are bound already and do not come to the queue; dry runs
    may ask nevertheless."""

    name = "NodeName"
    turned_by = {Change.NODE_ADDED: None}

    def pre_filter(self, cycle: Cycle) -> Status | Narrowed:
        """Hardly ever anything to do."""
        return SUCCESS if cycle.pod.spec.node_name else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> Bools:
        """That node only."""
        snapshot = cycle.snapshot
        mask = np.zeros(snapshot.table.size, np.bool_)
        row = snapshot.table.rows.get(cycle.pod.spec.node_name)
        if row is not None:
            mask[row] = True
        return mask[rows]

    def explain(self, cycle: Cycle, rows: Rows) -> Iterable[Why]:
        """One reason."""
        yield Why("node(s) didn't match the requested node name", ~self.filter(cycle, rows), Code.UNRESOLVABLE)
