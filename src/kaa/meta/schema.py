"""The node that describes a field: what validation, defaulting, merging and ownership need to know of it.

`kaa.kinds` builds these from its tables for built-in kinds; custom resources build the same nodes at run time.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["ANY", "Schema"]

ListType = Literal["", "atomic", "set", "map"]


@dataclass(slots=True, eq=False)
class Schema:
    """One field's type and how its values merge. Nodes are shared and may be recursive: never copy, never mutate."""

    #: "object", "array", "string", "integer", "number", "boolean", or "" for anything.
    type: str = ""
    #: "int32", "int64", "double", "byte", "date-time", "int-or-string", "quantity", or "".
    format: str = ""
    #: The definition this node stands for, such as "io.k8s.api.core.v1.PodSpec"; "" for an inline one.
    ref: str = ""
    #: Object fields by wire name.
    fields: dict[str, "Schema"] = field(default_factory=dict)
    #: Fields that must be present.
    required: tuple[str, ...] = ()
    #: The schema of an array's items.
    items: "Schema | None" = None
    #: The schema of a map's values, where the object is a map.
    values: "Schema | None" = None
    #: The published default; None where there is none.
    default: Any = None
    #: Allowed values, where published.
    enum: tuple[str, ...] = ()
    #: How server-side apply treats a list: "" is atomic.
    list_type: ListType = ""
    #: The identifying fields of a "map" list.
    list_map_keys: tuple[str, ...] = ()
    #: Apply treats the whole object as one value.
    atomic_map: bool = False
    #: Strategic merge: the identifying field of a merged list, or "".
    patch_merge_key: str = ""
    #: Strategic merge: "merge", "replace", "retainKeys", possibly several.
    patch_strategy: tuple[str, ...] = ()
    #: Fields that are not described are kept rather than pruned (custom resources, raw extensions).
    preserve_unknown: bool = False
    #: The value is a whole object of the API with its own apiVersion, kind and metadata.
    embedded: bool = False

    def child(self, name: str) -> "Schema | None":
        """The schema of a field or map value; None where the name is unknown."""
        known = self.fields.get(name)
        return known if known is not None else self.values


ANY = Schema(preserve_unknown=True)
