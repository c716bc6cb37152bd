"""Pods that belong together are spread over the domains of a topology.

A pod's own constraints, hard (DoNotSchedule) and soft (ScheduleAnyway); without any, soft ones over hosts and zones
for the pods of the same service or owner.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from kaa.kinds.views.core import Taint, TopologySpreadConstraint
from kaa.meta import selectors
from kaa.scheduler.arrays import EVERY, Bools, Ints, Rows, np
from kaa.scheduler.counts import Question
from kaa.scheduler.framework import (
    SCORE_MAX,
    SKIP,
    SUCCESS,
    Change,
    Code,
    Cycle,
    Narrowed,
    Plugin,
    Status,
    Why,
)  # fmt: skip
from kaa.scheduler.matching import Term, tolerated
from kaa.scheduler.shapes import Shape
from kaa.scheduler.snapshot import Snapshot

__all__ = ["PodTopologySpread", "SelectorOf"]

SelectorOf = Callable[[Shape], selectors.LabelSelector]
"""The pods that a shape's services and owner select, all conditions together; empty when nothing selects it."""

_HOST = "kubernetes.io/hostname"
_ZONE = "topology.kubernetes.io/zone"
_REASON = "node(s) didn't match pod topology spread constraints"
_KEEPS_OFF = ("NoSchedule", "NoExecute")
_NO_MINIMUM = 2**31 - 1


@dataclass(frozen=True)
class _Constraint:
    key: str
    max_skew: int
    question: Question
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False

    @property
    def selector(self) -> selectors.LabelSelector:
        return self.question.terms[0].selector


@dataclass(frozen=True)
class _Scoring:
    constraints: tuple[_Constraint, ...]
    weights: tuple[float, ...]
    needs_all_keys: bool
    ignored: Any  # mask over the feasible nodes, or None


class PodTopologySpread(Plugin):
    """Filter: no domain gets ahead of the emptiest by more than the skew. Score: domains with fewer pods are better."""

    name = "PodTopologySpread"
    turned_by = {
        Change.NODE_ADDED: None, Change.NODE_REMOVED: None, Change.NODE_LABELS: None, Change.NODE_TAINTS: None,
        Change.POD_ADDED: None, Change.POD_REMOVED: None, Change.POD_LABELS: None,
    }  # fmt: skip

    def __init__(self, selector_of: SelectorOf = lambda shape: selectors.EVERYTHING) -> None:
        self._selector_of = selector_of

    # --- hard --------------------------------------------------------------------------------------------------------

    def pre_filter(self, cycle: Cycle) -> Status | Narrowed:
        """Only for pods with hard constraints of their own."""
        return SUCCESS if _own(cycle.shape, "DoNotSchedule") else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> Bools:
        """Every key is there and no skew is too large."""
        labelled, even = self._answers(cycle, rows)
        return labelled & even

    def explain(self, cycle: Cycle, rows: Rows) -> Iterable[Why]:
        """A node without the label cannot be helped; a full domain can."""
        labelled, even = self._answers(cycle, rows)
        yield Why(f"{_REASON} (missing required label)", ~labelled, Code.UNRESOLVABLE)
        yield Why(_REASON, labelled & ~even)

    def _answers(self, cycle: Cycle, rows: Rows) -> tuple[Bools, Bools]:
        snapshot = cycle.snapshot
        constraints = _own(cycle.shape, "DoNotSchedule")
        labelled = _has_keys(snapshot, constraints)
        even = np.ones(snapshot.table.size, np.bool_)
        for each in constraints:
            column = snapshot.label(each.key)
            ids = column.column.view
            counts = _counts(snapshot, each)
            eligible = labelled & _included(snapshot, cycle.shape, each)
            if not eligible.all():
                present = np.bincount(ids[eligible], minlength=len(column.values)) > 0
                sums = np.bincount(ids[eligible], counts[eligible], len(column.values)).astype(np.int64)
            else:
                present = np.bincount(ids, minlength=len(column.values)) > 0
                sums = column.sums(counts)
            domains = sums[present]
            least = int(domains.min()) if len(domains) else _NO_MINIMUM
            if len(domains) < each.min_domains:
                least = 0
            itself = each.selector.matches(cycle.pod.labels)
            even &= sums[ids] + itself - least <= each.max_skew
        return labelled[rows], even[rows]

    # --- soft --------------------------------------------------------------------------------------------------------

    def pre_score(self, cycle: Cycle, feasible: Rows) -> Status:
        """Weighs each constraint by how many domains the feasible nodes are in."""
        shape, snapshot = cycle.shape, cycle.snapshot
        own = bool(shape.spec.topology_spread_constraints)
        soft = _own(shape, "ScheduleAnyway") if own else self._defaults(shape, snapshot)
        if not soft:
            return SKIP
        ignored = None
        if own:
            missing = ~_has_keys(snapshot, soft)[feasible]
            ignored = missing if missing.any() else None
        weights = []
        for each in soft:
            ids = snapshot.label(each.key).column.at(feasible)
            if ignored is not None:
                ids = ids[~ignored]
            if each.key == _HOST:
                domains = len(ids)
            else:
                domains = int(np.count_nonzero(np.bincount(ids))) if len(ids) else 0
            weights.append(math.log(domains + 2))
        cycle.data[self.name] = _Scoring(soft, tuple(weights), own, ignored)
        return SUCCESS

    def score(self, cycle: Cycle, rows: Rows) -> Ints:
        """Pods in the node's domains, weighted: the fewer the better (`normalize` turns it round)."""
        snapshot = cycle.snapshot
        scoring: _Scoring = cycle.data[self.name]
        total: Any = np.zeros(len(snapshot.unschedulable.at(rows)), np.float64)
        for each, weight in zip(scoring.constraints, scoring.weights, strict=True):
            column = snapshot.label(each.key)
            ids = column.column.at(rows)
            counts = _counts(snapshot, each)
            if each.key == _HOST:
                found = counts[rows]
            else:
                eligible = _included(snapshot, cycle.shape, each)
                if scoring.needs_all_keys:
                    eligible &= _has_keys(snapshot, scoring.constraints)
                found = column.sums(np.where(eligible, counts, 0))[ids]
            total += np.where(ids > 0, found * weight + float(each.max_skew - 1), 0.0)
        scores: Ints = np.floor(total + 0.5).astype(np.int64)
        if scoring.ignored is not None:
            scores[scoring.ignored] = 0
        return scores

    def normalize(self, cycle: Cycle, scores: Ints, feasible: Rows) -> Ints:
        """The fewest is the best; nodes without a topology's label get nothing."""
        ignored = cycle.data[self.name].ignored
        counted = scores if ignored is None else scores[~ignored]
        if not len(counted):
            return np.zeros(len(scores), np.int64)
        least, most = int(counted.min()), int(counted.max())
        if most == 0:
            result = np.full(len(scores), SCORE_MAX, np.int64)
        else:
            result = SCORE_MAX * (most + least - scores) // most
        if ignored is not None:
            result[ignored] = 0
        return result

    def _defaults(self, shape: Shape, snapshot: Snapshot) -> tuple[_Constraint, ...]:
        known = shape.memo.get(self.name)
        if known is None or known[0] != snapshot.owners_version:
            selector = self._selector_of(shape)
            found: tuple[_Constraint, ...] = ()
            if not selector.empty:
                question = Question((Term(selector, frozenset((shape.namespace,))),), with_deleting=False)
                found = (_Constraint(_HOST, 3, question), _Constraint(_ZONE, 5, question))
            known = shape.memo[self.name] = (snapshot.owners_version, found)
        constraints: tuple[_Constraint, ...] = known[1]
        return constraints


