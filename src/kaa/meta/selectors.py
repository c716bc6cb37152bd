"""Label and field selectors: parsed once, matched often.

`parse_labels` and `parse_fields` read the forms of a query string; `from_object` reads the `LabelSelector` of a spec.
A selector is immutable and hashable, and matches by one closure over plain mappings.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "FieldRequirement",
    "FieldSelector",
    "LabelSelector",
    "Requirement",
    "SelectorError",
    "from_map",
    "from_object",
    "parse_fields",
    "parse_labels",
]

Labels = Mapping[str, str]
Match = Callable[[Labels], bool]


class SelectorError(ValueError):
    """The text or object is no selector; the message is the API's."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `values` are sorted and distinct; `str()` is the query form."""

    key: str
    #: "=", "==", "!=", "in", "notin", "exists", "!", "gt" or "lt".
    operator: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(self.values)})"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"
            case _:
                return f"{self.key}{self.operator}{self.values[0] if self.values else ''}"

    def compile(self) -> Match:
        """The condition as a closure."""
        key, values = self.key, self.values
        match self.operator:
            case "=" | "==":
                wanted = values[0]
                return lambda labels: labels.get(key) == wanted
            case "!=":
                unwanted = values[0]
                return lambda labels: labels.get(key) != unwanted
            case "in":
                among = frozenset(values)
                return lambda labels: labels.get(key) in among
            case "notin":
                among = frozenset(values)
                return lambda labels: labels.get(key) not in among
            case "exists":
                return lambda labels: key in labels
            case "!":
                return lambda labels: key not in labels
            case "gt":
                least = int(values[0])
                return lambda labels: (have := _integer(labels.get(key))) is not None and have > least
            case _:
                most = int(values[0])
                return lambda labels: (have := _integer(labels.get(key))) is not None and have < most


class LabelSelector:
    """All of its requirements must hold. Without any it matches everything; `NOTHING` matches nothing."""

    __slots__ = ("matches", "nothing", "requirements")

    def __init__(self, requirements: Iterable[Requirement] = (), *, nothing: bool = False) -> None:
        self.requirements: tuple[Requirement, ...] = tuple(sorted(requirements, key=lambda each: each.key))
        self.nothing = nothing
        #: Whether labels satisfy every requirement.
        self.matches: Match = _never if nothing else _all([each.compile() for each in self.requirements])

    @property
    def empty(self) -> bool:
        """Whether everything matches."""
        return not self.requirements and not self.nothing

    def exact(self, key: str) -> str | None:
        """The one value a label must have, where the selector says so."""
        for each in self.requirements:
            if each.key == key and each.operator in ("=", "==", "in") and len(each.values) == 1:
                return each.values[0]
        return None

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def __repr__(self) -> str:
        return "LabelSelector(nothing)" if self.nothing else f"LabelSelector({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LabelSelector)
            and self.requirements == other.requirements
            and self.nothing == other.nothing
        )

    def __hash__(self) -> int:
        return hash((self.requirements, self.nothing))


def _never(_labels: Labels) -> bool:
    return False


def _always(_labels: Labels) -> bool:
    return True


def _all(matches: list[Match]) -> Match:
    if not matches:
        return _always
    if len(matches) == 1:
        return matches[0]
    if len(matches) == 2:
        first, second = matches
        return lambda labels: first(labels) and second(labels)

    def every(labels: Labels) -> bool:
        for match in matches:  # noqa: SIM110 - a generator costs twice as much here
            if not match(labels):
                return False
        return True

    return every


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z")


