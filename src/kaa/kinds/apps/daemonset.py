"""DaemonSets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import container_cells, format_selector, selector_problems, template_problems
from kaa.kinds.core.podspec import default_template
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, invalid, not_supported

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
    yield from selector_problems(spec, _SPEC, "daemonset")
    yield from template_problems(spec, _SPEC, kind="DaemonSet")
    yield from checks.non_negative(spec, "minReadySeconds", _SPEC)
    strategy, path = spec.get("updateStrategy") or {}, _SPEC / "updateStrategy"
    if strategy.get("type") == "RollingUpdate":
        rolling, here = strategy.get("rollingUpdate") or {}, path / "rollingUpdate"
        unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
        for name, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
            yield from checks.int_or_percent(value, here / name)
            yield from checks.not_over_100_percent(value, here / name)
        some = [checks.scaled(unavailable, 100, up=True) > 0, checks.scaled(surge, 100, up=True) > 0]
        if all(some):
            yield invalid(here / "maxSurge", surge, "may not be set when maxUnavailable is non-zero")
        elif not any(some):
            yield invalid(here / "maxUnavailable", unavailable, "cannot be 0 when maxSurge is 0")
    elif strategy.get("type") != "OnDelete":
        yield not_supported(path / "type", strategy.get("type", ""), ("OnDelete", "RollingUpdate"))
    yield from checks.non_negative(spec, "revisionHistoryLimit", _SPEC)


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new["spec"], old["spec"], "selector", _SPEC)


_COUNTS = (
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
    "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount",
)  # fmt: skip


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    for name in _COUNTS:
        yield from checks.non_negative(new.get("status") or {}, name, _STATUS)


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
