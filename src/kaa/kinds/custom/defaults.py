"""Defaults of a schema: each must be a value that its own part of the schema would take, and hold nothing that would be
pruned. Inside the metadata of an embedded object, a default must leave that object valid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from kaa.kinds.custom import embedded, expressions
from kaa.kinds.custom.schema import MISSING, compile_node, prune
from kaa.kinds.custom.structural import EMBEDDED
from kaa.kinds.custom.values import compile_checker, problems_of, under
from kaa.meta.problems import Path, Problem, invalid

__all__ = ["check"]

Json = dict[str, Any]
#: How deep below an object of the API a default inside its metadata stands: names, and None for an item of a list.
Trail = tuple[str | None, ...]
_OF_OBJECTS = ("apiVersion", "kind", "metadata")


def check(schema: Json, path: Path) -> Iterator[Problem]:
    """Every problem of the defaults of a structural schema."""
    yield from _check({**schema, EMBEDDED: True}, path, {}, None)


def _check(schema: Json, path: Path, root: Json, trail: Trail | None) -> Iterator[Problem]:
    """`trail` leads from the embedded object `root`, while inside its metadata."""
    if schema.get(EMBEDDED):
        root, trail = schema, None
    default = schema.get("default")
    if default is not None:
        yield from _check_one(schema, default, path / "default", root, trail)
    # Not into additionalProperties: defaults are no use there.
    if isinstance(schema.get("items"), dict):
        yield from _check(schema["items"], path / "items", root, None if trail is None else (*trail, None))
    for name, child in (schema.get("properties") or {}).items():
        further = None if trail is None else (*trail, name)
        if schema.get(EMBEDDED) and name in _OF_OBJECTS:
            further = (name,)
        yield from _check(child, (path / "properties")[name], root, further)


def _check_one(schema: Json, default: Any, path: Path, root: Json, trail: Trail | None) -> Iterator[Problem]:
    if trail is not None:
        why = _in_metadata(root, trail, default)
        if why:
            yield invalid(path, default, f"must result in valid metadata: {why}")
            return
    else:
        node = compile_node(schema)
        unknown: list[str] = []
        copied = _copy(default)
        prune(node, copied, "", unknown, root=node.embedded)
        if unknown:
            yield invalid(path, default, "must not have unknown fields")
        try:
            embedded.coerce(node, _copy(default), path, [])
        except embedded.Misshapen as error:
            where, _, text = str(error).partition(": ")
            yield Problem(Path(where), "FieldValueInvalid", text)
            return
        if found := list(embedded.validate(node, default, path)):
            yield from found
            return
    if found := problems_of(compile_checker(schema), default, MISSING, Path()):
        yield from under(path, found)
        return
    rules = expressions.compile_rules(schema)
    found = list(expressions.evaluate(rules, default, default))
    yield from under(path, found or expressions.evaluate(rules, default, MISSING))


def _in_metadata(root: Json, trail: Trail, default: Any) -> str:
    """What is wrong with an object that has the default where `trail` leads; "" where nothing is."""
    value = _copy(default)
    for name in reversed(trail):
        value = [value] if name is None else {name: value}
    whole = {"apiVersion": "validation/v1", "kind": "Validation", **value}
    node = compile_node(root)
    try:
        embedded.coerce(node, whole, Path(), [])
    except embedded.Misshapen as error:
        return str(error)
    found = [str(each) for each in embedded.validate(node, whole, Path())]
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]" if found else ""


def _copy(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))
