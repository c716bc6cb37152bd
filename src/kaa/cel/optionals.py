"""Values that may be absent."""

from typing import Any

from .errors import EvaluationError
from .functions import Registry
from .types import DYN, optional_of
from .values import NONE, Optional, is_list, is_map

__all__ = ["REGISTRY"]

REGISTRY = Registry()
REGISTRY.type_names["optional_type"] = optional_of(DYN)
_declare = REGISTRY.declare


def _is_zero(value: Any) -> bool:
    if value is None or is_list(value) or is_map(value) or isinstance(value, str | bytes):
        return value is None or len(value) == 0
    if isinstance(value, bool | int | float):
        return not value
    return hasattr(value, "nano") and value.nano == 0


def _value(optional: Optional) -> Any:
    if not optional.present:
        raise EvaluationError("optional.none() dereference")
    return optional.value


_declare("optional.of(T) -> optional(T)", lambda value: Optional(True, value))
_declare("optional.ofNonZeroValue(T) -> optional(T)", lambda value: NONE if _is_zero(value) else Optional(True, value))
_declare("optional.none() -> optional(T)", lambda: NONE)
_declare("<optional(T)>.hasValue() -> bool", lambda optional: optional.present, cost="free")
_declare("<optional(T)>.value() -> T", _value)
# The compiler makes these itself: their argument runs only where it is needed.
_declare("<optional(T)>.or(optional(T)) -> optional(T)", lambda one, other: one if one.present else other)
_declare("<optional(T)>.orValue(T) -> T", lambda one, other: one.value if one.present else other)
