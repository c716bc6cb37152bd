"""DaemonSets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import (
    always_problems,
    container_cells,
    decremented,
    format_selector,
    match_problems,
    workload_warnings,
)
from kaa.kinds.core.podcheck import validate_template
from kaa.kinds.core.podspec import default_template
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_STATUS = Path() / "status"


def _default(obj: Json) -> None:
    spec = obj["spec"]
    strategy = spec.setdefault("updateStrategy", {})
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    default_template(spec["template"])


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj["spec"]
    selector, template, here = spec.get("selector"), spec.get("template") or {}, _SPEC / "template"
    if selector is None:
        yield required(_SPEC / "selector")
    else:
        yield from checks.label_selector(selector, _SPEC / "selector")
        yield from match_problems(spec, here)
        if checks.is_empty(selector):
            yield invalid(_SPEC / "selector", selector, "empty selector is invalid for daemonset")
    yield from validate_template(template, here)
    yield from always_problems(template, here, "DaemonSet")
    yield from checks.non_negative(spec, "minReadySeconds", _SPEC)
    strategy, path = spec.get("updateStrategy") or {}, _SPEC / "updateStrategy"
    kind = strategy.get("type", "")
    if kind == "RollingUpdate":
        if strategy.get("rollingUpdate") is None:
            yield required(path / "rollingUpdate")
        else:
            yield from _rolling(strategy["rollingUpdate"], path / "rollingUpdate")
    elif kind != "OnDelete":
        yield not_supported(path, strategy, ("RollingUpdate", "OnDelete"), as_given=True)
    yield from checks.non_negative(spec, "revisionHistoryLimit", _SPEC)


def _rolling(rolling: Json, path: Path) -> Iterator[Problem]:
    """Nodes are updated one for one, or the new pod comes before the old one goes: one of the two."""
    counts = [("maxUnavailable", rolling.get("maxUnavailable", 0)), ("maxSurge", rolling.get("maxSurge", 0))]
    for check in (checks.int_or_percent, checks.not_over_100_percent):
        for name, value in counts:
            yield from check(value, path / name)
    unavailable, surge = (checks.amount(value) != 0 for _, value in counts)
    if unavailable and surge:
        yield invalid(path / "maxSurge", counts[1][1], "may not be set when maxUnavailable is non-zero")
    elif not unavailable and not surge:
        yield required(path / "maxUnavailable", "cannot be 0 when maxSurge is 0")


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new["spec"], old["spec"], "selector", _SPEC)


_COUNTS = (
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
    "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount",
)  # fmt: skip


def _validate_status(new: Json, old: Json) -> Iterator[Problem]:
    status = new.get("status") or {}
    for name in _COUNTS:
        yield from checks.non_negative(status, name, _STATUS)
    yield from decremented(status, old.get("status") or {}, _STATUS)


def _warnings(obj: Json, old: Json | None) -> Iterator[str]:
    return workload_warnings(obj, old, named=False)


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    template = spec.get("template") or {}
    return [
        obj["metadata"].get("name", ""),
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        format_selector({"matchLabels": (template.get("spec") or {}).get("nodeSelector") or {}}),
        printing.age(obj, now),
        *container_cells(template),
        format_selector(spec.get("selector")),
    ]


RULES = Rules(
    default=_default,
    validate=_validate,
    validate_update=_validate_update,
    validate_status=_validate_status,
    warnings=_warnings,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Desired", "integer"),
        Column("Current", "integer"),
        Column("Ready", "integer"),
        Column("Up-to-date", "integer"),
        Column("Available", "integer"),
        Column("Node Selector"),
        AGE_COLUMN,
        Column("Containers", priority=1),
        Column("Images", priority=1),
        Column("Selector", priority=1),
    ),
    cells=_cells,
)
