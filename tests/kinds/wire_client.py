"""A protobuf client of the tests' own: it writes as clients in Go do and reads plainly, straight from field numbers.

It shares nothing with the code under test but the table of field numbers. Like generated Go code it writes every plain
field, zero or not, and pointers only when set.
"""

import base64
import datetime
import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import kaa.kinds

Json = dict[str, Any]
TABLE: dict[str, dict[str, list]] = json.loads((Path(kaa.kinds.__file__).parent / "data" / "protobuf.json").read_text())
META = "k8s.io.apimachinery.pkg.apis.meta.v1."
EXT = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."
NUMBERS = ("bool", "int32", "int64")
PLAIN = (*NUMBERS, "string", "bytes", "double")
RAW = (META + "FieldsV1", "k8s.io.apimachinery.pkg.runtime.RawExtension", EXT + "JSON")
OR = {EXT + "JSONSchemaPropsOrBool": (2, 1), EXT + "JSONSchemaPropsOrArray": (1, 2),
      EXT + "JSONSchemaPropsOrStringArray": (1, 2)}  # fmt: skip


@cache
def rows(message: str) -> list[tuple[str, int, str, str, str]]:
    """(JSON name, number, label, full type, marks) of each field."""
    found = []
    for name, row in TABLE[message].items():
        number, label, kind, marks, shown = [*row, "", ""][:5] if len(row) < 5 else row
        if kind not in PLAIN:
            kind = kind.lstrip(".") if kind.startswith(".") else message.rpartition(".")[0] + "." + kind
        found.append((shown or name, number, label, kind, marks))
    return found


def number(value: int) -> bytes:
    value %= 1 << 64
    out = []
    while True:
        value, low = value >> 7, value & 127
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def blob(at: int, raw: bytes) -> bytes:
    return number(at * 8 + 2) + number(len(raw)) + raw


def write(message: str, obj: Json) -> bytes:
    out = b""
    for name, at, label, kind, marks in rows(message):
        if "i" in marks:
            out += blob(at, write(kind, obj))
            continue
        value = obj.get(name)
        if value is None:
            if label == "optional" and kind in PLAIN and kind not in ("bytes", "double") and "k" not in marks:
                out += one(at, kind, {"string": "", "bool": False}.get(kind, 0))
        elif label == "map":
            for key, each in value.items():
                out += blob(at, blob(1, key.encode()) + one(2, kind, each))
        elif label == "repeated":
            out += b"".join(one(at, kind, each) for each in value)
        else:
            out += one(at, kind, value)
    return out


def one(at: int, kind: str, value: Any) -> bytes:
    if kind in NUMBERS:
        return number(at * 8) + number(int(value))
    if kind == "double":
        return number(at * 8 + 1) + struct.pack("<d", value)
    if kind == "string":
        return blob(at, value.encode())
    if kind == "bytes":
        return blob(at, base64.b64decode(value))
    if kind.endswith("resource.Quantity"):
        return blob(at, blob(1, value.encode()))
    if kind.endswith("intstr.IntOrString"):
        text = isinstance(value, str)
        inner = one(1, "int32", text) + one(2, "int32", 0 if text else value)
        return blob(at, inner + blob(3, (value if text else "").encode()))
    if kind in (META + "Time", META + "MicroTime"):
        when = datetime.datetime.fromisoformat(value)
        nanos = when.microsecond * 1000 if kind.endswith("MicroTime") else 0
        return blob(at, one(1, "int64", int(when.timestamp() // 1)) + one(2, "int32", nanos))
    if kind in RAW:
        return blob(at, blob(1, json.dumps(value).encode()))
    if kind in OR:
        schema, other = OR[kind]
        if isinstance(value, dict):
            allows = one(1, "bool", True) if schema == 2 else b""
            return blob(at, allows + blob(schema, write(EXT + "JSONSchemaProps", value)))
        if isinstance(value, bool):
            return blob(at, one(1, "bool", value))
        plain = [each.encode() if isinstance(each, str) else write(EXT + "JSONSchemaProps", each) for each in value]
        return blob(at, b"".join(blob(other, each) for each in plain))
    if isinstance(value, list):
        return blob(at, b"".join(blob(1, each.encode()) for each in value))
    return blob(at, write(kind, value))


def parts(raw: bytes) -> list[tuple[int, Any]]:
    found, at = [], 0

    def take() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = raw[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(raw):
        key = take()
        if key & 7 == 0:
            found.append((key >> 3, take()))
        elif key & 7 == 1:
            found.append((key >> 3, raw[at : at + 8]))
            at += 8
        else:
            size = take()
            assert key & 7 == 2 and at + size <= len(raw), (key, size)
            found.append((key >> 3, raw[at : at + size]))
            at += size
    return found


def read(message: str, raw: bytes) -> Json:
    """As plainly as can be: what is on the wire, by its JSON name."""
    known = {row[1]: row for row in rows(message)}
    out: Json = {}
    for at, part in parts(raw):
        name, _, label, kind, marks = known[at]
        if "i" in marks:
            out.update(read(kind, part))
        elif label == "map":
            entry = dict(parts(part))
            out.setdefault(name, {})[entry.get(1, b"").decode()] = value_of(kind, entry.get(2, b""))
        elif label == "repeated":
            out.setdefault(name, []).append(value_of(kind, part))
        else:
            out[name] = value_of(kind, part)
    return out


def value_of(kind: str, part: Any) -> Any:
    if kind in NUMBERS:
        return bool(part) if kind == "bool" else part - (1 << 64) if part >> 63 else part
    if kind == "double":
        return struct.unpack("<d", part)[0]
    if kind in ("string", "bytes"):
        return part.decode() if kind == "string" else base64.b64encode(part).decode()
    entry = dict(parts(part))
    if kind.endswith("resource.Quantity"):
        return entry[1].decode()
    if kind.endswith("intstr.IntOrString"):
        return entry[3].decode() if entry.get(1) else entry.get(2, 0)
    if kind in (META + "Time", META + "MicroTime"):
        when = datetime.datetime.fromtimestamp(entry.get(1, 0), datetime.UTC)
        text = when.strftime("%Y-%m-%dT%H:%M:%S")
        return f"{text}.{entry.get(2, 0) // 1000:06d}Z" if kind.endswith("MicroTime") else f"{text}Z"
    if kind in RAW:
        return json.loads(entry[1])
    if kind in OR:
        schema, other = OR[kind]
        if schema in entry:
            return read(EXT + "JSONSchemaProps", entry[schema])
        if schema == 2:
            return bool(entry.get(1))
        found = [each for at, each in parts(part) if at == other]
        texts = kind.endswith("StringArray")
        return [each.decode() if texts else read(EXT + "JSONSchemaProps", each) for each in found]
    if [row[0] for row in rows(kind)] == ["items"] and rows(kind)[0][3] == "string":
        return [each.decode() for _, each in parts(part)]
    return read(kind, part)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    said = blob(1, api_version.encode()) + blob(2, kind.encode())
    return b"k8s\0" + blob(1, said) + blob(2, raw) + blob(3, b"") + blob(4, b"")


def opened(body: bytes) -> tuple[str, str, bytes]:
    """apiVersion, kind and the object's bytes."""
    assert body[:4] == b"k8s\0", body[:40]
    outer = dict(parts(body[4:]))
    said = dict(parts(outer[1]))
    return said[1].decode(), said[2].decode(), outer.get(2, b"")
