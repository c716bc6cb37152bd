"""The quality of service of a pod, from what its containers ask for."""

from __future__ import annotations

from typing import Any

from kaa.meta import quantity

__all__ = ["quality_of_service"]

Json = dict[str, Any]


def quality_of_service(spec: Json) -> str:
    """`Guaranteed` where every container limits CPU and memory to what it requests, `BestEffort` where none says
    anything, else `Burstable`. Pod-level resources decide alone where they are set."""
    whole = spec.get("resources")
    if whole and (whole.get("requests") or whole.get("limits")):
        groups = [whole]
    else:
        groups = [
            container.get("resources") or {}
            for container in (spec.get("containers") or []) + (spec.get("initContainers") or [])
        ]
    anything = False
    guaranteed = True
    for each in groups:
        requests, limits = each.get("requests") or {}, each.get("limits") or {}
        for name in ("cpu", "memory"):
            asked, limit = requests.get(name), limits.get(name)
            asked_some = asked is not None and quantity.parse(asked).nano > 0
            limited = limit is not None and quantity.parse(limit).nano > 0
            anything = anything or asked_some or limited
            if (
                limit is None
                or not limited
                or (asked and asked_some and quantity.parse(asked) != quantity.parse(limit))
            ):
                guaranteed = False
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
