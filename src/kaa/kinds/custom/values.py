"""Whether a value satisfies its schema, in the wording that users of custom resources know.

Every problem is found, none stops the others. On an update, what is as it was is forgiven (ratcheting): a schema that
has become stricter stops nobody from changing something else. The order of problems is that of the original's
validators: type, junctions, text, numbers, items, enum, fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import orjson

from kaa.kinds.custom import formats
from kaa.kinds.custom.patterns import compile_pattern
from kaa.kinds.custom.schema import MISSING
from kaa.kinds.custom.structural import INT_OR_STRING, LIST_KEYS, LIST_TYPE
from kaa.meta.problems import (
    NOWHERE,
    Path,
    Problem,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
    type_invalid,
)

__all__ = ["Checker", "compile_checker", "correlated", "problems_of", "same", "type_of", "under"]

Json = dict[str, Any]
#: `(value, old value or MISSING, path, problems)`: adds to the problems.
Checker = Callable[[Any, Any, Path, list[Problem]], None]
Check = Callable[[Any, Path, list[Problem]], None]

#: The numbers that are integers whether or not they have a decimal point.
_EXACT_MAX = 2**53 - 1
_INT64 = 1 << 63


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


def under(path: Path, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Problems of a value that was looked at by itself, placed where it stands. Their texts keep its own names."""
    for each in problems:
        text = str(each.path)
        yield Problem(path if text == "<nil>" else path / text, each.reason, each.detail_text)


def problems_of(checker: Checker, value: Any, old: Any, path: Path) -> list[Problem]:
    """Every problem of a value. What is fine, as almost everything is, costs no paths."""
    found: list[Problem] = []
    checker(value, old, NOWHERE, found)
    if found:
        found = []
        checker(value, old, path, found)
    return found


def compile_checker(raw: Json) -> Checker:
    """The checker of a value that a schema describes."""
    kinds = ("integer", "string") if raw.get(INT_OR_STRING) else ((raw["type"],) if raw.get("type") else ())
    nullable, type_name = bool(raw.get("nullable")), ",".join(kinds)
    junctions = list(_junctions(raw))
    scalars = list(_scalar_checks(raw))
    enum = _enum(raw["enum"]) if raw.get("enum") is not None else None
    of_list, of_object = _list_check(raw), _object_check(raw)

    def check(value: Any, old: Any, path: Path, found: list[Problem]) -> None:
        mark = len(found)
        if value is None:
            if kinds and not nullable:
                found.append(_wrong_type(path, type_name, None))
            if enum is not None:
                enum(value, path, found)
        else:
            if kinds and not _is_one_of(value, kinds):
                found.append(_wrong_type(path, type_name, value))
            for each in junctions:
                each(value, path, found)
            for each in scalars:
                each(value, path, found)
            if of_list is not None and type(value) is list:
                of_list(value, old, path, found)
            if enum is not None:
                enum(value, path, found)
            if of_object is not None and type(value) is dict:
                of_object(value, old, path, found)
        if len(found) > mark and old is not MISSING and same(value, old):
            del found[mark:]

    return check


# --- types


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
            if type(value) is float:
                return value.is_integer() and -_EXACT_MAX <= value <= _EXACT_MAX
            return type(value) is int and -_INT64 <= value < _INT64
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
    return type_invalid(path, found, f'{_named(path)} in body must be of type {wanted}: "{found}"')


# --- lists and objects


def _list_check(raw: Json) -> Checker | None:
    items = compile_checker(raw["items"]) if isinstance(raw.get("items"), dict) else None
    count = _count("items", raw.get("minItems"), raw.get("maxItems"))
    if items is None and count is None:
        return None
    list_type, keys = raw.get(LIST_TYPE) or "", tuple(raw.get(LIST_KEYS) or ())

    def check(value: list[Any], old: Any, path: Path, found: list[Problem]) -> None:
        if items is not None:
            olds = correlated(old, list_type, keys)
            for at, item in enumerate(value):
                items(item, olds(item, at), path[at], found)
        if count is not None:
            count(value, path, found)

    return check


