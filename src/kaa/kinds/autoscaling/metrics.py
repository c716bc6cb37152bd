"""What a HorizontalPodAutoscaler looks at: one source per metric, one target per source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kaa.kinds import formats
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["SOURCES", "validate_metrics", "validate_reference"]

Json = dict[str, Any]
#: Type of a metric -> the field with its source.
SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def validate_metrics(metrics: Iterable[Json], path: Path, least: int | None) -> Iterator[Problem]:
    """All metrics; scaling to zero needs one that says something while there is no pod."""
    kinds = set()
    for at, metric in enumerate(metrics):
        kinds.add(metric.get("type"))
        yield from _metric(metric, path[at])
    if least == 0 and not kinds & {"Object", "External"}:
        yield forbidden_field(
            path, "must specify at least one Object or External metric to support scaling to zero replicas"
        )


def _metric(metric: Json, path: Path) -> Iterator[Problem]:
    kind = metric.get("type", "")
    if not kind:
        yield required(path / "type", "must specify a metric source type")
    if kind not in SOURCES:
        yield not_supported(path / "type", kind, SOURCES)
    present = [field for field in SOURCES.values() if metric.get(field) is not None]
    for field in present[:1]:
        yield from _CHECKS[field](metric[field], path / field)
    if kind not in SOURCES:
        # The original looks twice, and says so twice.
        yield not_supported(path / "type", kind, SOURCES)
    elif SOURCES[kind] not in present:
        yield required(path / SOURCES[kind], "must populate information for the given metric source")
    if len(present) != 1:
        for field in present:
            if field != SOURCES.get(kind):
                yield forbidden_field(path / field, "must populate the given metric source only")


def validate_reference(found: Json, path: Path) -> Iterator[Problem]:
    """An object named by kind and name."""
    for field in ("kind", "name"):
        if not found.get(field):
            yield required(path / field)
        else:
            yield from formats.each_wrong(names.path_segment, found[field], path / field)


def _identifier(metric: Json, path: Path) -> Iterator[Problem]:
    if not metric.get("name"):
        yield required(path / "name", "must specify a metric name")
    else:
        yield from formats.each_wrong(names.path_segment, metric["name"], path / "name")


def _target(target: Json, path: Path) -> Iterator[Problem]:
    kind = target.get("type", "")
    if not kind:
        yield required(path / "type", "must specify a metric target type")
    if kind not in ("Utilization", "Value", "AverageValue"):
        yield invalid(path / "type", kind, "must be either Utilization, Value, or AverageValue")
    for field in ("value", "averageValue"):
        if target.get(field) is not None and quantity.parse(target[field]).nano <= 0:
            yield invalid(path / field, target[field], "must be positive")
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        yield invalid(path / "averageUtilization", percent, "must be greater than 0")


def _object(source: Json, path: Path) -> Iterator[Problem]:
    target = source.get("target") or {}
    yield from validate_reference(source.get("describedObject") or {}, path / "describedObject")
    yield from _identifier(source.get("metric") or {}, path / "metric")
    yield from _target(target, path / "target")
    if target.get("value") is None and target.get("averageValue") is None:
        yield required(path / "target" / "averageValue", "must set either a target value or averageValue")


def _external(source: Json, path: Path) -> Iterator[Problem]:
    target = source.get("target") or {}
    yield from _identifier(source.get("metric") or {}, path / "metric")
    yield from _target(target, path / "target")
    total, average = target.get("value"), target.get("averageValue")
    if total is None and average is None:
        here = path / "target" / "averageValue"
        yield required(here, "must set either a target value for metric or a per-pod target")
    if total is not None and average is not None:
        here = path / "target" / "value"
        yield forbidden_field(here, "may not set both a target value for metric and a per-pod target")


def _pods(source: Json, path: Path) -> Iterator[Problem]:
    target = source.get("target") or {}
    yield from _identifier(source.get("metric") or {}, path / "metric")
    yield from _target(target, path / "target")
    if target.get("averageValue") is None:
        yield required(path / "target" / "averageValue", "must specify a positive target averageValue")


def _raw_or_utilization(target: Json, path: Path) -> Iterator[Problem]:
    yield from _target(target, path)
    percent, average = target.get("averageUtilization"), target.get("averageValue")
    if percent is None and average is None:
        yield required(path / "averageUtilization", "must set either a target raw value or a target utilization")
    if percent is not None and average is not None:
        yield forbidden_field(path / "averageValue", "may not set both a target raw value and a target utilization")


def _resource(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("name"):
        yield required(path / "name", "must specify a resource name")
    yield from _raw_or_utilization(source.get("target") or {}, path / "target")


#: Resources a container may ask for without a domain in the name.
_CONTAINER_RESOURCES = {"cpu", "memory", "ephemeral-storage"}
_NOT_STANDARD = "must be a standard resource for containers"


def _container_resource(source: Json, path: Path) -> Iterator[Problem]:
    name, container = source.get("name", ""), source.get("container", "")
    if not name:
        yield required(path / "name", "must specify a resource name")
    else:
        yield from formats.label_name(name, path / "name")
        if "/" not in name and name not in _CONTAINER_RESOURCES and not name.startswith("hugepages-"):
            yield invalid(path / "name", name, _NOT_STANDARD)
    if not container:
        yield required(path / "container", "must specify a container")
    else:
        yield from formats.each_wrong(names.dns1123_label, container, path / "container")
    yield from _raw_or_utilization(source.get("target") or {}, path / "target")


_CHECKS: dict[str, Callable[[Json, Path], Iterator[Problem]]] = {
    "object": _object,
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container_resource,
}
