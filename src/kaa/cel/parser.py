"""Tokens into a tree; macros become nodes of their own. One pass, by precedence; depth is bounded.

Messages of syntax errors follow cel-go's, whose parser is generated: the first unexpected token is reported, with what
could have stood there.
"""

from typing import NoReturn

from .errors import CompileError, Issue
from .lexer import RESERVED, Token, tokens
from .syntax import Bind, Call, Fold, Ident, ListNode, Literal, Logic, MapNode, Node, ObjectNode, Select, qualified

__all__ = ["DEPTH_MAX", "parse"]

#: How deep an expression may nest. The original's parser says 250; Python's own stack asks for less.
DEPTH_MAX = 150

_RELATIONS = frozenset(("==", "!=", "<", "<=", ">", ">=", "in"))
_PRECEDENCE = {"||": 1, "&&": 2, **dict.fromkeys(_RELATIONS, 3), "+": 4, "-": 4, "*": 5, "/": 5, "%": 5}
_STARTS = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
_FOLD_MACROS: dict[tuple[str, int], tuple[str, int, bool]] = {
    # (name, arguments): (what it is, how many variables, whether it has a condition)
    ("all", 2): ("all", 1, False),
    ("exists", 2): ("exists", 1, False),
    ("exists_one", 2): ("exists_one", 1, False),
    ("existsOne", 2): ("exists_one", 1, False),
    ("map", 2): ("map", 1, False),
    ("map", 3): ("map", 1, True),
    ("filter", 2): ("filter", 1, False),
    ("all", 3): ("all", 2, False),
    ("exists", 3): ("exists", 2, False),
    ("exists_one", 3): ("exists_one", 2, False),
    ("existsOne", 3): ("exists_one", 2, False),
    ("transformList", 3): ("map", 2, False),
    ("transformList", 4): ("map", 2, True),
    ("transformMap", 3): ("transformMap", 2, False),
    ("transformMap", 4): ("transformMap", 2, True),
    ("transformMapEntry", 3): ("transformMapEntry", 2, False),
    ("transformMapEntry", 4): ("transformMapEntry", 2, True),
}


