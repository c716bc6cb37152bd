"""PodDisruptionBudgets: how many pods of a set may be taken away at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.row import name as _name
from kaa.kinds.row import spec as _spec
from kaa.kinds.row import status as _status
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, invalid, not_supported

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_STATUS = Path() / "status"
EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
#: Fields of the spec in the order in which the original shows them, by its internal names.
_SHOWN = ("MinAvailable", "Selector", "MaxUnavailable", "UnhealthyPodEvictionPolicy")


def _validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        shown = {field: spec.get(field[0].lower() + field[1:]) for field in _SHOWN}
        yield invalid(_SPEC, shown, "minAvailable and maxUnavailable cannot be both set")
    for field, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            yield from checks.int_or_percent(value, _SPEC / field)
            yield from checks.not_over_100_percent(value, _SPEC / field)
    yield from checks.label_selector(spec.get("selector"), _SPEC / "selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in EVICTION_POLICIES:
        yield not_supported(_SPEC / "unhealthyPodEvictionPolicy", policy, EVICTION_POLICIES)


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    status = _status(new)
    yield from formats.conditions(status.get("conditions"), _STATUS / "conditions")
    for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        yield from checks.non_negative(status, field, _STATUS)


def _shown(value: Any) -> str:
    return "N/A" if value is None else str(value)


RULES = Rules(
    validate=_validate,
    complete=True,
    validate_status=_validate_status,
    allow_unconditional_update=False,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Min Available", description="how many pods must stay"),
        Column("Max Unavailable", description="how many pods may be gone"),
        Column("Allowed Disruptions", "integer", description="how many pods may be taken away now"),
        AGE_COLUMN,
    ),
    cells=lambda obj, now: [
        _name(obj),
        _shown(_spec(obj).get("minAvailable")),
        _shown(_spec(obj).get("maxUnavailable")),
        _status(obj).get("disruptionsAllowed", 0),
        printing.age(obj, now),
    ],
)
