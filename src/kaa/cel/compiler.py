"""A checked tree into closures: one call for each node, with everything that can be decided early decided here.

A closure takes the frame ([cost, limit, work left, variables...]) and answers with a value. Costs are counted as the
original counts them (`kaa.cel.cost`); loops, and calls that can be long, stop as soon as the limit is passed, the rest
at the end, which no one can tell apart: between them lies no more than the expression is long.
"""

from collections.abc import Callable
from typing import Any

from . import standard
from .cost import AFTER, CREATE_LIST, CREATE_MAP, CREATE_OBJECT, RULES
from .errors import BudgetExceeded, EvaluationError, no_such_key, no_such_overload
from .functions import Overload
from .syntax import Bind, Call, Fold, Ident, ListNode, Literal, Logic, MapNode, Node, ObjectNode, Select
from .types import Type
from .values import (
    NONE,
    Frame,
    ListLike,
    MapView,
    ObjectValue,
    ObjectView,
    Optional,
    TypeValue,
    UInt,
    converter,
    equal,
    is_list,
    is_map,
    select,
    type_name,
    work,
)  # fmt: skip

__all__ = ["Run", "compile_node"]

Run = Callable[[Frame], Any]

_PLAIN = frozenset(("bool", "int", "uint", "double", "null"))
_UNTYPED = frozenset(("dyn", "param", "error"))


def compile_node(node: Node) -> Run:
    """The closure of a node and all below."""
    match node:
        case Literal():
            return _constant(_value(node))
        case Ident():
            return _ident(node)
        case Select():
            return _select(node)
        case Call():
            return _call(node)
        case Logic():
            return _logic(node)
        case ListNode():
            return _list(node)
        case MapNode():
            return _map(node)
        case ObjectNode():
            return _object(node)
        case Fold():
            from .folds import compile_fold

            return compile_fold(node)
        case Bind():
            return _bind(node)
    raise TypeError(node)


def charge(frame: Frame, cost: int) -> None:
    """Count a cost, and stop where it is too much."""
    frame[0] += cost
    if frame[0] > frame[1]:
        raise BudgetExceeded


# -- constants

_NOT = object()


def _value(node: Literal) -> Any:
    return UInt(node.value) if node.kind == "uint" else node.value


def constant(node: Node) -> Any:
    """The value of a node that always has the same, or _NOT. Such nodes cost nothing when the program runs."""
    if isinstance(node, Literal):
        return _value(node)
    if isinstance(node, ListNode) and not node.optional:
        items = [constant(element) for element in node.elements]
        return _NOT if any(item is _NOT for item in items) else items
    if isinstance(node, MapNode) and all(not entry[2] for entry in node.entries):
        pairs = [(constant(key), constant(value)) for key, value, _ in node.entries]
        if any(key is _NOT or value is _NOT or isinstance(key, bool | float) for key, value in pairs):
            return _NOT
        return dict(pairs) if len(dict(pairs)) == len(pairs) else _NOT
    if isinstance(node, Call) and len(node.overloads) == 1 and node.overloads[0].foldable and len(node.args) == 1:
        arg = node.args[0]
        if isinstance(arg, Literal):
            try:
                return node.overloads[0].run(_value(arg))
            except EvaluationError:
                return _NOT
    return _NOT


def _constant(value: Any) -> Run:
    return lambda frame: value


# -- names and fields


def _ident(node: Ident) -> Run:
    variable = node.variable
    if variable is None:
        return _constant(TypeValue(_written(node.type.params[0], node.name)))
    slot = variable.slot
    convert = converter(variable.type) if variable.declared else None
    if convert is None:

        def run(frame: Frame) -> Any:
            frame[0] += 1
            return frame[slot]

        return run

    def run_converted(frame: Frame) -> Any:
        frame[0] += 1
        return convert(frame[slot])

    return run_converted


def _written(kind: Type, name: str) -> str:
    named = {"timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration", "null": "null_type"}
    return named.get(kind.kind, name)


def is_attribute(node: Node) -> bool:
    """A name, or a way from one: what the original resolves in one step, whose costs are a little different."""
    if isinstance(node, Ident):
        return node.variable is not None
    if isinstance(node, Select):
        return not node.test and not node.type_name
    return isinstance(node, Call) and node.function in ("_[_]", "_[?_]")


def _raw(node: Node) -> Run:
    """As compile_node, but an object may come as JSON has it, without its view."""
    if isinstance(node, Ident) and node.variable is not None:
        slot = node.variable.slot

        def run(frame: Frame) -> Any:
            frame[0] += 1
            return frame[slot]

        return run
    if isinstance(node, Select) and not node.test and not node.optional and node.operand.type.kind == "object":
        field = node.operand.type.fields.get(node.name)
        if field is not None:
            return _field(node.operand, node.name, field.wire)
    return compile_node(node)


