"""Short ways to read an object and to write its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaa.kinds import printing

__all__ = ["name", "row", "spec", "status"]

Json = dict[str, Any]
Cells = Callable[[Json, float], list[Any]]


def name(obj: Json) -> str:
    """`metadata.name`."""
    return str(obj["metadata"].get("name", ""))


def spec(obj: Json) -> Json:
    """The spec, or an empty one."""
    found: Json = obj.get("spec") or {}
    return found


def status(obj: Json) -> Json:
    """The status, or an empty one."""
    found: Json = obj.get("status") or {}
    return found


def row(*values: Callable[[Json], Any]) -> Cells:
    """Cells between the name and the age."""
    return lambda obj, now: [name(obj), *(value(obj) for value in values), printing.age(obj, now)]
