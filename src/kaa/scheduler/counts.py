"""How many pods of which kind are on each node, kept up as pods come and go.

Pods fall into classes (same namespace, same labels, being deleted or not). A question about pods is asked of each
class once; from then on its column of counts follows every pod of the classes that answered yes. The terms that
placed pods themselves carry (anti-affinity against newcomers, say) are counted per node in groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kaa.scheduler.arrays import np
from kaa.scheduler.matching import Term
from kaa.scheduler.shapes import Shape
from kaa.scheduler.table import Column, Table

__all__ = ["Counter", "Counts", "Group", "PodClass", "Question"]

#: All counters together may hold this many numbers; the one unused the longest goes first.
_NUMBERS_MAX = 8_000_000
_COUNTERS_MIN = 64


@dataclass(frozen=True)
class Question:
    """Pods that all the terms mean; with those being deleted, or without."""

    terms: tuple[Term, ...]
    with_deleting: bool

    @property
    def namespaces(self) -> frozenset[str] | None:
        """The only namespaces that can answer yes; None when labels of namespaces decide."""
        if any(term.namespace_selector is not None for term in self.terms):
            return None
        return frozenset.intersection(*(term.namespaces for term in self.terms))


@dataclass(eq=False, slots=True)
class PodClass:
    """Pods that no selector can tell apart, and how many of them are on each node (by name)."""

    namespace: str
    labels: Mapping[str, str]
    deleting: bool
    nodes: dict[str, int] = field(default_factory=dict)
    counters: list[Counter] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Counter:
    """The answer to a question: pods per node."""

    question: Question
    column: Column
    classes: list[PodClass] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Group:
    """A term that placed pods carry: how many of them are on each node."""

    #: "anti" and "affinity" are required terms, "prefer" preferred ones (their weight is negative for anti-affinity).
    kind: str
    term: Term
    weight: int
    column: Column
    pods: int = 0


class Counts:
    """All classes, counters and groups of a snapshot."""

    def __init__(self, table: Table, namespace_labels: Callable[[str], Mapping[str, str]]) -> None:
        self._table = table
        self._namespace_labels = namespace_labels
        self._classes: dict[tuple[str, frozenset[tuple[str, str]], bool], PodClass] = {}
        self._by_namespace: dict[str, dict[PodClass, None]] = {}
        self._counters: dict[Question, Counter] = {}
        self.groups: dict[tuple[str, Term, int], Group] = {}
        #: Goes up when a group came or went.
        self.groups_version = 0
        #: Told the label keys of each new question, before it is answered.
        self.on_mention: Callable[[Iterable[str]], None] = lambda keys: None

    # --- asking ------------------------------------------------------------------------------------------------------

    def count(self, question: Question) -> Counter:
        """Pods per node that the question means. Quick when it has been asked before."""
        counter = self._counters.pop(question, None)
        if counter is None:
            self.on_mention({r.key for term in question.terms for r in term.selector.requirements})
            counter = self._answer(question)
        self._counters[question] = counter  # the last one used stands last
        return counter

    def _answer(self, question: Question) -> Counter:
        room = max(_COUNTERS_MIN, _NUMBERS_MAX // max(1, self._table.capacity))
        while len(self._counters) >= room:
            self._forget(next(iter(self._counters)))
        counter = Counter(question, self._table.column(np.int32))
        spaces = question.namespaces
        for namespace in self._by_namespace if spaces is None else spaces:
            for each in self._by_namespace.get(namespace, ()):
                if self._means(question, each):
                    self._connect(counter, each)
        return counter

    def _means(self, question: Question, each: PodClass) -> bool:
        return (question.with_deleting or not each.deleting) and all(
            term.matches(each.namespace, each.labels, self._namespace_labels) for term in question.terms
        )

    def _connect(self, counter: Counter, each: PodClass) -> None:
        counter.classes.append(each)
        each.counters.append(counter)
        rows, array = self._table.rows, counter.column.array
        for name, count in each.nodes.items():
            row = rows.get(name)
            if row is not None:
                array[row] += count

    def _forget(self, question: Question) -> None:
        counter = self._counters.pop(question)
        for each in counter.classes:
            each.counters.remove(counter)
        self._table.drop(counter.column)

    def namespaces_changed(self) -> None:
        """Labels of namespaces are others now: questions that depend on them are answered anew when next asked."""
        for question in [q for q in self._counters if q.namespaces is None]:
            self._forget(question)
        self.groups_version += 1

    # --- pods come and go --------------------------------------------------------------------------------------------

    def class_of(self, shape: Shape, deleting: bool) -> PodClass:
        """The class of pods with this shape."""
        memo = "class-deleting" if deleting else "class"
        known: PodClass | None = shape.memo.get(memo)
        if known is not None and known.nodes:
            return known
        key = (shape.namespace, frozenset(shape.labels.items()), deleting)
        found = self._classes.get(key)
        if found is None:
            found = self._classes[key] = PodClass(shape.namespace, shape.labels, deleting)
            self._by_namespace.setdefault(shape.namespace, {})[found] = None
            for question, counter in self._counters.items():
                spaces = question.namespaces
                if (spaces is None or shape.namespace in spaces) and self._means(question, found):
                    self._connect(counter, found)
        shape.memo[memo] = found
        return found

    def came(self, each: PodClass, node: str) -> None:
        """One more of a class on a node, whether or not the node is known."""
        each.nodes[node] = each.nodes.get(node, 0) + 1

    def went(self, each: PodClass, node: str) -> None:
        """One fewer; a class without pods is given up."""
        left = each.nodes[node] - 1
        if left:
            each.nodes[node] = left
            return
        del each.nodes[node]
        if not each.nodes:
            del self._classes[each.namespace, frozenset(each.labels.items()), each.deleting]
            siblings = self._by_namespace[each.namespace]
            del siblings[each]
            if not siblings:
                del self._by_namespace[each.namespace]
            for counter in each.counters:
                counter.classes.remove(each)
            each.counters = []

    def groups_of(self, shape: Shape) -> list[Group]:
        """The groups a pod of this shape belongs to once it is placed."""
        if not shape.social:
            return []
        required, preferred = shape.affinity
        anti_required, anti_preferred = shape.anti_affinity
        wanted = [("affinity", term, 1) for term in required]
        wanted += [("anti", term, 1) for term in anti_required]
        wanted += [("prefer", term, weight) for weight, term in preferred]
        wanted += [("prefer", term, -weight) for weight, term in anti_preferred]
        found = []
        for key in wanted:
            group = self.groups.get(key)
            if group is None:
                self.on_mention({r.key for r in key[1].selector.requirements})
                group = self.groups[key] = Group(*key, self._table.column(np.int32))
                self.groups_version += 1
            found.append(group)
        return found

    def group_left(self, group: Group) -> None:
        """A pod left a group; an empty one is given up."""
        group.pods -= 1
        if not group.pods:
            del self.groups[group.kind, group.term, group.weight]
            self._table.drop(group.column)
            self.groups_version += 1

    @staticmethod
    def add_to_row(row: int, each: PodClass, groups: Iterable[Group], by: int) -> None:
        """A pod's share of the columns."""
        for counter in each.counters:
            counter.column.array[row] += by
        for group in groups:
            group.column.array[row] += by
