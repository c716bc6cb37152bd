"""How tables show the metrics of a HorizontalPodAutoscaler: `cpu: 12%/80%, 3/10 (avg) + 1 more...`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaa.kinds.autoscaling.metrics import SOURCES

__all__ = ["metrics_text"]

Json = dict[str, Any]
SHOWN_MAX = 2
_UNKNOWN = "<unknown>"


def metrics_text(metrics: Sequence[Json], current: Sequence[Json]) -> str:
    """All metrics, of which the first two are written out. `current` stands in the same order."""
    if not metrics:
        return "<none>"
    shown = [_metric(each, current[at] if at < len(current) else {}) for at, each in enumerate(metrics[:SHOWN_MAX])]
    text = ", ".join(shown)
    return f"{text} + {len(metrics) - SHOWN_MAX} more..." if len(metrics) > SHOWN_MAX else text


def _metric(metric: Json, status: Json) -> str:
    key = SOURCES.get(metric.get("type", ""))
    if key is None:
        return "<unknown type>"
    source = metric.get(key) or {}
    target, found = source.get("target") or {}, (status.get(key) or {}).get("current") or {}
    if key in ("resource", "containerResource"):
        return f"{source.get('name', '')}: {_of_resource(target, found)}"
    if key == "pods":
        return f"{found.get('averageValue', _UNKNOWN)}/{target.get('averageValue', '')}"
    if target.get("averageValue") is not None:
        return f"{found.get('averageValue', _UNKNOWN)}/{target['averageValue']} (avg)"
    return f"{found.get('value', _UNKNOWN)}/{target.get('value', '')}"


def _of_resource(target: Json, found: Json) -> str:
    if target.get("averageValue") is not None:
        return f"{found.get('averageValue', _UNKNOWN)}/{target['averageValue']}"
    percent, now = target.get("averageUtilization"), found.get("averageUtilization")
    return f"{_UNKNOWN if now is None else f'{now}%'}/{'<auto>' if percent is None else f'{percent}%'}"
