"""Names and fields into closures: the commonest parts of expressions, so the shortest ways."""

from typing import Any

from .errors import no_such_key
from .running import Build, Run, constant_run
from .syntax import Call, Ident, Node, Select
from .types import Type
from .values import NONE, Frame, Optional, TypeValue, converter, select

__all__ = ["compile_ident", "compile_select", "is_attribute"]

_MISSING = object()


def compile_ident(node: Ident) -> Run:
    """A variable, or a type."""
    variable = node.variable
    if variable is None:
        return constant_run(TypeValue(_written(node.type.params[0], node.name)))
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


def _raw(node: Node, build: Build) -> Run:
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
            return _field(node.operand, node.name, field.wire, build)
    return build(node)


def _field(operand: Node, name: str, wire: str, build: Build) -> Run:
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
    below = _raw(operand, build)
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


def compile_select(node: Select, build: Build) -> Run:
    if node.type_name:
        return constant_run(TypeValue(_written(node.type.params[0], node.type_name)))
    if node.variable is not None:
        return compile_ident(Ident(node.position, type=node.type, name=node.variable.name, variable=node.variable))
    operand, name = node.operand, node.name
    kind = operand.type
    if node.test:
        return _has(node, build)
    if node.optional or (kind.kind == "opaque" and kind.name == "optional_type"):
        return _select_optional(node, build)
    if kind.kind == "object" and (field := kind.fields.get(name)) is not None:
        read = _field(operand, name, field.wire, build)
        convert = converter(field.type)
        return read if convert is None else lambda frame: convert(read(frame))
    below = build(operand)
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


def _has(node: Select, build: Build) -> Run:
    operand, name = node.operand, node.name
    field = operand.type.fields.get(name) if operand.type.kind == "object" else None
    cost = 0 if is_attribute(operand) else 1
    if field is not None:
        below, wire = _raw(operand, build), field.wire

        def run(frame: Frame) -> bool:
            value = below(frame)
            frame[0] += cost
            return wire in value and value[wire] is not None

        return run
    below = build(operand)

    def run_untyped(frame: Frame) -> bool:
        value = below(frame)
        frame[0] += cost
        if isinstance(value, Optional):
            return value.present and select(value.value, name, missing=_MISSING) is not _MISSING
        return select(value, name, missing=_MISSING) is not _MISSING

    return run_untyped


def _select_optional(node: Select, build: Build) -> Run:
    below, name = build(node.operand), node.name
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
            found = select(value, name, missing=_MISSING)
            return NONE if found is _MISSING else Optional(True, found)
        found = select(value, wire, wire=True, missing=None)
        if found is None:
            return NONE
        return Optional(True, found if convert is None else convert(found))

    return run
