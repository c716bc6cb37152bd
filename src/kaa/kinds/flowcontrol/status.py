"""Conditions of FlowSchemas and PriorityLevelConfigurations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds.row import status as _status
from kaa.meta.problems import Path, Problem, duplicate, required

__all__ = ["validate_status"]

Json = dict[str, Any]


def validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    """Each condition has a type, and each type stands once."""
    seen: set[str] = set()
    for at, each in enumerate(_status(new).get("conditions") or ()):
        kind, here = each.get("type", ""), (Path() / "status" / "conditions")[at] / "type"
        if kind in seen:
            yield duplicate(here, kind)
        seen.add(kind)
        if not kind:
            yield required(here, "must not be empty")
