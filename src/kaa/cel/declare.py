"""Types from schemas: an OpenAPI structural schema as JSON (custom resources), or a Schema of a built-in kind.

Sizes are the original's bounds: what a schema limits by maxItems, maxLength and maxProperties, or else what fits into
the largest request. Fields that expressions may not see (no type, or a name with no escape) are left out.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kaa.meta.schema import Schema

from .escaping import escape
from .types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, Field, Type, list_of, map_of, object_of

__all__ = ["REQUEST_BYTES_MAX", "type_of_definition", "type_of_openapi"]

REQUEST_BYTES_MAX = 3 * 1024 * 1024

_DURATION_MAX, _DATE_MAX, _DATE_TIME_MAX = 32, 12, 37
_DATE_MIN, _DATE_TIME_MIN, _DURATION_MIN = 12, 21, 3
#: The keys of a map have no bound of their own in the original's account.
_KEY = Type("string", "string", max_elements=0, min_size=2)
_META = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}},
}


def _sized(kind: Type, most: int, least: int, form: str = "") -> Type:
    return Type(kind.kind, kind.name, max_elements=most, min_size=least, format=form)


def _text(form: str, max_length: int | None, enum: list[Any]) -> Type:
    match form:
        case "byte":
            return _sized(BYTES, REQUEST_BYTES_MAX - 2 if max_length is None else max(0, max_length), 2, form)
        case "duration":
            return _sized(DURATION, _DURATION_MAX, _DURATION_MIN, form)
        case "date":
            return _sized(TIMESTAMP, _DATE_MAX, _DATE_MIN, form)
        case "date-time":
            return _sized(TIMESTAMP, _DATE_TIME_MAX, _DATE_TIME_MIN, form)
    if max_length is not None:
        # Characters, of which each can be four bytes.
        return _sized(STRING, max(0, max_length) * 4, 2)
    if enum:
        return _sized(STRING, max((len(v.encode()) for v in enum if isinstance(v, str)), default=0), 2)
    return _sized(STRING, REQUEST_BYTES_MAX - 2, 2)


def _items_most(declared: int | None, least: int) -> int:
    return (REQUEST_BYTES_MAX - 2) // (least + 1) if declared is None else max(0, declared)


def _properties_most(declared: int | None, least: int) -> int:
    return (REQUEST_BYTES_MAX - 2) // (least + 6) if declared is None else max(0, declared)


def type_of_openapi(schema: Mapping[str, Any], *, name: str = "object", resource_root: bool = False) -> Type | None:
    """The type of a structural schema as a CustomResourceDefinition has it; None where expressions cannot see it.

    With `resource_root`, apiVersion, kind, metadata.name and metadata.generateName are there even if not described.
    """
    if schema.get("x-kubernetes-int-or-string"):
        max_length = schema.get("maxLength")
        most = REQUEST_BYTES_MAX - 2 if max_length is None else max(0, max_length) * 4
        return Type("dyn", "dyn", max_elements=most, min_size=1)
    match schema.get("type"):
        case "array":
            return _array(schema, name)
        case "object":
            return _object(schema, name, resource_root or bool(schema.get("x-kubernetes-embedded-resource")))
        case "string":
            return _text(schema.get("format", ""), schema.get("maxLength"), schema.get("enum") or [])
        case "boolean":
            return BOOL
        case "number":
            return DOUBLE
        case "integer":
            return INT
    return None


def _array(schema: Mapping[str, Any], name: str) -> Type | None:
    described = schema.get("items")
    items = type_of_openapi(described, name=f"{name}.@idx") if isinstance(described, Mapping) else None
    if items is None:
        return None
    return list_of(
        items,
        max_elements=_items_most(schema.get("maxItems"), items.min_size),
        list_type=schema.get("x-kubernetes-list-type", ""),
        keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
    )


def _object(schema: Mapping[str, Any], name: str, resource_root: bool) -> Type | None:
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping) and not schema.get("properties"):
        values = type_of_openapi(additional, name=f"{name}.@elem")
        if values is None:
            return None
        return map_of(_KEY, values, max_elements=_properties_most(schema.get("maxProperties"), values.min_size))
    properties: dict[str, Any] = dict(schema.get("properties") or {})
    if resource_root:
        properties = _with_meta(properties)
    required = set(schema.get("required") or ())
    fields: dict[str, Field] = {}
    least = 2
    for wire, below in properties.items():
        identifier = escape(wire)
        kind = type_of_openapi(below, name=f"{name}.{identifier or wire}") if isinstance(below, Mapping) else None
        if kind is None:
            continue
        has_default = "default" in below
        if identifier is not None:
            fields[identifier] = Field(kind, wire, wire in required, has_default)
        if wire in required and not has_default:
            least += len(wire.encode()) + kind.min_size + 4
    return object_of(name, fields, min_size=least)


def _with_meta(properties: dict[str, Any]) -> dict[str, Any]:
    metadata = properties.get("metadata")
    described = metadata.get("properties") if isinstance(metadata, Mapping) else None
    whole = isinstance(described, Mapping) and all(
        isinstance(described.get(key), Mapping) and described[key].get("type") == "string"
        for key in ("name", "generateName")
    )
    typed = all(
        isinstance(properties.get(key), Mapping) and properties[key].get("type") == "string"
        for key in ("apiVersion", "kind")
    )
    return properties if whole and typed else {**properties, **_META}


def type_of_definition(schema: Schema, *, cache: dict[int, Type | None] | None = None) -> Type | None:
    """The type of a built-in kind, or of a part of one. Recursive schemas make recursive types.

    `cache` (by schema node) is filled; share it between calls to share types. None where expressions cannot see it.
    """
    return _definition(schema, {} if cache is None else cache)


_SCALARS: dict[str, Callable[[Schema], Type]] = {
    "boolean": lambda schema: BOOL,
    "number": lambda schema: DOUBLE,
    "integer": lambda schema: INT,
    "string": lambda schema: _text(schema.format, None, list(schema.enum)),
}


def _definition(schema: Schema, cache: dict[int, Type | None]) -> Type | None:
    if schema.format == "int-or-string":
        return Type("dyn", "dyn", max_elements=REQUEST_BYTES_MAX - 2, min_size=1)
    if schema.format == "quantity":
        # Quantities are texts to expressions (`quantity(x)` reads them), also where a client wrote a number.
        return _sized(STRING, REQUEST_BYTES_MAX - 2, 2, "quantity")
    scalar = _SCALARS.get(schema.type)
    if scalar is not None:
        return scalar(schema)
    known = cache.get(id(schema))
    if known is not None or id(schema) in cache:
        return known
    if schema.type == "array":
        items = _definition(schema.items, cache) if schema.items is not None else None
        if items is None:
            return None
        most = _items_most(None, items.min_size)
        made = list_of(items, max_elements=most, list_type=schema.list_type, keys=schema.list_map_keys)
        cache[id(schema)] = made
        return made
    if schema.type != "object":
        return DYN if schema.preserve_unknown else None
    if schema.values is not None and not schema.fields:
        values = _definition(schema.values, cache)
        if values is None:
            return None
        made = map_of(_KEY, values, max_elements=_properties_most(None, values.min_size))
        cache[id(schema)] = made
        return made
    fields: dict[str, Field] = {}
    made = Type("object", schema.ref or "object", fields=fields, open=schema.preserve_unknown and not schema.fields)
    made.min_size = 2
    cache[id(schema)] = made
    for wire, below in schema.fields.items():
        identifier = escape(wire)
        kind = _definition(below, cache)
        if kind is not None and identifier is not None:
            fields[identifier] = Field(kind, wire, wire in schema.required, below.default is not None)
    return made
