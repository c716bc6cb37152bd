"""`"%s is %d".format([...])`: cel-go's `ext/formatting.go`. Precision and results are bounded."""

import math
import re
from typing import Any

from .errors import EvaluationError
from .times import Duration, Timestamp, duration_text, timestamp_text
from .values import STEP, Frame, TypeValue, UInt, is_list, is_map, type_name, work

__all__ = ["format_text", "quote"]

_CLAUSE = re.compile(r"%(?:\.(\d{1,6}))?(.|\Z)", re.DOTALL)
_PRECISION_MAX = 1000
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}  # fmt: skip  # noqa: E501


def quote(text: str) -> str:
    """The text as a literal in double quotes."""
    return '"' + "".join(_ESCAPES.get(c, c) for c in text) + '"'


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    from .standard import double_text

    return double_text(value)


def _shown(frame: Frame, value: Any, *, nested: bool) -> str:
    """A value as %s shows it; nested in a list or map, times as calls of their constructors, and texts quoted."""
    work(frame, STEP)
    kind = type(value)
    if kind is str:
        work(frame, len(value))
        return quote(value) if nested else str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind in (int, UInt):
        return str(int(value))
    if value is None:
        return "null"
    if kind is float:
        if nested and math.isfinite(value):
            return f"{value:.6f}"
        return quote(_number(value)) if nested else _number(value)
    if kind is bytes:
        text = value.decode(errors="replace")
        return f"b{quote(text)}" if nested else text
    if kind is Timestamp:
        return f'timestamp("{timestamp_text(value)}")' if nested else timestamp_text(value)
    if kind is Duration:
        return f'duration("{duration_text(value)}")' if nested else duration_text(value)
    if kind is TypeValue:
        return str(value.name)
    if is_list(value):
        return "[" + ", ".join(_shown(frame, item, nested=True) for item in value) + "]"
    if is_map(value):
        entries = sorted((_shown(frame, key, nested=True), _shown(frame, value[key], nested=True)) for key in value)
        return "{" + ", ".join(f"{key}:{item}" for key, item in entries) + "}"
    raise EvaluationError(
        "error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, "
        f"lists, types, durations, and timestamps, was given {type_name(value)}"
    )


def _float(value: Any, clause: str) -> float:
    if type(value) is str and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if type(value) is not float:
        name = "fixed-point" if clause == "f" else "scientific"
        raise EvaluationError(
            f"error during formatting: {name} clause can only be used on doubles, was given {type_name(value)}"
        )
    return value


def _based(value: Any, clause: str) -> str:
    kind = type(value)
    if clause == "b" and kind is bool:
        return "1" if value else "0"
    if clause in "xX" and kind in (str, bytes):
        data = value.encode() if kind is str else value
        text = str(data.hex())
        return text.upper() if clause == "X" else text
    if kind in (int, UInt):
        return format(int(value), clause)
    allowed = {"b": "integers and bools", "o": "integers", "x": "integers, byte buffers, and strings"}[clause.lower()]
    name = {"b": "binary", "o": "octal", "x": "hex"}[clause.lower()]
    raise EvaluationError(
        f"error during formatting: only {allowed} can be formatted as {name}, was given {type_name(value)}"
    )


def format_text(frame: Frame, text: str, args: Any) -> str:
    """The text with each clause (%s %d %f %e %b %x %X %o %%) replaced by its argument."""
    parts: list[str] = []
    at = used = 0
    for match in _CLAUSE.finditer(text):
        if match.start() < at:
            continue
        parts.append(text[at : match.start()])
        precision, clause = match.groups()
        at = match.end()
        if clause == "%" and precision is None:
            parts.append("%")
            continue
        if clause == "":
            raise EvaluationError("could not parse formatting clause: unexpected end of string")
        if clause not in "sdfebxXo":
            raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{clause}"')
        if used >= len(args):
            raise EvaluationError(f"index {used} out of range")
        value = args[used]
        used += 1
        digits = 6 if precision is None else int(precision)
        if digits > _PRECISION_MAX:
            raise EvaluationError(f"precision {digits} exceeds maximum allowed precision of {_PRECISION_MAX}")
        work(frame, digits)
        if clause == "s":
            made = _shown(frame, value, nested=False)
        elif clause == "d":
            if type(value) not in (int, UInt):
                raise EvaluationError(
                    f"error during formatting: decimal clause can only be used on integers, was given "
                    f"{type_name(value)}"
                )
            made = str(int(value))
        elif clause in "fe":
            number = _float(value, clause)
            made = format(number, f".{digits}{clause}") if math.isfinite(number) else _number(number)
        else:
            made = _based(value, clause)
        parts.append(made)
    parts.append(text[at:])
    if used < len(args):
        raise EvaluationError(f"too many arguments supplied to string.format (expected {used}, got {len(args)})")
    return "".join(parts)
