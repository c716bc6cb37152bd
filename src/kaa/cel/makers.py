"""What makes values into closures: literals of lists, maps and objects; and names bound to values."""

from typing import Any

from .cost import CREATE_LIST, CREATE_MAP, CREATE_OBJECT
from .errors import EvaluationError, no_such_overload
from .running import NOT_CONSTANT, Build, Run, constant, constant_run
from .syntax import Bind, ListNode, MapNode, ObjectNode
from .values import NONE, Frame, ObjectValue, Optional

__all__ = ["compile_bind", "compile_list", "compile_map", "compile_object"]


def compile_list(node: ListNode, build: Build) -> Run:
    folded = constant(node)
    if folded is not NOT_CONSTANT:
        return constant_run(folded)
    parts = [(build(element), number in node.optional) for number, element in enumerate(node.elements)]
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


def compile_map(node: MapNode, build: Build) -> Run:
    folded = constant(node)
    if folded is not NOT_CONSTANT:
        return constant_run(folded)
    parts = [(build(key), build(value), optional) for key, value, optional in node.entries]

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


def compile_object(node: ObjectNode, build: Build) -> Run:
    declared = node.type.fields
    parts = [
        (declared[name].wire if name in declared else name, build(value), optional)
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


def compile_bind(node: Bind, build: Build) -> Run:
    value, body = build(node.value), build(node.body)
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
