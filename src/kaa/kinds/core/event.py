"""Events, in their two forms: what the old one may say, and how both are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import printing
from kaa.kinds.spec import Column, Rules
from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["NEW_RULES", "RULES"]

Json = dict[str, Any]

#: Field selectors of the core form, and what the new form calls the object.
_OF_OBJECT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _of(name: str, field: str) -> Any:
    return lambda obj: str((obj.get(name) or {}).get(field, ""))


def _source(obj: Json) -> str:
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    return str(source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or "")


def _selectable(about: str) -> Any:
    return {
        **{f"{about}.{field}": _of(about, field) for field in _OF_OBJECT},
        "reason": lambda obj: str(obj.get("reason", "")),
        "reportingComponent" if about == "involvedObject" else "reportingController": _source,
        "source": _source,
        "type": lambda obj: str(obj.get("type", "")),
    }


def _validate(obj: Json) -> Iterator[Problem]:
    about = obj.get("involvedObject") or {}
    namespace = obj["metadata"].get("namespace", "")
    path = Path() / "involvedObject" / "namespace"
    if about.get("namespace"):
        if about["namespace"] != namespace:
            yield invalid(path, about["namespace"], "does not match event.namespace")
    elif namespace not in ("default", "kube-system"):
        # Events about things without a namespace live in one of these.
        yield invalid(path, about.get("namespace", ""), "not allowed in namespace")


def _new_validate(obj: Json) -> Iterator[Problem]:
    about = obj.get("regarding") or {}
    namespace = obj["metadata"].get("namespace", "")
    if about.get("namespace") and about["namespace"] != namespace:
        yield invalid(Path() / "involvedObject" / "namespace", about["namespace"], "does not match event.namespace")
    if not obj.get("eventTime"):
        yield required(Path() / "eventTime")
    for name in ("reportingController", "reportingInstance", "action", "reason"):
        if not obj.get(name):
            yield required(Path() / name)
    if obj.get("type") not in ("Normal", "Warning"):
        yield invalid(Path() / "type", "", "has invalid value: " + str(obj.get("type", "")))
    if len(obj.get("note", "")) > 1024:
        yield invalid(Path() / "message", "", "can have at most 1024 characters")


_COLUMNS = (
    Column("Last Seen"),
    Column("Type"),
    Column("Reason"),
    Column("Object"),
    Column("Subobject", priority=1),
    Column("Source", priority=1),
    Column("Message"),
    Column("First Seen", priority=1),
    Column("Count", priority=1),
    Column("Name", priority=1, format="name"),
)


def _cells(obj: Json, now: float) -> list[Any]:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    series = obj.get("series") or {}
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or series.get("lastObservedTime") or first
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    component = _source(obj)
    host = source.get("host") or obj.get("reportingInstance") or ""
    kind = str(about.get("kind", "")).lower()
    return [
        printing.since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{about.get('name', '')}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        str(obj.get("message") or obj.get("note") or "").strip(),
        printing.since(first, now),
        count,
        obj["metadata"].get("name", ""),
    ]


RULES = Rules(
    validate=_validate,
    selectable=_selectable("involvedObject"),
    columns=_COLUMNS,
    cells=_cells,
    allow_create_on_update=True,
)
NEW_RULES = Rules(
    validate=_new_validate,
    selectable=_selectable("regarding"),
    columns=_COLUMNS,
    cells=_cells,
    allow_create_on_update=True,
)
