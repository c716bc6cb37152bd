"""The language's own functions: operators, conversions, sizes, texts, times."""

import math
import operator
from collections.abc import Callable
from typing import Any

from . import times
from .errors import EvaluationError, no_such_key, no_such_overload
from .functions import Registry
from .regex import matches
from .times import Duration, Timestamp
from .types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, NULL, STRING, TIMESTAMP, UINT, list_of, map_of, type_of
from .values import Concat, Frame, ListView, TypeValue, UInt, equal, is_list, is_map, type_name, work

__all__ = ["REGISTRY", "double_text"]

REGISTRY = Registry()
_declare = REGISTRY.declare

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1

for _kind in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, DYN):
    REGISTRY.type_names[_kind.name] = _kind
REGISTRY.type_names |= {
    "null_type": NULL,
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "type": type_of(DYN),
    "google.protobuf.Timestamp": TIMESTAMP,
    "google.protobuf.Duration": DURATION,
}

# -- arithmetic


def _int(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("integer overflow")


def _uint(value: int) -> UInt:
    if 0 <= value <= UINT_MAX:
        return UInt(value)
    raise EvaluationError("unsigned integer overflow")


def _quotient(a: int, b: int) -> int:
    if b == 0:
        raise EvaluationError("division by zero")
    return -(-a // b) if (a < 0) != (b < 0) else a // b


def _remainder(a: int, b: int) -> int:
    if b == 0:
        raise EvaluationError("modulus by zero")
    return int(math.copysign(1, a)) * (abs(a) % abs(b))


def _divide(a: float, b: float) -> float:
    try:
        return a / b
    except ZeroDivisionError:
        if a == 0 or math.isnan(a):
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _guarded(function: Callable[[float, float], float]) -> Callable[[float, float], float]:
    def run(a: float, b: float) -> float:
        try:
            return function(a, b)
        except OverflowError:
            return math.inf

    return run


_ARITHMETIC: dict[str, tuple[Callable[[int, int], int], Callable[[float, float], float] | None]] = {
    "_+_": (operator.add, operator.add),
    "_-_": (operator.sub, operator.sub),
    "_*_": (operator.mul, _guarded(operator.mul)),
    "_/_": (_quotient, _divide),
    "_%_": (_remainder, None),
}


def _checked_int(function: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def run(a: int, b: int) -> int:
        made = function(a, b)
        if INT_MIN <= made <= INT_MAX:
            return made
        raise EvaluationError("integer overflow")

    return run


def _checked_uint(function: Callable[[int, int], int]) -> Callable[[int, int], UInt]:
    return lambda a, b: _uint(function(int(a), int(b)))


for _name, (_whole, _real) in _ARITHMETIC.items():
    _declare(f"{_name}(int, int) -> int", _checked_int(_whole))
    _declare(f"{_name}(uint, uint) -> uint", _checked_uint(_whole))
    if _real is not None:
        _declare(f"{_name}(double, double) -> double", _real)


def _negate(value: int) -> int:
    return _int(-value)


_declare("-_(int) -> int", _negate)
_declare("-_(double) -> double", operator.neg)
_declare("!_(bool) -> bool", operator.not_)


def _add_text(frame: Frame, a: Any, b: Any) -> Any:
    work(frame, len(a) + len(b))
    return a + b


def _add_lists(frame: Frame, a: Any, b: Any) -> Any:
    if isinstance(a, ListView) and a.list_type in ("set", "map"):
        return a.merged(b, frame)
    if not a:
        return b
    return Concat(a, b) if b else a


_declare("_+_(string, string) -> string", _add_text, cost="add_text", framed=True)
_declare("_+_(bytes, bytes) -> bytes", _add_text, cost="add_text", framed=True)
_declare("_+_(list(T), list(T)) -> list(T)", _add_lists, cost="list_add", framed=True)
_declare("_+_(timestamp, duration) -> timestamp", lambda a, b: times.timestamp(a.nano + b.nano, a.offset))
_declare("_+_(duration, timestamp) -> timestamp", lambda a, b: times.timestamp(a.nano + b.nano, b.offset))
_declare("_+_(duration, duration) -> duration", lambda a, b: times.duration(a.nano + b.nano))
_declare("_-_(timestamp, timestamp) -> duration", lambda a, b: times.duration(a.nano - b.nano))
_declare("_-_(timestamp, duration) -> timestamp", lambda a, b: times.timestamp(a.nano - b.nano, a.offset))
_declare("_-_(duration, duration) -> duration", lambda a, b: times.duration(a.nano - b.nano))

# -- comparison

_declare("_==_(T, T) -> bool", lambda f, a, b: equal(a, b, f), cost="equals", framed=True)
_declare("_!=_(T, T) -> bool", lambda f, a, b: not equal(a, b, f), cost="equals", framed=True)

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "_<_": operator.lt, "_<=_": operator.le, "_>_": operator.gt, "_>=_": operator.ge,
}  # fmt: skip
_NUMBERS = ("int", "uint", "double")
for _name, _order in _ORDERS.items():
    for _left in _NUMBERS:
        for _right in _NUMBERS:
            _declare(f"{_name}({_left}, {_right}) -> bool", _order)
    for _left in ("string", "bytes"):
        _declare(f"{_name}({_left}, {_left}) -> bool", _order, cost="order_text")
    for _left in ("bool", "timestamp", "duration"):
        _declare(f"{_name}({_left}, {_left}) -> bool", _order)

# -- logic: the compiler makes these itself; the checker asks for their types

_declare("_?_:_(bool, T, T) -> T", lambda c, a, b: a if c else b)


def index(container: Any, key: Any) -> Any:
    """`container[key]`."""
    if is_list(container):
        if type(key) is bool or not isinstance(key, int | float) or key != int(key):
            raise EvaluationError(f"unsupported index type '{type_name(key)}' in list")
        at = int(key)
        if not 0 <= at < len(container):
            raise EvaluationError(f"index out of bounds: {at}")
        return container[at]
    if is_map(container):
        found = lookup(container, key)
        if found is MISSING:
            raise no_such_key(key)
        return found
    raise no_such_overload()


MISSING = object()


def lookup(container: Any, key: Any) -> Any:
    """The value of a key, or MISSING. Numbers are the same key whatever their type; true is not 1."""
    try:
        found = container[key]
    except (KeyError, TypeError):
        return MISSING
    if isinstance(key, int | float) and not any(
        isinstance(k, bool) == isinstance(key, bool) for k in container if k == key
    ):
        return MISSING
    return found


_declare("_[_](list(T), int) -> T", index)
_declare("_[_](map(K, V), K) -> V", index)
_declare("_[?_](list(T), int) -> optional(T)", index)
_declare("_[?_](map(K, V), K) -> optional(V)", index)
_declare("_[?_](optional(list(T)), int) -> optional(T)", index)
_declare("_[?_](optional(map(K, V)), K) -> optional(V)", index)
_declare("_[_](optional(list(T)), int) -> optional(T)", index)
_declare("_[_](optional(map(K, V)), K) -> optional(V)", index)


def contains(frame: Frame, item: Any, container: Any) -> bool:
    """`item in container`."""
    if is_map(container):
        return lookup(container, item) is not MISSING
    work(frame, len(container))
    return any(equal(item, one, frame) for one in container)


_declare("@in(T, list(T)) -> bool", contains, cost="in_list", framed=True)
_declare("@in(K, map(K, V)) -> bool", contains, framed=True)

# -- types, sizes and conversions

for _text in ("string", "bytes", "list(T)", "map(K, V)"):
    _declare(f"size({_text}) -> int", len)
    _declare(f"<{_text}>.size() -> int", len)
_declare("dyn(T) -> dyn", lambda value: value)
_declare("type(T) -> type(T)", lambda value: TypeValue(type_name(value)))


def double_text(value: float) -> str:
    """The shortest text that reads back, as Go writes it: 1e+06, 0.1, +Inf."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    digits, _, power = f"{value:.17e}".partition("e")
    for precision in range(17):
        shorter = f"{value:.{precision}e}"
        if float(shorter) == value:
            digits, _, power = shorter.partition("e")
            break
    exponent = int(power)
    if value == 0 or -4 <= exponent < 6:
        text = f"{value:.{max(0, len(digits.lstrip('-').replace('.', '')) - 1 - exponent)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{digits}e{exponent:+03d}"


def _double_to_int(value: float) -> int:
    if math.isnan(value) or math.isinf(value) or not -(2.0**63) < value < 2.0**63:
        raise EvaluationError("integer overflow")
    return int(value)


def _double_to_uint(value: float) -> UInt:
    if math.isnan(value) or math.isinf(value) or not 0 <= value < 2.0**64:
        raise EvaluationError("unsigned integer overflow")
    return UInt(int(value))


def _text_to_int(text: str) -> int:
    body = text[1:] if text[:1] in ("+", "-") else text
    if not body.isascii() or not body.isdigit() or len(body) > 30 or not INT_MIN <= int(text) <= INT_MAX:
        raise EvaluationError(f"type conversion error from 'string' to 'int': {text[:100]!r}")
    return int(text)


def _text_to_uint(text: str) -> UInt:
    if not text.isascii() or not text.isdigit() or len(text) > 30 or int(text) > UINT_MAX:
        raise EvaluationError(f"type conversion error from 'string' to 'uint': {text[:100]!r}")
    return UInt(int(text))


def _text_to_double(text: str) -> float:
    try:
        if "_" in text or text != text.strip() or len(text) > 1000:
            raise ValueError
        return float(text)
    except ValueError:
        raise EvaluationError(f"type conversion error from 'string' to 'double': {text[:100]!r}") from None


def _text_to_bool(text: str) -> bool:
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise EvaluationError(f"type conversion error from 'string' to 'bool': {text[:100]!r}")


def _bytes_to_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


def _seconds(value: int) -> Timestamp:
    return times.timestamp(value * times.NANO)


def _convert(signature: str, run: Callable[[Any], Any], cost: str = "one") -> None:
    _declare(signature, run, cost=cost, foldable=True)


def _same(value: Any) -> Any:
    return value


_convert("int(int) -> int", _same)
_convert("int(uint) -> int", lambda v: _int(int(v)))
_convert("int(double) -> int", _double_to_int)
_convert("int(string) -> int", _text_to_int)
_convert("int(timestamp) -> int", lambda v: v.nano // times.NANO)
_convert("int(duration) -> int", lambda v: v.nano)
_convert("uint(uint) -> uint", _same)
_convert("uint(int) -> uint", _uint)
_convert("uint(double) -> uint", _double_to_uint)
_convert("uint(string) -> uint", _text_to_uint)
_convert("double(double) -> double", _same)
_convert("double(int) -> double", float)
_convert("double(uint) -> double", float)
_convert("double(string) -> double", _text_to_double)
_convert("string(string) -> string", _same)
_convert("string(bool) -> string", lambda v: "true" if v else "false")
_convert("string(int) -> string", str)
_convert("string(uint) -> string", lambda v: str(int(v)))
_convert("string(double) -> string", double_text)
_convert("string(bytes) -> string", _bytes_to_text, "text_of")
_convert("string(timestamp) -> string", times.timestamp_text)
_convert("string(duration) -> string", times.duration_text)
_convert("bytes(bytes) -> bytes", _same)
_convert("bytes(string) -> bytes", lambda v: v.encode(), "bytes_of")
_convert("bool(bool) -> bool", _same)
_convert("bool(string) -> bool", _text_to_bool)
_convert("timestamp(timestamp) -> timestamp", _same)
_convert("timestamp(string) -> timestamp", times.parse_timestamp)
_convert("timestamp(int) -> timestamp", _seconds)
_convert("duration(duration) -> duration", _same)
_convert("duration(string) -> duration", times.parse_duration)
_convert("duration(int) -> duration", times.duration)

# -- texts

_declare("<string>.contains(string) -> bool", lambda text, part: part in text, cost="contains")
_declare("<string>.startsWith(string) -> bool", str.startswith, cost="affix")
_declare("<string>.endsWith(string) -> bool", str.endswith, cost="affix")
_declare("<string>.matches(string) -> bool", matches, cost="regex")
_declare("matches(string, string) -> bool", matches, cost="regex")

# -- times

_PARTS = (
    "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes",
    "getSeconds", "getMilliseconds",
)  # fmt: skip


def _part(name: str) -> Callable[..., int]:
    return lambda moment, zone="": times.part_of(moment, name, zone)


for _name in _PARTS:
    _declare(f"<timestamp>.{_name}() -> int", _part(_name))
    _declare(f"<timestamp>.{_name}(string) -> int", _part(_name))


def _whole_units(unit: int) -> Callable[[Duration], int]:
    return lambda value: _quotient(value.nano, unit)


_declare("<duration>.getHours() -> int", _whole_units(3600 * times.NANO))
_declare("<duration>.getMinutes() -> int", _whole_units(60 * times.NANO))
_declare("<duration>.getSeconds() -> int", _whole_units(times.NANO))


def _milliseconds(value: Duration) -> int:
    return _quotient(value.nano, 10**6) if value.nano >= 0 else -_quotient(-value.nano, 10**6)


_declare("<duration>.getMilliseconds() -> int", _milliseconds)