def parse(source: str) -> Node:
    """The tree of an expression. Raises CompileError."""
    reader = _Parser(source)
    try:
        node = reader.expression()
    except RecursionError:
        raise CompileError((Issue(0, f"expression recursion limit exceeded: {DEPTH_MAX}"),), source[:200]) from None
    if reader.token.kind != "end":
        # The generated parser drops a single token too many, and gives up at more.
        last = reader.tokens[reader.at + 1].kind == "end"
        reader.unexpected("<EOF>", "extraneous input" if last else "mismatched input")
    return node


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = tokens(source)
        self.at = 0
        self.token = self.tokens[0]
        self.nesting = 0

    # -- tokens

    def advance(self) -> Token:
        token = self.token
        self.at += 1
        self.token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return token

    def fail(self, position: int, message: str) -> NoReturn:
        raise CompileError((Issue(position, message),), self.source)

    def unexpected(self, expecting: str, what: str = "mismatched input") -> NoReturn:
        token = self.token
        self.fail(token.position, f"Syntax error: {what} '{token.text}' expecting {expecting}")

    def need(self, kind: str) -> Token:
        if self.token.kind != kind:
            self.unexpected(f"'{kind}'")
        return self.advance()

    def made(self, node: Node, *below: Node) -> Node:
        """The node, with its depth worked out and bounded."""
        depth = 1
        for one in below:
            if one.depth >= depth:
                depth = one.depth + 1
        if depth > DEPTH_MAX:
            self.fail(node.position, f"expression recursion limit exceeded: {DEPTH_MAX}")
        node.depth = depth
        return node

    # -- the grammar

    def expression(self) -> Node:
        self.nesting += 1
        if self.nesting > DEPTH_MAX:
            self.fail(self.token.position, f"expression recursion limit exceeded: {DEPTH_MAX}")
        condition = self.binary(1)
        if self.token.kind == "?":
            position = self.advance().position
            then = self.binary(1)
            self.need(":")
            otherwise = self.expression()
            args = [condition, then, otherwise]
            condition = self.made(Call(position, function="_?_:_", args=args), *args)
        self.nesting -= 1
        return condition

    def binary(self, least: int) -> Node:
        left = self.unary()
        while True:
            kind = self.token.kind
            precedence = _PRECEDENCE.get(kind, 0)
            if precedence < least:
                return left
            position = self.advance().position
            right = self.binary(precedence + 1)
            if precedence <= 2:
                left = self.logic("_||_" if precedence == 1 else "_&&_", left, right, position)
                continue
            name = "@in" if kind == "in" else f"_{kind}_"
            left = self.made(Call(position, function=name, args=[left, right]), left, right)

    def logic(self, function: str, left: Node, right: Node, position: int) -> Node:
        if isinstance(left, Logic) and left.function == function and not left.closed:
            left.terms.append(right)
            left.positions.append(position)
            left.depth = max(left.depth, right.depth + 1)
            return left
        return self.made(Logic(position, function=function, terms=[left, right], positions=[position]), left, right)

    def unary(self) -> Node:
        kind = self.token.kind
        if kind not in ("!", "-"):
            return self.member(self.primary())
        position = self.token.position
        count = 0
        while self.token.kind == kind:
            self.advance()
            count += 1
        if kind == "-" and self.token.kind in ("int", "double"):
            # The last minus belongs to the number: -9223372036854775808 is one.
            count -= 1
            number = self.advance()
            self.check_int(number, negative=True)
            node = self.member(Literal(self.tokens[self.at - 2].position, kind=number.kind, value=-number.value))
        else:
            node = self.unary() if self.token.kind in ("!", "-") else self.member(self.primary())
        if count % 2:
            node = self.made(Call(position, function="!_" if kind == "!" else "-_", args=[node]), node)
        return node

    def check_int(self, token: Token, *, negative: bool = False) -> None:
        if token.kind == "int" and token.value > 2**63 - (not negative):
            self.fail(token.position, "invalid int literal")
        if token.kind == "uint" and token.value >= 2**64:
            self.fail(token.position, "invalid uint literal")

    def primary(self) -> Node:
        token = self.token
        kind = token.kind
        if kind == "ident":
            self.advance()
            if token.text in ("true", "false"):
                return Literal(token.position, kind="bool", value=token.text == "true")
            if token.text == "null":
                return Literal(token.position)
            if self.token.kind == "(":
                return self.call(token.text, None, self.token.position)
            if token.text in RESERVED:
                self.fail(token.position, f"reserved identifier: {token.text}")
            return Ident(token.position, name=token.text)
        if kind in ("int", "uint", "double", "string", "bytes"):
            self.check_int(token)
            self.advance()
            return Literal(token.position, kind=kind, value=token.value)
        if kind == "(":
            self.advance()
            node = self.expression()
            self.need(")")
            if isinstance(node, Logic):
                # Its parentheses close it: what follows is a term beside it, not one more of it.
                node.closed = True
            return node
        if kind == "[":
            return self.list_literal()
        if kind == "{":
            return self.map_literal()
        if kind == ".":
            self.advance()
            name = self.need_name()
            if self.token.kind == "(":
                return self.call(name.text, None, self.token.position)
            return Ident(token.position, name=name.text)
        return self.unexpected(_STARTS)

    def need_name(self, *, selecting: bool = False) -> Token:
        token = self.token
        # After a dot, the words that are reserved for programs are names of fields like others.
        if token.kind != "ident" or token.text in ("true", "false", "null"):
            self.unexpected("IDENTIFIER")
        if token.text in RESERVED and not selecting:
            self.fail(token.position, f"reserved identifier: {token.text}")
        return self.advance()

    def member(self, node: Node) -> Node:
        while True:
            kind = self.token.kind
            position = self.token.position
            if kind == ".":
                self.advance()
                optional = self.token.kind == "?"
                if optional:
                    self.advance()
                name = self.need_name(selecting=True).text
                if self.token.kind == "(" and not optional:
                    node = self.call(name, node, self.token.position)
                else:
                    node = self.made(Select(position, operand=node, name=name, optional=optional), node)
            elif kind == "[":
                self.advance()
                optional = self.token.kind == "?"
                if optional:
                    self.advance()
                index = self.expression()
                self.need("]")
                name = "_[?_]" if optional else "_[_]"
                node = self.made(Call(position, function=name, args=[node, index]), node, index)
            elif kind == "{" and (name := qualified(node)):
                node = self.object_literal(name)
            else:
                return node

    def arguments(self, close: str) -> list[Node]:
        found: list[Node] = []
        while self.token.kind != close:
            found.append(self.expression())
            if self.token.kind != ",":
                break
            self.advance()
            if self.token.kind == close:
                self.unexpected(_STARTS)
        self.need(close)
        return found

    def list_literal(self) -> Node:
        position = self.advance().position
        elements: list[Node] = []
        optional: set[int] = set()
        while self.token.kind != "]":
            if self.token.kind == "?":
                self.advance()
                optional.add(len(elements))
            elements.append(self.expression())
            if self.token.kind != ",":
                break
            self.advance()
        self.need("]")
        return self.made(ListNode(position, elements=elements, optional=frozenset(optional)), *elements)

    def map_literal(self) -> Node:
        position = self.advance().position
        entries: list[tuple[Node, Node, bool]] = []
        below: list[Node] = []
        while self.token.kind != "}":
            optional = self.token.kind == "?"
            if optional:
                self.advance()
            key = self.expression()
            self.need(":")
            value = self.expression()
            entries.append((key, value, optional))
            below += (key, value)
            if self.token.kind != ",":
                break
            self.advance()
        self.need("}")
        return self.made(MapNode(position, entries=entries), *below)

    def object_literal(self, name: str) -> Node:
        position = self.advance().position
        entries: list[tuple[int, str, Node, bool]] = []
        while self.token.kind != "}":
            optional = self.token.kind == "?"
            if optional:
                self.advance()
            key = self.need_name(selecting=True)
            colon = self.need(":").position
            entries.append((colon, key.text, self.expression(), optional))
            if self.token.kind != ",":
                break
            self.advance()
        self.need("}")
        return self.made(ObjectNode(position, name=name, entries=entries), *(entry[2] for entry in entries))

    # -- calls and macros

    def call(self, name: str, target: Node | None, position: int) -> Node:
        self.advance()
        args = self.arguments(")")
        if target is None:
            if name == "has" and len(args) == 1:
                select = args[0]
                if not isinstance(select, Select) or select.test or select.optional:
                    self.fail(args[0].position, "invalid argument to has() macro")
                select.test = True
                return select
            if name in RESERVED:
                self.fail(position, f"reserved identifier: {name}")
            return self.made(Call(position, function=name, args=args), *args)
        below = [target, *args]
        if name == "bind" and len(args) == 3 and isinstance(target, Ident) and target.name == "cel":
            variable = self.simple_name(args[0], "cel.bind() variable names must be simple identifiers")
            return self.made(Bind(position, name=variable, value=args[1], body=args[2]), *args)
        if name in ("optMap", "optFlatMap") and len(args) == 2:
            variable = self.simple_name(args[0], f"{name}() variable name must be a simple identifier")
            return self.made(Bind(position, macro=name, name=variable, value=target, body=args[1]), *below)
        macro = _FOLD_MACROS.get((name, len(args)))
        if macro is not None:
            kind, variables, conditional = macro
            names = tuple(self.simple_name(arg, "argument must be a simple name") for arg in args[:variables])
            if len(set(names)) < variables:
                self.fail(args[1].position, f"duplicate variable name: {names[0]}")
            body = args[-1]
            condition = args[variables] if conditional else None
            if kind == "filter":
                condition = body
            node = Fold(position, macro=kind, range=target, names=names, condition=condition, body=body)
            return self.made(node, *below)
        return self.made(Call(position, function=name, target=target, args=args), *below)

    def simple_name(self, node: Node, message: str) -> str:
        if not isinstance(node, Ident):
            self.fail(node.position, message)
        if node.name in ("__result__", "@result"):
            self.fail(node.position, "iteration variable overwrites accumulator variable")
        return node.name
