"""HorizontalPodAutoscalers: bounds, metrics and the pace of scaling, in both versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.autoscaling.conversion import METRICS, metrics_of
from kaa.kinds.autoscaling.metrics import validate_metrics, validate_reference
from kaa.kinds.autoscaling.shown import metrics_text
from kaa.kinds.row import name as _name
from kaa.kinds.row import spec as _spec
from kaa.kinds.row import status as _status
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import quantity
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["RULES", "RULES_V1"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_STATUS = Path() / "status"
STABILIZATION_SECONDS_MAX = 3600
PERIOD_SECONDS_MAX = 1800
CPU_PERCENT = 80

_SCALE_UP: Json = {
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_SCALE_DOWN: Json = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def _default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": CPU_PERCENT}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        up, down = behavior.setdefault("scaleUp", {}), behavior.setdefault("scaleDown", {})
        for ours, usual in ((up, _SCALE_UP), (down, _SCALE_DOWN)):
            ours.setdefault("selectPolicy", usual["selectPolicy"])
            if ours.get("policies") is None:
                ours["policies"] = [dict(each) for each in usual["policies"]]
        up.setdefault("stabilizationWindowSeconds", 0)


def _default_v1(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    notes = obj.setdefault("metadata", {}).get("annotations") or {}
    if "targetCPUUtilizationPercentage" not in spec and METRICS not in notes:
        spec["targetCPUUtilizationPercentage"] = CPU_PERCENT


def _bounds(spec: Json) -> Iterator[Problem]:
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    # Scaling to zero (HPAScaleToZero) is an alpha feature of 1.36, and off.
    if least is not None and least < 1:
        yield invalid(_SPEC / "minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield invalid(_SPEC / "maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield invalid(_SPEC / "maxReplicas", most, "must be greater than or equal to `minReplicas`")
    yield from validate_reference(spec.get("scaleTargetRef") or {}, _SPEC / "scaleTargetRef")


def _validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    yield from _bounds(spec)
    yield from validate_metrics(spec.get("metrics") or (), _SPEC / "metrics", spec.get("minReplicas"))
    for way in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(way)
        if rules is not None:
            yield from _scaling(rules, _SPEC / "behavior" / way)


def _validate_v1(obj: Json) -> Iterator[Problem]:
    """What v1 says of metrics, in its field or in the annotation, is judged as v2 would say it."""
    spec = _spec(obj)
    yield from _bounds(spec)
    metrics, _ = metrics_of(obj)
    yield from validate_metrics(metrics, _SPEC / "metrics", spec.get("minReplicas"))


def _scaling(rules: Json, path: Path) -> Iterator[Problem]:
    window, chosen = rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy")
    here = path / "stabilizationWindowSeconds"
    if window is not None and window < 0:
        yield invalid(here, window, "must be greater than or equal to zero")
    if window is not None and window > STABILIZATION_SECONDS_MAX:
        yield invalid(here, window, f"must be less than or equal to {STABILIZATION_SECONDS_MAX}")
    if chosen is not None and chosen not in ("Disabled", "Max", "Min"):
        yield not_supported(path / "selectPolicy", chosen, ("Disabled", "Max", "Min"))
    policies = rules.get("policies") or ()
    if not policies:
        yield required(path / "policies", "must specify at least one Policy")
    for at, policy in enumerate(policies):
        yield from _policy(policy, (path / "policies")[at])
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantity.parse(tolerance).nano < 0:
        yield invalid(path / "tolerance", tolerance, checks.NON_NEGATIVE)


def _policy(policy: Json, path: Path) -> Iterator[Problem]:
    value, period = policy.get("value", 0), policy.get("periodSeconds", 0)
    if policy.get("type") not in ("Percent", "Pods"):
        yield not_supported(path / "type", policy.get("type", ""), ("Percent", "Pods"))
    if value <= 0:
        yield invalid(path / "value", value, "must be greater than zero")
    if period <= 0:
        yield invalid(path / "periodSeconds", period, "must be greater than zero")
    if period > PERIOD_SECONDS_MAX:
        yield invalid(path / "periodSeconds", period, f"must be less than or equal to {PERIOD_SECONDS_MAX}")


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    for field in ("currentReplicas", "desiredReplicas"):
        yield from checks.non_negative(_status(new), field, _STATUS)


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = _spec(obj), _status(obj)
    target = spec.get("scaleTargetRef") or {}
    if obj.get("apiVersion") == "autoscaling/v1":
        metrics, current = metrics_of(obj)
    else:
        metrics, current = spec.get("metrics") or [], status.get("currentMetrics") or []
    return [
        _name(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        metrics_text(metrics, current),
        str(spec["minReplicas"]) if spec.get("minReplicas") is not None else "<unset>",
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        printing.age(obj, now),
    ]


_COLUMNS = (
    NAME_COLUMN,
    Column("Reference", description="what is scaled"),
    Column("Targets", description="the metrics as they are, and as they are to be"),
    Column("MinPods", description="the least replicas"),
    Column("MaxPods", description="the most replicas"),
    Column("Replicas", description="how many replicas there are"),
    AGE_COLUMN,
)
RULES = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_status=_validate_status,
    columns=_COLUMNS,
    cells=_cells,
)
RULES_V1 = Rules(
    default=_default_v1,
    validate=_validate_v1,
    complete=True,
    validate_status=_validate_status,
    columns=_COLUMNS,
    cells=_cells,
)
