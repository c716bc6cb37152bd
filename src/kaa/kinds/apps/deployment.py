"""Deployments: how they roll out, and what they default to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import (
    container_cells,
    decremented,
    format_selector,
    selector_problems,
    template_problems,
    workload_warnings,
)
from kaa.kinds.core.podspec import default_template
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"


def _default(obj: Json) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    default_template(spec["template"])


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj["spec"]
    yield from checks.non_negative(spec, "replicas", _SPEC)
    yield from selector_problems(spec, _SPEC, "deployment")
    yield from template_problems(spec, _SPEC)
    yield from _strategy(spec.get("strategy") or {}, _SPEC / "strategy")
    yield from checks.non_negative(spec, "minReadySeconds", _SPEC)
    yield from checks.non_negative(spec, "revisionHistoryLimit", _SPEC)
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        yield from checks.non_negative(spec, "progressDeadlineSeconds", _SPEC)
        if deadline <= spec.get("minReadySeconds", 0):
            yield invalid(_SPEC / "progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _strategy(strategy: Json, path: Path) -> Iterator[Problem]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            yield forbidden_field(path / "rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif kind == "RollingUpdate":
        if rolling is None:
            yield required(path / "rollingUpdate", "this should be defaulted and never be nil")
        else:
            yield from validate_rolling(rolling, path / "rollingUpdate")
    else:
        yield not_supported(path, strategy, ("Recreate", "RollingUpdate"))


def validate_rolling(rolling: Json, path: Path) -> Iterator[Problem]:
    """How many may be missing or too many at a time; one of the two must move."""
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    yield from checks.int_or_percent(unavailable, path / "maxUnavailable")
    yield from checks.int_or_percent(surge, path / "maxSurge")
    if checks.amount(unavailable) == 0 and checks.amount(surge) == 0:
        yield invalid(path / "maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    yield from checks.not_over_100_percent(unavailable, path / "maxUnavailable")


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new["spec"], old["spec"], "selector", _SPEC)


def _validate_status(new: Json, old: Json) -> Iterator[Problem]:
    status, was = new.get("status") or {}, old.get("status") or {}
    path = Path() / "status"
    for name in ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
                 "unavailableReplicas", "collisionCount"):  # fmt: skip
        yield from checks.non_negative(status, name, path)
    total = status.get("replicas", 0)
    for name in ("updatedReplicas", "readyReplicas", "availableReplicas"):
        if status.get(name, 0) > total:
            yield invalid(path / name, status.get(name, 0), "cannot be greater than status.replicas")
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        yield invalid(
            path / "availableReplicas", status.get("availableReplicas", 0), "cannot be greater than readyReplicas"
        )
    yield from decremented(status, was, path)


def _prepare_status(new: Json, old: Json) -> None:
    # Labels belong to whoever writes the spec.
    if "labels" in old["metadata"]:
        new["metadata"]["labels"] = old["metadata"]["labels"]
    else:
        new["metadata"].pop("labels", None)


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [
        obj["metadata"].get("name", ""),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        printing.age(obj, now),
        *container_cells(spec.get("template")),
        format_selector(spec.get("selector")),
    ]


RULES = Rules(
    default=_default,
    validate=_validate,
    validate_update=_validate_update,
    validate_status=_validate_status,
    prepare_status=_prepare_status,
    warnings=workload_warnings,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Ready"),
        Column("Up-to-date"),
        Column("Available"),
        AGE_COLUMN,
        Column("Containers", priority=1),
        Column("Images", priority=1),
        Column("Selector", priority=1),
    ),
    cells=_cells,
)
