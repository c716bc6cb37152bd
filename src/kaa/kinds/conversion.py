"""The built-in kinds served in two forms and stored in one: as tables of moves, the server carries them out.

- Events of `events.k8s.io/v1` are stored as core `v1` events.
- HorizontalPodAutoscalers of `autoscaling/v1` are stored as `autoscaling/v2`; what v1 cannot say is kept in
  annotations, under the names of the original.
"""

from __future__ import annotations

from typing import Any

import orjson

from kaa.kinds.spec import Conversion
from kaa.kinds.storage import SHARED

__all__ = ["of"]

Json = dict[str, Any]


def of(group: str, version: str, kind: str) -> Conversion:
    """The conversion of a kind that `SHARED` names."""
    to_stored, from_stored = _FUNCTIONS[(group, version, kind)]
    return Conversion(SHARED[(group, version, kind)], to_stored, from_stored)


#: events.k8s.io/v1 name -> core v1 name.
_EVENT_MOVES = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_EVENT_MOVES_BACK = {theirs: ours for ours, theirs in _EVENT_MOVES.items()}


def _event_to_stored(obj: Json) -> Json:
    out = {_EVENT_MOVES.get(name, name): value for name, value in obj.items()}
    out["apiVersion"] = "v1"
    out.setdefault("involvedObject", {})
    return out


def _event_from_stored(obj: Json) -> Json:
    out = {_EVENT_MOVES_BACK.get(name, name): value for name, value in obj.items()}
    out["apiVersion"] = "events.k8s.io/v1"
    return out


_HPA_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_HPA_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_HPA_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_HPA_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"


def _is_cpu_utilization(metric: Json) -> bool:
    resource = metric.get("resource", {})
    return (
        metric.get("type") == "Resource"
        and resource.get("name") == "cpu"
        and resource.get("target", {}).get("type") == "Utilization"
    )


def _hpa_to_stored(obj: Json) -> Json:
    obj["apiVersion"] = "autoscaling/v2"
    notes = obj.get("metadata", {}).get("annotations", {})
    spec = obj.setdefault("spec", {})
    metrics: list[Json] = _read(notes.pop(_HPA_METRICS, None)) or []
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    behavior = _read(notes.pop(_HPA_BEHAVIOR, None))
    if behavior:
        spec["behavior"] = behavior
    status = obj.get("status")
    if status is not None:
        current: list[Json] = _read(notes.pop(_HPA_CURRENT, None)) or []
        percent = status.pop("currentCPUUtilizationPercentage", None)
        if percent is not None and not any(each.get("resource", {}).get("name") == "cpu" for each in current):
            current.insert(
                0, {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}
            )
        if current:
            status["currentMetrics"] = current
        conditions = _read(notes.pop(_HPA_CONDITIONS, None))
        if conditions:
            status["conditions"] = conditions
        status.setdefault("desiredReplicas", 0)
    if "annotations" in obj.get("metadata", {}) and not notes:
        del obj["metadata"]["annotations"]
    return obj


def _hpa_from_stored(obj: Json) -> Json:
    obj["apiVersion"] = "autoscaling/v1"
    extra: dict[str, str] = {}
    spec = obj.get("spec", {})
    others = []
    for metric in spec.pop("metrics", None) or []:
        if _is_cpu_utilization(metric) and "targetCPUUtilizationPercentage" not in spec:
            spec["targetCPUUtilizationPercentage"] = metric["resource"]["target"].get("averageUtilization", 0)
        else:
            others.append(metric)
    if others:
        extra[_HPA_METRICS] = orjson.dumps(others).decode()
    behavior = spec.pop("behavior", None)
    if behavior:
        extra[_HPA_BEHAVIOR] = orjson.dumps(behavior).decode()
    status = obj.get("status", {})
    current = status.pop("currentMetrics", None)
    if current:
        for metric in current:
            resource = metric.get("resource", {})
            if resource.get("name") == "cpu" and "averageUtilization" in resource.get("current", {}):
                status["currentCPUUtilizationPercentage"] = resource["current"]["averageUtilization"]
        extra[_HPA_CURRENT] = orjson.dumps(current).decode()
    conditions = status.pop("conditions", None)
    if conditions:
        extra[_HPA_CONDITIONS] = orjson.dumps(conditions).decode()
    if "status" in obj:
        status.setdefault("currentReplicas", 0)
    if extra:
        obj["metadata"]["annotations"] = {**obj["metadata"].get("annotations", {}), **extra}
    return obj


def _read(text: str | None) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


_FUNCTIONS = {
    ("events.k8s.io", "v1", "Event"): (_event_to_stored, _event_from_stored),
    ("autoscaling", "v1", "HorizontalPodAutoscaler"): (_hpa_to_stored, _hpa_from_stored),
}
