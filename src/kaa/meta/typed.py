"""What a Schema says of a value: whether it fits, which fields it sets, and what identifies a list's item.

The rules of server-side apply. An object's fields are separate unless the Schema says the object is atomic; a list is
atomic unless it is a set or a map of its items by key. Where the Schema is silent, objects are separate and lists are
atomic. Nothing given is ever changed.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from kaa.meta.fieldset import FieldSet, key_element, path_text, value_element
from kaa.meta.gotext import go_kind, go_literal, go_text
from kaa.meta.schema import ANY, Schema

__all__ = ["UntypedError", "collection_fields", "element_of", "elements_of", "fields_of", "misfits"]

Json = dict[str, Any]

_LEAF: FieldSet = {}
#: More than these are not told.
MISFITS_MAX = 100
#: Different list items remembered per schema; beyond it all are forgotten.
ELEMENTS_MAX = 2048


class UntypedError(ValueError):
    """A list's item has no identity; `str()` says why."""


def element_of(item: Any, schema: Schema) -> str:
    """The path element of a list's item. Raises UntypedError where the item has no identity."""
    return elements_of(schema)(item)


def elements_of(schema: Schema) -> Callable[[Any], str]:
    """`element_of` for one list's schema, remembering what it has seen."""
    found: Callable[[Any], str] | None = schema.compiled.get("element")
    if found is None:
        found = schema.compiled["element"] = _remembering(schema)
    return found


def _remembering(schema: Schema) -> Callable[[Any], str]:
    if schema.list_type == "set" or not schema.list_map_keys:
        return lambda item: _element_of(item, schema)
    names = schema.list_map_keys
    key_of = itemgetter(*names)
    single = len(names) == 1
    seen: dict[Any, str] = {}

    def element(item: Any) -> str:
        try:
            known = key_of(item)
            made = seen.get(known)
        except (KeyError, TypeError):
            return _element_of(item, schema)  # a key is left to its default, or this is no item
        if made is None:
            made = _element_of(item, schema)
            values = (known,) if single else known
            if all(type(each) is str or type(each) is int for each in values):
                if len(seen) >= ELEMENTS_MAX:
                    seen.clear()
                seen[known] = made
        return made

    return element


def _element_of(item: Any, schema: Schema) -> str:
    if schema.list_type == "set":
        if item is None:
            raise UntypedError("associative list without keys has an element that's an explicit null")
        if type(item) is dict and not _one_value(schema):
            raise UntypedError("associative list without keys has an element that's a map type")
        if type(item) is list and not _one_value(schema):
            raise UntypedError("not supported: associative list with lists as elements")
        return value_element(item)
    if type(item) is not dict:
        what = "a null element" if item is None else "non-map elements"
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


def _one_value(schema: Schema) -> bool:
    """Whether the items of a set are single values by their schema, whatever their shape."""
    items = schema.items
    return items is not None and (items.atomic_map or items.list_type == "atomic")


# --- fitting


def misfits(value: Json, schema: Schema) -> list[str]:
    """What of an object does not fit: each with its path, in the original's words. Nulls fit everywhere."""
    if _fits(value, schema):
        return []
    found: list[str] = []
    _fit(value, schema, [], found)
    return found[:MISFITS_MAX]


def _fits(value: Any, schema: Schema) -> bool:
    """Whether everything fits: what `_fit` would find nothing in, without keeping track of where it is."""
    kind = schema.type
    if type(value) is dict:
        if kind != "object":
            return not kind and not schema.format
        known, values = schema.fields, schema.values
        if not known and values is None:
            return True
        for name, each in value.items():
            child = known.get(name) or values
            if child is None:
                if not schema.preserve_unknown:
                    return False
            elif not ((type(each) is str and child.type == "string") or each is None or _fits(each, child)):
                return False
        return True
    if type(value) is list:
        if kind != "array":
            return not kind and not schema.format
        items = schema.items or ANY
        if schema.associative:
            try:
                if len({element_of(item, schema) for item in value}) != len(value):
                    return False
            except UntypedError:
                return False
        return all(each is None or _fits(each, items) for each in value)
    if type(value) is str:
        return kind == "string" or not kind
    if kind == "integer" or kind == "number":
        return type(value) is int or type(value) is float
    if kind == "boolean":
        return type(value) is bool
    return kind not in ("object", "array") and (kind != "string" or schema.format not in ("", "byte"))


