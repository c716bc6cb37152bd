"""Two values as one, and a value without some of its fields: what apply makes of an object."""

from typing import Any

from kaa.meta.fieldset import FieldSet, is_member
from kaa.meta.schema import ANY, Schema
from kaa.meta.typed import UntypedError, collection_fields, element_of, elements_of

__all__ = ["merge", "reconciled", "remove", "with_named_fields"]

Json = dict[str, Any]

_LEAF: FieldSet = {}


def merge(live: Json, applied: Json, schema: Schema) -> Json:
    """`live` with what `applied` sets: separate fields and items merge, single values are replaced.

    Items come in the order of `applied`, with those only `live` has between them where they were. A null replaces a
    single value (and stays, as null), and leaves collections alone.
    """
    merged = dict(live)
    known, values = schema.fields, schema.values or ANY
    for name, each in applied.items():
        have = live.get(name)
        merged[name] = each if have is None else _merge_value(have, each, known.get(name) or values)
    return merged


def _merge_value(have: Any, want: Any, schema: Schema) -> Any:
    if type(have) is dict and isinstance(want, dict | None) and schema.separate:
        return merge(have, want, schema) if want else have or want
    if type(have) is list and isinstance(want, list | None) and schema.associative:
        return _merge_lists(have, want, schema) if want else have or want
    return want


def _merge_lists(have: list[Any], want: list[Any], schema: Schema) -> list[Any]:
    try:
        element_at = elements_of(schema)
        left = [(element_at(each), each) for each in have]
        right = [(element_at(each), each) for each in want]
    except UntypedError:
        return want
    in_left, in_right = dict(reversed(left)), dict(right)
    items = schema.items or ANY
    merged: list[Any] = []
    done: set[str] = set()
    shared = [element for element, _ in right if element in in_left]
    turn = 0

    def take_right(element: str, each: Any) -> None:
        nonlocal turn
        old = in_left.get(element)
        merged.append(each if old is None else _merge_value(old, each, items))
        done.add(element)
        if turn < len(shared) and shared[turn] == element:
            turn += 1

    at_left = at_right = 0
    while at_left < len(left) or at_right < len(right):
        if at_left < len(left):
            element, each = left[at_left]
            if element not in in_right:
                merged.append(each)
                at_left += 1
                continue
            if at_right < len(right) and element == right[at_right][0]:
                take_right(*right[at_right])
                at_left += 1
                at_right += 1
                continue
            # Shared, but not the one whose turn it is: the applied order decides where it goes.
            if at_right >= len(right) or (turn < len(shared) and shared[turn] != element):
                at_left += 1
                continue
            if element in done:
                at_left += 1
        take_right(*right[at_right])
        at_right += 1
    return merged


def remove(value: Any, gone: FieldSet, schema: Schema) -> Any:
    """The value without the fields and items of a set; None where nothing of a collection is left."""
    if not gone:
        return value
    if type(value) is dict and schema.separate:
        kept: Json = {}
        known, values = schema.fields, schema.values or ANY
        for name, each in value.items():
            node = gone.get(f"f:{name}")
            if node is None:
                kept[name] = each
            elif not is_member(node):
                rest = remove(each, node, known.get(name) or values)
                if rest is not None:
                    kept[name] = rest
        return kept or None
    if type(value) is list and schema.associative:
        items = schema.items or ANY
        left = []
        for each in value:
            try:
                node = gone.get(element_of(each, schema))
            except UntypedError:
                node = None
            if node is None:
                left.append(each)
            elif not is_member(node):
                rest = remove(each, node, items)
                left.append({} if rest is None else rest)
        return left or None
    return value


def with_named_fields(fields: FieldSet, schema: Schema) -> FieldSet:
    """The set with the structures on the way to its members added, but not the maps' keys or list items."""
    made: FieldSet = {}
    known, values = schema.fields, schema.values or ANY
    for element, node in fields.items():
        if not node or element == ".":
            made[element] = node
            continue
        child = known.get(element[2:]) if element[:2] == "f:" else None
        if child is not None:
            made[element] = {".": _LEAF, **with_named_fields(node, child)}
        else:
            below = (schema.items or ANY) if element[:2] in ("k:", "v:", "i:") else values
            made[element] = with_named_fields(node, below)
    return made


def reconciled(fields: FieldSet, schema: Schema, value: Any) -> FieldSet:
    """A set made under an older schema: what has become one value is owned whole, what has come apart in its parts.

    `value` is the object as it is. The set itself where nothing is to be done.
    """
    made = fields
    for element, node in fields.items():
        if element == ".":
            continue
        child = (schema.child(element[2:]) if element[:2] == "f:" else schema.items) or ANY
        rest = _reconciled_node(node, child, _at(value, element, schema))
        if rest is not node:
            if made is fields:
                made = fields.copy()
            made[element] = rest
    return made


def _reconciled_node(node: FieldSet, schema: Schema, value: Any) -> FieldSet:
    apart = schema.associative or schema.separate
    if not apart:
        return _LEAF if node and (schema.atomic_map or schema.type == "array") else node
    if node:
        return reconciled(node, schema, value)
    if (type(value) is dict or type(value) is list) and value:
        return {".": _LEAF, **(collection_fields(value, schema) or _LEAF)}
    return node


def _at(value: Any, element: str, schema: Schema) -> Any:
    """The member of a value that an element names; None where it is not there."""
    if type(value) is dict:
        return value.get(element[2:]) if element[:2] == "f:" else None
    if type(value) is list and schema.associative:
        for item in value:
            try:
                if element_of(item, schema) == element:
                    return item
            except UntypedError:
                return None
    return None
