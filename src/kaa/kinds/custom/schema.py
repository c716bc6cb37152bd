"""A structural schema, compiled: for merging and ownership as `meta.schema.Schema`, for values as nodes to be walked.

The walks over a value are: `prune` (drop what is not described, and nulls where none are allowed) and `fill`
(defaults). Both change the value in place. What may stand in a value is `values`' concern.
"""

from __future__ import annotations

from typing import Any

import orjson

from kaa.kinds import tables
from kaa.kinds.custom.structural import EMBEDDED, INT_OR_STRING, LIST_KEYS, LIST_TYPE, MAP_TYPE, PRESERVE, RULES
from kaa.meta.schema import Schema

__all__ = ["MISSING", "Node", "compile_node", "fill", "merge_schema", "prune"]

Json = dict[str, Any]

#: A default, or an old value, that is not there. (None is null.)
MISSING: Any = object()
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
#: What every object of the API has: never pruned from a root or an embedded resource.
_OF_OBJECTS = ("apiVersion", "kind", "metadata")


class Node:
    """One described value. Nodes form a tree; none is shared."""

    __slots__ = (
        "additional", "default", "embedded", "has_defaults", "has_lists", "int_or_string", "items", "list_keys",
        "list_type", "nullable", "preserve", "properties", "raw", "rules", "type",
    )  # fmt: skip

    def __init__(self, raw: Json) -> None:
        self.raw = raw
        self.type: str = raw.get("type") or ""
        self.nullable = bool(raw.get("nullable"))
        self.preserve = bool(raw.get(PRESERVE))
        self.embedded = bool(raw.get(EMBEDDED))
        self.int_or_string = bool(raw.get(INT_OR_STRING))
        self.list_type: str = raw.get(LIST_TYPE) or ""
        self.list_keys: tuple[str, ...] = tuple(raw.get(LIST_KEYS) or ())
        #: The default as JSON, decoded anew for each value that gets it; MISSING where there is none.
        self.default: Any = orjson.dumps(raw["default"]) if raw.get("default") is not None else MISSING
        self.properties = {name: Node(child) for name, child in (raw.get("properties") or {}).items()}
        items, additional = raw.get("items"), raw.get("additionalProperties")
        self.items = Node(items) if isinstance(items, dict) else None
        #: The schema of a map's values; True where anything is allowed.
        self.additional: Node | bool | None = Node(additional) if isinstance(additional, dict) else additional
        self.rules: list[Json] = list(raw.get(RULES) or ())
        below = [*self.properties.values(), *(each for each in (self.items, self.additional) if isinstance(each, Node))]
        #: Whether lists that may hold nothing twice stand here or below.
        self.has_lists: bool = self.list_type in ("set", "map") or any(child.has_lists for child in below)
        self.has_defaults: bool = self.default is not MISSING or any(child.has_defaults for child in below)

    @property
    def is_object(self) -> bool:
        """Whether values are objects of the API, with a metadata of their own."""
        return self.embedded

    def child(self, name: str) -> Node | None:
        """The node of a field or a map's value."""
        found = self.properties.get(name)
        if found is None and isinstance(self.additional, Node):
            return self.additional
        return found


def compile_node(raw: Json) -> Node:
    """The root node of a version's schema."""
    return Node(raw)


def prune(node: Node | None, value: Any, path: str, unknown: list[str], *, root: bool = False,
          keep: bool = False) -> None:  # fmt: skip
    """Drop the fields that are not described, in place, and name them; drop nulls of fields that may not be null.

    `keep`: this is an item of a list, at any depth, that is open: what is not described may stay."""
    keep = keep or (node is not None and node.preserve)
    if isinstance(value, dict):
        if node is not None or not keep:
            _prune_object(node, value, path, unknown, root, keep)
    elif isinstance(value, list):
        items = node.items if node is not None else None
        if items is None and keep:
            return
        for at, item in enumerate(value):
            prune(items, item, f"{path}[{at}]", unknown, keep=keep)


def _prune_object(node: Node | None, value: Json, path: str, unknown: list[str], root: bool, keep: bool) -> None:
    own = root or (node is not None and node.embedded)
    for name in list(value):
        if own and name in _OF_OBJECTS:
            continue
        below = f"{path}.{name}" if path else name
        child = node.properties.get(name) if node is not None else None
        if child is None and node is not None:
            if isinstance(node.additional, Node):
                child = node.additional
            elif node.additional is True:
                prune(None, value[name], below, unknown)
                continue
        if child is None:
            if not keep:
                unknown.append(below)
                del value[name]
            continue
        if value[name] is None and not child.nullable and name in node.properties:  # type: ignore[union-attr]
            del value[name]  # a default, if there is one, takes its place
            continue
        prune(child, value[name], below, unknown)


def fill(node: Node, value: Any) -> None:
    """Put defaults where nothing is, in place."""
    if not node.has_defaults:
        return
    if isinstance(value, dict):
        for name, child in node.properties.items():
            if child.default is not MISSING and (name not in value or (value[name] is None and not child.nullable)):
                value[name] = orjson.loads(child.default)
        for name, inner in value.items():
            described = node.child(name)
            if described is None:
                continue
            if inner is None and described.default is not MISSING and not described.nullable:
                value[name] = inner = orjson.loads(described.default)
            fill(described, inner)
    elif isinstance(value, list) and node.items is not None:
        for at, item in enumerate(value):
            if item is None and node.items.default is not MISSING and not node.items.nullable:
                value[at] = item = orjson.loads(node.items.default)
            fill(node.items, item)


def merge_schema(raw: Json | None, *, root: bool = True) -> Schema:
    """The schema as patches and field ownership read it."""
    raw = raw or {PRESERVE: True, "type": "object"}
    fields = {name: merge_schema(child, root=False) for name, child in (raw.get("properties") or {}).items()}
    if root or raw.get(EMBEDDED):
        fields["apiVersion"] = fields["kind"] = Schema(type="string")
        fields["metadata"] = tables.schema(OBJECT_META)
    items, additional = raw.get("items"), raw.get("additionalProperties")
    values = merge_schema(additional, root=False) if isinstance(additional, dict) else None
    if additional is True:
        values = Schema(preserve_unknown=True)
    int_or_string = bool(raw.get(INT_OR_STRING))
    return Schema(
        type="" if int_or_string else raw.get("type") or "",
        format="int-or-string" if int_or_string else raw.get("format") or "",
        fields=fields,
        required=tuple(raw.get("required") or ()),
        items=merge_schema(items, root=False) if isinstance(items, dict) else None,
        values=values,
        default=raw.get("default"),
        list_type=raw.get(LIST_TYPE) or "",
        list_map_keys=tuple(raw.get(LIST_KEYS) or ()),
        atomic_map=raw.get(MAP_TYPE) == "atomic",
        preserve_unknown=bool(raw.get(PRESERVE)),
        embedded=bool(raw.get(EMBEDDED)),
    )
