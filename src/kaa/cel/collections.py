"""Functions of lists and sets, numbers, and regular expressions beyond the language's own."""

import math
from collections.abc import Callable
from typing import Any

from .errors import EvaluationError
from .functions import Registry
from .regex import find, find_all
from .times import duration
from .values import Frame, UInt, equal, work

__all__ = ["REGISTRY"]

REGISTRY = Registry()
_declare = REGISTRY.declare

# -- sets (cel-go's ext/sets.go)


def _contains(frame: Frame, whole: Any, part: Any) -> bool:
    work(frame, len(whole) * len(part))
    return all(any(equal(a, b, frame) for a in whole) for b in part)


def _intersects(frame: Frame, one: Any, other: Any) -> bool:
    work(frame, len(one) * len(other))
    return any(any(equal(a, b, frame) for a in one) for b in other)


def _equivalent(frame: Frame, one: Any, other: Any) -> bool:
    return _contains(frame, one, other) and _contains(frame, other, one)


_declare("sets.contains(list(T), list(T)) -> bool", _contains, cost="product", framed=True)
_declare("sets.intersects(list(T), list(T)) -> bool", _intersects, cost="product", framed=True)
_declare("sets.equivalent(list(T), list(T)) -> bool", _equivalent, cost="product2", framed=True)

# -- lists (Kubernetes)


def _is_sorted(items: Any) -> bool:
    previous: Any = None
    for number, item in enumerate(items):
        if number and item < previous:
            return False
        previous = item
    return True


def _extreme(pick: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    def run(items: Any) -> Any:
        if not len(items):
            raise EvaluationError(f"{name} called on empty list")
        return pick(items)

    return run


def _index_of(frame: Frame, items: Any, wanted: Any) -> int:
    return next((at for at, item in enumerate(items) if equal(item, wanted, frame)), -1)


def _last_index_of(frame: Frame, items: Any, wanted: Any) -> int:
    found = -1
    for at, item in enumerate(items):
        if equal(item, wanted, frame):
            found = at
    return found


def _sum_ints(items: Any) -> int:
    total: int = sum(items)
    if not -(2**63) <= total < 2**63:
        raise EvaluationError("integer overflow")
    return total


def _sum_uints(items: Any) -> UInt:
    total = sum(map(int, items))
    if total >= 2**64:
        raise EvaluationError("unsigned integer overflow")
    return UInt(total)


for _kind in ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"):
    _declare(f"<list({_kind})>.isSorted() -> bool", _is_sorted, cost="traverse")
    _declare(f"<list({_kind})>.min() -> {_kind}", _extreme(min, "min"), cost="traverse")
    _declare(f"<list({_kind})>.max() -> {_kind}", _extreme(max, "max"), cost="traverse")
_declare("<list(int)>.sum() -> int", _sum_ints, cost="traverse")
_declare("<list(uint)>.sum() -> uint", _sum_uints, cost="traverse")
_declare("<list(double)>.sum() -> double", lambda items: float(sum(items)), cost="traverse")
_declare(
    "<list(duration)>.sum() -> duration", lambda items: duration(sum(item.nano for item in items)), cost="traverse"
)
_declare("<list(T)>.indexOf(T) -> int", _index_of, cost="traverse", framed=True)
_declare("<list(T)>.lastIndexOf(T) -> int", _last_index_of, cost="traverse", framed=True)

# -- regular expressions (Kubernetes)

_declare("<string>.find(string) -> string", find, cost="regex")
_declare("<string>.findAll(string) -> list(string)", find_all, cost="regex")
_declare("<string>.findAll(string, int) -> list(string)", find_all, cost="regex")

# -- numbers (cel-go's ext/math.go)


def _bits(function: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    def run(a: Any, b: Any) -> Any:
        made = function(int(a), int(b))
        return UInt(made & (2**64 - 1)) if type(a) is UInt else made

    return run


def _shift(left: bool) -> Callable[[Any, int], Any]:
    def run(value: Any, by: int) -> Any:
        if by < 0:
            raise EvaluationError(f"math.{'bitShiftLeft' if left else 'bitShiftRight'}() negative offset: {by}")
        pattern = int(value) & (2**64 - 1)
        made = 0 if by > 63 else (pattern << by if left else pattern >> by) & (2**64 - 1)
        return UInt(made) if type(value) is UInt else (made - 2**64 if made >= 2**63 else made)

    return run


def _round(value: float) -> float:
    if not math.isfinite(value):
        return value
    return math.copysign(math.floor(abs(value) + 0.5), value)


def _rounder(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(function(value)) if math.isfinite(value) else value


def _sign(value: Any) -> Any:
    made = (value > 0) - (value < 0)
    if type(value) is float:
        return value if math.isnan(value) else float(made)
    return UInt(made) if type(value) is UInt else made


def _absolute(value: Any) -> Any:
    made = abs(int(value)) if isinstance(value, int) else abs(value)
    if type(value) is int and made > 2**63 - 1:
        raise EvaluationError("integer overflow")
    return UInt(made) if type(value) is UInt else made


_NUMBERS = ("int", "uint", "double")
for _name, _pick in (("greatest", max), ("least", min)):
    for _kind in _NUMBERS:
        _declare(f"math.{_name}({_kind}) -> {_kind}", lambda value: value)
        _declare(f"math.{_name}({_kind}, {_kind}) -> {_kind}", _pick)
        _declare(f"math.{_name}(list({_kind})) -> {_kind}", _extreme(_pick, f"math.{_name}"), cost="traverse")
        for _count in range(3, 11):
            _declare(f"math.{_name}({', '.join((_kind,) * _count)}) -> {_kind}", lambda *args, _p=_pick: _p(args))
    for _left in _NUMBERS:
        for _right in _NUMBERS:
            if _left != _right:
                _declare(f"math.{_name}({_left}, {_right}) -> dyn", _pick)
    _declare(f"math.{_name}(list(dyn)) -> dyn", _extreme(_pick, f"math.{_name}"), cost="traverse")
_declare("math.ceil(double) -> double", _rounder(math.ceil))
_declare("math.floor(double) -> double", _rounder(math.floor))
_declare("math.trunc(double) -> double", _rounder(math.trunc))
_declare("math.round(double) -> double", _round)
_declare("math.isNaN(double) -> bool", math.isnan)
_declare("math.isInf(double) -> bool", math.isinf)
_declare("math.isFinite(double) -> bool", math.isfinite)
for _kind in _NUMBERS:
    _declare(f"math.abs({_kind}) -> {_kind}", _absolute)
    _declare(f"math.sign({_kind}) -> {_kind}", _sign)
    _declare(f"math.sqrt({_kind}) -> double", lambda value: math.sqrt(value) if value >= 0 else math.nan)
for _kind in ("int", "uint"):
    _declare(f"math.bitAnd({_kind}, {_kind}) -> {_kind}", _bits(lambda a, b: a & b))
    _declare(f"math.bitOr({_kind}, {_kind}) -> {_kind}", _bits(lambda a, b: a | b))
    _declare(f"math.bitXor({_kind}, {_kind}) -> {_kind}", _bits(lambda a, b: a ^ b))
    _declare(f"math.bitShiftLeft({_kind}, int) -> {_kind}", _shift(True))
    _declare(f"math.bitShiftRight({_kind}, int) -> {_kind}", _shift(False))
_declare("math.bitNot(int) -> int", lambda value: ~value)
_declare("math.bitNot(uint) -> uint", lambda value: UInt(~int(value) & (2**64 - 1)))
