"""A message's bytes as the JSON form of the object.

Each message is compiled to a table from the tag on the wire to what is done with what follows. Fields nobody knows (of
newer clients) are passed over; a known field in another shape is an error, as it is in the original.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson

from kaa.kinds.protobuf.fields import (
    EITHER,
    INT_OR_STRING,
    MICRO_TIME,
    QUANTITY,
    RAW,
    SCALARS,
    SCHEMA,
    SCHEMA_OR_ARRAY,
    SCHEMA_OR_BOOL,
    TIMES,
    VALUES,
    Field,
    list_of_strings,
    plan,
)
from kaa.kinds.protobuf.wire import DEPTH_MAX, MalformedProtobuf, fields, part, signed, skip, text, varint

__all__ = ["decode"]

Json = dict[str, Any]
#: `(object, raw, start, end, depth)`: take the part between start and end into the object.
Take = Callable[[Json, bytes, int, int, int], None]
#: The same for a number.
TakeNumber = Callable[[Json, int], None]
#: A part as one JSON value.
Value = Callable[[bytes, int], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Seconds of the years 1 and 9999, between which a time has a JSON form.
_SECONDS_MIN, _SECONDS_MAX = -62135596800, 253402300799


def decode(message: str, raw: bytes) -> Json:
    """A message's bytes as the JSON form of the object (without apiVersion and kind). Raises MalformedProtobuf."""
    return _read(message, raw, 0, len(raw), 0)


def _read(message: str, raw: bytes, at: int, end: int, depth: int) -> Json:
    if depth > DEPTH_MAX:
        raise MalformedProtobuf(f"{message} is nested deeper than {DEPTH_MAX} levels")
    parts, numbers, others = _compiled(message)
    out: Json = {}
    while at < end:
        key = raw[at]
        if key < 0x80:
            at += 1
        else:
            key, at = varint(raw, at)
        take = parts.get(key)
        if take is not None:
            # The length, spelled out: this is the path of nearly every field.
            if at < end and raw[at] < 0x80:
                start = at + 1
                at = start + raw[at]
                if at > end:
                    raise MalformedProtobuf("unexpected EOF")
            else:
                start, at = part(raw, at, end)
            take(out, raw, start, at, depth)
            continue
        into = numbers.get(key)
        if into is not None:
            if at < end and raw[at] < 0x80:
                value = raw[at]
                at += 1
            else:
                value, at = varint(raw, at)
            into(out, value)
            continue
        at = _other(message, others, out, raw, key, at, end)
    if at != end:
        raise MalformedProtobuf("unexpected EOF")
    return out


def _other(message: str, others: dict[int, Field], out: Json, raw: bytes, key: int, at: int, end: int) -> int:
    """A field that is fixed in size, unknown, or in a shape that is not its own."""
    number, wire = key >> 3, key & 7
    if number == 0:
        raise MalformedProtobuf(f"proto: {message.rpartition('.')[2]}: illegal tag 0 (wire type {wire})")
    field = others.get(number)
    if field is None:
        return skip(raw, at, end, wire)
    if field.kind == "double" and wire == 1:
        stop = skip(raw, at, end, wire)
        value = struct.unpack_from("<d", raw, at)[0]
        if not math.isfinite(value):
            raise MalformedProtobuf(f"{field.name} is {value}: JSON has no such number")
        if value or field.keep:
            out[field.name] = value
        return stop
    raise MalformedProtobuf(f"proto: wrong wireType = {wire} for field {field.name}")


@cache
def _compiled(message: str) -> tuple[dict[int, Take], dict[int, TakeNumber], dict[int, Field]]:
    parts: dict[int, Take] = {}
    numbers: dict[int, TakeNumber] = {}
    others: dict[int, Field] = {}
    for field in plan(message):
        others[field.number] = field
        if field.kind in ("bool", "int32", "int64"):
            if field.label == "repeated":
                parts[field.number << 3 | 2] = _packed(field)
                numbers[field.number << 3] = _number_item(field)
            elif field.label == "optional":
                numbers[field.number << 3] = _number(field)
                continue
        if field.label == "map":
            parts[field.number << 3 | 2] = _map(field)
        elif field.kind not in ("bool", "int32", "int64", "double"):
            parts[field.number << 3 | 2] = _part(field)
    return parts, numbers, others


def _number_of(kind: str) -> Callable[[int], Any]:
    if kind == "bool":
        return bool
    if kind == "int32":
        return lambda value: signed(value, 32)
    return lambda value: value if value < 1 << 63 else value - (1 << 64)


def _number(field: Field) -> TakeNumber:
    name, keep, of = field.name, field.keep, _number_of(field.kind)

    def take(out: Json, value: int) -> None:
        if value or keep:
            out[name] = of(value)

    return take


def _number_item(field: Field) -> TakeNumber:
    name, of = field.name, _number_of(field.kind)

    def take(out: Json, value: int) -> None:
        out.setdefault(name, []).append(of(value))

    return take


def _packed(field: Field) -> Take:
    name, of = field.name, _number_of(field.kind)

    def take(out: Json, raw: bytes, at: int, end: int, depth: int) -> None:
        found = out.setdefault(name, [])
        while at < end:
            value, at = varint(raw, at)
            found.append(of(value))
        if at != end:
            raise MalformedProtobuf("unexpected EOF")

    return take


