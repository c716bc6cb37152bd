"""CPU and memory of a node are used up evenly."""

from kaa.scheduler.arrays import Ints, Rows, np
from kaa.scheduler.framework import SCORE_MAX, SKIP, SUCCESS, Cycle, Plugin, Reach, Status
from kaa.scheduler.requests import CPU, MEMORY

__all__ = ["NodeResourcesBalancedAllocation"]


class NodeResourcesBalancedAllocation(Plugin):
    """Score: one minus the standard deviation of the used shares of CPU and memory. Pods that request neither are not
    scored: they would all go to the same node."""

    name = "NodeResourcesBalancedAllocation"
    reach = Reach.ROW

    def pre_score(self, cycle: Cycle, feasible: Rows) -> Status:
        """Best-effort pods are left out."""
        requests = cycle.shape.requests
        return SUCCESS if CPU in requests or MEMORY in requests else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> Ints:
        """Of two shares the deviation is half their difference; a node that lacks one of the two is balanced."""
        shares, present = [], []
        for name in (CPU, MEMORY):
            resource = cycle.snapshot.resources[name]
            capacity = resource.allocatable.at(rows)
            requested = resource.used.at(rows) + cycle.shape.requests.get(name, 0)
            shares.append(np.minimum(requested / np.maximum(capacity, 1), 1.0))
            present.append(capacity > 0)
        deviation = np.where(present[0] & present[1], np.abs((shares[0] - shares[1]) / 2), 0.0)
        return ((1 - deviation) * float(SCORE_MAX)).astype(np.int64)