def _own(shape: Shape, action: str) -> tuple[_Constraint, ...]:
    """The pod's own constraints of one kind."""
    if not shape.spec.topology_spread_constraints:
        return ()
    memo = f"spread-{action}"
    found: tuple[_Constraint, ...] | None = shape.memo.get(memo)
    if found is None:
        found = shape.memo[memo] = tuple(
            _parse(each, shape) for each in shape.spec.topology_spread_constraints if each.when_unsatisfiable == action
        )
    return found


def _parse(raw: TopologySpreadConstraint, shape: Shape) -> _Constraint:
    chosen = raw.label_selector
    selector = selectors.from_object(None if chosen is None else msgspec.to_builtins(chosen))
    same = {key: shape.labels[key] for key in raw.match_label_keys if key in shape.labels}
    if same and not selector.nothing:
        selector = selectors.LabelSelector(
            (*selector.requirements, *(selectors.Requirement(key, "in", (value,)) for key, value in same.items()))
        )
    return _Constraint(
        raw.topology_key,
        raw.max_skew,
        Question((Term(selector, frozenset((shape.namespace,))),), with_deleting=False),
        raw.min_domains or 1,
        raw.node_affinity_policy != "Ignore",
        raw.node_taints_policy == "Honor",
    )


def _counts(snapshot: Snapshot, constraint: _Constraint) -> Any:
    """Pods per node that the constraint counts. A selector without conditions counts none."""
    if constraint.selector.empty:
        return np.zeros(snapshot.table.size, np.int32)
    return snapshot.counts.count(constraint.question).column.view


def _has_keys(snapshot: Snapshot, constraints: Iterable[_Constraint]) -> Bools:
    mask = np.ones(snapshot.table.size, np.bool_)
    for each in constraints:
        mask &= snapshot.label(each.key).column.view > 0
    return mask


def _included(snapshot: Snapshot, shape: Shape, constraint: _Constraint) -> Bools:
    """The nodes whose pods count, by the constraint's policies."""
    mask = np.ones(snapshot.table.size, np.bool_)
    if constraint.honor_affinity and not shape.node_match.anything:
        mask &= shape.node_match.mask(snapshot, EVERY)
    if constraint.honor_taints:
        tolerations = shape.spec.tolerations

        def passes(taints: tuple[Taint, ...]) -> int:
            return all(tolerated(tolerations, each) for each in taints if each.effect in _KEEPS_OFF)

        mask &= snapshot.by_taints(("spread", tolerations), passes, EVERY, np.bool_)
    return mask
