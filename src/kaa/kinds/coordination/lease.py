"""Leases: who holds what, and until when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats
from kaa.kinds.row import row as _row
from kaa.kinds.row import spec as _spec
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
STRATEGIES = ("OldestEmulationVersion",)


def _validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    seconds, strategy = spec.get("leaseDurationSeconds"), spec.get("strategy")
    if seconds is not None and seconds <= 0:
        yield invalid(_SPEC / "leaseDurationSeconds", seconds, "must be greater than 0")
    yield from checks.non_negative(spec, "leaseTransitions", _SPEC)
    if strategy is not None:
        # The original's path names the field twice.
        here = _SPEC / "strategy" / "strategy"
        if "/" in strategy:
            yield from formats.label_name(strategy, here)
        elif strategy not in STRATEGIES:
            yield not_supported(here, strategy, STRATEGIES)
    if spec.get("preferredHolder") and not strategy:
        yield forbidden_field(_SPEC / "preferredHolder", "may only be specified if `strategy` is defined")


RULES = Rules(
    validate=_validate,
    complete=True,
    allow_create_on_update=True,
    allow_unconditional_update=False,
    columns=(NAME_COLUMN, Column("Holder", description="who holds the lease"), AGE_COLUMN),
    cells=_row(lambda obj: _spec(obj).get("holderIdentity") or ""),
)
