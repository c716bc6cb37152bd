"""What the original's Go types say of each protobuf field, read out of a kubectl binary.

    python tools/go_types.py KUBECTL      # prints the facts of every message as JSON

The wire does not say which fields are pointers (a zero in them is meant) and which are always written as JSON: the Go
types do. A Go binary carries a description of every type it uses, for reflection; this reads those (struct fields, the
kinds of their types, their tags) from the sections of the file, without running it.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

#: Kinds of types in Go's descriptions, and where things stand in these (internal/abi of Go 1.22 to 1.26).
POINTER, MAP, ARRAY, SLICE, STRUCT = 22, 21, 17, 23, 25
SCALARS = {1: "bool", 5: "int32", 6: "int64", 13: "float32", 14: "float64", 24: "string"}
NOBITS = 8
UNCOMMON, EXTRA_STAR = 1, 2

#: Packages whose types are looked at.
PACKAGES = "k8s.io/"


class Binary:
    """A statically linked 64-bit Go program."""

    def __init__(self, path: Path) -> None:
        self._raw = path.read_bytes()
        raw = self._raw
        headers, count, names_at = struct.unpack_from("<Q", raw, 0x28)[0], *struct.unpack_from("<HH", raw, 0x3C)
        rows = [struct.unpack_from("<IIQQQQ", raw, headers + 64 * at) for at in range(count)]
        names = rows[names_at][4]
        self._sections = {}
        for name, kind, _, address, offset, size in rows:
            text = raw[names + name : raw.index(b"\0", names + name)].decode()
            self._sections[text] = (kind, address, offset, size)
        #: Offsets of types and names count from here.
        self._base = self._sections[".rodata"][1]

    def _at(self, address: int) -> int:
        for kind, start, offset, size in self._sections.values():
            if kind != NOBITS and start and start <= address < start + size:
                return offset + address - start
        raise KeyError(address)

    def _word(self, offset: int) -> int:
        return int(struct.unpack_from("<Q", self._raw, offset)[0])

    def _text(self, at: int) -> tuple[str, int]:
        size = shift = 0
        while True:
            byte = self._raw[at]
            at += 1
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                return self._raw[at : at + size].decode(), at + size
            shift += 7

    def _name(self, address: int) -> tuple[str, str]:
        """A name and its tag."""
        at = self._at(address)
        name, after = self._text(at + 1)
        return name, self._text(after)[0] if self._raw[at] & 2 else ""

    def _kind(self, address: int) -> tuple[int, int]:
        at = self._at(address)
        return at, self._raw[at + 23] & 31

    @cached_property
    def structs(self) -> dict[str, list[tuple[str, int, int, str]]]:
        """`package.Name` -> (field, kind, kind pointed to or 0, tag), of every struct that can be reached."""
        _, _, links, size = self._sections[".typelink"]
        pending = [self._base + each for each in struct.unpack_from(f"<{size // 4}i", self._raw, links)]
        seen: set[int] = set()
        found: dict[str, list[tuple[str, int, int, str]]] = {}
        while pending:
            address = pending.pop()
            if not address or address in seen:
                continue
            seen.add(address)
            at, kind = self._kind(address)
            if kind in (POINTER, SLICE, ARRAY):
                pending.append(self._word(at + 48))
            elif kind == MAP:
                pending += [self._word(at + 48), self._word(at + 56)]
            elif kind == STRUCT:
                fields = []
                for index in range(self._word(at + 64)):
                    field = self._at(self._word(at + 56)) + 24 * index
                    name, tag = self._name(self._word(field))
                    target = self._word(field + 8)
                    pending.append(target)
                    target_at, target_kind = self._kind(target)
                    pointed = self._kind(self._word(target_at + 48))[1] if target_kind == POINTER else 0
                    fields.append((name, target_kind, pointed, tag))
                if self._raw[at + 20] & UNCOMMON:
                    package = self._name(self._base + struct.unpack_from("<i", self._raw, at + 80)[0])[0]
                    own = self._name(self._base + struct.unpack_from("<i", self._raw, at + 40)[0])[0]
                    if package.startswith(PACKAGES):
                        found[f"{package}.{own.rpartition('.')[2]}"] = fields
        return found


def facts(path: Path) -> dict[str, dict[str, Any]]:
    """Message -> field -> {"json": its JSON name, "keep": a zero is shown in JSON, "inline": it has no JSON name}.

    A zero is shown of a pointer that is set, and of a plain field without `omitempty`.
    """
    out: dict[str, dict[str, Any]] = {}
    for name, fields in Binary(path).structs.items():
        message = name.replace("/", ".").replace("-", "_")
        for _, kind, _pointed, tag in fields:
            protobuf = re.search(r'protobuf:"[^"]*\bname=([^,"]+)', tag)
            shown = re.search(r'json:"([^"]*)"', tag)
            if protobuf is None or shown is None:
                continue
            json_name, *options = shown.group(1).split(",")
            entry: dict[str, Any] = {"json": json_name}
            if kind == POINTER or (json_name and not {"omitempty", "omitzero"} & set(options)):
                entry["keep"] = True
            if not json_name:
                entry["inline"] = True
            out.setdefault(message, {})[protobuf.group(1)] = entry
    return out


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(json.dumps(facts(Path(sys.argv[1])), indent=0, sort_keys=True))
