"""What must be sent so that a status becomes another. Pure."""

from functools import cache
from typing import Any

import msgspec

__all__ = ["merge_difference", "status_patch", "to_wire"]

Json = dict[str, Any]


def status_patch(present: Any, wanted: Json) -> Json | None:
    """The merge patch from a view's status (a view part, plain JSON, or None) to `wanted`; None when they are equal.

    A typed status is compared as its type sees it, so that an absent field equals its default. Raises TypeError for
    a wanted field that the type does not name.
    """
    if not isinstance(present, msgspec.Struct):
        return merge_difference(present or {}, wanted) or None
    kind = type(present)
    known = {wire for _, wire, _ in _fields(kind)}
    if unknown := [name for name in wanted if name not in known]:
        raise TypeError(f"{kind.__name__} has no field for {', '.join(unknown)}: add it to the view")
    if msgspec.convert(_without_nulls(wanted), kind) == present:
        return None
    return merge_difference(to_wire(present), wanted) or None


def merge_difference(old: Json, new: Json) -> Json:
    """The JSON merge patch that makes `new` of `old`: null removes, objects merge, everything else is replaced."""
    patch: Json = {name: None for name, value in old.items() if name not in new and value is not None}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = merge_difference(before, value)
            if inner:
                patch[name] = inner
        elif value != before:
            patch[name] = value
    return patch


def to_wire(part: Any) -> Any:
    """A view part as JSON, fields at their default left out."""
    if isinstance(part, msgspec.Struct):
        shown: Json = {}
        for attribute, wire, default in _fields(type(part)):
            value = getattr(part, attribute)
            if value != default:
                shown[wire] = to_wire(value)
        return shown
    if isinstance(part, tuple | list):
        return [to_wire(each) for each in part]
    if isinstance(part, dict):
        return {name: to_wire(value) for name, value in part.items()}
    return part


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    """(attribute, wire name, default) of each field."""
    found = []
    for each in msgspec.structs.fields(kind):
        default = each.default
        if each.default_factory is not msgspec.NODEFAULT:
            default = each.default_factory()
        found.append((each.name, each.encode_name, default))
    return tuple(found)


def _without_nulls(value: Any) -> Any:
    """Views read an absent field, not a null one, as its default."""
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value
