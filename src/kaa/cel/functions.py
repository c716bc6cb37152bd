"""What can be called: functions and their overloads, declared by signatures written as in the language's documentation.

    declare("<string>.charAt(int) -> string", char_at)
    declare("sets.contains(list(T), list(T)) -> bool", contains, cost="product")

Single capital letters are type variables. What stands in angle brackets is the target of a member function.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    list_of,
    map_of,
    opaque,
    optional_of,
    param,
    type_of,
)  # fmt: skip

__all__ = ["Overload", "Registry"]

_WORDS = re.compile(r"\s*([A-Za-z_.@?!+\-*/%<>=&|\[\]0-9]+|[(),]|->)")
_PLAIN: dict[str, Type] = {
    "bool": BOOL, "int": INT, "uint": UINT, "double": DOUBLE, "string": STRING, "bytes": BYTES, "dyn": DYN,
    "null": NULL, "duration": DURATION, "timestamp": TIMESTAMP,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Overload:
    """One way a function can be called."""

    function: str
    #: As written: what an overload is known by.
    signature: str
    member: bool
    #: With a target first, for member functions.
    params: tuple[Type, ...]
    result: Type
    run: Callable[..., Any]
    #: Which rule says what a call costs: a key of `kaa.cel.cost.RULES`. "one" is a cost of one.
    cost: str = "one"
    #: Each type variable that occurs in the signature.
    variables: tuple[str, ...] = ()
    #: `run` takes the frame first: it allocates, and must be bounded.
    framed: bool = False
    #: With constant arguments the call is made once, when the program is compiled, and costs nothing when it runs.
    foldable: bool = False


class Registry:
    """Functions by name. Environments share registries; `extended` makes a larger one."""

    def __init__(self) -> None:
        self.functions: dict[str, tuple[Overload, ...]] = {}
        #: Names of types that can be written in an expression, such as `int` or `net.IP`.
        self.type_names: dict[str, Type] = {}

    def extended(self, *others: "Registry") -> "Registry":
        """A registry with the functions of all."""
        made = Registry()
        for source in (self, *others):
            made.type_names.update(source.type_names)
            for name, overloads in source.functions.items():
                made.functions[name] = (*made.functions.get(name, ()), *overloads)
        return made

    def type(self, name: str, *aliases: str) -> Type:
        """Declare an opaque type of a library."""
        made = opaque(name)
        for alias in (name, *aliases):
            self.type_names[alias] = made
        return made

    def declare(
        self,
        signature: str,
        run: Callable[..., Any],
        *,
        cost: str = "one",
        framed: bool = False,
        foldable: bool = False,
        types: Mapping[str, Type] | None = None,
    ) -> None:
        """Add an overload. `types` are names beyond the language's own."""
        names = self.type_names | dict(types or {})
        target, name = "", signature
        if signature.startswith("<"):
            target, name = signature[1:].split(">.", 1)
        name, _, rest = name.partition("(")
        reader = _Signature("(" + rest, names)
        params = reader.group()
        reader.take("->")
        result = reader.type()
        if target:
            params = (_Signature(target, names).type(), *params)
        variables = tuple(sorted({v for t in (*params, result) for v in _variables(t)}))
        overload = Overload(name, signature, bool(target), params, result, run, cost, variables, framed, foldable)
        self.functions[name] = (*self.functions.get(name, ()), overload)


def _variables(kind: Type) -> set[str]:
    if kind.kind == "param":
        return {kind.name}
    return {v for p in kind.params for v in _variables(p)}


class _Signature:
    def __init__(self, text: str, names: Mapping[str, Type]) -> None:
        self.words = _WORDS.findall(text)
        self.names = names
        self.at = 0

    def take(self, word: str) -> None:
        if self.words[self.at] != word:
            raise ValueError(f"{word} expected in {self.words}")
        self.at += 1

    def group(self) -> tuple[Type, ...]:
        self.take("(")
        found: list[Type] = []
        while self.words[self.at] != ")":
            found.append(self.type())
            if self.words[self.at] == ",":
                self.at += 1
        self.take(")")
        return tuple(found)

    def type(self) -> Type:
        word = self.words[self.at]
        self.at += 1
        if word in ("list", "map", "optional", "type"):
            params = self.group()
            if word == "list":
                return list_of(params[0])
            if word == "map":
                return map_of(*params)
            return optional_of(params[0]) if word == "optional" else type_of(params[0])
        if len(word) == 1 and word.isupper():
            return param(word)
        known = _PLAIN.get(word) or self.names.get(word)
        if known is None:
            raise ValueError(f"unknown type {word} in a signature")
        return known