def _part(field: Field) -> Take:
    name, kind = field.name, field.kind
    if field.inline:

        def take_inlined(out: Json, raw: bytes, at: int, end: int, depth: int) -> None:
            out.update(_read(kind, raw, at, end, depth + 1))

        return take_inlined
    if kind in SCALARS or kind in VALUES or list_of_strings(kind):
        return _take_value(field)
    if field.label == "repeated":

        def take_item(out: Json, raw: bytes, at: int, end: int, depth: int) -> None:
            items = out.get(name)
            if items is None:
                items = out[name] = []
            items.append(_read(kind, raw, at, end, depth + 1))

        return take_item

    def take_message(out: Json, raw: bytes, at: int, end: int, depth: int) -> None:
        out[name] = _read(kind, raw, at, end, depth + 1)

    return take_message


def _take_value(field: Field) -> Take:
    name = field.name
    value = _value(field.kind)
    if field.label == "repeated":

        def take_item(out: Json, raw: bytes, at: int, end: int, depth: int) -> None:
            out.setdefault(name, []).append(value(raw[at:end], depth))

        return take_item
    if field.kind == "string":
        keep = field.keep

        def take_text(out: Json, raw: bytes, at: int, end: int, depth: int) -> None:
            if at != end:
                out[name] = text(raw[at:end])
            elif keep:
                out[name] = ""

        return take_text
    if field.kind == "bytes":

        def take_bytes(out: Json, raw: bytes, at: int, end: int, depth: int) -> None:
            if at != end:
                out[name] = base64.b64encode(raw[at:end]).decode()

        return take_bytes

    def take(out: Json, raw: bytes, at: int, end: int, depth: int) -> None:
        made = value(raw[at:end], depth)
        if made is not None:
            out[name] = made

    return take


def _map(field: Field) -> Take:
    name = field.name
    value = _value(field.kind)

    def take(out: Json, raw: bytes, at: int, end: int, depth: int) -> None:
        target = out.get(name)
        if target is None:
            target = out[name] = {}
        key, content = "", b""
        for number, wire, found in fields(raw[at:end]):
            if wire == 2 and isinstance(found, bytes):
                if number == 1:
                    key = text(found)
                elif number == 2:
                    content = found
        target[key] = value(content, depth)

    return take


@cache
def _value(kind: str) -> Value:
    """How a part of a kind becomes one JSON value."""
    if kind == "string":
        return lambda raw, depth: text(raw)
    if kind == "bytes":
        return lambda raw, depth: base64.b64encode(raw).decode()
    if kind == QUANTITY:
        return _quantity
    if kind == INT_OR_STRING:
        return _int_or_string
    if kind in TIMES:
        return lambda raw, depth: _time(raw, kind == MICRO_TIME)
    if kind in RAW:
        return _raw
    if kind in EITHER:
        return lambda raw, depth: _either(kind, raw, depth)
    if list_of_strings(kind):
        return lambda raw, depth: [text(each) for number, _, each in fields(raw) if number == 1 and type(each) is bytes]
    return lambda raw, depth: _read(kind, raw, 0, len(raw), depth + 1)


def _quantity(raw: bytes, depth: int) -> str:
    found = [each for number, _, each in fields(raw) if number == 1 and isinstance(each, bytes)]
    return text(found[-1]) if found and found[-1] else "0"


def _int_or_string(raw: bytes, depth: int) -> int | str:
    found = {number: each for number, _, each in fields(raw)}
    if found.get(1) == 1:
        value = found.get(3, b"")
        return text(value) if isinstance(value, bytes) else ""
    number = found.get(2, 0)
    return signed(number, 32) if isinstance(number, int) else 0


def _time(raw: bytes, micro: bool) -> str | None:
    """Nothing at all is the zero time, which JSON shows as no time."""
    found = {number: each for number, wire, each in fields(raw) if wire == 0}
    if not found:
        return None
    seconds, nanos = signed(int(found.get(1, 0))), signed(int(found.get(2, 0)), 32)
    if not _SECONDS_MIN <= seconds <= _SECONDS_MAX:
        raise MalformedProtobuf(f"time {seconds} is out of range: JSON has the years 1 to 9999")
    at = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    if len(at) < 19:
        at = at.rjust(19, "0")  # the platform leaves out the zeros of early years
    return f"{at}.{max(nanos, 0) // 1000 % 1000000:06d}Z" if micro else f"{at}Z"


def _raw(raw: bytes, depth: int) -> Any:
    inner = b"".join(each for number, _, each in fields(raw) if number == 1 and isinstance(each, bytes))
    if not inner:
        return None
    try:
        return orjson.loads(inner)
    except orjson.JSONDecodeError as error:
        raise MalformedProtobuf(f"embedded JSON does not parse: {error}") from error


def _either(kind: str, raw: bytes, depth: int) -> Any:
    found = fields(raw)
    if kind == SCHEMA_OR_BOOL:
        schema = next((each for number, _, each in found if number == 2 and isinstance(each, bytes)), None)
        if schema is None:
            return any(each for number, _, each in found if number == 1)
    else:
        schema = next((each for number, _, each in found if number == 1 and isinstance(each, bytes)), None)
        if schema is None:
            items = [each for number, _, each in found if number == 2 and isinstance(each, bytes)]
            if kind == SCHEMA_OR_ARRAY:
                return [_read(SCHEMA, each, 0, len(each), depth + 1) for each in items]
            return [text(each) for each in items]
    return _read(SCHEMA, schema, 0, len(schema), depth + 1)
