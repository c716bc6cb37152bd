"""Scale: how many replicas, as the subresource of that name reads and writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.row import row as _row
from kaa.kinds.row import spec as _spec
from kaa.kinds.row import status as _status
from kaa.kinds.spec import AGE_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem

__all__ = ["RULES"]

Json = dict[str, Any]


def _validate(obj: Json) -> Iterator[Problem]:
    yield from checks.non_negative(_spec(obj), "replicas", Path() / "spec")


RULES = Rules(
    validate=_validate,
    complete=True,
    columns=(
        Column("Name"),
        Column("Desired", "integer", description="how many replicas are asked for"),
        Column("Available", "integer", description="how many replicas there are"),
        AGE_COLUMN,
    ),
    cells=_row(lambda obj: _spec(obj).get("replicas", 0), lambda obj: _status(obj).get("replicas", 0)),
)
