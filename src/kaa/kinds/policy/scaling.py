"""PodDisruptionBudgets, HorizontalPodAutoscalers (stored as v2) and the Scale subresource."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["BUDGET", "HPA", "HPA_V1", "SCALE"]

Json = dict[str, Any]
_SPEC = Path() / "spec"


def _budget_validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        yield invalid(_SPEC, spec, "minAvailable and maxUnavailable cannot be both set")
    for name, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            yield from checks.int_or_percent(value, _SPEC / name)
            yield from checks.not_over_100_percent(value, _SPEC / name)
    yield from checks.label_selector(spec.get("selector"), _SPEC / "selector")
    yield from checks.one_of(spec, "unhealthyPodEvictionPolicy", ("AlwaysAllow", "IfHealthyBudget"), _SPEC)


def _budget_cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        obj["metadata"].get("name", ""),
        str(spec["minAvailable"]) if spec.get("minAvailable") is not None else "N/A",
        str(spec["maxUnavailable"]) if spec.get("maxUnavailable") is not None else "N/A",
        status.get("disruptionsAllowed", 0),
        printing.age(obj, now),
    ]


BUDGET = Rules(
    validate=_budget_validate,
    allow_unconditional_update=False,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Min Available"),
        Column("Max Unavailable"),
        Column("Allowed Disruptions", "integer"),
        AGE_COLUMN,
    ),
    cells=_budget_cells,
)

_SCALE_UP: Json = {
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_SCALE_DOWN: Json = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def _hpa_default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        up = behavior.setdefault("scaleUp", {})
        down = behavior.setdefault("scaleDown", {})
        for ours, usual in ((up, _SCALE_UP), (down, _SCALE_DOWN)):
            ours.setdefault("selectPolicy", usual["selectPolicy"])
            if not ours.get("policies"):
                ours["policies"] = [dict(each) for each in usual["policies"]]
        up.setdefault("stabilizationWindowSeconds", 0)


def _hpa_v1_default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    notes = obj["metadata"].get("annotations") or {}
    if "targetCPUUtilizationPercentage" not in spec and "autoscaling.alpha.kubernetes.io/metrics" not in notes:
        spec["targetCPUUtilizationPercentage"] = 80


_METRICS = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}


def _hpa_validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    wants_zero = any(each.get("type") in ("Object", "External") for each in spec.get("metrics") or ())
    floor = 0 if wants_zero else 1
    if least is not None and least < floor:
        yield invalid(_SPEC / "minReplicas", least, f"must be greater than or equal to {floor}")
    if most < 1:
        yield invalid(_SPEC / "maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield invalid(_SPEC / "maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target, here = spec.get("scaleTargetRef") or {}, _SPEC / "scaleTargetRef"
    for name in ("kind", "name"):
        if not target.get(name):
            yield required(here / name)
    for at, metric in enumerate(spec.get("metrics") or ()):
        where = (_SPEC / "metrics")[at]
        kind = metric.get("type", "")
        if not kind:
            yield required(where / "type", "must specify a metric source type")
        elif kind not in _METRICS:
            yield not_supported(where / "type", kind, _METRICS)
        elif metric.get(_METRICS[kind]) is None:
            yield required(where / _METRICS[kind], "must populate information for the given metric source")
        else:
            yield from _target(metric[_METRICS[kind]].get("target") or {}, where / _METRICS[kind] / "target")
    for name in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(name)
        if rules is not None:
            yield from _scaling(rules, _SPEC / "behavior" / name)


def _target(target: Json, path: Path) -> Iterator[Problem]:
    kind = target.get("type", "")
    if not kind:
        yield required(path / "type", "must specify a metric target type")
    elif kind not in ("AverageValue", "Utilization", "Value"):
        yield invalid(path / "type", kind, "must be either Utilization, Value, or AverageValue")
    if target.get("averageUtilization") is not None and target["averageUtilization"] < 1:
        yield invalid(path / "averageUtilization", target["averageUtilization"], "must be greater than 0")


def _scaling(rules: Json, path: Path) -> Iterator[Problem]:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and not 0 <= window <= 3600:
        wrong = "must be greater than or equal to zero" if window < 0 else "must be less than or equal to 3600"
        yield invalid(path / "stabilizationWindowSeconds", window, wrong)
    yield from checks.one_of(rules, "selectPolicy", ("Disabled", "Max", "Min"), path)
    for at, policy in enumerate(rules.get("policies") or ()):
        here = (path / "policies")[at]
        if policy.get("type") not in ("Percent", "Pods"):
            yield not_supported(here / "type", policy.get("type", ""), ("Percent", "Pods"))
        if policy.get("value", 0) <= 0:
            yield invalid(here / "value", policy.get("value", 0), "must be greater than zero")
        if not 0 < policy.get("periodSeconds", 0) <= 1800:
            wrong = (
                "must be greater than zero"
                if policy.get("periodSeconds", 0) <= 0
                else "must be less than or equal to 1800"
            )
            yield invalid(here / "periodSeconds", policy.get("periodSeconds", 0), wrong)


def _hpa_cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    shown = [_metric(each, status.get("currentMetrics") or (), at) for at, each in enumerate(spec.get("metrics") or ())]
    if "targetCPUUtilizationPercentage" in spec:
        current = status.get("currentCPUUtilizationPercentage")
        now_text = f"{current}%" if current is not None else "<unknown>"
        shown.append(f"cpu: {now_text}/{spec['targetCPUUtilizationPercentage']}%")
    text = ", ".join(shown[:2]) + (f" + {len(shown) - 2} more..." if len(shown) > 2 else "")
    return [
        obj["metadata"].get("name", ""),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        text or "<none>",
        str(spec["minReplicas"]) if spec.get("minReplicas") is not None else "<unset>",
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        printing.age(obj, now),
    ]


def _metric(metric: Json, current: Any, at: int) -> str:
    key = _METRICS.get(metric.get("type", ""), "")
    source = metric.get(key) or {}
    target = source.get("target") or {}
    found = (current[at].get(key) or {}).get("current") or {} if at < len(current) else {}
    name = f"{source['name']}: " if key in ("resource", "containerResource") and source.get("name") else ""
    if target.get("averageUtilization") is not None:
        value = found.get("averageUtilization")
        return f"{name}{f'{value}%' if value is not None else '<unknown>'}/{target['averageUtilization']}%"
    if target.get("averageValue") is not None:
        suffix = " (avg)" if key in ("external", "object") else ""
        return f"{name}{found.get('averageValue') or '<unknown>'}/{target['averageValue']}{suffix}"
    return f"{name}{found.get('value') or '<unknown>'}/{target.get('value', '<unknown>')}"


_HPA_COLUMNS = (
    NAME_COLUMN,
    Column("Reference"),
    Column("Targets"),
    Column("MinPods"),
    Column("MaxPods"),
    Column("Replicas"),
    AGE_COLUMN,
)
HPA = Rules(default=_hpa_default, validate=_hpa_validate, columns=_HPA_COLUMNS, cells=_hpa_cells)
HPA_V1 = Rules(default=_hpa_v1_default, validate=_hpa_validate, columns=_HPA_COLUMNS, cells=_hpa_cells)


def _scale_validate(obj: Json) -> Iterator[Problem]:
    yield from checks.non_negative(obj.get("spec") or {}, "replicas", _SPEC)


SCALE = Rules(
    validate=_scale_validate,
    columns=(NAME_COLUMN, Column("Desired", "integer"), Column("Available", "integer"), AGE_COLUMN),
    cells=lambda obj, now: [
        obj["metadata"].get("name", ""),
        (obj.get("spec") or {}).get("replicas", 0),
        (obj.get("status") or {}).get("replicas", 0),
        printing.age(obj, now),
    ],
)
