"""Host ports are free."""

from collections.abc import Iterable

from kaa.scheduler.arrays import Bools, Rows, np
from kaa.scheduler.framework import SKIP, SUCCESS, Change, Cycle, Narrowed, Plugin, Reach, Status, Why

__all__ = ["NodePorts"]

_EVERY_ADDRESS = "0.0.0.0"


class NodePorts(Plugin):
    """Filter: no pod on the node has one of the pod's host ports, on the same address or on all."""

    name = "NodePorts"
    reach = Reach.ROW
    turned_by = {Change.NODE_ADDED: None, Change.POD_REMOVED: None}

    def pre_filter(self, cycle: Cycle) -> Status | Narrowed:
        """Most pods ask for none."""
        return SUCCESS if cycle.shape.ports else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> Bools:
        """Looks only at nodes where somebody has such a port."""
        snapshot = cycle.snapshot
        table = snapshot.table
        free = np.ones(table.size, np.bool_)
        for address, protocol, port in cycle.shape.ports:
            for node, taken in snapshot.ports.get((protocol, port), {}).items():
                row = table.rows.get(node)
                if row is not None and any(_clash(address, each) for each in taken):
                    free[row] = False
        return free[rows]

    def explain(self, cycle: Cycle, rows: Rows) -> Iterable[Why]:
        """One reason."""
        yield Why("node(s) didn't have free ports for the requested pod ports", ~self.filter(cycle, rows))


def _clash(one: str, other: str) -> bool:
    return one == other or _EVERY_ADDRESS in (one, other)
