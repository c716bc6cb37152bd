"""There is room on the node; the emptier, the better."""

from collections.abc import Iterable
from typing import Any

from kaa.scheduler.arrays import Bools, Ints, Rows, np
from kaa.scheduler.framework import SCORE_MAX, Change, Code, Cycle, Plugin, Reach, Why
from kaa.scheduler.requests import CPU, MEMORY, PODS, amount
from kaa.scheduler.shapes import Shape

__all__ = ["NodeResourcesFit"]


def _needs_less_than_offered(shape: Shape, old: Any, new: Any) -> bool:
    """A node's change helps only when the pod fits into the empty node."""
    allocatable = new.status.allocatable
    return all(amount(name, allocatable.get(name, 0)) >= value for name, value in shape.requests.items())


class NodeResourcesFit(Plugin):
    """Filter: requests fit into what is allocatable and not requested. Score: the mean free share of CPU and memory
    after the pod is placed (LeastAllocated), with what silent containers are assumed to need."""

    name = "NodeResourcesFit"
    reach = Reach.ROW
    turned_by = {
        Change.NODE_ADDED: _needs_less_than_offered,
        Change.NODE_ALLOCATABLE: _needs_less_than_offered,
        Change.POD_REMOVED: None,
        Change.POD_SHRUNK: None,
    }

    def filter(self, cycle: Cycle, rows: Rows) -> Bools:
        """Every request fits, and one more pod."""
        resources = cycle.snapshot.resources
        pods = resources[PODS]
        fits: Bools = pods.used.at(rows) < pods.allocatable.at(rows)
        for name, value in cycle.shape.requests.items():
            resource = cycle.snapshot.resource(name)
            fits &= resource.allocatable.at(rows) - resource.used.at(rows) >= value
        return fits

    def explain(self, cycle: Cycle, rows: Rows) -> Iterable[Why]:
        """A reason per resource; more than the node has at all is nothing preemption could help with."""
        snapshot = cycle.snapshot
        pods = snapshot.resources[PODS]
        yield Why("Too many pods", pods.used.at(rows) >= pods.allocatable.at(rows))
        for name, value in cycle.shape.requests.items():
            resource = snapshot.resource(name)
            offered = resource.allocatable.at(rows)
            never = offered < value
            message = f"Insufficient {name}"
            yield Why(message, never, Code.UNRESOLVABLE)
            yield Why(message, (offered - resource.used.at(rows) < value) & ~never)

    def score(self, cycle: Cycle, rows: Rows) -> Ints:
        """`((allocatable - requested) * 100 / allocatable)` of each, then the mean, all in whole numbers."""
        snapshot = cycle.snapshot
        cpu, memory = cycle.shape.nonzero
        total = None
        weights: Any = 0
        for name, used, wanted in ((CPU, snapshot.nonzero_cpu, cpu), (MEMORY, snapshot.nonzero_memory, memory)):
            capacity = snapshot.resources[name].allocatable.at(rows)
            free = np.maximum(capacity - used.at(rows) - wanted, 0)
            share = free * SCORE_MAX // np.maximum(capacity, 1)
            total = share if total is None else total + share
            weights = weights + (capacity > 0)
        scores: Ints = total // np.maximum(weights, 1)
        return scores
