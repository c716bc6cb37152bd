"""Whether a value satisfies its schema, in the wording that users of custom resources know.

Every problem is found, none stops the others, except that a value of the wrong type is not looked into. On an update,
what is as it was is forgiven (ratcheting): a schema that has become stricter stops nobody from changing something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from kaa.kinds.custom import formats
from kaa.kinds.custom.patterns import compile_pattern
from kaa.kinds.custom.schema import MISSING, Node
from kaa.meta.problems import (
    Path,
    Problem,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
    type_invalid,
)

__all__ = ["Checker", "compile_checker", "correlated", "same"]

Json = dict[str, Any]
#: `(value, old value or MISSING, path) -> problems`.
Checker = Callable[[Any, Any, Path], Iterator[Problem]]
Check = Callable[[Any, Path], Iterator[Problem]]


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON (1 and true are not)."""
    if type(left) is not type(right):
        return isinstance(left, int | float) and isinstance(right, int | float) and not (
            isinstance(left, bool) or isinstance(right, bool)) and left == right  # fmt: skip
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def compile_checker(node: Node, *, root: bool = False) -> Checker:
    """The checker of a described value. Root values keep `metadata` out: it has rules of its own."""
    checks = list(_value_checks(node.raw))
    kinds = _kinds_of(node)
    properties = {name: compile_checker(child) for name, child in node.properties.items()}
    if root or node.embedded:
        properties.pop("metadata", None)
    values = compile_checker(node.additional) if isinstance(node.additional, Node) else None
    items = compile_checker(node.items) if node.items is not None else None
    wanted = tuple(node.raw.get("required") or ())
    list_type, list_keys, nullable = node.list_type, node.list_keys, node.nullable
    type_name = "integer,string" if node.int_or_string else node.type

    def check(value: Any, old: Any, path: Path) -> Iterator[Problem]:
        if old is not MISSING and same(value, old):
            return
        if value is None:
            if not nullable and kinds:
                yield _wrong_type(path, type_name, None)
            return
        if kinds and not _is_one_of(value, kinds):
            yield _wrong_type(path, type_name, value)
            return
        for each in checks:
            yield from each(value, path)
        if isinstance(value, dict):
            for name in wanted:
                if name not in value:
                    yield required(path / name)
            was = old if isinstance(old, dict) else {}
            for name, inner in value.items():
                below = properties.get(name, values)
                if below is not None:
                    yield from below(inner, was.get(name, MISSING), path / name)
        elif isinstance(value, list) and items is not None:
            olds = correlated(old, list_type, list_keys)
            for at, item in enumerate(value):
                yield from items(item, olds(item, at), path[at])
            if list_type in ("set", "map"):
                yield from _duplicates(value, list_type, list_keys, path)

    return check


# --- types


def _kinds_of(node: Node) -> tuple[str, ...]:
    if node.int_or_string:
        return ("integer", "string")
    return (node.type,) if node.type else ()


def _is_one_of(value: Any, kinds: tuple[str, ...]) -> bool:
    return any(_is_a(value, kind) for kind in kinds)


def _is_a(value: Any, kind: str) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def type_of(value: Any) -> str:
    """What JSON calls a value's type."""
    if value is None:
        return "null"
    for kind in ("boolean", "integer", "number", "string", "object"):
        if _is_a(value, kind) and not (kind == "integer" and isinstance(value, float)):
            return kind
    return "array"


def _wrong_type(path: Path, wanted: str, value: Any) -> Problem:
    found = type_of(value)
    return type_invalid(path, found, f'{path} in body must be of type {wanted}: "{found}"')


# --- lists


def correlated(old: Any, list_type: str, keys: tuple[str, ...]) -> Callable[[Any, int], Any]:
    """Which old item a new one was: by its keys, by its value, or (an atomic list has no items) none."""
    if not isinstance(old, list) or list_type not in ("map", "set"):
        return lambda item, at: MISSING
    if list_type == "set":
        return lambda item, at: next((each for each in old if same(each, item)), MISSING)
    by_key = {_key_of(each, keys): each for each in old}
    return lambda item, at: by_key.get(_key_of(item, keys), MISSING)