def _integer(text: str | None) -> int | None:
    """A 64-bit integer, or None."""
    if text is None or not _INTEGER.match(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _problems(key: str, operator: str, values: tuple[str, ...], path: Path | None) -> Iterable[Problem]:
    """What the API finds wrong with a requirement."""
    if wrong := names.qualified_name(key):
        yield invalid(_below(path, "key") if path else Path(), key, "; ".join(wrong))
    at = _below(path, "values")
    match operator:
        case "in" | "notin":
            if not values:
                yield invalid(at, [], "for 'in', 'notin' operators, values set can't be empty")
        case "=" | "==" | "!=":
            if len(values) != 1:
                yield invalid(at, list(values), "exact-match compatibility requires one single value")
        case "exists" | "!":
            if values:
                yield invalid(at, list(values), "values set must be empty for exists and does not exist")
        case "gt" | "lt":
            if len(values) != 1:
                yield invalid(at, list(values), "for 'Gt', 'Lt' operators, exactly one value is required")
            for index, value in enumerate(values):
                if _integer(value) is None:
                    yield invalid(at[index], value, "for 'Gt', 'Lt' operators, the value must be an integer")
        case _:
            yield not_supported(_below(path, "operator"), operator, _OPERATORS)
    for index, value in enumerate(values):
        if wrong := names.label_value(value):
            yield invalid(at[index][key], value, "; ".join(wrong))


_OPERATORS = ("in", "notin", "=", "==", "!=", "exists", "!", "gt", "lt")


def _below(path: Path | None, field: str) -> Path:
    return path / field if path else Path(field)


def _requirement(key: str, operator: str, values: Iterable[str], path: Path | None = None) -> Requirement:
    distinct = tuple(sorted(set(values)))
    found = list(dict.fromkeys(map(str, _problems(key, operator, distinct, path))))
    if found:
        raise SelectorError(found[0] if len(found) == 1 else f"[{', '.join(found)}]")
    return Requirement(key, operator, distinct)


# A token is a symbol, or a run of anything else that is no space: the grammar's identifiers are whatever is left.
_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_SYMBOLS = frozenset(("=", "==", "!=", "!", "(", ")", ",", "<", ">"))
_END = ""
_BINARY_OPERATORS = {"in": "in", "notin": "notin", "=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt"}


class _Parser:
    """Recursive descent over the tokens; the refusals are worded as the API's."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else _END

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            token = self.peek()
            if token == _END:
                return found
            if token in _SYMBOLS and token != "!":
                raise SelectorError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self.requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            token = self.take()
            if token == _END:
                return found
            if token != ",":
                raise SelectorError(f"found '{token}', expected: ',' or 'end of string'")
            token = self.peek()
            if token == _END or (token in _SYMBOLS and token != "!"):
                raise SelectorError(f"found '{token}', expected: identifier after ','")

    def requirement(self) -> Requirement:
        key = self.take()
        absent = key == "!"
        if absent:
            key = self.take()
        if key == _END or key in _SYMBOLS:
            raise SelectorError(f"found '{key}', expected: identifier")
        if wrong := names.qualified_name(key):
            raise SelectorError(str(invalid(Path(), key, "; ".join(wrong))))
        if absent:
            return _requirement(key, "!", ())
        if self.peek() in (_END, ","):
            return _requirement(key, "exists", ())
        token = self.take()
        operator = _BINARY_OPERATORS.get(token)
        if operator is None:
            raise SelectorError(f"found '{token}', expected: in, notin, =, ==, !=, gt, lt")
        return _requirement(key, operator, self.value_set() if operator in ("in", "notin") else self.exact_value())

    def exact_value(self) -> list[str]:
        token = self.peek()
        if token in (_END, ","):
            return [""]
        self.at += 1
        if token in _SYMBOLS:
            raise SelectorError(f"found '{token}', expected: identifier")
        return [token]

    def value_set(self) -> list[str]:
        """`(a, b)`; a place left empty, as in `(a,)` or `()`, is the empty value."""
        token = self.take()
        if token != "(":
            raise SelectorError(f"found '{token}' expected: '('")
        values: list[str] = []
        pending = ""
        while True:
            token = self.take()
            if token == ",":
                values.append(pending)
                pending = ""
            elif token == ")":
                return [*values, pending]
            elif pending:
                raise SelectorError(f"found '{token}', expected: ',' or ')'")
            elif token == _END or token in _SYMBOLS:
                raise SelectorError(f"found '{token}', expected: ',', ')' or identifier")
            else:
                pending = token


@lru_cache(maxsize=2048)
def parse_labels(text: str) -> LabelSelector:
    """The selector of a query string such as `app=web,tier in (a,b),!legacy`. Raises SelectorError."""
    requirements = _Parser(text).requirements()
    return LabelSelector(requirements) if requirements else EVERYTHING


def from_map(labels: Labels) -> LabelSelector:
    """The selector that wants each of these labels with its value; none wants everything."""
    return LabelSelector(Requirement(key, "=", (value,)) for key, value in labels.items())


_OBJECT_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def from_object(selector: Mapping[str, Any] | None) -> LabelSelector:
    """The selector of a spec's `LabelSelector`: None matches nothing, an empty one everything. Raises SelectorError."""
    if selector is None:
        return NOTHING
    exact = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    if not exact and not expressions:
        return EVERYTHING
    requirements = [_requirement(key, "=", (value,)) for key, value in exact.items()]
    for each in expressions:
        operator = _OBJECT_OPERATORS.get(each.get("operator", ""))
        if operator is None:
            raise SelectorError(f'"{each.get("operator", "")}" is not a valid label selector operator')
        requirements.append(_requirement(each.get("key", ""), operator, each.get("values") or ()))
    return LabelSelector(requirements)


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """One condition on one field."""

    field: str
    #: "=" or "!=" ("==" is read as "=").
    operator: str
    value: str

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
        return f"{self.field}{self.operator}{escaped}"


class FieldSelector:
    """All of its requirements must hold. A field that is absent counts as empty."""

    __slots__ = ("matches", "requirements")

    def __init__(self, requirements: Iterable[FieldRequirement] = ()) -> None:
        self.requirements: tuple[FieldRequirement, ...] = tuple(requirements)
        #: Whether a mapping from field paths to values satisfies every requirement.
        self.matches: Match = _all([_field_match(each) for each in self.requirements])

    @property
    def empty(self) -> bool:
        """Whether everything matches."""
        return not self.requirements

    def exact(self, field: str) -> str | None:
        """The one value a field must have, where the selector says so (`metadata.name`, `spec.nodeName`)."""
        for each in self.requirements:
            if each.field == field and each.operator == "=":
                return each.value
        return None

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def __repr__(self) -> str:
        return f"FieldSelector({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSelector) and self.requirements == other.requirements

    def __hash__(self) -> int:
        return hash(self.requirements)


def _field_match(requirement: FieldRequirement) -> Match:
    field, value = requirement.field, requirement.value
    if requirement.operator == "=":
        return lambda fields: fields.get(field, "") == value
    return lambda fields: fields.get(field, "") != value


_FIELD_TERM = re.compile(r"(?:[^\\,]|\\.?)+", re.DOTALL)
_FIELD_OPERATOR = re.compile(r"!=|==|=")
_ESCAPE = re.compile(r"\\(.?)|([,=])", re.DOTALL)


def _unescaped(value: str) -> str:
    def one(match: re.Match[str]) -> str:
        escaped, bare = match.groups()
        if bare:
            raise SelectorError(f"invalid field selector: unescaped character in value: {bare}")
        if escaped not in ("\\", ",", "="):
            raise SelectorError(f"invalid field selector: invalid escape sequence: {match.group()}")
        return str(escaped)

    return _ESCAPE.sub(one, value)


@lru_cache(maxsize=8192)
def parse_fields(text: str) -> FieldSelector:
    r"""The selector of a query string such as `metadata.name=a,spec.nodeName!=b`. Raises SelectorError.

    In values, `\\`, `\,` and `\=` stand for the character itself.
    """
    requirements = []
    for term in _FIELD_TERM.findall(text):
        operator = _FIELD_OPERATOR.search(term)
        if operator is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        value = _unescaped(term[operator.end() :])
        requirements.append(
            FieldRequirement(term[: operator.start()], "!=" if operator.group() == "!=" else "=", value)
        )
    return FieldSelector(requirements)
