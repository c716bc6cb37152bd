"""What a schema must be to be structural, and which words of JSON Schema are not served.

The rules and their wording are those of apiextensions.k8s.io/v1: a value's structure (types, properties, items) is said
outside of `allOf`, `anyOf`, `oneOf` and `not`, which may only restrict what is already described.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds.custom.patterns import PatternError, compile_pattern
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = [
    "EMBEDDED", "INT_OR_STRING", "LIST_KEYS", "LIST_TYPE", "MAP_TYPE", "PRESERVE", "RULES", "at_root", "readable",
    "structure", "too_deep", "words",
]  # fmt: skip

Json = dict[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"
LIST_TYPE = "x-kubernetes-list-type"
LIST_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"
RULES = "x-kubernetes-validations"

TYPES = ("array", "boolean", "integer", "number", "object", "string")
#: How deep a schema may nest: deeper ones are refused before they are walked.
DEPTH_MAX = 200

_NOT_SERVED = {
    "id": "id is not supported",
    "additionalItems": "additionalItems is not supported",
    "patternProperties": "patternProperties is not supported",
    "definitions": "definitions is not supported",
    "dependencies": "dependencies is not supported",
    "$ref": "$ref is not supported",
}
_EMPTY_INSIDE = {
    "type": "must be empty to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "externalDocs": "must be undefined to be structural",
    PRESERVE: "must be false to be structural",
    EMBEDDED: "must be false to be structural",
    INT_OR_STRING: "must be false to be structural",
    LIST_KEYS: "must be empty to be structural",
    LIST_TYPE: "must be undefined to be structural",
    MAP_TYPE: "must be undefined to be structural",
    RULES: "must be empty to be structural",
}
_INT_OR_STRING_ANY_OF = [{"type": "integer"}, {"type": "string"}]


#: What may stand at the root of a schema whose status is written apart, by its name in the original's message.
_AT_ROOT = {
    "description": "Description", "type": "Type", "format": "Format", "title": "Title", "maximum": "Maximum",
    "exclusiveMaximum": "ExclusiveMaximum", "minimum": "Minimum", "exclusiveMinimum": "ExclusiveMinimum",
    "maxLength": "MaxLength", "minLength": "MinLength", "pattern": "Pattern", "maxItems": "MaxItems",
    "minItems": "MinItems", "uniqueItems": "UniqueItems", "multipleOf": "MultipleOf", "required": "Required",
    "items": "Items", "properties": "Properties", "externalDocs": "ExternalDocs", "example": "Example",
    PRESERVE: "XPreserveUnknownFields", RULES: "XValidations",
}  # fmt: skip
_OF_OBJECTS = ("metadata", "kind", "apiVersion")


def too_deep(schema: Any, path: Path, depth: int = 0) -> Problem | None:
    """The first part that nests deeper than is served; to be asked before anything else walks the schema."""
    if depth > DEPTH_MAX:
        return forbidden_field(path, f"must not nest deeper than {DEPTH_MAX} levels")
    for below, inner in _children(schema, path):
        if found := too_deep(inner, below, depth + 1):
            return found
    return None


def at_root(schema: Json, path: Path, *, status: bool) -> Iterator[Problem]:
    """Problems of the root alone. `status`: the status subresource is offered, for which a part of the schema is taken
    out; what stands at the root would be lost to it."""
    if status:
        for word, value in schema.items():
            if value in (None, "", False, [], {}):
                continue
            if word == "type" and value != "object":
                yield invalid(path / "type", value, 'only "object" is allowed as the type at the root of the schema if '
                              "the status subresource is enabled")  # fmt: skip
                break
            if word not in _AT_ROOT:
                yield invalid(path, schema, f"only [{' '.join(_AT_ROOT.values())}] fields are allowed at the root of "
                              "the schema if the status subresource is enabled")  # fmt: skip
                break
    if schema.get("nullable"):
        yield forbidden_field(path / "nullable", "nullable cannot be true at the root")


def readable(schema: Json) -> bool:
    """Whether a schema has only words that a structural schema can have; otherwise `words` says which are wrong."""
    if any(schema.get(word) for word in _NOT_SERVED) or isinstance(schema.get("items"), list):
        return False
    return all(readable(inner) for _, inner in _children(schema, Path()))


def structure(schema: Json, path: Path) -> list[Problem]:
    """What keeps a readable schema from being structural, sorted by text as the original does."""
    return sorted([*_structure(schema, "root", path), *_complete(schema, path)], key=str)


# --- words


def words(schema: Json, path: Path, *, root: bool = True, inside: bool = False, no_default: str = "") -> (
        Iterator[Problem]):  # fmt: skip
    """Every problem with single words of a schema. `inside` the metadata of an object, and with `no_default` as the
    reason why none may be there."""
    kind = schema.get("type")
    if kind and kind not in TYPES:
        yield not_supported(path / "type", kind, TYPES)
    if schema.get("default") is not None and no_default:
        yield forbidden_field(path / "default", f"must not be set {no_default}")
    for word, why in _NOT_SERVED.items():
        if schema.get(word):
            yield forbidden_field(path / word, why)
    if kind == "null":
        yield forbidden_field(path / "type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        yield forbidden_field(path / "items", "items must be a schema object and not an array")
    if inside and schema.get(EMBEDDED):
        yield forbidden_field(path / EMBEDDED, "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        yield forbidden_field(
            path / "uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        )
    additional = schema.get("additionalProperties")
    if additional is not None and additional is not True and schema.get("properties"):
        yield forbidden_field(path / "additionalProperties", "additionalProperties and properties are mutual exclusive")
    elif additional is False:
        yield forbidden_field(path / "additionalProperties", "additionalProperties cannot be set to false")
    for word, name, below, inner in _named_children(schema, path):
        reason, within = no_default, inside
        if word == "additionalProperties" and inside:
            reason = "inside additionalProperties applying to object metadata"
        if word == "properties" and (root or schema.get(EMBEDDED)) and name in _OF_OBJECTS:
            within, reason = True, f"in top-level {name}" if root else reason
        yield from words(inner, below, root=False, inside=within, no_default=reason)
    yield from _lists_and_maps(schema, path)


def _named_children(schema: Json, path: Path) -> Iterator[tuple[str, str, Path, Json]]:
    for name, child in (schema.get("properties") or {}).items():
        if isinstance(child, dict):
            yield "properties", name, (path / "properties")[name], child
    for below, inner in _children({**schema, "properties": None}, path):
        yield ("additionalProperties" if inner is schema.get("additionalProperties") else ""), "", below, inner


def _lists_and_maps(schema: Json, path: Path) -> Iterator[Problem]:
    kind = schema.get("type") or ""
    if schema.get(PRESERVE) is False:
        yield invalid(path / PRESERVE, False, "must be true or undefined")
    map_type = schema.get(MAP_TYPE)
    if map_type is not None:
        if kind != "object":
            detail = "must be object if x-kubernetes-map-type is specified"
            yield invalid(path / "type", kind, detail) if kind else required(path / "type", detail)
        if map_type not in ("atomic", "granular"):
            yield not_supported(path / MAP_TYPE, map_type, ("atomic", "granular"))
    list_type = schema.get(LIST_TYPE)
    keys = schema.get(LIST_KEYS) or []
    items = schema.get("items") if isinstance(schema.get("items"), dict) else None
    if list_type is not None and kind != "array":
        detail = "must be array if x-kubernetes-list-type is specified"
        yield invalid(path / "type", kind, detail) if kind else required(path / "type", detail)
    elif list_type == "set" and items is not None:
        detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
        inner = items.get(LIST_TYPE)
        if items.get("type") == "array" and inner not in (None, "atomic"):
            yield invalid(path / "items" / LIST_TYPE, inner, detail)
        elif items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
            # The value told is that of another word: so it is in the original.
            yield invalid(path / "items" / MAP_TYPE, inner, detail)
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        yield not_supported(path / LIST_TYPE, list_type, ("atomic", "set", "map"), as_given=True)
    if keys and list_type != "map":
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield invalid(path / LIST_TYPE, list_type, detail) if list_type else required(path / LIST_TYPE, detail)
    if list_type == "map":
        if not keys:
            yield required(path / LIST_KEYS, "must not be empty if x-kubernetes-list-type is map")
        if schema.get("items") is None:
            yield required(path / "items", "must have a schema if x-kubernetes-list-type is map")
        elif items is not None and items.get("type") != "object":
            yield invalid(path / "items" / "type", items.get("type") or "", "must be object if parent array's "
                          "x-kubernetes-list-type is map")  # fmt: skip
        elif items is not None:
            yield from _map_keys(items, keys, path)
    if items is not None and list_type in ("set", "map"):
        yield from _not_null(items, keys, list_type, path)


def _map_keys(items: Json, keys: list[str], path: Path) -> Iterator[Problem]:
    seen = set()
    for key in keys:
        child = (items.get("properties") or {}).get(key)
        if child is None:
            yield invalid(path / LIST_KEYS, keys, "entries must all be names of item properties")
        elif child.get("type") in ("array", "object"):
            # The type told is that of the item: so it is in the original.
            yield invalid((path / "items" / "properties")[key] / "type", items["type"],
                          "must be a scalar type if parent array's x-kubernetes-list-type is map")  # fmt: skip
        if key in seen:
            yield invalid(path / LIST_KEYS, keys, "must not contain duplicate entries")
        seen.add(key)


def _not_null(items: Json, keys: list[str], list_type: str, path: Path) -> Iterator[Problem]:
    """What tells items apart must be there."""
    if items.get("nullable"):
        yield forbidden_field(
            path / "items" / "nullable", f"cannot be nullable when x-kubernetes-list-type is {list_type}"
        )
    if list_type != "map":
        return
    wanted = items.get("required") or []
    for key in keys:
        child = (items.get("properties") or {}).get(key)
        if child is None:
            continue
        here = (path / "items" / "properties")[key]
        if key not in wanted and child.get("default") is None:
            yield required(here / "default", "this property is in x-kubernetes-list-map-keys, so it must have a "
                           "default or be a required property")  # fmt: skip
        if child.get("nullable"):
            yield forbidden_field(
                here / "nullable", "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            )


def _children(schema: Json, path: Path) -> Iterator[tuple[Path, Json]]:
    for name, child in (schema.get("properties") or {}).items():
        if isinstance(child, dict):
            yield (path / "properties")[name], child
    for word in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(word), dict):
            yield path / word, schema[word]
    for word in ("allOf", "anyOf", "oneOf"):
        for at, child in enumerate(schema.get(word) or ()):
            yield (path / word)[at], child


# --- structure


def _structure(schema: Json, level: str, path: Path) -> Iterator[Problem]:
    kind = schema.get("type", "")
    items, additional = schema.get("items"), schema.get("additionalProperties")
    if kind == "array" and items is None:
        yield required(path / "items", "must be specified")
    if isinstance(items, dict):
        yield from _structure(items, "item", path / "items")
    for name, child in (schema.get("properties") or {}).items():
        yield from _structure(child, "field", (path / "properties")[name])
    if additional is not None:
        if level == "root":
            yield forbidden_field(path / "additionalProperties", "must not be used at the root")
        if isinstance(additional, dict):
            yield from _structure(additional, "field", path / "additionalProperties")
    embedded, preserve = bool(schema.get(EMBEDDED)), bool(schema.get(PRESERVE))
    if schema.get(INT_OR_STRING):
        if preserve:
            yield invalid(path / PRESERVE, True, "must be false if x-kubernetes-int-or-string is true")
        if embedded:
            yield invalid(path / EMBEDDED, True, "must be false if x-kubernetes-int-or-string is true")
    yield from _restrictions(schema, path, True)
    if embedded and kind != "object":
        detail = "must be object if x-kubernetes-embedded-resource is true"
        yield invalid(path / "type", kind, detail) if kind else required(path / "type", detail)
    elif not kind and not schema.get(INT_OR_STRING) and not preserve:
        where = {"root": "at the root", "item": "for specified array items"}.get(level, "for specified object fields")
        yield required(path / "type", f"must not be empty {where}")
    if embedded and additional is not None:
        yield forbidden_field(
            path / "additionalProperties", "must not be used if x-kubernetes-embedded-resource is set"
        )
    if level == "root" and kind and kind != "object":
        yield invalid(path / "type", kind, "must be object at the root")
    if level == "root" or embedded:
        for name, wanted in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object")):
            child = (schema.get("properties") or {}).get(name)
            if child is not None and child.get("type") != wanted:
                yield invalid((path / "properties")[name] / "type", child.get("type", ""), f"must be {wanted}")
    if level == "root":
        yield from _root_metadata(schema, path)
    if embedded and not preserve and not schema.get("properties"):
        yield required(path / "properties", "must not be empty if x-kubernetes-embedded-resource is true without "
                       "x-kubernetes-preserve-unknown-fields")  # fmt: skip


def _root_metadata(schema: Json, path: Path) -> Iterator[Problem]:
    metadata = (schema.get("properties") or {}).get("metadata")
    if metadata is None:
        return
    said = {name: value for name, value in metadata.items() if value not in (None, "", False, [], {})}
    for name in ("type", "default"):
        said.pop(name, None)
    inner = said.pop("properties", {})
    if said or set(inner) - {"name", "generateName"}:
        yield forbidden_field((path / "properties")["metadata"], "must not specify anything other than name and "
                              "generateName, but metadata is implicitly specified")  # fmt: skip


def _restrictions(schema: Json, path: Path, int_or_string: bool) -> Iterator[Problem]:
    any_of, all_of = schema.get("anyOf") or [], schema.get("allOf") or []
    if not (int_or_string and any_of == _INT_OR_STRING_ANY_OF):
        for at, child in enumerate(any_of):
            yield from _nested(child, (path / "anyOf")[at], False)
    for at, child in enumerate(all_of):
        skip = at == 0 and int_or_string and child.get("anyOf") == _INT_OR_STRING_ANY_OF
        yield from _nested(child, (path / "allOf")[at], skip)
    for at, child in enumerate(schema.get("oneOf") or ()):
        yield from _nested(child, (path / "oneOf")[at], False)
    if isinstance(schema.get("not"), dict):
        yield from _nested(schema["not"], path / "not", False)
    if schema.get("pattern"):
        try:
            compile_pattern(schema["pattern"])
        except PatternError as error:
            yield invalid(path / "pattern", schema["pattern"],
                          f"must be a valid regular expression, but isn't: {error}")  # fmt: skip


def _nested(schema: Json, path: Path, skip_any_of: bool) -> Iterator[Problem]:
    shown = {**schema, "anyOf": []} if skip_any_of else schema
    yield from _restrictions(shown, path, False)
    if isinstance(schema.get("items"), dict):
        yield from _nested(schema["items"], path / "items", False)
    for name, child in (schema.get("properties") or {}).items():
        yield from _nested(child, (path / "properties")[name], False)
    if schema.get("additionalProperties") is not None:
        yield forbidden_field(path / "additionalProperties", "must be undefined to be structural")
    for word, why in _EMPTY_INSIDE.items():
        if schema.get(word) not in (None, "", False, []):
            yield forbidden_field(path / word, why)
    if "metadata" in (schema.get("properties") or {}):
        yield forbidden_field((path / "properties")["metadata"], "must not be specified in a nested context")


# --- completeness: what is restricted must also be described


def _complete(schema: Json, path: Path) -> Iterator[Problem]:
    for word in ("allOf", "anyOf", "oneOf"):
        for at, child in enumerate(schema.get(word) or ()):
            yield from _described(child, schema, (path / word)[at], path)
    if isinstance(schema.get("not"), dict):
        yield from _described(schema["not"], schema, path / "not", path)
    for below, inner in _children({k: schema.get(k) for k in ("properties", "items", "additionalProperties")}, path):
        yield from _complete(inner, below)


def _described(nested: Json, schema: Json | None, path: Path, at: Path) -> Iterator[Problem]:
    schema = schema or {}
    if isinstance(nested.get("items"), dict):
        if not isinstance(schema.get("items"), dict):
            yield required(at / "items", f"because it is defined in {path / 'items'}")
        else:
            yield from _described(nested["items"], schema["items"], path / "items", at / "items")
    for name, child in (nested.get("properties") or {}).items():
        known = (schema.get("properties") or {}).get(name)
        here = (at / "properties")[name]
        if known is None:
            yield required(here, f"because it is defined in {path / 'properties' / f'[{name}]'}")
        else:
            yield from _described(child, known, (path / "properties")[name], here)
    for word in ("allOf", "anyOf", "oneOf"):
        for number, child in enumerate(nested.get(word) or ()):
            yield from _described(child, schema, (path / word)[number], at)
    if isinstance(nested.get("not"), dict):
        yield from _described(nested["not"], schema, path / "not", at)
