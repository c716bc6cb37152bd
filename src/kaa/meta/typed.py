"""What a Schema makes of a value: which fields it sets, how two differ, how two merge, and what is left of one.

The rules of server-side apply. An object's fields are separate unless the Schema says the object is atomic; a list is
atomic unless it is a set or a map of its items by key. Where the Schema is silent, objects are separate and lists are
atomic. Nothing given is ever changed.
"""

from dataclasses import dataclass, field
from typing import Any

from kaa.meta.fieldset import FieldSet, is_member, key_element, path_text, value_element
from kaa.meta.schema import ANY, Schema

__all__ = ["Difference", "UntypedError", "compare", "fields_of", "merge", "remove", "with_named_fields"]

Json = dict[str, Any]

_LEAF: FieldSet = {}


class UntypedError(ValueError):
    """A value does not fit its schema. `str()` is the path and what is wrong, as the API words it."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.path: list[str] = []

    def __str__(self) -> str:
        return f"{path_text(tuple(reversed(self.path)))}: {self.what}"


def _separate(schema: Schema) -> bool:
    """Whether an object of this schema is a collection of fields rather than one value."""
    return not schema.atomic_map and (schema.type == "object" or schema.preserve_unknown)


def _associative(schema: Schema) -> bool:
    """Whether a list of this schema has items with an identity."""
    return schema.list_type == "map" or schema.list_type == "set"


def element_of(item: Any, schema: Schema) -> str:
    """The path element of a list's item. Raises UntypedError where the item has no identity."""
    if schema.list_type == "set":
        if item is None:
            raise UntypedError("associative list without keys has an element that's an explicit null")
        if type(item) is dict or type(item) is list:
            shape = "map" if type(item) is dict else "list"
            raise UntypedError(f"associative list without keys has an element that's a {shape} type")
        return value_element(item)
    if type(item) is not dict:
        what = "a null element" if item is None else "an element that's not a map"
        raise UntypedError(f"associative list with keys may not have {what}")
    keys = {}
    described = schema.items.fields if schema.items is not None else {}
    for name in schema.list_map_keys:
        value = item.get(name)
        if value is None and name in described:
            value = described[name].default
        if value is not None:
            keys[name] = value
    if not keys:
        listing = " ".join(f'"{name}"' for name in schema.list_map_keys)
        raise UntypedError(
            f"associative list with keys has an element that omits all key fields [{listing}] "
            "(and doesn't have default values for any key fields)"
        )
    return key_element(keys)


def fields_of(value: Json, schema: Schema, *, strict: bool = False) -> FieldSet:
    """The fields an object sets: its leaves, its list items, and the keys of its maps.

    With `strict`, raises UntypedError for fields the schema does not know, for containers of the wrong kind and for
    items that stand twice.
    """
    return _map_fields(value, schema, strict)


def _map_fields(value: Json, schema: Schema, strict: bool) -> FieldSet:
    made: FieldSet = {}
    known = schema.fields
    for name, each in value.items():
        child = known.get(name)
        node: FieldSet | None
        if child is None:
            if strict and schema.values is None and not schema.preserve_unknown and known:
                error = UntypedError("field not declared in schema")
                error.path.append(f"f:{name}")
                raise error
            child = schema.values or ANY
            entry = True
        else:
            entry = False
        if each is None:
            node = _LEAF
        else:
            try:
                node = _value_fields(each, child, strict)
            except UntypedError as error:
                error.path.append(f"f:{name}")
                raise
            # Keys of maps are set by whoever sets them, however much is below; fields of structures are not.
            if entry and node and "." not in node:
                node = {".": _LEAF, **node}
            elif entry and node is None:
                node = _LEAF
        if node is not None:
            made[f"f:{name}"] = node
    return made


def _value_fields(value: Any, schema: Schema, strict: bool) -> FieldSet | None:
    """The node of a value: a leaf for one value, None for what sets nothing (an empty list of items)."""
    if type(value) is dict:
        if strict and schema.type not in ("object", ""):
            raise UntypedError(f"expected {_kind(schema)}, got map")
        if not value or not _separate(schema):
            return _LEAF
        return _map_fields(value, schema, strict) or None
    if type(value) is list:
        if strict and schema.type not in ("array", ""):
            raise UntypedError(f"expected {_kind(schema)}, got list")
        if not _associative(schema):
            return _LEAF
        return _list_fields(value, schema, strict)
    if strict and schema.type in ("object", "array"):
        raise UntypedError(f"expected {_kind(schema)}, got {value!r}")
    return _LEAF


def _kind(schema: Schema) -> str:
    return {"object": "map", "array": "list"}.get(schema.type, schema.type)


