"""Pods near to, or away from, other pods: by what they ask for, and by what those already placed ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kaa.scheduler.arrays import Bools, Ints, Rows, np
from kaa.scheduler.counts import Group, Question
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
from kaa.scheduler.matching import Term
from kaa.scheduler.snapshot import Snapshot

__all__ = ["InterPodAffinity"]

#: What a placed pod's required affinity to the newcomer counts for in the score.
_HARD_AFFINITY_WEIGHT = 1


class InterPodAffinity(Plugin):
    """Filter: required terms of both sides. Score: preferred terms of both, and required affinity of placed pods."""

    name = "InterPodAffinity"
    turned_by = {
        Change.NODE_ADDED: None, Change.NODE_LABELS: None,
        Change.POD_ADDED: None, Change.POD_REMOVED: None, Change.POD_LABELS: None, Change.OTHER: None,
    }  # fmt: skip

    def pre_filter(self, cycle: Cycle) -> Status | Narrowed:
        """Most pods ask for nothing, and nobody minds them."""
        if cycle.shape.social:
            return SUCCESS
        return SUCCESS if _groups(cycle)[0] else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> Bools:
        """All three hold."""
        near, away, welcome = self._answers(cycle)
        return (near & away & welcome)[rows]

    def explain(self, cycle: Cycle, rows: Rows) -> Iterable[Why]:
        """The first of the three that fails on a node is its reason."""
        near, away, welcome = (each[rows] for each in self._answers(cycle))
        yield Why("node(s) didn't match pod affinity rules", ~near, Code.UNRESOLVABLE)
        yield Why("node(s) didn't match pod anti-affinity rules", near & ~away)
        yield Why("node(s) didn't satisfy existing pods anti-affinity rules", near & away & ~welcome)

    def _answers(self, cycle: Cycle) -> tuple[Bools, Bools, Bools]:
        """Near to what it wants, away from what it does not want, and not unwanted; of every node."""
        snapshot, shape = cycle.snapshot, cycle.shape
        size = snapshot.table.size
        away = np.ones(size, np.bool_)
        for term in shape.anti_affinity[0]:
            away &= ~_found(snapshot, term.topology_key, _count(snapshot, (term,)))
        welcome = np.ones(size, np.bool_)
        for group in _groups(cycle)[0]:
            welcome &= ~_found(snapshot, group.term.topology_key, group.column.view)
        return self._near(cycle), away, welcome

    def _near(self, cycle: Cycle) -> Bools:
        snapshot, terms = cycle.snapshot, cycle.shape.affinity[0]
        near = np.ones(snapshot.table.size, np.bool_)
        if not terms:
            return near
        counts = _count(snapshot, terms)
        labelled = np.ones(snapshot.table.size, np.bool_)
        anywhere = False
        for term in terms:
            labelled &= snapshot.label(term.topology_key).column.view > 0
            found = _found(snapshot, term.topology_key, counts)
            anywhere = anywhere or bool(found.any())
            near &= found
        if not anywhere and all(_means(cycle, term) for term in terms):
            # The first of pods that want to be together: nobody is there yet to be near to.
            return labelled
        return near

    # --- score -------------------------------------------------------------------------------------------------------

    def pre_score(self, cycle: Cycle, feasible: Rows) -> Status:
        """Gathers what counts, per topology."""
        shape, snapshot = cycle.shape, cycle.snapshot
        per_key: dict[str, Any] = {}
        wanted = [(group.term.topology_key, group.weight, group.column.view) for group in _groups(cycle)[1]]
        if shape.social:
            for sign, preferred in ((1, shape.affinity[1]), (-1, shape.anti_affinity[1])):
                wanted += [(term.topology_key, sign * weight, _count(snapshot, (term,))) for weight, term in preferred]
        if not wanted:
            return SKIP
        for key, weight, counts in wanted:
            weighted = weight * counts.astype(np.int64)
            per_key[key] = per_key[key] + weighted if key in per_key else weighted
        cycle.data[self.name] = per_key
        return SUCCESS

    def score(self, cycle: Cycle, rows: Rows) -> Ints:
        """The weights of the pods in the node's domains, added up; may be negative."""
        snapshot = cycle.snapshot
        total = np.zeros(len(snapshot.unschedulable.at(rows)), np.int64)
        for key, weighted in cycle.data[self.name].items():
            column = snapshot.label(key)
            sums = column.sums(weighted)
            sums[0] = 0
            total += sums[column.column.at(rows)]
        return total

    def normalize(self, cycle: Cycle, scores: Ints, feasible: Rows) -> Ints:
        """From the least to the most; nothing where all are alike."""
        least, most = int(scores.min()), int(scores.max())
        if most == least:
            return np.zeros(len(scores), np.int64)
        return (float(SCORE_MAX) * ((scores - least) / float(most - least))).astype(np.int64)


def _count(snapshot: Snapshot, terms: tuple[Term, ...]) -> Any:
    # Pods being deleted still keep others near and away.
    bare = tuple(Term(term.selector, term.namespaces, term.namespace_selector) for term in terms)
    return snapshot.counts.count(Question(bare, with_deleting=True)).column.view


def _found(snapshot: Snapshot, key: str, counts: Any) -> Bools:
    """The nodes in whose domain there is a pod; none outside of the topology."""
    column = snapshot.label(key)
    there = np.bincount(column.column.view, counts, len(column.values)) > 0
    there[0] = False
    mask: Bools = there[column.column.view]
    return mask


def _means(cycle: Cycle, term: Term) -> bool:
    spaces = cycle.snapshot.namespaces
    return term.matches(cycle.pod.namespace, cycle.pod.labels, lambda name: spaces.get(name, {}))


def _groups(cycle: Cycle) -> tuple[list[Group], list[Group]]:
    """The terms of placed pods that mean this one: those that keep it away, and those that make a score."""
    counts = cycle.snapshot.counts
    known = cycle.shape.memo.get("groups")
    if known is None or known[0] != counts.groups_version:
        meant = [group for group in counts.groups.values() if _means(cycle, group.term)]
        away = [group for group in meant if group.kind == "anti"]
        scored = [
            group for group in meant
            if group.kind == "prefer" or (group.kind == "affinity" and _HARD_AFFINITY_WEIGHT)
        ]  # fmt: skip
        known = cycle.shape.memo["groups"] = (counts.groups_version, away, scored)
    return known[1], known[2]
