"""Constant arguments that can only fail are refused when the expression is compiled (the original's AST validators)."""

from collections.abc import Callable

from . import times
from .errors import EvaluationError
from .regex import compile_pattern
from .syntax import Call, Literal
from .types import Type

__all__ = ["check"]

_READERS: dict[str, Callable[[str], object]] = {
    "duration": times.parse_duration,
    "timestamp": times.parse_timestamp,
    "matches": compile_pattern,
}


def check(call: Call, issue: Callable[[int, str], Type]) -> None:
    """Report an argument that is no duration, timestamp or regular expression."""
    read = _READERS.get(call.function)
    if read is None or not call.args:
        return
    arg = call.args[-1]
    if isinstance(arg, Literal) and arg.kind == "string":
        try:
            read(arg.value)
        except EvaluationError:
            issue(arg.position, f"invalid {call.function} argument")
