"""The node that describes a field: what validation, defaulting, merging and ownership need to know of it.

`kaa.kinds` builds these from its tables for built-in kinds; custom resources build the same nodes at run time. What
apply (`kaa.meta.managed`) and strategic merge (`kaa.meta.strategic`) read of a node, by its OpenAPI name:

| OpenAPI | here | what apply does |
|---|---|---|
| `type: object`, `properties` | `type="object"`, `fields` | each field is owned apart; others are refused by name |
| `additionalProperties` | `values` | each key is owned apart, and so is the map itself |
| `type: object` alone | `type="object"` | a map of anything: objects in it by field, lists as one value |
| `x-kubernetes-map-type: atomic` | `atomic_map=True` | the object is one value |
| `x-kubernetes-list-type: atomic`, none | `list_type="atomic"` or `""` | the list is one value |
| `x-kubernetes-list-type: set` | `list_type="set"` | each (scalar) item is owned apart |
| `x-kubernetes-list-type: map`, `...-list-map-keys` | `list_type="map"`, `list_map_keys` | items are owned by |
| | | their keys; one that is absent has its field's `default` |
| `x-kubernetes-preserve-unknown-fields` | `preserve_unknown=True` | what is not described is deduced, as by `ANY` |
| `x-kubernetes-embedded-resource` | `embedded=True`, and `metadata` among `fields` | as its fields say |
| `x-kubernetes-int-or-string` | `format="int-or-string"` | one value, of either type |
| no schema at all | `ANY` | deduced: objects by field, lists and the rest as one value |
| `x-kubernetes-patch-merge-key`, `...-patch-strategy` | `patch_merge_key`, `patch_strategy` | (strategic merge only) |

A struct that is always there in the original's types, however empty, has a `ref` and `default={}`: it never appears
or goes, so nobody owns it as such. A list that is `required` by a struct with a `ref` is always there likewise. What
custom resources describe has no `ref`, but for their metadata.
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
    #: What `kaa.meta.wholes` has compiled of this node; nobody else's business.
    compiled: dict[Any, Any] = field(default_factory=dict, repr=False)

    def child(self, name: str) -> "Schema | None":
        """The schema of a field or map value; None where the name is unknown."""
        known = self.fields.get(name)
        return known if known is not None else self.values

    @property
    def separate(self) -> bool:
        """Whether an object of this schema is a collection of fields rather than one value."""
        return not self.atomic_map and (self.type == "object" or self.preserve_unknown)

    @property
    def associative(self) -> bool:
        """Whether a list of this schema has items with an identity."""
        return self.list_type == "map" or self.list_type == "set"


ANY = Schema(preserve_unknown=True)
