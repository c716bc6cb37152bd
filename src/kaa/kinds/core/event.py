"""Events in the core form: what they may say, and how events of both forms are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import printing
from kaa.kinds.spec import Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["COLUMNS", "RULES", "cells", "legacy_problems", "selectable"]

Json = dict[str, Any]

FIELD_BYTES_MAX = 128
NOTE_BYTES_MAX = 1024
#: Field selectors of the core form, and what the new form calls the object.
_OF_OBJECT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _of(name: str, field: str) -> Any:
    return lambda obj: str((obj.get(name) or {}).get(field, ""))


def _source(obj: Json) -> str:
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    return str(source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or "")


def selectable(about: str) -> Any:
    """Field selectors; `about` is what the form calls the object an event is about."""
    return {
        **{f"{about}.{field}": _of(about, field) for field in _OF_OBJECT},
        "reason": lambda obj: str(obj.get("reason", "")),
        "reportingComponent" if about == "involvedObject" else "reportingController": _source,
        "source": _source,
        "type": lambda obj: str(obj.get("type", "")),
    }


def legacy_problems(event: Json) -> Iterator[Problem]:
    """What holds for events of either form; the event is given in the core one, and its paths are that form's."""
    about, namespace = event.get("involvedObject") or {}, event["metadata"].get("namespace", "")
    path, other = Path() / "involvedObject" / "namespace", about.get("namespace", "")
    elsewhere = "does not match event.namespace"
    if not event.get("eventTime"):
        # Events about what has no namespace live in "default".
        if namespace != (other or "default"):
            yield invalid(path, other, elsewhere)
    else:
        if not other and namespace not in ("default", "kube-system"):
            yield invalid(path, other, elsewhere)
        yield from _new_fields(event)
    for wrong in names.dns1123_subdomain(namespace):
        yield invalid(Path() / "namespace", namespace, wrong)


def _new_fields(event: Json) -> Iterator[Problem]:
    """An event that has the time of the new form has its other fields, too."""
    controller = event.get("reportingComponent", "")
    if not controller:
        yield required(Path() / "reportingController")
    for wrong in names.qualified_name(controller):
        yield invalid(Path() / "reportingController", controller, wrong)
    for field in ("reportingInstance", "action", "reason"):
        text = event.get(field, "")
        if not text:
            yield required(Path() / field)
        if len(text.encode()) > FIELD_BYTES_MAX:
            yield invalid(Path() / field, "", f"can have at most {FIELD_BYTES_MAX} characters")
    if len(event.get("message", "").encode()) > NOTE_BYTES_MAX:
        yield invalid(Path() / "message", "", f"can have at most {NOTE_BYTES_MAX} characters")


COLUMNS = (
    Column("Last Seen", description="when it was last seen"),
    Column("Type", description="whether all is well: Normal or Warning"),
    Column("Reason", description="why it happened, in a word"),
    Column("Object", description="what it is about"),
    Column("Subobject", priority=1, description="the part of the object it is about"),
    Column("Source", priority=1, description="who tells it"),
    Column("Message", description="what happened"),
    Column("First Seen", priority=1, description="when it was first seen"),
    Column("Count", priority=1, description="how often it was seen"),
    Column("Name", priority=1, format="name"),
)


def cells(obj: Json, now: float) -> list[Any]:
    """The row of an event of either form."""
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    series = obj.get("series") or {}
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    count = series.get("count", 0) if series else obj.get("count") or obj.get("deprecatedCount") or 1
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
    validate=legacy_problems,
    complete=True,
    selectable=selectable("involvedObject"),
    columns=COLUMNS,
    cells=cells,
    allow_create_on_update=True,
)
