"""Taints keep pods off nodes (NoSchedule, NoExecute) or make nodes less liked (PreferNoSchedule)."""

from collections.abc import Iterable

from kaa.kinds.views.core import Taint
from kaa.scheduler.arrays import Bools, Ints, Rows, np
from kaa.scheduler.framework import Change, Code, Cycle, Plugin, Reach, Why, normalized
from kaa.scheduler.matching import tolerated

__all__ = ["TaintToleration"]

_KEEPS_OFF = ("NoSchedule", "NoExecute")


class TaintToleration(Plugin):
    """Filter: every taint that keeps pods off is tolerated. Score: the fewer intolerable preferences, the better."""

    name = "TaintToleration"
    reach = Reach.NODE
    turned_by = {Change.NODE_ADDED: None, Change.NODE_TAINTS: None}

    def filter(self, cycle: Cycle, rows: Rows) -> Bools:
        """Asked once per distinct set of taints."""
        tolerations = cycle.shape.spec.tolerations

        def passes(taints: tuple[Taint, ...]) -> int:
            return all(tolerated(tolerations, each) for each in taints if each.effect in _KEEPS_OFF)

        mask: Bools = cycle.snapshot.by_taints((self.name, "filter", tolerations), passes, rows, np.bool_)
        return mask

    def explain(self, cycle: Cycle, rows: Rows) -> Iterable[Why]:
        """One reason for all taints: a message that lists every node's would grow with the cluster."""
        yield Why("node(s) had untolerated taint(s)", ~self.filter(cycle, rows), Code.UNRESOLVABLE)

    def score(self, cycle: Cycle, rows: Rows) -> Ints:
        """How many PreferNoSchedule taints the pod does not tolerate."""
        tolerations = tuple(t for t in cycle.shape.spec.tolerations if t.effect in ("", "PreferNoSchedule"))

        def intolerable(taints: tuple[Taint, ...]) -> int:
            return sum(each.effect == "PreferNoSchedule" and not tolerated(tolerations, each) for each in taints)

        scores: Ints = cycle.snapshot.by_taints((self.name, "score", tolerations), intolerable, rows, np.int64)
        return scores

    def normalize(self, cycle: Cycle, scores: Ints, feasible: Rows) -> Ints:
        """The most is the worst."""
        return normalized(scores, reverse=True)
