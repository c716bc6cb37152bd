"""What every protobuf message is made of: numbers in as few bytes as they need, and parts behind their lengths.

The wording of what is wrong is that of the original's generated readers.
"""

from __future__ import annotations

__all__ = ["DEPTH_MAX", "MalformedProtobuf", "blob", "fields", "number", "part", "prefix", "signed", "skip", "text",
           "varint"]  # fmt: skip

#: Messages inside messages; only the schemas of custom resources recur.
DEPTH_MAX = 64
GROUP_START, GROUP_END = 3, 4
_WORD = 0xFFFFFFFFFFFFFFFF


class MalformedProtobuf(ValueError):
    """The bytes are not what they should be; the text says where."""


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at a place, unsigned, and where it ends."""
    value = shift = 0
    end = len(raw)
    while True:
        if at >= end:
            raise MalformedProtobuf("unexpected EOF")
        if shift > 63:
            raise MalformedProtobuf("proto: integer overflow")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _WORD, at
        shift += 7


def part(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the part begins whose length stands at a place, and where it ends."""
    if at < end and raw[at] < 0x80:
        start = at + 1
        stop = start + raw[at]
    else:
        size, start = varint(raw, at)
        stop = start + size
    if stop > end:
        raise MalformedProtobuf("unexpected EOF")
    return start, stop


def skip(raw: bytes, at: int, end: int, wire: int) -> int:
    """Where a field that nobody reads ends."""
    if wire == 0:
        return varint(raw, at)[1]
    if wire == 2:
        return part(raw, at, end)[1]
    if wire in (1, 5):
        stop = at + (8 if wire == 1 else 4)
        if stop > end:
            raise MalformedProtobuf("unexpected EOF")
        return stop
    if wire != GROUP_START:
        raise MalformedProtobuf(f"proto: illegal wireType {wire}")
    depth = 1
    while depth:
        key, at = varint(raw, at)
        inner = key & 7
        if inner == GROUP_START:
            depth += 1
        elif inner == GROUP_END:
            depth -= 1
        else:
            at = skip(raw, at, end, inner)
        if depth > DEPTH_MAX or at > end:
            raise MalformedProtobuf("unexpected EOF")
    return at


def fields(raw: bytes) -> list[tuple[int, int, int | bytes]]:
    """All fields of a small message as (number, wire type, value); what is fixed in size or grouped is left out."""
    found: list[tuple[int, int, int | bytes]] = []
    at, end = 0, len(raw)
    while at < end:
        key, at = varint(raw, at)
        wire = key & 7
        if key >> 3 == 0:
            raise MalformedProtobuf(f"proto: illegal tag 0 (wire type {wire})")
        if wire == 0:
            value, at = varint(raw, at)
            found.append((key >> 3, wire, value))
        elif wire == 2:
            start, at = part(raw, at, end)
            found.append((key >> 3, wire, raw[start:at]))
        else:
            at = skip(raw, at, end, wire)
    return found


def signed(value: int, bits: int = 64) -> int:
    """An unsigned number as the signed one of so many bits."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def text(raw: bytes) -> str:
    """Text. Raises MalformedProtobuf where it is not UTF-8: JSON could not carry it."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedProtobuf(f"text is not UTF-8: {error}") from error


def number(value: int) -> bytes:
    """A number, negative ones as ten bytes."""
    value &= _WORD
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def prefix(field: int, wire: int = 2) -> bytes:
    """What stands before a field's value."""
    return number(field << 3 | wire)


def blob(field: int, raw: bytes) -> bytes:
    """A field that holds bytes, text or a message."""
    return number(field << 3 | 2) + number(len(raw)) + raw