def _object_check(raw: Json) -> Checker | None:
    properties = {name: compile_checker(child) for name, child in (raw.get("properties") or {}).items()}
    additional = raw.get("additionalProperties")
    values = compile_checker(additional) if isinstance(additional, dict) else None
    wanted = tuple(raw.get("required") or ())
    count = _count("properties", raw.get("minProperties"), raw.get("maxProperties"))
    if not (properties or values or wanted or count):
        return None

    def check(value: Json, old: Any, path: Path, found: list[Problem]) -> None:
        if count is not None:
            mark = len(found)
            count(value, path, found)
            if len(found) > mark:
                return  # as the original: the fields of such an object are not looked at
        was = old if isinstance(old, dict) else {}
        for name, inner in value.items():
            below = properties.get(name, values)
            if below is not None:
                below(inner, was.get(name, MISSING), path / name, found)
        for name in wanted:
            if name not in value:
                found.append(required(path / name))

    return check


def correlated(old: Any, list_type: str, keys: tuple[str, ...]) -> Callable[[Any, int], Any]:
    """Which old item a new one was: by its keys, by its value, or (an atomic list has no items) none."""
    if not isinstance(old, list) or list_type not in ("map", "set"):
        return lambda item, at: MISSING
    if list_type == "set":
        return lambda item, at: next((each for each in old if same(each, item)), MISSING)
    by_key = {key_of(each, keys): each for each in old}
    return lambda item, at: by_key.get(key_of(item, keys), MISSING)


def key_of(item: Any, keys: tuple[str, ...]) -> bytes:
    """What tells an item of a list of type map from the others."""
    return orjson.dumps([item.get(key) for key in keys] if isinstance(item, dict) else item)


# --- values


def _scalar_checks(raw: Json) -> Iterator[Check]:
    """What a schema says of texts and numbers."""
    if raw.get("minLength") is not None or raw.get("maxLength") is not None:
        yield _length(raw.get("minLength"), raw.get("maxLength"))
    if raw.get("pattern"):
        yield _pattern(raw["pattern"])
    if raw.get("format"):
        checked = formats.check_of(raw["format"])
        if checked is not None:
            yield _format(raw["format"], checked)
    if raw.get("minimum") is not None or raw.get("maximum") is not None or raw.get("multipleOf"):
        yield _range(raw)


def _enum(allowed: list[Any]) -> Check:
    shown = [each if isinstance(each, str) else orjson.dumps(each).decode() for each in allowed]
    texts = frozenset(each for each in allowed if isinstance(each, str))

    def check(value: Any, path: Path, found: list[Problem]) -> None:
        if type(value) is str:
            if value in texts:
                return
        elif any(same(value, each) for each in allowed):
            return
        found.append(not_supported(path, value, shown, as_given=True))

    return check


def _format(name: str, fits: Callable[[str], bool]) -> Check:
    def check(value: Any, path: Path, found: list[Problem]) -> None:
        if isinstance(value, str) and not fits(value):
            found.append(type_invalid(path, value, f'{_named(path)} in body must be of type {name}: "{value}"'))

    return check


def _pattern(text: str) -> Check:
    pattern = compile_pattern(text)

    def check(value: Any, path: Path, found: list[Problem]) -> None:
        if isinstance(value, str) and not pattern.found_in(value):
            found.append(invalid(path, value, f"{_named(path)} in body should match '{text}'"))

    return check


def _length(least: int | None, most: int | None) -> Check:
    def check(value: Any, path: Path, found: list[Problem]) -> None:
        if not isinstance(value, str):
            return
        if most is not None and len(value) > most:
            found.append(too_long(path, most))
        if least is not None and len(value) < least:
            found.append(invalid(path, value, f"{_named(path)} in body should be at least {least} chars long"))

    return check


def _count(what: str, least: int | None, most: int | None) -> Check | None:
    if least is None and most is None:
        return None

    def check(value: Any, path: Path, found: list[Problem]) -> None:
        size = len(value)
        if least is not None and size < least:
            found.append(invalid(path, size, f"{_named(path)} in body should have at least {least} {what}"))
        elif most is not None and size > most:
            found.append(too_many(path, size, most))

    return check


