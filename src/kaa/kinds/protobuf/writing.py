"""The JSON form of an object as a message's bytes.

Each message is compiled to a table from the JSON name to what writes its value. Fields that the message does not have
(apiVersion and kind, which are the envelope's; what was added after the tables) are left out. Zeros are written as
they stand in JSON: for a reader in Go a plain field that is absent is zero.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson

from kaa.kinds.protobuf.fields import (
    INT_OR_STRING,
    QUANTITY,
    RAW,
    SCHEMA,
    SCHEMA_OR_ARRAY,
    SCHEMA_OR_BOOL,
    SCHEMA_OR_STRINGS,
    TIMES,
    Field,
    list_of_strings,
    plan,
)
from kaa.kinds.protobuf.wire import DEPTH_MAX, MalformedProtobuf, blob, number, prefix
from kaa.meta.quantity import parse as parse_quantity

__all__ = ["encode"]

Json = dict[str, Any]
#: A value as the bytes of its part, without tag and length. The number is the depth.
Inner = Callable[[Any, int], bytes]
#: `(pieces, value, depth)`: append a field's bytes.
Put = Callable[[list[bytes], Any, int], None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTHS = tuple(number(size) for size in range(256))


def encode(message: str, obj: Json) -> bytes:
    """The JSON form of an object as a message's bytes; apiVersion and kind are the envelope's."""
    return _write(message, obj, 0)


def _write(message: str, obj: Json, depth: int) -> bytes:
    if depth > DEPTH_MAX:
        raise MalformedProtobuf(f"{message} is nested deeper than {DEPTH_MAX} levels")
    puts, inlined = _compiled(message)
    pieces: list[bytes] = []
    for name, value in obj.items():
        put = puts.get(name)
        if put is not None and value is not None:
            put(pieces, value, depth)
    for tag, kind, names in inlined:
        if not names.isdisjoint(obj):
            inner = _write(kind, obj, depth + 1)
            pieces += (tag, number(len(inner)), inner)
    return b"".join(pieces)


@cache
def _compiled(message: str) -> tuple[dict[str, Put], list[tuple[bytes, str, frozenset[str]]]]:
    puts: dict[str, Put] = {}
    inlined = []
    for field in plan(message):
        if field.inline:
            inlined.append((prefix(field.number), field.kind, _names(field.kind)))
        else:
            puts[field.name] = _put(field)
    return puts, inlined


@cache
def _names(message: str) -> frozenset[str]:
    """The JSON names of a message, and of what is inlined in it."""
    found: set[str] = set()
    for field in plan(message):
        found |= _names(field.kind) if field.inline else {field.name}
    return frozenset(found)


def _put(field: Field) -> Put:
    if field.label == "map":
        return _put_map(field)
    plain = _PLAIN.get(field.kind)
    if plain is not None:
        wire, write = plain
        tag = prefix(field.number, wire)
        if field.label == "repeated":
            return lambda pieces, value, depth: pieces.extend(tag + write(each) for each in value)
        return lambda pieces, value, depth: pieces.append(tag + write(value))
    tag, inner = prefix(field.number), _inner(field.kind)

    def put(pieces: list[bytes], value: Any, depth: int) -> None:
        made = inner(value, depth)
        size = len(made)
        pieces += (tag, _LENGTHS[size] if size < 256 else number(size), made)

    if field.label != "repeated":
        return put

    def put_all(pieces: list[bytes], value: Any, depth: int) -> None:
        for each in value:
            put(pieces, each, depth)

    return put_all


def _put_map(field: Field) -> Put:
    tag, inner = prefix(field.number), _inner(field.kind)

    def put(pieces: list[bytes], value: Any, depth: int) -> None:
        # The original writes maps in the order of their keys, so that equal objects are equal bytes.
        for key in sorted(value):
            entry = blob(1, key.encode()) + blob(2, inner(value[key], depth))
            pieces += (tag, number(len(entry)), entry)

    return put


@cache
def _inner(kind: str) -> Inner:
    known = _INNER.get(kind)
    if known is not None:
        return known
    if kind in TIMES:
        return _time
    if kind in RAW:
        return lambda value, depth: blob(1, orjson.dumps(value))
    if list_of_strings(kind):
        return lambda value, depth: b"".join(blob(1, each.encode()) for each in value)
    return lambda value, depth: _write(kind, value, depth + 1)


def _text(value: Any, depth: int) -> bytes:
    return value.encode() if type(value) is str else str(value).encode()


def _quantity(value: Any, depth: int) -> bytes:
    return blob(1, str(parse_quantity(value)).encode())


def _int_or_string(value: Any, depth: int) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01" + blob(3, value.encode())
    return b"\x08\x00\x10" + number(value)


def _time(value: Any, depth: int) -> bytes:
    at = datetime.fromisoformat(value.replace("Z", "+00:00"))
    since = at - _EPOCH
    seconds = since.days * 86400 + since.seconds
    inner = b"\x08" + number(seconds)
    return inner + b"\x10" + number(since.microseconds * 1000) if since.microseconds else inner


def _schema(value: Any, depth: int) -> bytes:
    return _write(SCHEMA, value, depth + 1)


def _schema_or_bool(value: Any, depth: int) -> bytes:
    if isinstance(value, bool):
        return b"\x08" + number(int(value))
    return b"\x08\x01" + blob(2, _schema(value, depth))


def _schema_or_array(value: Any, depth: int) -> bytes:
    if isinstance(value, list):
        return b"".join(blob(2, _schema(each, depth)) for each in value)
    return blob(1, _schema(value, depth))


def _schema_or_strings(value: Any, depth: int) -> bytes:
    if isinstance(value, list):
        return b"".join(blob(2, each.encode()) for each in value)
    return blob(1, _schema(value, depth))


def _number(value: Any) -> bytes:
    return number(int(value))


#: Scalars that are numbers: their wire type and how they are written.
_PLAIN: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    "bool": (0, _number),
    "int32": (0, _number),
    "int64": (0, _number),
    "double": (1, lambda value: struct.pack("<d", value)),
}
_INNER: dict[str, Inner] = {
    "string": _text,
    "bytes": lambda value, depth: base64.b64decode(value),
    QUANTITY: _quantity,
    INT_OR_STRING: _int_or_string,
    SCHEMA_OR_BOOL: _schema_or_bool,
    SCHEMA_OR_ARRAY: _schema_or_array,
    SCHEMA_OR_STRINGS: _schema_or_strings,
}
