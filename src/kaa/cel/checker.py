"""Does the expression make sense, and what is the type of each of its parts?

As cel-go's checker: every overload that fits is a candidate; more than one is decided when the program runs. The first
issue of a part hides those that follow from it, since a wrong part has the type `!error!`, which fits everywhere.
"""

from collections.abc import Mapping
from itertools import count

from . import literals
from .errors import CompileError, Issue
from .functions import Overload, Registry
from .syntax import (
    Bind,
    Call,
    Fold,
    Ident,
    ListNode,
    Literal,
    Logic,
    MapNode,
    Node,
    ObjectNode,
    Select,
    Variable,
    qualified,
)  # fmt: skip
from .types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    UINT,
    Field,
    Substitution,
    Type,
    assignable,
    assignable_all,
    list_of,
    map_of,
    most_general,
    optional_of,
    param,
    substitute,
    type_of,
)  # fmt: skip

__all__ = ["Checked", "check"]

_LITERALS = {
    "bool": BOOL, "int": INT, "uint": UINT, "double": DOUBLE, "string": STRING, "bytes": BYTES, "null": NULL,
}  # fmt: skip
#: The first places of a frame are the program's own accounts; variables follow.
FIRST_SLOT = 3


class Checked:
    """A tree whose nodes have types, and what a program needs to know to run it."""

    def __init__(self, root: Node, slots: int, used: frozenset[str]) -> None:
        self.root = root
        #: How long a frame is.
        self.slots = slots
        #: Which declared variables the expression mentions.
        self.used = used


def check(
    source: str, root: Node, variables: Mapping[str, Variable], registry: Registry, objects: Mapping[str, Type]
) -> Checked:
    """Write the type of each node. Raises CompileError with every issue."""
    checker = _Checker(source, variables, registry, objects)
    try:
        checker.check(root)
        checker.settle(root)
        checker.literals()
    except RecursionError:
        checker.issue(0, "expression nests too deeply")
    if checker.issues:
        raise CompileError(tuple(checker.issues), source)
    return Checked(root, checker.next_slot, frozenset(checker.used))


