"""What an expression is made of. The checker writes the type of each node, and what a name or a call stands for."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .types import ERROR, Type

if TYPE_CHECKING:
    from .functions import Overload

__all__ = [
    "Bind", "Call", "Fold", "Ident", "ListNode", "Literal", "Logic", "MapNode", "Node", "ObjectNode", "Select",
    "Variable", "qualified",
]  # fmt: skip


@dataclass(slots=True, eq=False)
class Node:
    """A part of an expression."""

    #: Where an issue with this node is shown.
    position: int
    #: How deep the tree below is.
    depth: int = 1
    type: Type = field(default=ERROR)


@dataclass(slots=True, eq=False)
class Literal(Node):
    """A constant. `kind` is the type's kind: 1 and 1u differ."""

    kind: str = "null"
    value: Any = None


@dataclass(slots=True, eq=False)
class Ident(Node):
    """A name: a variable (`slot` says where it lives), or a type's name."""

    name: str = ""
    variable: "Variable | None" = None


@dataclass(slots=True, eq=False)
class Select(Node):
    """`operand.name`; with `test`, `has(operand.name)`; with `optional`, `operand.?name`."""

    operand: Node = field(default_factory=lambda: Node(0))
    name: str = ""
    test: bool = False
    optional: bool = False
    #: The whole chain is a type's name, such as google.protobuf.Timestamp.
    type_name: str = ""
    #: The whole chain is a variable's name, such as authorizer.requestResource.
    variable: "Variable | None" = None


@dataclass(slots=True, eq=False)
class Call(Node):
    """A function, an operator (`_+_`), or an index (`_[_]`). With a target, a member function."""

    function: str = ""
    target: Node | None = None
    args: list[Node] = field(default_factory=list)
    #: What the checker found that it may be; one, unless an argument's type is known only when it runs.
    overloads: "tuple[Overload, ...]" = ()


@dataclass(slots=True, eq=False)
class Logic(Node):
    """`a && b && c`, or with `||`: one node however many terms there are, so that long ones are not deep."""

    function: str = "_&&_"
    terms: list[Node] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    #: It stood in parentheses: it takes no more terms.
    closed: bool = False


@dataclass(slots=True, eq=False)
class ListNode(Node):
    """`[a, ?b]`."""

    elements: list[Node] = field(default_factory=list)
    optional: frozenset[int] = frozenset()


@dataclass(slots=True, eq=False)
class MapNode(Node):
    """`{k: v, ?k: v}`."""

    entries: list[tuple[Node, Node, bool]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class ObjectNode(Node):
    """`Name{field: v, ?field: v}`."""

    name: str = ""
    #: (position, field, value, optional)
    entries: list[tuple[int, str, Node, bool]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Fold(Node):
    """A macro that goes over a list or map: all, exists, exists_one, map, filter, transformList, transformMap, ..."""

    macro: str = ""
    range: Node = field(default_factory=lambda: Node(0))
    #: One name (the element of a list, the key of a map), or two (index or key, and value).
    names: tuple[str, ...] = ()
    variables: "tuple[Variable, ...]" = ()
    #: The condition of filter and of the long forms of map and transform*.
    condition: Node | None = None
    #: The predicate, or what each element becomes.
    body: Node = field(default_factory=lambda: Node(0))


@dataclass(slots=True, eq=False)
class Bind(Node):
    """`cel.bind(name, value, body)`; and `value.optMap(name, body)`, `optFlatMap`, by `macro`."""

    macro: str = "bind"
    name: str = ""
    variable: "Variable | None" = None
    value: Node = field(default_factory=lambda: Node(0))
    body: Node = field(default_factory=lambda: Node(0))


@dataclass(slots=True, eq=False)
class Variable:
    """A name in scope. `slot` is where its value lies while a program runs."""

    name: str
    type: Type
    slot: int
    #: Declared by the environment: its value is as JSON has it. Others hold converted values.
    declared: bool = False


def qualified(node: Node) -> str:
    """`a.b.c` of plain selections, or ""."""
    parts: list[str] = []
    while isinstance(node, Select) and not node.test and not node.optional:
        parts.append(node.name)
        node = node.operand
    if not isinstance(node, Ident):
        return ""
    parts.append(node.name)
    return ".".join(reversed(parts))