def _list_fields(value: list[Any], schema: Schema, strict: bool) -> FieldSet | None:
    made: FieldSet = {}
    items = schema.items or ANY
    for item in value:
        try:
            element = element_of(item, schema)
        except UntypedError:
            if strict:
                raise
            return _LEAF
        if element in made and strict:
            raise UntypedError(f"duplicate entries for key {path_text((element,))}")
        try:
            node = _value_fields(item, items, strict)
        except UntypedError as error:
            error.path.append(element)
            raise
        made[element] = _LEAF if not node else node if "." in node else {".": _LEAF, **node}
    return made or None


def _all_of(value: Any, schema: Schema) -> FieldSet:
    """Every path of a value with the paths in between: what appears or goes with it."""
    if type(value) is dict:
        if not value or not _separate(schema):
            return _LEAF
        made: FieldSet = {".": _LEAF}
        known, values = schema.fields, schema.values or ANY
        for name, each in value.items():
            if type(each) is dict or type(each) is list:
                made[f"f:{name}"] = _all_of(each, known.get(name) or values)
            else:
                made[f"f:{name}"] = _LEAF
        return made
    if type(value) is list and value and _associative(schema):
        items = schema.items or ANY
        try:
            return {".": _LEAF, **{element_of(each, schema): _all_of(each, items) for each in value}}
        except UntypedError:
            return _LEAF
    return _LEAF


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

    def _below(self, element: str, inner: "Difference") -> None:
        if inner.added:
            self.added[element] = inner.added
        if inner.modified:
            self.modified[element] = inner.modified
        if inner.removed:
            self.removed[element] = inner.removed


def compare(old: Json, new: Json, schema: Schema, ignored: frozenset[str] = frozenset()) -> Difference:
    """How `old` became `new`. Fields named in `ignored` are left out at this level.

    A structure whose published default is the empty object is always there, as it is in the original's types, and so
    is a required list: they never appear or go, only what is in them does.
    """
    found = Difference()
    known, values = schema.fields, schema.values or ANY
    for name, after in new.items():
        before = old.get(name, _ABSENT)
        if before is after or before == after or name in ignored:
            continue
        child = known.get(name) or values
        if before is _ABSENT:
            if _always_there(after, child, name in schema.required):
                if after:
                    _compare_value(None, after, child, f"f:{name}", found)
            else:
                found.added[f"f:{name}"] = _all_of(after, child)
        else:
            _compare_value(before, after, child, f"f:{name}", found)
    if old.keys() <= new.keys():
        return found
    for name, before in old.items():
        if name in new or name in ignored:
            continue
        child = known.get(name) or values
        if _always_there(before, child, name in schema.required):
            if before:
                _compare_value(before, None, child, f"f:{name}", found)
        else:
            found.removed[f"f:{name}"] = _all_of(before, child)
    return found


def _always_there(value: Any, schema: Schema, required: bool) -> bool:
    if type(value) is dict:
        return type(schema.default) is dict and not schema.default and _separate(schema)
    return required and type(value) is list and _associative(schema)


_ABSENT = object()
_EMPTY: Json = {}


def _compare_value(before: Any, after: Any, schema: Schema, element: str, found: Difference) -> None:
    """Two values that are not equal; null stands for the empty object or list where the other side is one."""
    if not before and not after:
        found.modified[element] = _LEAF
        return
    if isinstance(before, dict | None) and isinstance(after, dict | None) and _separate(schema):
        found._below(element, compare(before or _EMPTY, after or _EMPTY, schema))
    elif isinstance(before, list | None) and isinstance(after, list | None) and _associative(schema):
        inner = _compare_lists(before or [], after or [], schema)
        if inner is None:
            found.modified[element] = _LEAF
        else:
            found._below(element, inner)
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
            found.added[element] = _all_of(new[0], items) if len(new) == 1 else _LEAF
        elif len(old) == 1 and len(new) == 1:
            if old[0] != new[0]:
                _compare_value(old[0], new[0], items, element, found)
        elif old != new:
            found.modified[element] = _LEAF
    for element, old in left.items():
        if element not in right:
            found.removed[element] = _all_of(old[0], items) if len(old) == 1 else _LEAF
    return found


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
    if type(have) is dict and isinstance(want, dict | None) and _separate(schema):
        return merge(have, want, schema) if want else have or want
    if type(have) is list and isinstance(want, list | None) and _associative(schema):
        return _merge_lists(have, want, schema) if want else have or want
    return want


def _merge_lists(have: list[Any], want: list[Any], schema: Schema) -> list[Any]:
    try:
        left = [(element_of(each, schema), each) for each in have]
        right = [(element_of(each, schema), each) for each in want]
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
    if type(value) is dict and _separate(schema):
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
    if type(value) is list and _associative(schema):
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