def _field(operand: Node, name: str, wire: str) -> Run:
    """A field of an object. A null is as good as absent (the original's rule for fields that schemas name)."""
    if isinstance(operand, Ident) and operand.variable is not None:
        slot = operand.variable.slot

        def run_of_variable(frame: Frame) -> Any:
            frame[0] += 2
            try:
                value = frame[slot][wire]
            except KeyError:
                raise no_such_key(name) from None
            if value is None:
                raise no_such_key(name)
            return value

        return run_of_variable
    below = _raw(operand)
    cost = 1 if is_attribute(operand) else 2

    def run(frame: Frame) -> Any:
        value = below(frame)
        frame[0] += cost
        try:
            value = value[wire]
        except KeyError:
            raise no_such_key(name) from None
        if value is None:
            raise no_such_key(name)
        return value

    return run


def _select(node: Select) -> Run:
    if node.type_name:
        return _constant(TypeValue(_written(node.type.params[0], node.type_name)))
    operand, name = node.operand, node.name
    kind = operand.type
    if node.test:
        return _has(node)
    if node.optional or (kind.kind == "opaque" and kind.name == "optional_type"):
        return _select_optional(node)
    if kind.kind == "object" and (field := kind.fields.get(name)) is not None:
        read = _field(operand, name, field.wire)
        convert = converter(field.type)
        return read if convert is None else lambda frame: convert(read(frame))
    below = compile_node(operand)
    cost = 1 if is_attribute(operand) else 2

    def run(frame: Frame) -> Any:
        value = below(frame)
        frame[0] += cost
        if type(value) is dict:
            try:
                return value[name]
            except KeyError:
                raise no_such_key(name) from None
        return select(value, name)

    return run


def _has(node: Select) -> Run:
    operand, name = node.operand, node.name
    field = operand.type.fields.get(name) if operand.type.kind == "object" else None
    cost = 0 if is_attribute(operand) else 1
    if field is not None:
        below, wire = _raw(operand), field.wire

        def run(frame: Frame) -> bool:
            value = below(frame)
            frame[0] += cost
            return wire in value and value[wire] is not None

        return run
    below = compile_node(operand)

    def run_untyped(frame: Frame) -> bool:
        value = below(frame)
        frame[0] += cost
        if isinstance(value, Optional):
            return value.present and select(value.value, name, missing=_NOT) is not _NOT
        return select(value, name, missing=_NOT) is not _NOT

    return run_untyped


def _select_optional(node: Select) -> Run:
    below, name = compile_node(node.operand), node.name
    kind = node.operand.type
    if kind.kind == "opaque" and kind.params:
        kind = kind.params[0]
    field = kind.fields.get(name) if kind.kind == "object" else None
    wire, convert = (field.wire, converter(field.type)) if field is not None else (name, None)
    cost = 1 if is_attribute(node.operand) else 2

    def run(frame: Frame) -> Optional:
        value = below(frame)
        frame[0] += cost
        if type(value) is Optional:
            if not value.present:
                return NONE
            value = value.value
        if field is None:
            found = select(value, name, missing=_NOT)
            return NONE if found is _NOT else Optional(True, found)
        found = value[wire] if wire in value else None
        if found is None:
            return NONE
        return Optional(True, found if convert is None else convert(found))

    return run


# -- calls


def _call(node: Call) -> Run:
    folded = constant(node)
    if folded is not _NOT:
        return _constant(folded)
    special = _SPECIAL.get(node.function)
    if special is not None:
        made = special(node)
        if made is not None:
            return made
    nodes = node.args if node.target is None else [node.target, *node.args]
    parts = [compile_node(part) for part in nodes]
    if len(node.overloads) == 1 and not any(_dynamic(part.type) for part in nodes):
        return _direct(node.overloads[0], parts)
    return _dispatched(node.function, node.overloads, parts)


def _dynamic(kind: Type) -> bool:
    return kind.kind in _UNTYPED


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


def _equality(node: Call) -> Run | None:
    left_node, right_node = node.args
    left, right = compile_node(left_node), compile_node(right_node)
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


def _conditional(node: Call) -> Run:
    condition, then, otherwise = map(compile_node, node.args)
    # A branch that is a plain way from a name is part of the conditional itself: its root costs nothing.
    then_credit, else_credit = is_attribute(node.args[1]), is_attribute(node.args[2])
    dynamic = _dynamic(node.args[0].type)

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


def _index(node: Call) -> Run:
    container_node, key_node = node.args
    container, key = compile_node(container_node), compile_node(key_node)
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


def _in(node: Call) -> Run | None:
    """Membership of a list of constants is a lookup, and free, in the original."""
    items = constant(node.args[1])
    if items is _NOT or not isinstance(items, list) or not all(type(item) is str for item in items):
        return None
    known = frozenset(items)
    item = compile_node(node.args[0])

    def run(frame: Frame) -> bool:
        value = item(frame)
        return type(value) is str and value in known

    return run


