"""Quantities and semantic versions (Kubernetes' libraries quantity and semver)."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from kaa.meta import quantity

from .errors import EvaluationError
from .formatting import quote
from .functions import Registry

__all__ = ["REGISTRY"]

REGISTRY = Registry()
_declare = REGISTRY.declare
QUANTITY = REGISTRY.type("kubernetes.Quantity")
SEMVER = REGISTRY.type("kubernetes.Semver")

_NANO = quantity.NANO


@dataclass(frozen=True, slots=True)
class _Quantity:
    cel_type: ClassVar[str] = "kubernetes.Quantity"
    amount: quantity.Quantity


def _parse(text: str) -> _Quantity:
    try:
        return _Quantity(quantity.parse(text))
    except quantity.QuantityError as error:
        raise EvaluationError(str(error)) from None


def _is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except quantity.QuantityError:
        return False
    return True


def _whole(value: int) -> _Quantity:
    return _Quantity(quantity.Quantity(value * _NANO, "DecimalExponent"))


def _is_integer(value: _Quantity) -> bool:
    nano = value.amount.nano
    return nano % _NANO == 0 and -(2**63) <= nano // _NANO < 2**63


def _as_integer(value: _Quantity) -> int:
    if not _is_integer(value):
        raise EvaluationError("cannot convert value to integer")
    return value.amount.nano // _NANO


def _compare(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


_declare("quantity(string) -> kubernetes.Quantity", _parse, cost="parse")
_declare("isQuantity(string) -> bool", _is_quantity, cost="parse")
_Q = "kubernetes.Quantity"
for _signature in (f"sign({_Q}) -> int", f"<{_Q}>.sign() -> int"):
    _declare(_signature, lambda q: _compare(q.amount.nano, 0))
_declare(f"<{_Q}>.isInteger() -> bool", _is_integer)
_declare(f"<{_Q}>.asInteger() -> int", _as_integer)
_declare(f"<{_Q}>.asApproximateFloat() -> double", lambda q: q.amount.nano / _NANO)
_declare(f"<{_Q}>.add({_Q}) -> {_Q}", lambda a, b: _Quantity(a.amount + b.amount))
_declare(f"<{_Q}>.add(int) -> {_Q}", lambda a, b: _Quantity(a.amount + _whole(b).amount))
_declare(f"<{_Q}>.sub({_Q}) -> {_Q}", lambda a, b: _Quantity(a.amount - b.amount))
_declare(f"<{_Q}>.sub(int) -> {_Q}", lambda a, b: _Quantity(a.amount - _whole(b).amount))
_declare(f"<{_Q}>.isGreaterThan({_Q}) -> bool", lambda a, b: a.amount > b.amount)
_declare(f"<{_Q}>.isLessThan({_Q}) -> bool", lambda a, b: a.amount < b.amount)
_declare(f"<{_Q}>.compareTo({_Q}) -> int", lambda a, b: _compare(a.amount, b.amount))

# -- semantic versions

_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?\Z",
    re.ASCII,
)
_SEMVER_MAX = 1000


@dataclass(frozen=True, slots=True)
class _Semver:
    """Builds do not count when versions are compared."""

    cel_type: ClassVar[str] = "kubernetes.Semver"
    numbers: tuple[int, int, int]
    pre: tuple[str, ...]

    @property
    def key(self) -> Any:
        pre = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.pre)
        # Without a pre-release a version is greater than with any.
        return (*self.numbers, not pre, pre)


def _normal(text: str) -> str:
    """Without a v, filled up to three numbers, without leading zeros."""
    parts = text.removeprefix("v").split(".", 2)
    for number, part in enumerate(parts):
        if len(part) > 1:
            stripped = part.lstrip("0")
            parts[number] = stripped if stripped[:1].isdigit() else "0" + stripped
    if len(parts) < 3:
        if "+" in parts[-1] or "-" in parts[-1]:
            raise EvaluationError("short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def _semver(text: str, normalize: bool = False) -> _Semver:
    if len(text) > _SEMVER_MAX:
        raise EvaluationError("Invalid Semantic Version")
    body = _normal(text) if normalize else text
    match = _SEMVER.match(body)
    if match is None:
        if not body:
            raise EvaluationError("Version string empty")
        if body.count(".") < 2:
            raise EvaluationError("No Major.Minor.Patch elements found")
        raise EvaluationError(f"Invalid character(s) found in version {quote(body)}")
    major, minor, patch, pre, _build = match.groups()
    if max(len(major), len(minor), len(patch)) > 19:
        raise EvaluationError(f"strconv.ParseUint: parsing {quote(body)}: value out of range")
    return _Semver((int(major), int(minor), int(patch)), tuple(pre.split(".")) if pre else ())


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        _semver(text, normalize)
    except EvaluationError:
        return False
    return True


_S = "kubernetes.Semver"
_declare(f"semver(string) -> {_S}", _semver, cost="parse")
_declare(f"semver(string, bool) -> {_S}", _semver, cost="parse")
_declare("isSemver(string) -> bool", _is_semver, cost="parse")
_declare("isSemver(string, bool) -> bool", _is_semver, cost="parse")
_declare(f"<{_S}>.major() -> int", lambda v: v.numbers[0])
_declare(f"<{_S}>.minor() -> int", lambda v: v.numbers[1])
_declare(f"<{_S}>.patch() -> int", lambda v: v.numbers[2])
_declare(f"<{_S}>.isGreaterThan({_S}) -> bool", lambda a, b: a.key > b.key)
_declare(f"<{_S}>.isLessThan({_S}) -> bool", lambda a, b: a.key < b.key)
_declare(f"<{_S}>.compareTo({_S}) -> int", lambda a, b: _compare(a.key, b.key))
