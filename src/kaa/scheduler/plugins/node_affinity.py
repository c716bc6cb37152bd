"""`nodeSelector` and node affinity: which nodes a pod wants, by their labels and names."""

from collections.abc import Iterable

from kaa.scheduler.arrays import Bools, Ints, Rows, np
from kaa.scheduler.framework import SKIP, SUCCESS, Change, Code, Cycle, Narrowed, Plugin, Reach, Status, Why, normalized

__all__ = ["NodeAffinity"]

_REASON = "node(s) didn't match Pod's node affinity/selector"


class NodeAffinity(Plugin):
    """Filter: what is required. Score: the sum of the weights of what is preferred and holds."""

    name = "NodeAffinity"
    reach = Reach.NODE
    turned_by = {Change.NODE_ADDED: None, Change.NODE_LABELS: None}

    def pre_filter(self, cycle: Cycle) -> Status | Narrowed:
        """Pods limited to nodes by name, as a daemon set's, need no look at the others."""
        match = cycle.shape.node_match
        if match.anything:
            return SKIP
        if match.only_names is None:
            return SUCCESS
        if not match.only_names:
            return Status(Code.UNRESOLVABLE, "pod affinity terms conflict")
        rows = cycle.snapshot.table.rows
        return Narrowed(np.array(sorted(rows[name] for name in match.only_names if name in rows), np.int64))

    def filter(self, cycle: Cycle, rows: Rows) -> Bools:
        """What is required holds."""
        return cycle.shape.node_match.mask(cycle.snapshot, rows)

    def explain(self, cycle: Cycle, rows: Rows) -> Iterable[Why]:
        """One reason."""
        yield Why(_REASON, ~self.filter(cycle, rows), Code.UNRESOLVABLE)

    def pre_score(self, cycle: Cycle, feasible: Rows) -> Status:
        """Without preferences there is nothing to score."""
        return SUCCESS if cycle.shape.node_preferences else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> Ints:
        """Weights of the terms that hold, added up."""
        snapshot = cycle.snapshot
        scores = np.zeros(len(snapshot.unschedulable.at(rows)), np.int64)
        for weight, term in cycle.shape.node_preferences:
            scores += weight * term.mask(snapshot, rows)
        return scores

    def normalize(self, cycle: Cycle, scores: Ints, feasible: Rows) -> Ints:
        """The most is the best."""
        return normalized(scores)