def _fit(value: Any, schema: Schema, path: list[str], found: list[str]) -> None:
    if value is None:
        return
    kind = schema.type
    if kind == "object":
        if type(value) is dict:
            if schema.fields or schema.values is not None:
                _fit_fields(value, schema, path, found)
        else:
            _note(found, path, f"expected map, got &{{{go_text(value)}}}")
    elif kind == "array":
        if type(value) is list:
            _fit_items(value, schema, path, found)
        else:
            _note(found, path, f"expected list, got &{{{go_text(value)}}}")
    elif type(value) is str:
        if kind == "integer" or kind == "number":
            _note(found, path, "expected numeric (int or float), got string")
        elif kind == "boolean":
            _note(found, path, f"expected boolean, got &{{{value}}}")
    else:
        _fit_scalar(value, schema, path, found)


def _fit_scalar(value: Any, schema: Schema, path: list[str], found: list[str]) -> None:
    kind = schema.type
    if kind == "integer" or kind == "number":
        if type(value) is not int and type(value) is not float:
            _note(found, path, f"expected numeric (int or float), got {go_kind(value)}")
    elif kind == "boolean":
        if type(value) is not bool:
            _note(found, path, f"expected boolean, got &{{{go_text(value)}}}")
    elif kind == "string" and schema.format in ("", "byte"):
        _note(found, path, f"expected string, got &value.valueUnstructured{{Value:{go_literal(value)}}}")
    elif (type(value) is dict or type(value) is list) and (kind == "string" or schema.format):
        _note(found, path, f"expected any scalar, got &{{{go_text(value)}}}")


def _fit_fields(value: Json, schema: Schema, path: list[str], found: list[str]) -> None:
    known, values = schema.fields, schema.values
    for name, each in value.items():
        child = known.get(name) or values
        if child is None:
            if schema.preserve_unknown:
                continue
            _note(found, [*path, f"f:{name}"], "field not declared in schema")
            return  # the original looks no further in this object
        if type(each) is str and child.type == "string":
            continue
        path.append(f"f:{name}")
        _fit(each, child, path, found)
        path.pop()


def _fit_items(value: list[Any], schema: Schema, path: list[str], found: list[str]) -> None:
    items = schema.items or ANY
    seen = set()
    for at, item in enumerate(value):
        element = f"i:{at}"
        if schema.associative:
            try:
                element = element_of(item, schema)
            except UntypedError as error:
                _note(found, path, f"element {at}: {error}")
                return  # as the original: without an identity there is no path to go on with
            if element in seen:
                _note(found, path, f"duplicate entries for key {path_text((element,))}")
            seen.add(element)
        path.append(element)
        _fit(item, items, path, found)
        path.pop()


def _note(found: list[str], path: list[str], what: str) -> None:
    found.append(f"{path_text(tuple(path))}: {what}" if path else what)


# --- fields


def fields_of(value: Json, schema: Schema) -> FieldSet:
    """The fields an object sets: its leaves, its list items, and the keys of its maps."""
    made: FieldSet = {}
    known, values = schema.fields, schema.values or ANY
    for name, each in value.items():
        child = known.get(name)
        entry = child is None
        if type(each) is dict or type(each) is list:
            node = collection_fields(each, child or values)
            # Keys of maps are set by whoever sets them, however much is below; fields of structures are not.
            if entry:
                node = _LEAF if not node else node if "." in node else {".": _LEAF, **node}
            elif node is None:
                continue
        else:
            node = _LEAF
        made[f"f:{name}"] = node
    return made


def collection_fields(value: Any, schema: Schema) -> FieldSet | None:
    """The node of an object or list: a leaf for one value, None for what sets nothing (an empty list of items)."""
    if type(value) is dict:
        if not schema.separate:
            return _LEAF
        return (fields_of(value, schema) or None) if value else _LEAF
    if not schema.associative:
        return _LEAF
    made: FieldSet = {}
    items = schema.items or ANY
    for item in value:
        try:
            element = element_of(item, schema)
        except UntypedError:
            return _LEAF
        node = collection_fields(item, items) if type(item) is dict else None
        made[element] = _LEAF if not node else node if "." in node else {".": _LEAF, **node}
    return made or None
