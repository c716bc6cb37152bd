"""Node selectors, pod affinity terms and tolerations, compiled. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kaa.kinds.views.core import Taint, Toleration
from kaa.meta import selectors
from kaa.scheduler.arrays import Bools, Rows, np

if TYPE_CHECKING:
    from kaa.scheduler.snapshot import Snapshot

__all__ = ["NodeMatch", "NodeTerm", "Term", "node_terms", "pod_terms", "tolerated", "tolerates"]

Json = dict[str, Any]
NamespaceLabels = Callable[[str], Mapping[str, str]]
_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}
_NAME = "metadata.name"


@dataclass(frozen=True)
class NodeTerm:
    """All of these must hold. Without any it matches no node, as the API has it."""

    labels: tuple[selectors.Requirement, ...] = ()
    #: (whether to be in, names).
    names: tuple[tuple[bool, tuple[str, ...]], ...] = ()

    @property
    def empty(self) -> bool:
        """Says nothing."""
        return not self.labels and not self.names

    @property
    def only_names(self) -> frozenset[str] | None:
        """The nodes it is limited to by name; None when it is not."""
        sets = [frozenset(names) for inside, names in self.names if inside]
        return frozenset.intersection(*sets) if sets else None

    def mask(self, snapshot: Snapshot, rows: Rows) -> Bools:
        """Where it holds."""
        size = len(snapshot.unschedulable.at(rows))
        if self.empty:
            return np.zeros(size, np.bool_)
        result = np.ones(size, np.bool_)
        for each in self.labels:
            result &= _holds(each, snapshot, rows)
        for inside, names in self.names:
            named = np.zeros(snapshot.table.size, np.bool_)
            named[[row for name in names if (row := snapshot.table.rows.get(name)) is not None]] = True
            result &= named[rows] if inside else ~named[rows]
        return result


def _holds(requirement: selectors.Requirement, snapshot: Snapshot, rows: Rows) -> Bools:
    column = snapshot.label(requirement.key)
    if requirement.operator == "in" and len(requirement.values) <= 4:
        numbers = column.column.at(rows)
        result: Bools = numbers == column.number(requirement.values[0])
        for value in requirement.values[1:]:
            result |= numbers == column.number(value)
        return result
    key, match = requirement.key, requirement.compile()
    return column.matching(requirement, lambda value: match({} if value is None else {key: value}), rows)


def _term(raw: Json) -> NodeTerm:
    labels, names = [], []
    for each in raw.get("matchExpressions") or ():
        operator = _OPERATORS.get(each.get("operator", ""))
        if operator is None:
            raise selectors.SelectorError(f'"{each.get("operator", "")}" is not a valid node selector operator')
        labels.append(selectors.Requirement(each["key"], operator, tuple(each.get("values") or ())))
    for each in raw.get("matchFields") or ():
        if each.get("key") != _NAME or each.get("operator") not in ("In", "NotIn"):
            raise selectors.SelectorError(f"matchFields supports In and NotIn of {_NAME} only")
        names.append((each["operator"] == "In", tuple(each.get("values") or ())))
    return NodeTerm(tuple(labels), tuple(names))


def node_terms(raw: Iterable[Json] | None) -> tuple[NodeTerm, ...]:
    """The terms of a node selector. Raises SelectorError."""
    return tuple(_term(each) for each in raw or ())


@dataclass(frozen=True)
class NodeMatch:
    """What a pod requires of its node: every label of `nodeSelector`, and one of the terms of its affinity."""

    selector: tuple[tuple[str, str], ...] = ()
    #: None when there is no required affinity; then any node will do.
    terms: tuple[NodeTerm, ...] | None = None

    @property
    def anything(self) -> bool:
        """Every node matches."""
        return not self.selector and self.terms is None

    @cached_property
    def only_names(self) -> frozenset[str] | None:
        """The nodes it is limited to by name, as those of daemon sets are."""
        if not self.terms:
            return None
        sets = [term.only_names for term in self.terms]
        if any(each is None for each in sets):
            return None
        return frozenset().union(*(each for each in sets if each is not None))

    def mask(self, snapshot: Snapshot, rows: Rows) -> Bools:
        """Where it holds."""
        result = np.ones(len(snapshot.unschedulable.at(rows)), np.bool_)
        for key, value in self.selector:
            column = snapshot.label(key)
            result &= column.column.at(rows) == column.number(value)
        if self.terms is not None:
            either = np.zeros(len(result), np.bool_)
            for term in self.terms:
                either |= term.mask(snapshot, rows)
            result &= either
        return result


@dataclass(frozen=True)
class Term:
    """Pods of some namespaces with some labels, near in a topology: a pod affinity term, or a spread's selector."""

    selector: selectors.LabelSelector
    namespaces: frozenset[str] = frozenset()
    namespace_selector: selectors.LabelSelector | None = None
    topology_key: str = ""

    def matches(self, namespace: str, labels: Mapping[str, str], namespace_labels: NamespaceLabels) -> bool:
        """Whether a pod is meant."""
        if namespace not in self.namespaces and (
            self.namespace_selector is None or not self.namespace_selector.matches(namespace_labels(namespace))
        ):
            return False
        return self.selector.matches(labels)


def _pod_term(raw: Json, namespace: str) -> Term:
    namespaces = frozenset(raw.get("namespaces") or ())
    chosen = raw.get("namespaceSelector")
    if not namespaces and chosen is None:
        namespaces = frozenset((namespace,))
    return Term(
        selectors.from_object(raw.get("labelSelector")),
        namespaces,
        None if chosen is None else selectors.from_object(chosen),
        raw.get("topologyKey", ""),
    )


def pod_terms(part: Json | None, namespace: str) -> tuple[tuple[Term, ...], tuple[tuple[int, Term], ...]]:
    """The required terms of a podAffinity or podAntiAffinity, and the preferred ones with their weights."""
    part = part or {}
    required = tuple(
        _pod_term(each, namespace) for each in part.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    )
    preferred = tuple(
        (int(each.get("weight") or 0), _pod_term(each.get("podAffinityTerm") or {}, namespace))
        for each in part.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    )
    return required, preferred


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether a toleration covers a taint. An empty key with Exists covers all; an empty effect, every effect."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and bool(toleration.key) and toleration.value == taint.value


def tolerated(tolerations: Sequence[Toleration], taint: Taint) -> bool:
    """Whether any of them covers it."""
    return any(tolerates(each, taint) for each in tolerations)
