"""The JSON paths of printer columns, selectable fields and scale subresources.

Columns take the language of `kubectl -o jsonpath` (fields, quoted fields, indexes, slices, wildcards, `..`, filters);
selectable fields and scale take plain dotted fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["PathError", "compile_path", "dotted", "find_dotted", "set_dotted"]

Json = dict[str, Any]
Step = Callable[[Iterator[Any]], Iterator[Any]]

#: Values one path may find: a column shows one, a filter may pass many.
RESULTS_MAX = 1000


class PathError(ValueError):
    """The text is no JSON path."""


_FIELD = re.compile(r"[^\.\[\]'\"\s(){}@?*]+")
_INDEX = re.compile(r"-?\d+\Z")
_SLICE = re.compile(r"(-?\d*):(-?\d*)(?::(-?\d*))?\Z")
_FILTER = re.compile(r"\?\(\s*@(?P<path>[^=!<>]*?)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>.+?)\s*)?\)\Z")


def compile_path(text: str) -> Callable[[Any], list[Any]]:
    """What a path finds in an object, in order. Raises PathError."""
    steps = list(_steps(text))

    def find(obj: Any) -> list[Any]:
        found: Iterator[Any] = iter((obj,))
        for step in steps:
            found = step(found)
        out = []
        for value in found:
            out.append(value)
            if len(out) >= RESULTS_MAX:
                break
        return out

    return find


def _steps(text: str) -> Iterator[Step]:
    rest = text.strip().removeprefix("$")
    while rest:
        if rest.startswith(".."):
            rest = rest[2:]
            yield _descend
            name, rest = _take_name(rest, text)
            if name:
                yield _wildcard if name == "*" else _field(name)
        elif rest[0] == ".":
            name, rest = _take_name(rest[1:], text)
            if name:
                yield _wildcard if name == "*" else _field(name)
        elif rest[0] == "[":
            end = _closing(rest, text)
            yield _bracket(rest[1:end].strip(), text)
            rest = rest[end + 1 :]
        else:
            raise PathError(f"unrecognized character in action: {rest[0]!r} in {text!r}")


def _take_name(rest: str, text: str) -> tuple[str, str]:
    if rest.startswith("*"):
        return "*", rest[1:]
    name = ""
    while rest:
        if rest[0] == "\\" and len(rest) > 1:  # an escaped dot belongs to the name
            name, rest = name + rest[1], rest[2:]
            continue
        found = re.match(r"[^\.\[\]'\"\s(){}@?*\\]+", rest)
        if found is None:
            break
        name, rest = name + found[0], rest[found.end() :]
    if rest and rest[0] not in ".[":
        raise PathError(f"invalid path {text!r}: unexpected {rest[0]!r}")
    return name, rest


def _closing(rest: str, text: str) -> int:
    depth, quote = 0, ""
    for at, char in enumerate(rest):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[(":
            depth += 1
        elif char in "])":
            depth -= 1
            if depth == 0:
                return at
    raise PathError(f"unterminated array in {text!r}")


def _bracket(inner: str, text: str) -> Step:
    if inner == "*":
        return _wildcard
    if len(inner) > 1 and inner[0] in "'\"" and inner[-1] == inner[0]:
        return _field(inner[1:-1])
    if _INDEX.match(inner):
        return _index(int(inner))
    if found := _SLICE.match(inner):
        start, end, step = (int(each) if each else None for each in (found[1], found[2], found[3]))
        return _sliced(slice(start, end, step))
    if found := _FILTER.match(inner):
        return _filter(found["path"], found["op"], found["value"])
    raise PathError(f"invalid array index {inner!r} in {text!r}")


def _field(name: str) -> Step:
    def step(values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            if isinstance(value, dict) and name in value:
                yield value[name]

    return step


def _index(at: int) -> Step:
    def step(values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            if isinstance(value, list) and -len(value) <= at < len(value):
                yield value[at]

    return step


def _sliced(part: slice) -> Step:
    def step(values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            if isinstance(value, list):
                yield from value[part]

    return step


def _wildcard(values: Iterator[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value


def _descend(values: Iterator[Any]) -> Iterator[Any]:
    for value in values:
        yield value
        if isinstance(value, dict | list):
            yield from _descend(iter(value.values()) if isinstance(value, dict) else iter(value))


def _filter(path: str, operator: str | None, text: str | None) -> Step:
    find = compile_path(path)
    wanted = _literal(text) if text is not None else None

    def passes(item: Any) -> bool:
        found = find(item)
        if operator is None:
            return bool(found)
        return bool(found) and _compare(found[0], operator, wanted)

    def step(values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            if isinstance(value, list):
                yield from (item for item in value if passes(item))

    return step


def _literal(text: str) -> Any:
    if text[0] in "'\"" and text[-1] == text[0] and len(text) > 1:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError as error:
            raise PathError(f"unrecognized value {text!r} in a filter") from error


def _compare(left: Any, operator: str, right: Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool) or isinstance(left, str) != isinstance(right, str):
        return False
    try:
        return bool({"==": left == right, "!=": left != right}[operator]) if operator in ("==", "!=") else {
            "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]  # fmt: skip
    except TypeError:
        return False


# --- dotted fields


def dotted(text: str) -> tuple[str, ...]:
    """The fields of a simple path such as `.spec.replicas`. Raises PathError."""
    if not text.startswith("."):
        raise PathError("must be a simple json path starting with .")
    parts = tuple(text[1:].split("."))
    if not all(_FIELD.fullmatch(part) for part in parts):
        raise PathError("must be a json path in the dot notation")
    return parts


def find_dotted(obj: Any, fields: tuple[str, ...]) -> Any:
    """The value at a path; None where there is none."""
    for name in fields:
        if not isinstance(obj, dict) or name not in obj:
            return None
        obj = obj[name]
    return obj


def set_dotted(obj: Json, fields: tuple[str, ...], value: Any) -> None:
    """Put a value at a path, making the objects on the way."""
    for name in fields[:-1]:
        inner = obj.get(name)
        if not isinstance(inner, dict):
            inner = obj[name] = {}
        obj = inner
    obj[fields[-1]] = value