def _key_of(item: Any, keys: tuple[str, ...]) -> bytes:
    return orjson.dumps([item.get(key) for key in keys] if isinstance(item, dict) else item)


def _duplicates(value: list[Any], list_type: str, keys: tuple[str, ...], path: Path) -> Iterator[Problem]:
    seen: set[bytes] = set()
    for at, item in enumerate(value):
        if list_type == "map":
            if not isinstance(item, dict):
                continue
            shown: Any = {key: item[key] for key in keys if key in item}
            identity = _key_of(item, keys)
        else:
            shown, identity = item, orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
        if identity in seen:
            yield duplicate(path[at], shown)
        seen.add(identity)


# --- values


def _value_checks(raw: Json) -> Iterator[Check]:
    """What a schema says of a value beyond its type; also what stands inside allOf and its like."""
    if raw.get("enum") is not None:
        yield _enum(raw["enum"])
    if raw.get("format") and raw.get("type") == "string":
        yield _format(raw["format"])
    if raw.get("pattern"):
        yield _pattern(raw["pattern"])
    if raw.get("minLength") is not None or raw.get("maxLength") is not None:
        yield _length(raw.get("minLength"), raw.get("maxLength"))
    if raw.get("minItems") is not None or raw.get("maxItems") is not None:
        yield _count(list, "items", raw.get("minItems"), raw.get("maxItems"))
    if raw.get("minProperties") is not None or raw.get("maxProperties") is not None:
        yield _count(dict, "properties", raw.get("minProperties"), raw.get("maxProperties"))
    if raw.get("minimum") is not None or raw.get("maximum") is not None or raw.get("multipleOf"):
        yield _range(raw)
    if raw.get("format") in _INTEGER_RANGES and raw.get("type") == "integer":
        yield _fits_integer(raw["format"])
    for word in ("allOf", "anyOf", "oneOf"):
        if raw.get(word):
            yield _junction(word, [_nested(child) for child in raw[word]])
    if raw.get("not"):
        yield _negation(_nested(raw["not"]))


def _nested(raw: Json) -> Check:
    """A schema below a junction: restrictions only, on the value and on what is in it."""
    checks = list(_value_checks(raw))
    kind = raw.get("type")
    properties = {name: _nested(child) for name, child in (raw.get("properties") or {}).items()}
    items = _nested(raw["items"]) if isinstance(raw.get("items"), dict) else None
    wanted = tuple(raw.get("required") or ())

    def check(value: Any, path: Path) -> Iterator[Problem]:
        if kind and not _is_a(value, kind):
            yield _wrong_type(path, kind, value)
            return
        for each in checks:
            yield from each(value, path)
        if isinstance(value, dict):
            for name in wanted:
                if name not in value:
                    yield required(path / name)
            for name, below in properties.items():
                if name in value:
                    yield from below(value[name], path / name)
        elif isinstance(value, list) and items is not None:
            for at, item in enumerate(value):
                yield from items(item, path[at])

    return check


def _enum(allowed: list[Any]) -> Check:
    shown = [each if isinstance(each, str) else orjson.dumps(each).decode() for each in allowed]

    def check(value: Any, path: Path) -> Iterator[Problem]:
        if not any(same(value, each) for each in allowed):
            yield not_supported(path, value, shown, as_given=True)

    return check


def _format(name: str) -> Check:
    def check(value: Any, path: Path) -> Iterator[Problem]:
        if isinstance(value, str) and not formats.fits(name, value):
            yield type_invalid(path, value, f'{path} in body must be of type {name}: "{value}"')

    return check


def _pattern(text: str) -> Check:
    pattern = compile_pattern(text)

    def check(value: Any, path: Path) -> Iterator[Problem]:
        if isinstance(value, str) and not pattern.found_in(value):
            yield invalid(path, value, f"{path} in body should match '{text}'")

    return check


