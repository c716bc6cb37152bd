"""ReplicaSets, and ReplicationControllers, which are the same with a plain map for a selector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import (
    container_cells,
    format_selector,
    selector_problems,
    template_problems,
    workload_warnings,
)
from kaa.kinds.core.podspec import default_template
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["CONTROLLER_RULES", "RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_STATUS = Path() / "status"


def _default(obj: Json) -> None:
    obj["spec"].setdefault("replicas", 1)
    default_template(obj["spec"]["template"])


def _prepare_create(obj: Json) -> None:
    obj["status"] = {"replicas": 0}


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj["spec"]
    yield from checks.non_negative(spec, "replicas", _SPEC)
    yield from checks.non_negative(spec, "minReadySeconds", _SPEC)
    yield from selector_problems(spec, _SPEC, "deployment")
    yield from template_problems(spec, _SPEC)


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new["spec"], old["spec"], "selector", _SPEC)


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    status = new.get("status") or {}
    total, ready = status.get("replicas", 0), status.get("readyReplicas", 0)
    for name in ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"):
        yield from checks.non_negative(status, name, _STATUS)
    for name in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
        if status.get(name, 0) > total:
            yield invalid(_STATUS / name, status.get(name, 0), "cannot be greater than status.replicas")
    if status.get("availableReplicas", 0) > ready:
        yield invalid(
            _STATUS / "availableReplicas", status["availableReplicas"], "cannot be greater than readyReplicas"
        )


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    selector = spec.get("selector")
    if obj.get("kind") == "ReplicationController":
        selector = {"matchLabels": selector or {}}
    return [
        obj["metadata"].get("name", ""),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        printing.age(obj, now),
        *container_cells(spec.get("template")),
        format_selector(selector),
    ]


_COLUMNS = (
    NAME_COLUMN,
    Column("Desired", "integer"),
    Column("Current", "integer"),
    Column("Ready", "integer"),
    AGE_COLUMN,
    Column("Containers", priority=1),
    Column("Images", priority=1),
    Column("Selector", priority=1),
)
_SELECTABLE = {"status.replicas": lambda obj: str(obj.get("status", {}).get("replicas", 0))}

RULES = Rules(
    default=_default,
    prepare_create=_prepare_create,
    validate=_validate,
    validate_update=_validate_update,
    validate_status=_validate_status,
    warnings=workload_warnings,
    selectable=_SELECTABLE,
    columns=_COLUMNS,
    cells=_cells,
    generation=True,
)


def _controller_default(obj: Json) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    template = spec.get("template")
    if template is not None:
        found = (template.get("metadata") or {}).get("labels")
        if found:
            if not spec.get("selector"):
                spec["selector"] = dict(found)
            if not obj["metadata"].get("labels"):
                obj["metadata"]["labels"] = dict(found)
        default_template(template)


def _controller_validate(obj: Json) -> Iterator[Problem]:
    spec = obj["spec"]
    yield from checks.non_negative(spec, "minReadySeconds", _SPEC)
    selector = spec.get("selector")
    if not selector:
        yield required(_SPEC / "selector")
    yield from checks.non_negative(spec, "replicas", _SPEC)
    if spec.get("template") is None:
        yield required(_SPEC / "template")
        return
    yield from template_problems(
        {**spec, "selector": {"matchLabels": selector or {}}}, _SPEC, kind="ReplicationController"
    )


CONTROLLER_RULES = Rules(
    default=_controller_default,
    prepare_create=_prepare_create,
    validate=_controller_validate,
    validate_status=_validate_status,
    warnings=workload_warnings,
    selectable=_SELECTABLE,
    columns=_COLUMNS,
    cells=_cells,
    generation=True,
)
