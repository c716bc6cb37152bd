"""Objects of the API within custom resources (`x-kubernetes-embedded-resource`): what identifies them is read as that
of any object, and must be as valid."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from kaa.kinds import metadata, tables
from kaa.kinds.custom.schema import OBJECT_META, Node
from kaa.kinds.structure import Structure
from kaa.meta import names
from kaa.meta.errors import StatusError
from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["Misshapen", "coerce", "has_embedded", "validate"]

Json = dict[str, Any]


class Misshapen(ValueError):
    """The metadata of an embedded object cannot be read as such; `str()` says where, and why."""


@lru_cache(maxsize=1)
def _metadata() -> Structure:
    return Structure(tables.schema(OBJECT_META), "ObjectMeta", "v1")


def has_embedded(node: Node | None) -> bool:
    """Whether a schema has embedded objects at all: most have none, and need no walk."""
    if node is None:
        return False
    below = [*node.properties.values(), node.items, node.additional if isinstance(node.additional, Node) else None]
    return node.embedded or any(has_embedded(each) for each in below)


def coerce(node: Node | None, value: Any, path: Path, unknown: list[str]) -> None:
    """Read each embedded object's metadata as every object's is, in place; names its unknown fields.

    Raises Misshapen."""
    if node is None:
        return
    if isinstance(value, dict):
        if node.embedded:
            _coerce_one(value, path, unknown)
        for name, inner in value.items():
            if not (node.embedded and name == "metadata"):
                coerce(node.child(name), inner, path / name, unknown)
    elif isinstance(value, list) and node.items is not None:
        for at, item in enumerate(value):
            coerce(node.items, item, path[at], unknown)


def _coerce_one(value: Json, path: Path, unknown: list[str]) -> None:
    for name in ("apiVersion", "kind"):
        if name in value and not isinstance(value[name], str):
            raise Misshapen(str(invalid(path / name, value[name], "must be a string")))
    if "metadata" not in value:
        return
    given = value["metadata"]
    if given is None:
        del value["metadata"]
        return
    try:
        read, found = _metadata().decode(given)
    except StatusError as error:
        why = error.message.partition("cannot be handled as a ObjectMeta: ")[2]
        raise Misshapen(str(invalid(path / "metadata", given, why or error.message))) from error
    unknown.extend(f"{path / 'metadata'}.{each.partition(chr(34))[2].rstrip(chr(34))}" for each in found)
    value["metadata"] = read


def validate(node: Node | None, value: Any, path: Path) -> Iterator[Problem]:
    """Every problem of what identifies embedded objects."""
    if node is None:
        return
    if isinstance(value, dict):
        if node.embedded:
            yield from _validate_one(value, path)
        for name, inner in value.items():
            child = node.properties.get(name)
            if child is not None:
                yield from validate(child, inner, path / name)
            elif isinstance(node.additional, Node):
                yield from validate(node.additional, inner, path[name])
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from validate(node.items, item, path[at])


def _validate_one(value: Json, path: Path) -> Iterator[Problem]:
    for name in ("apiVersion", "kind"):
        if name not in value:
            yield required(path / name)
    for name, inner in value.items():
        if name == "apiVersion":
            if not inner:
                yield invalid(path / name, inner, "must not be empty")
            elif str(inner).count("/") > 1:
                yield invalid(path / name, inner, f"unexpected GroupVersion string: {inner}")
        elif name == "kind":
            if not inner:
                yield invalid(path / name, inner, "must not be empty")
            elif wrong := list(names.dns1035_label(str(inner).lower())):
                yield invalid(path / name, inner, "may have mixed case, but should otherwise match: " + ",".join(wrong))
        elif name == "metadata" and isinstance(inner, dict):
            named = inner if inner.get("name") else {**inner, "name": "fakename"}  # embedded objects need no name
            yield from metadata.validate({"metadata": named}, namespaced=bool(inner.get("namespace")),
                                         name_check=names.path_segment, path=path / "metadata")  # fmt: skip