def _or_value(node: Call) -> Run | None:
    if node.target is None:
        return None
    target, other = compile_node(node.target), compile_node(node.args[0])
    whole = node.function == "or"

    def run(frame: Frame) -> Any:
        value = target(frame)
        if type(value) is not Optional:
            raise no_such_overload()
        if value.present:
            return value if whole else value.value
        return other(frame)

    return run


_SPECIAL: dict[str, Callable[[Call], Run | None]] = {
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


def _logic(node: Logic) -> Run:
    """The first term that decides does; an error counts only where none does."""
    terms = tuple(map(compile_node, node.terms))
    decides = node.function == "_||_"
    if len(terms) == 2 and not any(_dynamic(term.type) for term in node.terms):
        first, second = terms

        def run_two(frame: Frame) -> bool:
            try:
                if first(frame) is decides:
                    return decides
            except EvaluationError:
                if second(frame) is decides:
                    return decides
                raise
            return bool(second(frame))

        return run_two

    def run(frame: Frame) -> bool:
        failed: EvaluationError | None = None
        for term in terms:
            try:
                value = term(frame)
                if value is decides:
                    return decides
                if type(value) is not bool:
                    raise no_such_overload()
            except EvaluationError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return not decides

    return run


# -- literals


def _list(node: ListNode) -> Run:
    folded = constant(node)
    if folded is not _NOT:
        return _constant(folded)
    parts = [(compile_node(element), number in node.optional) for number, element in enumerate(node.elements)]
    if not node.optional:
        plain = [part for part, _ in parts]

        def run(frame: Frame) -> list[Any]:
            frame[0] += CREATE_LIST
            return [part(frame) for part in plain]

        return run

    def run_optional(frame: Frame) -> list[Any]:
        frame[0] += CREATE_LIST
        made: list[Any] = []
        for part, optional in parts:
            value = part(frame)
            if not optional:
                made.append(value)
            elif type(value) is not Optional:
                raise EvaluationError(f"cannot initialize optional list element from non-optional value {value!r:.80}")
            elif value.present:
                made.append(value.value)
        return made

    return run_optional


def _map(node: MapNode) -> Run:
    folded = constant(node)
    if folded is not _NOT:
        return _constant(folded)
    parts = [(compile_node(key), compile_node(value), optional) for key, value, optional in node.entries]

    def run(frame: Frame) -> dict[Any, Any]:
        frame[0] += CREATE_MAP
        made: dict[Any, Any] = {}
        for key_of, value_of, optional in parts:
            key, value = key_of(frame), value_of(frame)
            if not isinstance(key, str | int) and not (type(key) is float and key == int(key)):
                raise EvaluationError("unsupported key type")
            if key in made:
                raise EvaluationError(f"failed with repeated key: {key}")
            if optional:
                if type(value) is not Optional:
                    raise EvaluationError("cannot initialize optional entry from non-optional value")
                if not value.present:
                    continue
                value = value.value
            made[key] = value
        return made

    return run


def _object(node: ObjectNode) -> Run:
    declared = node.type.fields
    parts = [
        (declared[name].wire if name in declared else name, compile_node(value), optional)
        for _, name, value, optional in node.entries
    ]
    name = node.type.name

    def run(frame: Frame) -> ObjectValue:
        frame[0] += CREATE_OBJECT
        made: dict[str, Any] = {}
        for field, value_of, optional in parts:
            value = value_of(frame)
            if optional:
                if type(value) is not Optional:
                    raise EvaluationError("cannot initialize optional entry from non-optional value")
                if not value.present:
                    continue
                value = value.value
            made[field] = value
        return ObjectValue(name, made)

    return run


# -- bindings


def _bind(node: Bind) -> Run:
    value, body = compile_node(node.value), compile_node(node.body)
    variable = node.variable
    if variable is None:
        raise TypeError(node)
    slot = variable.slot
    if node.macro == "bind":

        def run(frame: Frame) -> Any:
            frame[slot] = value(frame)
            return body(frame)

        return run
    flat = node.macro == "optFlatMap"

    def run_optional(frame: Frame) -> Any:
        held = value(frame)
        if type(held) is not Optional:
            raise no_such_overload()
        if not held.present:
            return NONE
        frame[slot] = held.value
        made = body(frame)
        return made if flat else Optional(True, made)

    return run_optional


def iterable(value: Any) -> Any:
    """What a macro goes over: a list, or the keys of a map."""
    if type(value) is list or (isinstance(value, ListLike | dict | MapView) and not isinstance(value, ObjectView)):
        return value
    raise EvaluationError(f"got '{type_name(value)}', expected iterable type")


def bounded(frame: Frame, size: int) -> None:
    """Account for what a macro collects."""
    work(frame, size)