def _range(raw: Json) -> Check:
    least, most, multiple = raw.get("minimum"), raw.get("maximum"), raw.get("multipleOf")
    above, below = bool(raw.get("exclusiveMinimum")), bool(raw.get("exclusiveMaximum"))
    # The original keeps the bounds as floating-point numbers, and prints them so: 1e+06.
    least_text, most_text, multiple_text = (_bound(each or 0) for each in (least, most, multiple))

    def check(value: Any, path: Path, found: list[Problem]) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
        if multiple and not _divides(multiple, value):
            found.append(invalid(path, value, f"{_named(path)} in body should be a multiple of {multiple_text}"))
        if most is not None and (value >= most if below else value > most):
            word = "less than" if below else "less than or equal to"
            found.append(invalid(path, value, f"{_named(path)} in body should be {word} {most_text}"))
        if least is not None and (value <= least if above else value < least):
            word = "greater than" if above else "greater than or equal to"
            found.append(invalid(path, value, f"{_named(path)} in body should be {word} {least_text}"))

    return check


def _bound(value: float) -> str:
    """A bound as the original prints it, which is with an exponent from a million on."""
    number = Decimal(repr(float(value))).normalize()
    exponent = number.adjusted()
    if value and not -4 <= exponent < 6:
        digits = "".join(map(str, number.as_tuple().digits))
        mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
        return f"{'-' if value < 0 else ''}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return f"{number:f}"


def _divides(multiple: int | float, value: int | float) -> bool:
    if isinstance(multiple, int) and isinstance(value, int):
        return value % multiple == 0
    quotient = value / multiple
    return abs(quotient - round(quotient)) < 1e-9 * max(1.0, abs(quotient))


# --- junctions


def _junctions(raw: Json) -> Iterator[Check]:
    for word, make in (("anyOf", _any_of), ("oneOf", _one_of), ("allOf", _all_of)):
        if raw.get(word):
            yield make([compile_checker(child) for child in raw[word]])
    if raw.get("not"):
        yield _negation(compile_checker(raw["not"]))


def _each(checks: Iterable[Checker], value: Any, path: Path) -> list[list[Problem]]:
    found: list[list[Problem]] = []
    for check in checks:
        problems: list[Problem] = []
        check(value, MISSING, path, problems)
        found.append(problems)
    return found


def _fewest(tried: list[list[Problem]]) -> list[Problem]:
    return min(tried, key=lambda each: len(each))


def _any_of(checks: list[Checker]) -> Check:
    def any_of(value: Any, path: Path, found: list[Problem]) -> None:
        tried = _each(checks, value, path)
        if all(tried):
            found.append(_of_none(f'"{_named(path)}" must validate at least one schema (anyOf)'))
            found.extend(_fewest(tried))

    return any_of


def _one_of(checks: list[Checker]) -> Check:
    def one_of(value: Any, path: Path, found: list[Problem]) -> None:
        tried = _each(checks, value, path)
        valid = sum(1 for each in tried if not each)
        if valid != 1:
            how = "Found none valid" if not valid else f"Found {valid} valid alternatives"
            found.append(_of_none(f'"{_named(path)}" must validate one and only one schema (oneOf). {how}'))
            if not valid:
                found.extend(_fewest(tried))

    return one_of


def _all_of(checks: list[Checker]) -> Check:
    def all_of(value: Any, path: Path, found: list[Problem]) -> None:
        tried = _each(checks, value, path)
        for each in tried:
            found.extend(each)
        if any(tried):
            none = ". None validated" if all(tried) else ""
            found.append(_of_none(f'"{_named(path)}" must validate all the schemas (allOf){none}'))

    return all_of


def _negation(below: Checker) -> Check:
    def check(value: Any, path: Path, found: list[Problem]) -> None:
        if not _each((below,), value, NOWHERE)[0]:
            found.append(_of_none(f'"{_named(path)}" must not validate the schema (not)'))

    return check


def _named(path: Path) -> str:
    """The value's name in messages: nothing, where it is the root."""
    text = str(path)
    return "" if text == "<nil>" else text


def _of_none(text: str) -> Problem:
    # Problems of a junction have no field of their own: the original prints "<nil>" for the path.
    return invalid(Path(), "", text)
