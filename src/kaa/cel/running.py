"""What closures share: their form, the account of costs, constants, and what can be gone over."""

from collections.abc import Callable
from typing import Any

from .errors import BudgetExceeded, EvaluationError
from .syntax import Call, ListNode, Literal, MapNode, Node
from .values import Frame, ListLike, MapView, ObjectView, UInt, type_name

__all__ = ["NOT_CONSTANT", "Build", "Run", "charge", "constant", "constant_run", "iterable", "literal_value", "untyped"]

#: A compiled part of an expression.
Run = Callable[[Frame], Any]
#: What compiles the parts below: the compiler, handed down.
Build = Callable[[Node], Run]

_UNTYPED = frozenset(("dyn", "param", "error"))


def untyped(node: Node) -> bool:
    """The type of its value is known only when it runs."""
    return node.type.kind in _UNTYPED


def charge(frame: Frame, cost: int) -> None:
    """Count a cost, and stop where it is too much."""
    frame[0] += cost
    if frame[0] > frame[1]:
        raise BudgetExceeded


NOT_CONSTANT = object()


def literal_value(node: Literal) -> Any:
    return UInt(node.value) if node.kind == "uint" else node.value


def constant(node: Node) -> Any:
    """The value of a node that always has the same, or NOT_CONSTANT. Such nodes cost nothing when the program runs."""
    if isinstance(node, Literal):
        return literal_value(node)
    if isinstance(node, ListNode) and not node.optional:
        items = [constant(element) for element in node.elements]
        return NOT_CONSTANT if any(item is NOT_CONSTANT for item in items) else items
    if isinstance(node, MapNode) and all(not entry[2] for entry in node.entries):
        pairs = [(constant(key), constant(value)) for key, value, _ in node.entries]
        if any(key is NOT_CONSTANT or value is NOT_CONSTANT or isinstance(key, bool | float) for key, value in pairs):
            return NOT_CONSTANT
        return dict(pairs) if len(dict(pairs)) == len(pairs) else NOT_CONSTANT
    if isinstance(node, Call) and len(node.overloads) == 1 and node.overloads[0].foldable and len(node.args) == 1:
        arg = node.args[0]
        if isinstance(arg, Literal):
            try:
                return node.overloads[0].run(literal_value(arg))
            except EvaluationError:
                return NOT_CONSTANT
    return NOT_CONSTANT


def constant_run(value: Any) -> Run:
    return lambda frame: value


def iterable(value: Any) -> Any:
    """What a macro goes over: a list, or the keys of a map."""
    if type(value) is list or (isinstance(value, ListLike | dict | MapView) and not isinstance(value, ObjectView)):
        return value
    raise EvaluationError(f"got '{type_name(value)}', expected iterable type")
