"""Checks of single values: numbers, times, quantities, bytes; and what a wrong type is called in the API's errors."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kaa.meta import quantity
from kaa.meta.schema import Schema

__all__ = ["Mismatch", "check_of", "go_type"]

Check = Callable[[Any, list[bool]], Any]


class Mismatch(Exception):
    """A value of the wrong type. The path is collected while it unwinds."""

    def __init__(self, value: Any, type_: str = "", sentence: str = "") -> None:
        super().__init__()
        self._value = value
        self._type = type_
        self._sentence = sentence
        self._struct = ""
        self._steps: list[str] = []

    def inside(self, struct: str, field: str) -> None:
        """The struct and field that the value was found in; called from the inside out."""
        self._struct = self._struct or struct
        self._steps.append(field)

    def sentence(self) -> str:
        """What the API says of it."""
        if self._sentence:
            return self._sentence
        value = self._value
        word = {str: "string", bool: "bool", dict: "object", list: "array", type(None): "null"}.get(type(value))
        if word is None:
            # A number of the right type says which number it was: too large, or a fraction.
            word = f"number {value}" if self._type.startswith("int") else "number"
        if not self._steps:
            return f"json: cannot unmarshal {word} into Go value of type {self._type}"
        where = f"{self._struct}.{'.'.join(reversed(self._steps))}"
        return f"json: cannot unmarshal {word} into Go struct field {where} of type {self._type}"


def go_type(schema: Schema) -> str:
    """What the API's error messages call a type."""
    if schema.ref and schema.fields:
        *_, version, name = schema.ref.rsplit(".", 2)
        return f"{version}.{name}"
    if schema.type == "array" and schema.items is not None:
        return f"[]{go_type(schema.items)}"
    if schema.type == "object":
        return f"map[string]{go_type(schema.values)}" if schema.values is not None else "map[string]interface {}"
    if schema.type == "integer":
        return schema.format or "int64"
    return {"boolean": "bool", "number": "float64"}.get(schema.type, "string")


def check_of(schema: Schema) -> Check | None:
    """The check of a scalar node; None where anything goes."""
    if schema.type == "integer":
        return _int32 if schema.format == "int32" else _int64
    by_format = _BY_FORMAT.get(schema.format)
    if by_format is not None:
        return by_format
    return {"string": _string, "boolean": _boolean, "number": _number}.get(schema.type)


def _string(value: Any, _unknown: list[bool]) -> Any:
    if type(value) is not str:
        raise Mismatch(value, "string")
    return value


def _boolean(value: Any, _unknown: list[bool]) -> Any:
    if type(value) is not bool:
        raise Mismatch(value, "bool")
    return value


def _number(value: Any, _unknown: list[bool]) -> Any:
    if type(value) is not int and type(value) is not float:
        raise Mismatch(value, "float64")
    return value


def _int32(value: Any, _unknown: list[bool]) -> Any:
    if type(value) is not int or not -0x80000000 <= value <= 0x7FFFFFFF:
        raise Mismatch(value, "int32")
    return value


def _int64(value: Any, _unknown: list[bool]) -> Any:
    if type(value) is not int or not -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        raise Mismatch(value, "int64")
    return value


def _int_or_string(value: Any, _unknown: list[bool]) -> Any:
    if type(value) is str:
        return value
    if type(value) is not int or not -0x80000000 <= value <= 0x7FFFFFFF:
        # The original reads the number by itself, so its message has no field.
        error = Mismatch(value, "int32")
        raise Mismatch(value, sentence=error.sentence())
    return value


def _quantity(value: Any, _unknown: list[bool]) -> Any:
    try:
        text = str(quantity.parse(value))
    except quantity.QuantityError as error:
        raise Mismatch(value, sentence=str(error)) from None
    return value if text == value else text


def _bytes(value: Any, _unknown: list[bool]) -> Any:
    if type(value) is not str:
        raise Mismatch(value, "[]uint8")
    text = value.replace("\n", "").replace("\r", "") if "\n" in value or "\r" in value else value
    try:
        decoded = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        at = _BASE64.match(text)
        raise Mismatch(value, sentence=f"illegal base64 data at input byte {at.end() if at else 0}") from None
    return value if text is value else base64.b64encode(decoded).decode()


_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/]*")
_TIME = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ\Z")
_TIME_ANY = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)\Z")
_LAYOUT = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"


def _read_time(value: Any, layout: str) -> datetime:
    if type(value) is not str:
        # The original decodes a time from a string by itself: no field in its message.
        raise Mismatch(value, sentence=Mismatch(value, "string").sentence())
    match = _TIME_ANY.match(value)
    if match is not None:
        try:
            zone = "+00:00" if match[3] == "Z" else match[3]
            fraction = (match[2] or "0")[:6].ljust(6, "0")
            return datetime.fromisoformat(f"{match[1]}.{fraction}{zone}").astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise Mismatch(value, sentence=f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"')


def _time(value: Any, _unknown: list[bool]) -> Any:
    """To the second, in UTC."""
    if type(value) is str and _TIME.match(value):
        return value
    if value == "":
        return None
    return _read_time(value, _LAYOUT).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def _micro_time(value: Any, _unknown: list[bool]) -> Any:
    """To the microsecond, in UTC."""
    return _read_time(value, _MICRO_LAYOUT).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


_BY_FORMAT: dict[str, Check] = {
    "date-time": _time,
    "micro-time": _micro_time,
    "quantity": _quantity,
    "int-or-string": _int_or_string,
    "byte": _bytes,
}
