"""Calls, operators and logic into closures."""

from collections.abc import Callable
from typing import Any

from . import standard
from .cost import AFTER, RULES
from .errors import EvaluationError, no_such_overload
from .fields import is_attribute
from .functions import Overload
from .running import NOT_CONSTANT, Build, Run, charge, constant, constant_run, untyped
from .syntax import Call, Logic
from .types import Type
from .values import NONE, Frame, Optional, UInt, equal, is_list, is_map, type_name

__all__ = ["compile_call", "compile_logic"]

_PLAIN = frozenset(("bool", "int", "uint", "double", "null"))


def compile_call(node: Call, build: Build) -> Run:
    folded = constant(node)
    if folded is not NOT_CONSTANT:
        return constant_run(folded)
    special = _SPECIAL.get(node.function)
    if special is not None:
        made = special(node, build)
        if made is not None:
            return made
    nodes = node.args if node.target is None else [node.target, *node.args]
    parts = [build(part) for part in nodes]
    if len(node.overloads) == 1 and not any(untyped(part) for part in nodes):
        return _direct(node.overloads[0], parts)
    return _dispatched(node.function, node.overloads, parts)


def _direct(overload: Overload, parts: list[Run]) -> Run:
    run, rule = overload.run, overload.cost
    if rule == "one" and not overload.framed:
        if len(parts) == 1:
            one = parts[0]

            def run_one(frame: Frame) -> Any:
                frame[0] += 1
                return run(one(frame))

            return run_one
        if len(parts) == 2:
            left, right = parts

            def run_two(frame: Frame) -> Any:
                frame[0] += 1
                return run(left(frame), right(frame))

            return run_two
    return lambda frame: _invoke(overload, frame, tuple([part(frame) for part in parts]))


def _invoke(overload: Overload, frame: Frame, args: tuple[Any, ...]) -> Any:
    charge(frame, RULES[overload.cost](args))
    result = overload.run(frame, *args) if overload.framed else overload.run(*args)
    after = AFTER.get(overload.cost)
    if after is not None:
        charge(frame, after(result))
    return result


def _dispatched(function: str, overloads: tuple[Overload, ...], parts: list[Run]) -> Run:
    """Which overload it is, is known only by the values."""
    choices = [(overload, [_test(p) for p in overload.params]) for overload in overloads]

    def run(frame: Frame) -> Any:
        args = tuple([part(frame) for part in parts])
        for overload, tests in choices:
            if all(test(arg) for test, arg in zip(tests, args, strict=True)):
                return _invoke(overload, frame, args)
        if function[0] in "_@!-":
            raise no_such_overload()
        raise EvaluationError(f"no such overload: {function}({', '.join(map(type_name, args))})")

    return run


def _test(kind: Type) -> Callable[[Any], bool]:
    """Is a value of this type, as far as choosing an overload needs to know?"""
    match kind.kind:
        case "bool":
            return lambda value: type(value) is bool
        case "int":
            return lambda value: type(value) is int
        case "uint":
            return lambda value: type(value) is UInt
        case "double":
            return lambda value: type(value) is float
        case "string":
            return lambda value: type(value) is str
        case "bytes":
            return lambda value: type(value) is bytes
        case "list":
            return is_list
        case "map":
            return is_map
        case "object":
            return lambda value: is_map(value) or type_name(value) == kind.name
        case "null":
            return lambda value: value is None
        case "timestamp" | "duration" | "opaque":
            name = {"timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}.get(
                kind.kind, kind.name
            )
            return lambda value: type_name(value) == name
        case _:
            return lambda value: True


def _equality(node: Call, build: Build) -> Run | None:
    left_node, right_node = node.args
    left, right = build(left_node), build(right_node)
    negative = node.function == "_!=_"
    a, b = left_node.type.kind, right_node.type.kind
    if a == b and a in _PLAIN:
        if negative:

            def differ(frame: Frame) -> bool:
                frame[0] += 1
                return bool(left(frame) != right(frame))

            return differ

        def same(frame: Frame) -> bool:
            frame[0] += 1
            return bool(left(frame) == right(frame))

        return same
    unit = a == "opaque" and left_node.type.name != "optional_type"
    rule = RULES["equals"]

    def run(frame: Frame) -> bool:
        x, y = left(frame), right(frame)
        if unit:
            frame[0] += 1
        elif type(x) is str and type(y) is str:
            frame[0] += (min(len(x), len(y)) + 9) // 10
            return (x != y) if negative else (x == y)
        else:
            frame[0] += rule((x, y))
        return equal(x, y, frame) != negative

    return run


