"""The tables of a message: its fields, and which messages look different in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from kaa.kinds import tables
from kaa.kinds.protobuf.wire import MalformedProtobuf

__all__ = ["INT_OR_STRING", "META", "QUANTITY", "RAW", "SCALARS", "TIMES", "Field", "list_of_strings", "plan"]

META = "k8s.io.apimachinery.pkg.apis.meta.v1."
EXTENSIONS = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."
SCHEMA = EXTENSIONS + "JSONSchemaProps"
QUANTITY = "k8s.io.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "k8s.io.apimachinery.pkg.util.intstr.IntOrString"
TIME, MICRO_TIME = META + "Time", META + "MicroTime"
TIMES = frozenset({TIME, MICRO_TIME})
#: Messages that hold JSON as bytes in their first field.
RAW = frozenset({META + "FieldsV1", "k8s.io.apimachinery.pkg.runtime.RawExtension", EXTENSIONS + "JSON"})
#: A schema or something else; the numbers of both are in `reading` and `writing`.
SCHEMA_OR_BOOL = EXTENSIONS + "JSONSchemaPropsOrBool"
SCHEMA_OR_ARRAY = EXTENSIONS + "JSONSchemaPropsOrArray"
SCHEMA_OR_STRINGS = EXTENSIONS + "JSONSchemaPropsOrStringArray"
EITHER = frozenset({SCHEMA_OR_BOOL, SCHEMA_OR_ARRAY, SCHEMA_OR_STRINGS})
#: Messages that are one value in JSON.
VALUES = frozenset({QUANTITY, INT_OR_STRING}) | TIMES | RAW | EITHER

SCALARS = frozenset({"string", "bytes", "bool", "int32", "int64", "double"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message."""

    number: int
    #: Its name in JSON.
    name: str
    #: "optional", "repeated" or "map" (of strings to `kind`).
    label: str
    #: A scalar, or the full name of a message.
    kind: str
    #: A zero on the wire is shown in JSON.
    keep: bool
    #: A Go struct whose fields stand in its parent's JSON.
    inline: bool


@cache
def plan(message: str) -> tuple[Field, ...]:
    """The fields of a message in the order of their numbers. Raises MalformedProtobuf where the message is unknown."""
    rows = tables.protobuf_fields().get(message)
    if rows is None:
        raise MalformedProtobuf(f"the message {message} is not known")
    package = message.rpartition(".")[0]
    found = []
    for name, row in rows.items():
        number, label, kind = row[:3]
        marks = row[3] if len(row) > 3 else ""
        if kind not in SCALARS:
            kind = kind[1:] if kind.startswith(".") else f"{package}.{kind}"
        found.append(Field(number, row[4] if len(row) > 4 else name, label, kind, "k" in marks, "i" in marks))
    return tuple(sorted(found, key=lambda field: field.number))


def list_of_strings(message: str) -> bool:
    """Whether a message is a named list of strings in Go (`ExtraValue`): a plain list in JSON."""
    if message in SCALARS or message in VALUES:
        return False
    fields = plan(message)
    return len(fields) == 1 and (fields[0].name, fields[0].label, fields[0].kind) == ("items", "repeated", "string")
