"""autoscaling/v1 from and to v2, which is stored. What v1 cannot say is kept in annotations.

The names are the original's, and so are the forms of their values: metrics as the v1 types write them
(`targetAverageUtilization`, `metricName`, ...), the behavior by its internal field names (`ScaleUp`, ...).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from kaa.meta import quantity

__all__ = ["from_stored", "metrics_of", "to_stored"]

Json = dict[str, Any]

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"


def _read(text: str | None) -> Any:
    """What an annotation holds; None where it is not JSON: the original ignores such ones, too."""
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None


def _read_list(text: str | None) -> list[Json]:
    found = _read(text)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _without_nothing(found: Json) -> Json:
    return {name: value for name, value in found.items() if value is not None}


# -- one metric of the spec


def _old_object(source: Json) -> Json:
    target = source.get("target") or {}
    metric = source.get("metric") or {}
    return {
        "target": source.get("describedObject") or {},
        "metricName": metric.get("name", ""),
        "targetValue": target.get("value", "0"),
        "selector": metric.get("selector"),
        "averageValue": target.get("averageValue"),
    }


def _new_object(source: Json) -> Json:
    average = source.get("averageValue")
    total = source.get("targetValue")
    # Where there is an average, the old form writes 0 for the value it cannot leave out.
    kind = "AverageValue" if average is not None else "Value"
    target = {"type": kind, "averageValue": average}
    if total is not None and (average is None or quantity.parse(total).nano):
        target["value"] = total
    return {
        "describedObject": source.get("target") or {},
        "metric": _without_nothing({"name": source.get("metricName", ""), "selector": source.get("selector")}),
        "target": _without_nothing(target),
    }


def _old_pods(source: Json) -> Json:
    metric = source.get("metric") or {}
    return {
        "metricName": metric.get("name", ""),
        "targetAverageValue": (source.get("target") or {}).get("averageValue", "0"),
        "selector": metric.get("selector"),
    }


def _new_pods(source: Json) -> Json:
    return {
        "metric": _without_nothing({"name": source.get("metricName", ""), "selector": source.get("selector")}),
        "target": _without_nothing({"type": "AverageValue", "averageValue": source.get("targetAverageValue")}),
    }


def _old_resource(source: Json) -> Json:
    target = source.get("target") or {}
    return {
        "name": source.get("name", ""),
        "targetAverageUtilization": target.get("averageUtilization"),
        "targetAverageValue": target.get("averageValue"),
        "container": source.get("container"),
    }


def _new_resource(source: Json) -> Json:
    percent = source.get("targetAverageUtilization")
    target = {
        "type": "AverageValue" if percent is None else "Utilization",
        "averageUtilization": percent,
        "averageValue": source.get("targetAverageValue"),
    }
    found = {"name": source.get("name", ""), "container": source.get("container"), "target": _without_nothing(target)}
    return _without_nothing(found)


def _old_external(source: Json) -> Json:
    metric, target = source.get("metric") or {}, source.get("target") or {}
    return {
        "metricName": metric.get("name", ""),
        "metricSelector": metric.get("selector"),
        "targetValue": target.get("value"),
        "targetAverageValue": target.get("averageValue"),
    }


def _new_external(source: Json) -> Json:
    total, average = source.get("targetValue"), source.get("targetAverageValue")
    target = {"type": "Value" if total is not None else "AverageValue", "value": total, "averageValue": average}
    return {
        "metric": _without_nothing({"name": source.get("metricName", ""), "selector": source.get("metricSelector")}),
        "target": _without_nothing(target),
    }


Form = Callable[[Json], Json]
_SPEC_FORMS: dict[str, tuple[Form, Form]] = {
    "object": (_old_object, _new_object),
    "pods": (_old_pods, _new_pods),
    "resource": (_old_resource, _new_resource),
    "containerResource": (_old_resource, _new_resource),
    "external": (_old_external, _new_external),
}

# -- one metric of the status


def _old_current(key: str) -> Form:
    def form(source: Json) -> Json:
        current, metric = source.get("current") or {}, source.get("metric") or {}
        found: Json = {}
        if key == "object":
            found = {"target": source.get("describedObject") or {}}
        if key in ("resource", "containerResource"):
            found |= {
                "name": source.get("name", ""),
                "currentAverageUtilization": current.get("averageUtilization"),
                "currentAverageValue": current.get("averageValue", "0"),
                "container": source.get("container"),
            }
        else:
            found |= {"metricName": metric.get("name", "")}
            found["metricSelector" if key == "external" else "selector"] = metric.get("selector")
            if key != "pods":
                found["currentValue"] = current.get("value", "0")
            found["averageValue" if key == "object" else "currentAverageValue"] = current.get("averageValue")
        return found

    return form


def _new_current(key: str) -> Form:
    def form(source: Json) -> Json:
        average = source.get("averageValue") if key == "object" else source.get("currentAverageValue")
        current: Json = {"averageValue": average, "averageUtilization": source.get("currentAverageUtilization")}
        if source.get("currentValue") is not None and key in ("object", "external"):
            current["value"] = source["currentValue"]
        found: Json = {"current": _without_nothing(current)}
        if key == "object":
            found["describedObject"] = source.get("target") or {}
        if key in ("resource", "containerResource"):
            found |= {"name": source.get("name", ""), "container": source.get("container")}
        else:
            selector = source.get("metricSelector") if key == "external" else source.get("selector")
            found["metric"] = _without_nothing({"name": source.get("metricName", ""), "selector": selector})
        return _without_nothing(found)

    return form


_STATUS_FORMS: dict[str, tuple[Form, Form]] = {key: (_old_current(key), _new_current(key)) for key in _SPEC_FORMS}


def _each(metrics: list[Json], forms: dict[str, tuple[Form, Form]], which: int) -> list[Json]:
    out = []
    for metric in metrics:
        found: Json = {"type": metric.get("type", "")}
        for key, pair in forms.items():
            if isinstance(metric.get(key), dict):
                found[key] = _without_nothing(pair[which](metric[key]))
        out.append(found)
    return out


# -- behavior, by its internal names


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]


def _renamed(found: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(found, dict):
        return {rename(name): _renamed(value, rename) for name, value in found.items() if value is not None}
    return [_renamed(each, rename) for each in found] if isinstance(found, list) else found


_RULES = ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance")


def _shown_behavior(behavior: Json) -> Json:
    """Every field, those without a value as null: structs are written whole."""
    out: Json = {}
    for way in ("scaleUp", "scaleDown"):
        rules = behavior.get(way)
        out[_capital(way)] = rules and {_capital(field): _renamed(rules.get(field), _capital) for field in _RULES}
    return out


# -- whole objects


def _is_cpu_utilization(metric: Json) -> bool:
    resource = metric.get("resource") or {}
    return (
        metric.get("type") == "Resource"
        and resource.get("name") == "cpu"
        and (resource.get("target") or {}).get("averageUtilization") is not None
    )


def _cpu(percent: int) -> Json:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def metrics_of(obj: Json) -> tuple[list[Json], list[Json]]:
    """The metrics of a v1 object and what they are now, in the form of v2."""
    notes = (obj.get("metadata") or {}).get("annotations") or {}
    metrics = _each(_read_list(notes.get(METRICS)), _SPEC_FORMS, 1)
    percent = (obj.get("spec") or {}).get("targetCPUUtilizationPercentage")
    if percent is not None:
        metrics.insert(0, _cpu(percent))
    current = _each(_read_list(notes.get(CURRENT)), _STATUS_FORMS, 1)
    now = (obj.get("status") or {}).get("currentCPUUtilizationPercentage")
    # The annotation knows more than the field, and counts alone where it stands.
    if now is not None and not current:
        found = {"name": "cpu", "current": {"averageUtilization": now}}
        current.insert(0, {"type": "Resource", "resource": found})
    return metrics, current


def to_stored(obj: Json) -> Json:
    """v1 becomes v2."""
    metrics, current = metrics_of(obj)
    obj["apiVersion"] = "autoscaling/v2"
    meta, spec = obj.setdefault("metadata", {}), obj.setdefault("spec", {})
    notes = dict(meta.get("annotations") or {})
    notes.pop(METRICS, None)
    notes.pop(CURRENT, None)
    spec.pop("targetCPUUtilizationPercentage", None)
    if metrics:
        spec["metrics"] = metrics
    behavior = _read(notes.pop(BEHAVIOR, None))
    if isinstance(behavior, dict):
        spec["behavior"] = _renamed(behavior, _small)
    conditions = _read_list(notes.pop(CONDITIONS, None))
    status = obj.get("status")
    if status is not None:
        status.pop("currentCPUUtilizationPercentage", None)
        if current:
            status["currentMetrics"] = current
        if conditions:
            status["conditions"] = conditions
        status.setdefault("desiredReplicas", 0)
    if notes:
        meta["annotations"] = notes
    else:
        meta.pop("annotations", None)
    return obj


def from_stored(obj: Json) -> Json:
    """v2 becomes v1."""
    obj["apiVersion"] = "autoscaling/v1"
    extra: dict[str, str] = {}
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    metrics: list[Json] = spec.pop("metrics", None) or []
    for metric in metrics:
        if _is_cpu_utilization(metric):
            spec["targetCPUUtilizationPercentage"] = metric["resource"]["target"]["averageUtilization"]
            break
    others = [metric for metric in metrics if not _is_cpu_utilization(metric)]
    if others:
        extra[METRICS] = orjson.dumps(_each(others, _SPEC_FORMS, 0)).decode()
    behavior = spec.pop("behavior", None)
    if behavior:
        extra[BEHAVIOR] = orjson.dumps(_shown_behavior(behavior)).decode()
    current: list[Json] = status.pop("currentMetrics", None) or []
    for metric in current:
        resource = metric.get("resource") or {}
        percent = (resource.get("current") or {}).get("averageUtilization")
        if resource.get("name") == "cpu" and percent is not None:
            status["currentCPUUtilizationPercentage"] = percent
            break
    if current:
        extra[CURRENT] = orjson.dumps(_each(current, _STATUS_FORMS, 0)).decode()
    conditions = status.pop("conditions", None)
    if conditions:
        extra[CONDITIONS] = orjson.dumps(conditions).decode()
    if "status" in obj:
        status.setdefault("currentReplicas", 0)
    if extra:
        obj["metadata"]["annotations"] = {**(obj["metadata"].get("annotations") or {}), **extra}
    return obj