def _length(least: int | None, most: int | None) -> Check:
    def check(value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, str):
            return
        if most is not None and len(value) > most:
            yield too_long(path, most)
        if least is not None and len(value) < least:
            yield invalid(path, value, f"{path} in body should be at least {least} chars long")

    return check


def _count(kind: type, what: str, least: int | None, most: int | None) -> Check:
    def check(value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, kind):
            return
        size = len(value)
        if most is not None and size > most:
            yield too_many(path, size, most)
        if least is not None and size < least:
            yield invalid(path, size, f"{path} in body should have at least {least} {what}")

    return check


def _range(raw: Json) -> Check:
    least, most, multiple = raw.get("minimum"), raw.get("maximum"), raw.get("multipleOf")
    above, below = bool(raw.get("exclusiveMinimum")), bool(raw.get("exclusiveMaximum"))

    def check(value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
        if most is not None and (value >= most if below else value > most):
            yield invalid(path, value, f"{path} in body should be less than {'' if below else 'or equal to '}{most}")
        if least is not None and (value <= least if above else value < least):
            word = "greater than" if above else "greater than or equal to"
            yield invalid(path, value, f"{path} in body should be {word} {least}")
        if multiple and not _divides(multiple, value):
            yield invalid(path, value, f"{path} in body should be a multiple of {multiple}")

    return check


def _divides(multiple: int | float, value: int | float) -> bool:
    if isinstance(multiple, int) and isinstance(value, int):
        return value % multiple == 0
    quotient = value / multiple
    return abs(quotient - round(quotient)) < 1e-9 * max(1.0, abs(quotient))


_INTEGER_RANGES = {"int32": 31, "int64": 63}


def _fits_integer(name: str) -> Check:
    limit = 1 << _INTEGER_RANGES[name]

    def check(value: Any, path: Path) -> Iterator[Problem]:
        if isinstance(value, int) and not isinstance(value, bool) and not -limit <= value < limit:
            yield invalid(path, value, f"Checked value must be of type integer with format {name} in {path}")

    return check


# --- junctions


def _passes(check: Check, value: Any) -> bool:
    return next(iter(check(value, Path())), None) is None


def _junction(word: str, checks: Iterable[Check]) -> Check:
    checks = tuple(checks)

    def all_of(value: Any, path: Path) -> Iterator[Problem]:
        failed = False
        for each in checks:
            found = list(each(value, path))
            failed = failed or bool(found)
            yield from found
        if failed:
            yield _of_none(f'"{_named(path)}" must validate all the schemas (allOf)')

    def any_of(value: Any, path: Path) -> Iterator[Problem]:
        found = [list(each(value, path)) for each in checks]
        if all(found):
            yield _of_none(f'"{_named(path)}" must validate at least one schema (anyOf)')
            yield from min(found, key=len)

    def one_of(value: Any, path: Path) -> Iterator[Problem]:
        found = [list(each(value, path)) for each in checks]
        valid = sum(1 for each in found if not each)
        if valid == 0:
            yield _of_none(f'"{_named(path)}" must validate one and only one schema (oneOf). Found none valid')
            yield from min(found, key=len)
        elif valid > 1:
            yield _of_none(
                f'"{_named(path)}" must validate one and only one schema (oneOf). Found {valid} valid alternatives'
            )

    return {"allOf": all_of, "anyOf": any_of, "oneOf": one_of}[word]


def _negation(below: Check) -> Check:
    def check(value: Any, path: Path) -> Iterator[Problem]:
        if _passes(below, value):
            yield _of_none(f'"{_named(path)}" must not validate the schema (not)')

    return check


def _named(path: Path) -> str:
    text = str(path)
    return "" if text == "<nil>" else text


def _of_none(text: str) -> Problem:
    # Problems of a junction have no field of their own: the original prints "<nil>" for the path.
    return invalid(Path(), "", text)