class _Checker:
    def __init__(
        self, source: str, variables: Mapping[str, Variable], registry: Registry, objects: Mapping[str, Type]
    ) -> None:
        self.source = source
        self.registry = registry
        self.objects = objects
        self.scopes: list[dict[str, Variable]] = [dict(variables)]
        self.next_slot = FIRST_SLOT + len(variables)
        self.issues: list[Issue] = []
        self.known: Substitution = {}
        self.fresh = count()
        self.used: set[str] = set()
        self.nodes: list[Node] = []
        self.calls: list[Call] = []

    # -- issues and names

    def issue(self, position: int, message: str) -> Type:
        if len(self.issues) < 100:
            self.issues.append(Issue(position, message))
        return ERROR

    def undeclared(self, position: int, name: str) -> Type:
        return self.issue(position, f"undeclared reference to '{name}' (in container '')")

    def lookup(self, name: str) -> Variable | None:
        for scope in reversed(self.scopes):
            found = scope.get(name)
            if found is not None:
                return found
        return None

    def declare(self, name: str, kind: Type) -> Variable:
        variable = Variable(name, kind, self.next_slot)
        self.next_slot += 1
        self.scopes[-1][name] = variable
        return variable

    def type_variable(self, name: str) -> Type:
        return param(f"{name}#{next(self.fresh)}")

    def known_type(self, kind: Type) -> Type:
        return substitute(kind, self.known)

    # -- nodes

    def check(self, node: Node) -> Type:
        self.nodes.append(node)
        match node:
            case Literal():
                kind = _LITERALS[node.kind]
            case Ident():
                kind = self.ident(node)
            case Select():
                kind = self.select(node)
            case Call():
                kind = self.call(node)
            case Logic():
                kind = self.logic(node)
            case ListNode():
                kind = self.list_literal(node)
            case MapNode():
                kind = self.map_literal(node)
            case ObjectNode():
                kind = self.object_literal(node)
            case Fold():
                kind = self.fold(node)
            case Bind():
                kind = self.bind(node)
            case _:
                raise TypeError(node)
        node.type = kind
        return kind

    def settle(self, root: Node) -> None:
        """Replace the type variables that are now known; the others are anything at all."""
        for node in self.nodes:
            node.type = substitute(node.type, self.known, free=DYN)
            variables = node.variables if isinstance(node, Fold) else ()
            if isinstance(node, Bind) and node.variable is not None:
                variables = (node.variable,)
            for variable in variables:
                variable.type = substitute(variable.type, self.known, free=DYN)

    def literals(self) -> None:
        """What can be known to fail whenever it runs is refused now."""
        for call in self.calls:
            literals.check(call, self.issue)

    def ident(self, node: Ident) -> Type:
        variable = self.lookup(node.name)
        if variable is not None:
            node.variable = variable
            if variable.declared:
                self.used.add(variable.name)
            return variable.type
        known = self.registry.type_names.get(node.name)
        if known is not None:
            return type_of(known)
        return self.undeclared(node.position, node.name)

    def select(self, node: Select) -> Type:
        name = qualified(node)
        if name and not node.test:
            node.variable = self.lookup(name)
            if node.variable is not None:
                self.used.add(name)
                return node.variable.type
            known = self.registry.type_names.get(name)
            if known is not None and self.lookup(name.split(".")[0]) is None:
                node.type_name = name
                return type_of(known)
        operand = self.known_type(self.check(node.operand))
        optional = node.optional
        if operand.kind == "opaque" and operand.name == "optional_type":
            optional = True
            operand = self.known_type(operand.params[0])
        found = self.field(node.position, operand, node.name)
        if node.test:
            return BOOL
        return optional_of(found) if optional and found is not ERROR else found

    def field(self, position: int, operand: Type, name: str) -> Type:
        if operand.kind in ("dyn", "error"):
            return DYN
        if operand.kind == "map":
            return operand.params[1]
        if operand.kind == "object":
            declared = operand.fields.get(name)
            if declared is not None:
                return declared.type
            return DYN if operand.open else self.issue(position, f"undefined field '{name}'")
        if operand.kind == "param":
            self.known[operand.name] = DYN
            return DYN
        return self.issue(position, f"type '{operand}' does not support field selection")

    def call(self, node: Call) -> Type:
        self.calls.append(node)
        functions = self.registry.functions
        target = node.target
        if target is not None:
            name = qualified(target)
            full = f"{name}.{node.function}"
            if name and full in functions and self.lookup(name.split(".")[0]) is None:
                node.function, node.target = full, None
                target = None
        kinds = [] if target is None else [self.check(target)]
        kinds += [self.check(arg) for arg in node.args]
        overloads = functions.get(node.function)
        if overloads is None:
            return self.undeclared(node.position, node.function)
        return self.resolve(node, overloads, kinds)

    def resolve(self, node: Call, overloads: tuple[Overload, ...], kinds: list[Type]) -> Type:
        member = node.target is not None
        found: list[Overload] = []
        result: Type | None = None
        for overload in overloads:
            if overload.member != member or len(overload.params) != len(kinds):
                continue
            params, made = overload.params, overload.result
            if overload.variables:
                names: Substitution = {v: self.type_variable(v) for v in overload.variables}
                params = tuple(substitute(p, names) for p in params)
                made = substitute(made, names)
            known = assignable_all(params, kinds, self.known)
            if known is None:
                continue
            self.known = known
            found.append(overload)
            made = substitute(made, known)
            if result is None:
                result = made
            elif result.kind != "dyn" and not made.same(result):
                result = DYN
        if result is None:
            shown = [str(substitute(kind, self.known)) for kind in kinds]
            applied = f"{shown[0]}.({', '.join(shown[1:])})" if member else f"({', '.join(shown)})"
            return self.issue(node.position, f"found no matching overload for '{node.function}' applied to '{applied}'")
        node.overloads = tuple(found)
        return result

    def logic(self, node: Logic) -> Type:
        kinds = [self.check(term) for term in node.terms]
        left = kinds[0]
        for position, right in zip(node.positions, kinds[1:], strict=True):
            known = assignable_all((BOOL, BOOL), [left, right], self.known)
            if known is None:
                shown = f"({substitute(left, self.known)}, {substitute(right, self.known)})"
                return self.issue(position, f"found no matching overload for '{node.function}' applied to '{shown}'")
            self.known = known
            left = BOOL
        return BOOL

    def join(self, position: int, previous: Type | None, kind: Type) -> Type:
        """Elements of a literal are of one type (the original asks for it of every expression)."""
        if previous is None:
            return kind
        known = assignable(previous, kind, self.known)
        if known is None:
            expected, actual = substitute(previous, self.known), substitute(kind, self.known)
            self.issue(position, f"expected type '{expected}' but found '{actual}'")
            return previous
        self.known = known
        return most_general(previous, kind)

    def unwrap(self, node: Node, kind: Type) -> Type:
        """What an optional entry of a literal holds."""
        kind = self.known_type(kind)
        if kind.kind in ("dyn", "error"):
            return kind
        if kind.kind == "opaque" and kind.name == "optional_type":
            return kind.params[0]
        return self.issue(node.position, f"expected type 'optional_type({kind})' but found '{kind}'")

    def list_literal(self, node: ListNode) -> Type:
        items: Type | None = None
        for number, element in enumerate(node.elements):
            kind = self.check(element)
            if number in node.optional:
                kind = self.unwrap(element, kind)
            items = self.join(element.position, items, kind)
        return list_of(items if items is not None else self.type_variable("T"))

    def map_literal(self, node: MapNode) -> Type:
        keys: Type | None = None
        values: Type | None = None
        for key, value, optional in node.entries:
            keys = self.join(key.position, keys, self.check(key))
            kind = self.check(value)
            values = self.join(value.position, values, self.unwrap(value, kind) if optional else kind)
        if keys is None or values is None:
            return map_of(self.type_variable("K"), self.type_variable("V"))
        if self.known_type(keys).kind not in ("int", "uint", "bool", "string", "dyn", "param", "error"):
            self.issue(node.entries[0][0].position, f"unsupported key type: {keys}")
        return map_of(keys, values)

    def object_literal(self, node: ObjectNode) -> Type:
        made = self.objects.get(node.name)
        root = node.name.split(".")[0]
        if made is None and root in self.objects and self.objects[root].open:
            # Types below an open one exist by being named: Object.spec.template.
            made = Type("object", node.name, open=True)
        for position, name, value, optional in node.entries:
            kind = self.check(value)
            if optional:
                kind = self.unwrap(value, kind)
            if made is None:
                continue
            declared: Field | None = made.fields.get(name)
            if declared is None:
                if not made.open:
                    self.issue(position, f"undefined field '{name}'")
                continue
            known = assignable(declared.type, kind, self.known)
            if known is None:
                actual = substitute(kind, self.known)
                self.issue(
                    position,
                    f"expected type of field '{name}' is '{declared.type}' but provided type is '{actual}'",
                )
            else:
                self.known = known
        if made is None:
            return self.undeclared(node.position, node.name)
        return made

    # -- macros

    def fold(self, node: Fold) -> Type:
        over = self.known_type(self.check(node.range))
        if over.kind == "param":
            self.known[over.name] = DYN
            over = DYN
        match over.kind:
            case "list":
                key, value = INT, over.params[0]
            case "map":
                key, value = over.params
            case "dyn" | "error":
                key = value = DYN
            case _:
                return self.issue(
                    node.range.position,
                    f"expression of type '{over}' cannot be range of a comprehension (must be list, map, or dynamic)",
                )
        self.scopes.append({})
        if len(node.names) == 2:
            node.variables = (self.declare(node.names[0], key), self.declare(node.names[1], value))
        else:
            node.variables = (self.declare(node.names[0], key if over.kind == "map" else value),)
        if node.condition is not None and node.condition is not node.body:
            self.predicate(node, node.condition, "_?_:_")
        kind = self.fold_result(node, key)
        self.scopes.pop()
        return kind

    def predicate(self, node: Fold, body: Node, function: str) -> None:
        kind = self.known_type(self.check(body))
        known = assignable(BOOL, kind, self.known)
        if known is None:
            applied = f"(bool, {kind})" if function != "_?_:_" else f"({kind}, list(dyn), list(dyn))"
            self.issue(node.position, f"found no matching overload for '{function}' applied to '{applied}'")
        else:
            self.known = known

    def fold_result(self, node: Fold, key: Type) -> Type:
        match node.macro:
            case "all":
                self.predicate(node, node.body, "_&&_")
                return BOOL
            case "exists":
                self.predicate(node, node.body, "_||_")
                return BOOL
            case "exists_one":
                self.predicate(node, node.body, "_?_:_")
                return BOOL
            case "filter":
                self.predicate(node, node.body, "_?_:_")
                return list_of(node.variables[0].type)
            case "map":
                return list_of(self.check(node.body))
            case "transformMap":
                return map_of(key, self.check(node.body))
            case _:  # transformMapEntry: its body is a map, whose entries are merged
                body = self.known_type(self.check(node.body))
                if body.kind == "map":
                    return body
                if body.kind in ("dyn", "error"):
                    return map_of(DYN, DYN)
                return self.issue(
                    node.body.position, f"found no matching overload for 'cel.@mapInsert' applied to '({body})'"
                )

    def bind(self, node: Bind) -> Type:
        value = self.known_type(self.check(node.value))
        if node.macro != "bind":
            if value.kind == "opaque" and value.name == "optional_type":
                value = value.params[0]
            elif value.kind in ("dyn", "error"):
                value = DYN
            else:
                return self.issue(node.position, f"found no matching overload for 'hasValue' applied to '{value}.()'")
        self.scopes.append({})
        node.variable = self.declare(node.name, value)
        body = self.check(node.body)
        self.scopes.pop()
        if node.macro == "optMap":
            return optional_of(body)
        if node.macro == "optFlatMap":
            known_body = self.known_type(body)
            if known_body.kind not in ("dyn", "error") and known_body.name != "optional_type":
                return self.issue(
                    node.position,
                    f"found no matching overload for '_?_:_' applied to '(bool, {known_body}, optional_type({value}))'",
                )
        return body
