"""The types of the language, how they print, and which fits where.

A Type is immutable once built and shared freely. What a schema adds to a type (how many elements it may have, which
list it is) rides on the Type, and is no part of its identity: `list(string)` is `list(string)` however long.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "ANY", "BOOL", "BYTES", "DOUBLE", "DURATION", "DYN", "ERROR", "INT", "NULL", "STRING", "TIMESTAMP", "UINT",
    "UNBOUNDED", "Field", "Substitution", "Type", "assignable", "assignable_all", "list_of", "map_of", "most_general",
    "object_of", "opaque", "optional_of", "param", "substitute", "type_of",
]  # fmt: skip

#: The largest estimate there is: sizes and costs saturate here.
UNBOUNDED = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object type."""

    type: "Type"
    #: The name on the wire; the name in expressions is escaped.
    wire: str
    required: bool = False
    has_default: bool = False


@dataclass(slots=True, eq=False)
class Type:
    """One type. Compare with `same`, not `==`."""

    #: bool int uint double string bytes null duration timestamp dyn error list map object opaque type param
    kind: str
    #: How it prints, and for object and opaque types, who it is.
    name: str
    params: tuple["Type", ...] = ()
    #: Of object types: the fields by the name expressions use.
    fields: Mapping[str, Field] = field(default_factory=dict)
    #: Of object types: any field may be selected, and has no declared type.
    open: bool = False
    #: The most elements, characters or bytes a value can have; None where nothing is known.
    max_elements: int | None = None
    #: The fewest bytes a value takes as JSON.
    min_size: int = 0
    #: Of lists: "", "atomic", "set" or "map", and for maps the identifying fields (wire names).
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    #: How the scalar is written in JSON: "date", "date-time", "duration" (with days and weeks), "byte".
    format: str = ""
    #: Makes a value of this type of what JSON holds; None where they are the same. Set by `kaa.cel.values`.
    convert: Callable[[Any], Any] | None = None
    #: `convert` has been worked out (it depends on parts that may be recursive).
    ready: bool = False

    def __str__(self) -> str:
        if self.kind in ("list", "map", "type", "opaque") and self.params:
            return f"{self.name}({', '.join(str(p) for p in self.params)})"
        if self.kind == "param":
            return self.name.split("#")[0]
        return self.name

    def same(self, other: "Type") -> bool:
        """The same type, whatever the schema says of sizes."""
        return self is other or (
            self.kind == other.kind
            and self.name == other.name
            and len(self.params) == len(other.params)
            and all(a.same(b) for a, b in zip(self.params, other.params, strict=True))
        )

    @property
    def scalar(self) -> bool:
        """Of a fixed size."""
        if self.kind == "opaque" and self.name == "optional_type":
            return self.params[0].scalar
        return self.kind in ("bool", "int", "uint", "double", "duration", "timestamp")


BOOL = Type("bool", "bool", min_size=4)
INT = Type("int", "int", min_size=1)
UINT = Type("uint", "uint", min_size=1)
DOUBLE = Type("double", "double", min_size=1)
STRING = Type("string", "string", min_size=2)
BYTES = Type("bytes", "bytes", min_size=2)
NULL = Type("null", "null", min_size=4)
DURATION = Type("duration", "duration", min_size=3)
TIMESTAMP = Type("timestamp", "timestamp", min_size=12)
DYN = Type("dyn", "dyn", min_size=1)
#: Any value at all, as protobuf says it; the same as dyn.
ANY = DYN
ERROR = Type("error", "!error!")


def list_of(items: Type, *, max_elements: int | None = None, list_type: str = "", keys: tuple[str, ...] = ()) -> Type:
    """The type of lists of `items`."""
    return Type(
        "list", "list", (items,), max_elements=max_elements, min_size=2, list_type=list_type, list_map_keys=keys
    )


def map_of(keys: Type, values: Type, *, max_elements: int | None = None) -> Type:
    """The type of maps from `keys` to `values`."""
    return Type("map", "map", (keys, values), max_elements=max_elements, min_size=2)


def object_of(name: str, fields: Mapping[str, Field | Type], *, open: bool = False, min_size: int = 2) -> Type:
    """An object type of named fields. A bare Type is a field whose wire name is its name."""
    made = {key: value if isinstance(value, Field) else Field(value, key) for key, value in fields.items()}
    return Type("object", name, fields=made, open=open, min_size=min_size)


def opaque(name: str, *params: Type) -> Type:
    """A type of a library, made and read by its functions only."""
    return Type("opaque", name, params)


def optional_of(value: Type) -> Type:
    """A value that may be absent."""
    return opaque("optional_type", value)


def type_of(value: Type) -> Type:
    """The type of a type."""
    return Type("type", "type", (value,))


def param(name: str) -> Type:
    """A type variable."""
    return Type("param", name)


Substitution = dict[str, Type]


def _nullable(kind: Type) -> bool:
    return kind.kind in ("null", "object", "opaque", "duration", "timestamp", "dyn", "error")


def _occurs(name: str, within: Type, known: Substitution) -> bool:
    if within.kind == "param":
        bound = known.get(within.name)
        return within.name == name or (bound is not None and _occurs(name, bound, known))
    return any(_occurs(name, p, known) for p in within.params)


def _bind(variable: Type, other: Type, known: Substitution) -> bool:
    if other.kind == "param" and other.name == variable.name:
        return True
    bound = known.get(variable.name)
    if bound is not None:
        if not _fits(bound, other, known):
            return False
        known[variable.name] = most_general(bound, other)
        return True
    if _occurs(variable.name, other, known):
        return False
    known[variable.name] = other
    return True


def _fits(want: Type, have: Type, known: Substitution) -> bool:
    if have.kind == "param":
        return _bind(have, want, known)
    if want.kind == "param":
        return _bind(want, have, known)
    if want.kind in ("dyn", "error") or have.kind in ("dyn", "error"):
        return True
    if want.kind == "null":
        return _nullable(have)
    if have.kind == "null":
        return _nullable(want)
    if want.kind != have.kind or want.name != have.name or len(want.params) != len(have.params):
        return False
    if want.kind == "type":
        return True
    return all(_fits(a, b, known) for a, b in zip(want.params, have.params, strict=True))


def assignable(want: Type, have: Type, known: Substitution) -> Substitution | None:
    """What the type variables become when a `have` goes where a `want` is needed; None where it does not fit."""
    trial = dict(known)
    return trial if _fits(want, have, trial) else None


def assignable_all(want: tuple[Type, ...], have: list[Type], known: Substitution) -> Substitution | None:
    """As `assignable`, for a list of arguments."""
    if len(want) != len(have):
        return None
    trial = dict(known)
    return trial if all(_fits(a, b, trial) for a, b in zip(want, have, strict=True)) else None


def most_general(one: Type, other: Type) -> Type:
    """The wider of two types that fit each other."""
    if one.kind in ("dyn", "error"):
        return one
    if other.kind in ("dyn", "error"):
        return DYN
    if one.kind == "null":
        return other
    if one.kind == "param":
        return other
    return one


def substitute(kind: Type, known: Substitution, *, free: Type | None = None) -> Type:
    """The type with its variables replaced; those still unknown become `free`, where given."""
    if kind.kind == "param":
        bound = known.get(kind.name)
        if bound is not None:
            return substitute(bound, known, free=free)
        return kind if free is None else free
    if not kind.params:
        return kind
    params = tuple(substitute(p, known, free=free) for p in kind.params)
    if all(a is b for a, b in zip(params, kind.params, strict=True)):
        return kind
    return Type(kind.kind, kind.name, params, list_type=kind.list_type, list_map_keys=kind.list_map_keys)
