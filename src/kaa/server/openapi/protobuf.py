"""The v2 document as protobuf: what clients in Go ask for (`kubectl`, Helm).

The messages are those of the `openapi.v2` package that they use; they are only written. Extensions (`x-...`) and other
free values are carried as YAML text, of which JSON is a kind.
"""

import struct
from collections.abc import Iterable
from typing import Any

import orjson

from kaa.kinds.protobuf.wire import blob, number, prefix

__all__ = ["document", "named_path", "named_schema"]

Json = dict[str, Any]


def document(title: str, version: str, paths: Iterable[bytes], definitions: Iterable[bytes]) -> bytes:
    """The whole document, of named paths and named schemas."""
    return b"".join((
        blob(1, b"2.0"),
        blob(2, _text(1, title) + _text(2, version)),
        blob(8, b"".join(blob(2, each) for each in paths)),
        blob(9, b"".join(blob(1, each) for each in definitions)),
    ))  # fmt: skip


def named_schema(name: str, schema: Json) -> bytes:
    """A schema with its name."""
    return _named(name, _schema(schema))


def named_path(name: str, item: Json) -> bytes:
    """A path and its operations."""
    methods = (("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8))
    pieces = [blob(at, _operation(item[method])) for method, at in methods if method in item]
    pieces += [blob(9, _parameter(each)) for each in item.get("parameters", ())]
    return _named(name, b"".join(pieces))


def _named(name: str, value: bytes) -> bytes:
    return blob(1, name.encode()) + blob(2, value)


def _text(at: int, value: str) -> bytes:
    return blob(at, value.encode()) if value else b""


def _flag(at: int, value: Any) -> bytes:
    return prefix(at, 0) + number(1) if value else b""


def _texts(at: int, values: Iterable[str]) -> bytes:
    return b"".join(blob(at, each.encode()) for each in values)


def _any(value: Any) -> bytes:
    return blob(2, orjson.dumps(value) + b"\n")


def _extensions(at: int, node: Json) -> bytes:
    return b"".join(blob(at, _named(name, _any(each))) for name, each in node.items() if name.startswith("x-"))


#: The words of schemas that custom kinds bring, and their fields.
_DOUBLES = {"multipleOf": 6, "maximum": 7, "minimum": 9}
_NUMBERS = {"maxLength": 11, "minLength": 12, "maxItems": 14, "minItems": 15, "maxProperties": 17, "minProperties": 18}
_FLAGS = {"exclusiveMaximum": 8, "exclusiveMinimum": 10, "uniqueItems": 16}


def _double(at: int, value: float) -> bytes:
    return prefix(at, 1) + struct.pack("<d", value)


def _schema(node: Json) -> bytes:
    pieces = [
        _text(1, node.get("$ref", "")),
        _text(2, node.get("format", "")),
        _text(3, node.get("title", "")),
        _text(4, node.get("description", "")),
        blob(5, _any(node["default"])) if "default" in node else b"",
        *(_double(at, node[name]) for name, at in _DOUBLES.items() if name in node),
        *(prefix(at, 0) + number(node[name]) for name, at in _NUMBERS.items() if name in node),
        *(_flag(at, node.get(name)) for name, at in _FLAGS.items()),
        _text(13, node.get("pattern", "")),
        _texts(19, node.get("required", ())),
        b"".join(blob(20, _any(each)) for each in node.get("enum", ())),
    ]
    more = node.get("additionalProperties")
    if isinstance(more, bool):
        pieces.append(blob(21, prefix(2, 0) + number(int(more))))
    elif more is not None:
        pieces.append(blob(21, blob(1, _schema(more))))
    if "type" in node:
        pieces.append(blob(22, _text(1, node["type"])))
    if "items" in node:
        pieces.append(blob(23, blob(1, _schema(node["items"]))))
    if "properties" in node:
        fields = node["properties"].items()
        pieces.append(blob(25, b"".join(blob(1, named_schema(name, each)) for name, each in fields)))
    pieces.append(_extensions(31, node))
    return b"".join(pieces)


def _operation(node: Json) -> bytes:
    responses = b"".join(blob(1, _named(code, blob(1, _response(each)))) for code, each in node["responses"].items())
    return b"".join((
        _texts(1, node.get("tags", ())),
        _text(3, node.get("description", "")),
        _text(5, node["operationId"]),
        _texts(6, node.get("produces", ())),
        _texts(7, node.get("consumes", ())),
        b"".join(blob(8, _parameter(each)) for each in node.get("parameters", ())),
        blob(9, responses),
        _extensions(13, node),
    ))  # fmt: skip


def _response(node: Json) -> bytes:
    schema = blob(2, blob(1, _schema(node["schema"]))) if "schema" in node else b""
    return _text(1, node["description"]) + schema


def _parameter(node: Json) -> bytes:
    """A `ParametersItem`: a parameter in a body, in the query or in the path."""
    if node["in"] == "body":
        inner = _text(2, node["name"]) + _text(3, "body") + _flag(4, node.get("required"))
        return blob(1, blob(1, inner + blob(5, _schema(node["schema"]))))
    in_path = node["in"] == "path"
    shift = 0 if in_path else 1  # parameters of a query have one more field, before their type
    inner = b"".join((
        _flag(1, node.get("required")), _text(2, node["in"]), _text(4, node["name"]),
        _text(5 + shift, node.get("type", "")), _flag(19 + shift, node.get("uniqueItems")),
    ))  # fmt: skip
    return blob(1, blob(2, blob(4 if in_path else 3, inner)))