def _conditional(node: Call, build: Build) -> Run:
    condition, then, otherwise = map(build, node.args)
    # A branch that is a plain way from a name is part of the conditional itself: its root costs nothing.
    then_credit, else_credit = is_attribute(node.args[1]), is_attribute(node.args[2])
    dynamic = untyped(node.args[0])

    def run(frame: Frame) -> Any:
        chosen = condition(frame)
        if dynamic and type(chosen) is not bool:
            raise no_such_overload()
        if chosen:
            frame[0] -= then_credit
            return then(frame)
        frame[0] -= else_credit
        return otherwise(frame)

    return run


def _index(node: Call, build: Build) -> Run:
    container_node, key_node = node.args
    container, key = build(container_node), build(key_node)
    optional = node.function == "_[?_]" or (
        container_node.type.kind == "opaque" and container_node.type.name == "optional_type"
    )
    cost = (1 if is_attribute(container_node) else 2) - is_attribute(key_node)
    at = standard.index

    def run(frame: Frame) -> Any:
        value, position = container(frame), key(frame)
        frame[0] += cost
        return at(value, position)

    def run_optional(frame: Frame) -> Optional:
        value, position = container(frame), key(frame)
        frame[0] += cost
        if type(value) is Optional:
            if not value.present:
                return NONE
            value = value.value
        if is_list(value):
            inside = type(position) is int and 0 <= position < len(value)
            return Optional(True, value[position]) if inside else NONE
        if not is_map(value):
            raise no_such_overload()
        found = standard.lookup(value, position)
        return NONE if found is standard.MISSING else Optional(True, found)

    return run_optional if optional else run


def _in(node: Call, build: Build) -> Run | None:
    """Membership of a list of constants is a lookup, and free, in the original."""
    items = constant(node.args[1])
    if items is NOT_CONSTANT or not isinstance(items, list) or not all(type(item) is str for item in items):
        return None
    known = frozenset(items)
    item = build(node.args[0])

    def run(frame: Frame) -> bool:
        value = item(frame)
        return type(value) is str and value in known

    return run


def _or_value(node: Call, build: Build) -> Run | None:
    if node.target is None:
        return None
    target, other = build(node.target), build(node.args[0])
    whole = node.function == "or"

    def run(frame: Frame) -> Any:
        value = target(frame)
        if type(value) is not Optional:
            raise no_such_overload()
        if value.present:
            return value if whole else value.value
        return other(frame)

    return run


_SPECIAL: dict[str, Callable[[Call, Build], Run | None]] = {
    "_==_": _equality,
    "_!=_": _equality,
    "_?_:_": _conditional,
    "_[_]": _index,
    "_[?_]": _index,
    "@in": _in,
    "orValue": _or_value,
    "or": _or_value,
}


# -- logic


def compile_logic(node: Logic, build: Build) -> Run:
    """The first term that decides does; an error counts only where none does."""
    terms = tuple(map(build, node.terms))
    decides = node.function == "_||_"
    if len(terms) == 2 and not any(untyped(term) for term in node.terms):
        first, second = terms

        def run_two(frame: Frame) -> bool:
            try:
                if first(frame) is decides:
                    return bool(decides)
            except EvaluationError:
                if second(frame) is decides:
                    return bool(decides)
                raise
            return bool(second(frame))

        return run_two

    def run(frame: Frame) -> bool:
        failed: EvaluationError | None = None
        for term in terms:
            try:
                value = term(frame)
                if value is decides:
                    return bool(decides)
                if type(value) is not bool:
                    raise no_such_overload()
            except EvaluationError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return not decides

    return run
