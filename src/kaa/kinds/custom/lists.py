"""That lists of type set and map hold nothing twice. Apart from the schema's other demands, as in the original: an
object whose old state already breaks this is let pass as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from kaa.kinds.custom.schema import Node
from kaa.meta.problems import Path, Problem, duplicate, invalid

__all__ = ["doubled"]

Json = dict[str, Any]


def doubled(node: Node | None, value: Any, path: Path) -> Iterator[Problem]:
    """Everything that stands twice in a list that may hold it once."""
    if node is None:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            child = node.properties.get(name)
            if child is not None:
                yield from doubled(child, inner, path / name)
            elif isinstance(node.additional, Node):
                yield from doubled(node.additional, inner, path[name])
    elif isinstance(value, list):
        if node.list_type == "set":
            for at in _twice(value):
                yield duplicate(path[at], value[at])
        elif node.list_type == "map":
            yield from _same_keys(node.list_keys, value, path)
        if node.items is not None:
            for at, item in enumerate(value):
                yield from doubled(node.items, item, path[at])


def _same_keys(keys: tuple[str, ...], value: list[Any], path: Path) -> Iterator[Problem]:
    for at, item in enumerate(value):
        if item is not None and not isinstance(item, dict):
            yield invalid(path[at], item, "must be an object for an array of list-type map")
            return
    shown = [{key: item[key] for key in keys if key in item} if item else {} for item in value]
    for at in _twice(shown):
        yield duplicate(path[at], shown[at])


def _twice(value: list[Any]) -> Iterator[int]:
    """Where something stands for the second time; a third time is not told."""
    if len(value) < 2:
        return
    seen: dict[bytes, int] = {}
    for at, item in enumerate(value):
        identity = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
        seen[identity] = seen.get(identity, 0) + 1
        if seen[identity] == 2:
            yield at
