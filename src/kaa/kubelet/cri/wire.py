"""Protobuf's wire format for tables of fields, compiled once into closures.

A `Message` ties a dataclass to its field numbers; values are encoded from it and decoded to it directly, so there is no
second set of message objects, and nothing to import at start but this. Proto3 only: a field at its zero value is left
out, an unknown field is skipped.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, TypeVar

__all__ = [
    "BOOL",
    "BOX",
    "BYTES",
    "INT",
    "PAIR",
    "STR",
    "Kind",
    "Malformed",
    "Message",
    "Spec",
    "converted",
    "enumeration",
    "fields_of",
    "mapping",
    "repeated",
]

T = TypeVar("T")
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WRAP = 1 << 64
_SIGN = 1 << 63


class Malformed(ValueError):
    """The bytes are not what the table says."""


def _varint(value: int) -> bytes:
    if value < 0:
        value += _WRAP
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte, at
    value, shift = byte & 0x7F, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise Malformed("a varint is longer than ten bytes")


@dataclass(frozen=True)
class Kind:
    """How one value is written: `pack` gives a number (varint) or bytes (length-delimited); `unpack` is its inverse.
    `present` says whether a value is written at all."""

    wire: int
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]
    present: Callable[[Any], bool] = bool
    many: str = ""
    """Empty, `list` or `map`."""


def _signed(value: int) -> int:
    return value - _WRAP if value & _SIGN else value


def _present(value: Any) -> bool:
    return value is not None


INT = Kind(_VARINT, int, _signed)
BOOL = Kind(_VARINT, int, bool)
STR = Kind(_LENGTH, str.encode, lambda data: data.decode("utf-8", "replace"))
BYTES = Kind(_LENGTH, bytes, bytes)


def _unbox(data: bytes) -> int:
    return _signed(_read_varint(data, 1)[0]) if data else 0


BOX = Kind(_LENGTH, lambda value: b"\x08" + _varint(value) if value else b"", _unbox, _present)
"""A number that may be absent (Int64Value and its kin)."""


def enumeration(members: Callable[[int], T]) -> Kind:
    """An enumeration; a number the table doesn't know stays a number."""

    def unpack(value: int) -> T | int:
        try:
            return members(value)
        except ValueError:
            return value

    return Kind(_VARINT, int, unpack)


def repeated(kind: Kind) -> Kind:
    """A list of them."""
    return Kind(kind.wire, kind.pack, kind.unpack, bool, "list")


def converted(kind: Kind, to_wire: Callable[[Any], Any], from_wire: Callable[[Any], Any]) -> Kind:
    """The same on the wire, another shape in the dataclass."""
    pack, unpack = kind.pack, kind.unpack
    return Kind(
        kind.wire, lambda v: pack(to_wire(v)), lambda v: from_wire(unpack(v)), lambda v: v is not None and bool(v)
    )


def _pack_entry(item: tuple[str, str]) -> bytes:
    key, value = item[0].encode(), item[1].encode()
    return b"\x0a" + _varint(len(key)) + key + b"\x12" + _varint(len(value)) + value


def _unpack_entry(data: bytes) -> tuple[str, str]:
    entry = {1: b"", 2: b""}
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        length, at = _read_varint(data, at)
        entry[key >> 3] = data[at : at + length]
        at += length
    return entry[1].decode("utf-8", "replace"), entry[2].decode("utf-8", "replace")


PAIR = Kind(_LENGTH, _pack_entry, _unpack_entry)
"""A message of two strings, numbered 1 and 2."""


def mapping() -> Kind:
    """A map from string to string."""
    return Kind(_LENGTH, _pack_entry, _unpack_entry, bool, "map")


Spec = Mapping[str, tuple[int, Kind]]
"""Attribute name -> (field number, kind)."""


def fields_of(data: bytes) -> Any:
    """Yields (number, wire type, value) of each field; the schemaless view."""
    at, end = 0, len(data)
    while at < end:
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            value: Any
            value, at = _read_varint(data, at)
        elif wire == _LENGTH:
            length, at = _read_varint(data, at)
            if at + length > end:
                raise Malformed("a field is longer than its message")
            value, at = data[at : at + length], at + length
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            value, at = data[at : at + size], at + size
        else:
            raise Malformed(f"wire type {wire}")
        yield key >> 3, wire, value


def _zeros(cls: Any, spec: Spec) -> dict[str, Any]:
    """What an absent field means where the dataclass has another default: on the wire, absent is zero."""
    zeros: dict[str, Any] = {}
    for item in dataclasses.fields(cls):
        if item.name in spec and not (kind := spec[item.name][1]).many and kind.present is bool:
            zero = kind.unpack(0 if kind.wire == _VARINT else b"")
            if item.default != zero:
                zeros[item.name] = zero
    return zeros


class Message(Generic[T]):
    """A dataclass and the numbers of its fields. `kind` makes it a field of another message."""

    def __init__(self, cls: Callable[..., T], spec: Spec) -> None:
        self._cls = cls
        self._writers = [self._writer(name, number, kind) for name, (number, kind) in spec.items()]
        self._readers = {number: (name, kind) for name, (number, kind) in spec.items()}
        self._zeros = _zeros(cls, spec)
        self.kind = Kind(_LENGTH, self.encode, self.decode, _present)

    @staticmethod
    def _writer(name: str, number: int, kind: Kind) -> tuple[Callable[[Any], Any], Callable[[bytearray, Any], None]]:
        pack, present = kind.pack, kind.present
        tag = _varint(number << 3 | kind.wire)

        def write_number(out: bytearray, value: Any) -> None:
            if value:
                out += tag
                out += _varint(pack(value))

        def write_bytes(out: bytearray, value: Any) -> None:
            if present(value):
                data = pack(value)
                out += tag
                out += _varint(len(data))
                out += data

        def write_list(out: bytearray, value: Any) -> None:
            for item in value.items() if kind.many == "map" else value:
                data = pack(item)
                out += tag
                out += _varint(len(data))
                out += data

        packed_tag = _varint(number << 3 | _LENGTH)

        def write_packed(out: bytearray, value: Any) -> None:
            if value:
                data = b"".join(_varint(pack(item)) for item in value)
                out += packed_tag
                out += _varint(len(data))
                out += data

        if kind.many:
            writer = write_packed if kind.wire == _VARINT else write_list
        else:
            writer = write_number if kind.wire == _VARINT else write_bytes
        return attrgetter(name), writer

    def encode(self, value: T) -> bytes:
        """The bytes of it."""
        out = bytearray()
        for get, write in self._writers:
            write(out, get(value))
        return bytes(out)

    def decode(self, data: bytes) -> T:
        """Raises Malformed (or IndexError for a cut message)."""
        values: dict[str, Any] = dict(self._zeros)
        readers = self._readers
        for number, wire, raw in fields_of(data):
            reader = readers.get(number)
            if reader is None:
                continue
            name, kind = reader
            if not kind.many:
                values[name] = kind.unpack(raw)
            elif kind.many == "map":
                key, value = kind.unpack(raw)
                values.setdefault(name, {})[key] = value
            elif kind.wire == _VARINT and wire == _LENGTH:
                items = values.setdefault(name, [])
                at = 0
                while at < len(raw):
                    item, at = _read_varint(raw, at)
                    items.append(kind.unpack(item))
            else:
                values.setdefault(name, []).append(kind.unpack(raw))
        return self._cls(**values)
