"""Events of events.k8s.io: the same events by other names, and stricter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.core.event import COLUMNS, cells, legacy_problems, selectable
from kaa.kinds.events.moves import MOVES
from kaa.kinds.spec import Rules
from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["RULES"]

Json = dict[str, Any]
_ROOT = Path()
_UNSET = "needs to be unset"
_FIXED = (
    "involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "reason", "type",
    "eventTime", "action", "related", "reportingController", "reportingInstance",
)  # fmt: skip


def _core(obj: Json) -> Json:
    return {MOVES.get(name, name): value for name, value in obj.items()}


def _validate(obj: Json) -> Iterator[Problem]:
    yield from legacy_problems(_core(obj))


def _validate_create(obj: Json) -> Iterator[Problem]:
    event = _core(obj)
    yield from _series(event)
    if not event.get("eventTime"):
        yield required(_ROOT / "eventTime")
    if event.get("type") not in ("Normal", "Warning"):
        yield invalid(_ROOT / "type", "", f"has invalid value: {event.get('type', '')}")
    for field in ("firstTimestamp", "lastTimestamp", "count"):
        if event.get(field):
            yield invalid(_ROOT / field, "", _UNSET)
    source = event.get("source") or {}
    if source.get("component") or source.get("host"):
        yield invalid(_ROOT / "source", "", _UNSET)


def _series(event: Json) -> Iterator[Problem]:
    series = event.get("series")
    if series is None:
        return
    if series.get("count", 0) < 2:
        yield invalid(_ROOT / "series" / "count", "", "should be at least 2")
    if not series.get("lastObservedTime"):
        yield required(_ROOT / "series" / "lastObservedTime")


def _update(new: Json, old: Json) -> Iterator[Problem]:
    """What happened, happened: an event may only go on as a series."""
    ours, theirs = _core(new), _core(old)
    if ours.get("series") != theirs.get("series"):
        yield from _series(ours)
    names = {"reportingController": "reportingComponent"}
    for field in _FIXED:
        value = ours.get(names.get(field, field))
        if (value or None) != (theirs.get(names.get(field, field)) or None):
            yield invalid(_ROOT / field, value, checks.IMMUTABLE)


RULES = Rules(
    validate=_validate,
    complete=True,
    validate_create=_validate_create,
    validate_update=_update,
    selectable=selectable("regarding"),
    columns=COLUMNS,
    cells=cells,
    allow_create_on_update=True,
)
