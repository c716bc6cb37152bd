"""How one value became another: which fields came, which changed, and which went."""

from dataclasses import dataclass, field
from typing import Any

from kaa.meta.fieldset import FieldSet, union
from kaa.meta.schema import ANY, Schema
from kaa.meta.typed import UntypedError, element_of
from kaa.meta.wholes import all_of, always_there, born

__all__ = ["Difference", "compare"]

Json = dict[str, Any]

_LEAF: FieldSet = {}
_ABSENT = object()
_EMPTY: Json = {}


@dataclass(slots=True)
class Difference:
    """How one value became another: the paths that came, those whose value changed, and those that went."""

    added: FieldSet = field(default_factory=dict)
    modified: FieldSet = field(default_factory=dict)
    removed: FieldSet = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.added or self.modified or self.removed)

    @property
    def touched(self) -> FieldSet:
        """Every path that differs."""
        return union(union(self.added, self.modified), self.removed)

    def put(self, element: str, inner: "Difference") -> None:
        """Take over what differs below an element."""
        if inner.added:
            self.added[element] = inner.added
        if inner.modified:
            self.modified[element] = inner.modified
        if inner.removed:
            self.removed[element] = inner.removed


def compare(old: Json, new: Json, schema: Schema, ignored: frozenset[str] = frozenset()) -> Difference:
    """How `old` became `new`. Fields named in `ignored` are left out at this level.

    What is always there (`kaa.meta.wholes.always_there`) never appears or goes, only what is in it does.
    """
    found = Difference()
    if not old and type(new) is dict:
        found.added = born(new, schema, ignored)
        return found
    known, values = schema.fields, schema.values or ANY
    for name, after in new.items():
        before = old.get(name, _ABSENT)
        if before is after or before == after or name in ignored:
            continue
        child = known.get(name) or values
        if before is _ABSENT:
            if always_there(after, child, schema, name):
                if after:
                    _compare_value(None, after, child, f"f:{name}", found)
            else:
                found.added[f"f:{name}"] = all_of(after, child)
        else:
            _compare_value(before, after, child, f"f:{name}", found)
    if old.keys() <= new.keys():
        return found
    for name, before in old.items():
        if name in new or name in ignored:
            continue
        child = known.get(name) or values
        if always_there(before, child, schema, name):
            if before:
                _compare_value(before, None, child, f"f:{name}", found)
        else:
            found.removed[f"f:{name}"] = all_of(before, child)
    return found


def _compare_value(before: Any, after: Any, schema: Schema, element: str, found: Difference) -> None:
    """Two values that are not equal; null stands for the empty object or list where the other side is one."""
    if not before and not after:
        found.modified[element] = _LEAF
        return
    if isinstance(before, dict | None) and isinstance(after, dict | None) and schema.separate:
        found.put(element, compare(before or _EMPTY, after or _EMPTY, schema))
    elif isinstance(before, list | None) and isinstance(after, list | None) and schema.associative:
        inner = _compare_lists(before or [], after or [], schema)
        if inner is None:
            found.modified[element] = _LEAF
        else:
            found.put(element, inner)
    else:
        found.modified[element] = _LEAF


def _by_element(items: list[Any], schema: Schema) -> dict[str, list[Any]]:
    made: dict[str, list[Any]] = {}
    for item in items:
        made.setdefault(element_of(item, schema), []).append(item)
    return made


def _compare_lists(before: list[Any], after: list[Any], schema: Schema) -> Difference | None:
    """None where items have no identity, so that the list can only be compared as a whole."""
    try:
        left, right = _by_element(before, schema), _by_element(after, schema)
    except UntypedError:
        return None
    found = Difference()
    items = schema.items or ANY
    for element, new in right.items():
        old = left.get(element)
        if old is None:
            found.added[element] = all_of(new[0], items) if len(new) == 1 else _LEAF
        elif len(old) == 1 and len(new) == 1:
            if old[0] != new[0]:
                _compare_value(old[0], new[0], items, element, found)
        elif old != new:
            found.modified[element] = _LEAF
    for element, old in left.items():
        if element not in right:
            found.removed[element] = all_of(old[0], items) if len(old) == 1 else _LEAF
    return found
