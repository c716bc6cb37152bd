"""What may change of a job's status: what it says is consistent, and what has ended stays ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.batch.jobspec import IndexesError, index_intervals
from kaa.meta.problems import OMITTED, Path, Problem, duplicate, invalid, required

__all__ = ["validate_status"]

Json = dict[str, Any]
_STATUS = Path() / "status"
_CONDITIONS = _STATUS / "conditions"


def _holding(status: Json) -> set[str]:
    return {each.get("type", "") for each in status.get("conditions") or () if each.get("status") == "True"}


def validate_status(new: Json, old: Json) -> Iterator[Problem]:
    """The new status by itself, then against the old one."""
    status, was = new.get("status") or {}, old.get("status") or {}
    holds, held = _holding(status), _holding(was)
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        yield from checks.non_negative(status, name, _STATUS)
    yield from _uncounted(status.get("uncountedTerminatedPods") or {})
    yield from _consistent(status, holds, held)
    yield from _ended(status, was, holds, held)
    yield from _indexes(status, new["spec"])
    if status.get("ready", 0) > status.get("active", 0):
        yield invalid(_STATUS / "ready", status["ready"], "cannot set more ready pods than active")
    if "SuccessCriteriaMet" in holds:
        for other in ("Failed", "FailureTarget"):
            if other in holds:
                word = "Failed=true" if other == "Failed" else "FailureTarget=true"
                yield invalid(_CONDITIONS, OMITTED, f"cannot set SuccessCriteriaMet=True and {word} conditions")
    elif new["spec"].get("successPolicy") is not None and "Complete" in holds:
        yield invalid(
            _CONDITIONS,
            OMITTED,
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        )
    yield from _kept(new, status, was, holds, held)


def _uncounted(pods: Json) -> Iterator[Problem]:
    seen: set[str] = set()
    for kind in ("succeeded", "failed"):
        for at, uid in enumerate(pods.get(kind) or ()):
            here = (_STATUS / "uncountedTerminatedPods" / kind)[at]
            if not uid:
                yield invalid(here, uid, "must not be empty")
            elif uid in seen:
                yield duplicate(here, uid)
            seen.add(uid)


def _consistent(status: Json, holds: set[str], held: set[str]) -> Iterator[Problem]:
    """Conditions and times agree. What an older server let in is borne where it did not change."""
    completed, begun = status.get("completionTime"), status.get("startTime")
    if {"Complete", "Failed"} <= holds:
        yield invalid(_CONDITIONS, OMITTED, "cannot set Complete=True and Failed=true conditions")
    if {"Complete", "FailureTarget"} <= holds:
        yield invalid(_CONDITIONS, OMITTED, "cannot set Complete=True and FailureTarget=true conditions")
    if completed and "Complete" not in holds:
        yield invalid(
            _STATUS / "completionTime", completed, "cannot set completionTime when there is no Complete=True condition"
        )
    if not completed and "Complete" in holds:
        yield required(_STATUS / "completionTime", "completionTime is required for Complete jobs")
    if completed and begun and completed < begun:
        yield invalid(_STATUS / "completionTime", completed, "completionTime cannot be set before startTime")
    if "Failed" in holds - held and "FailureTarget" not in holds:
        yield invalid(_CONDITIONS, OMITTED, "cannot set Failed=True condition without the FailureTarget=true condition")
    if "Complete" in holds - held and "SuccessCriteriaMet" not in holds:
        yield invalid(
            _CONDITIONS, OMITTED, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        )


def _ended(status: Json, was: Json, holds: set[str], held: set[str]) -> Iterator[Problem]:
    """A finished job has no pods left."""
    if not holds & {"Complete", "Failed"}:
        return
    fresh = not held & {"Complete", "Failed"}
    active, terminating = status.get("active", 0), status.get("terminating", 0)
    if active > 0 and (fresh or active != was.get("active", 0)):
        yield invalid(_STATUS / "active", active, "active>0 is invalid for finished job")
    if not status.get("startTime"):
        yield required(_STATUS / "startTime", "startTime is required for finished job")
    pods = status.get("uncountedTerminatedPods") or {}
    if pods.get("failed") or pods.get("succeeded"):
        yield invalid(
            _STATUS / "uncountedTerminatedPods", pods, "uncountedTerminatedPods needs to be empty for finished job"
        )
    if terminating > 0 and fresh:
        yield invalid(_STATUS / "terminating", terminating, "terminating>0 is invalid for finished job")


def _indexes(status: Json, spec: Json) -> Iterator[Problem]:
    completed, failed = status.get("completedIndexes", ""), status.get("failedIndexes")
    completions, per_index = spec.get("completions"), spec.get("backoffLimitPerIndex")
    intervals: dict[str, list[tuple[int, int]]] = {}
    if completions is not None:
        for name, text in (("completedIndexes", completed), ("failedIndexes", failed)):
            if not text or (name == "failedIndexes" and per_index is None):
                continue
            try:
                intervals[name] = index_intervals(text, completions)
            except IndexesError as error:
                yield invalid(_STATUS / name, text, f"error parsing {name}: {error}")
    if completed and spec.get("completionMode") != "Indexed":
        yield invalid(
            _STATUS / "completedIndexes",
            completed,
            "cannot set non-empty completedIndexes when non-indexed completion mode",
        )
    if failed is not None and per_index is None:
        yield invalid(
            _STATUS / "failedIndexes", failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        )
    if len(intervals) == 2:
        both = [
            max(one[0], other[0])
            for one in intervals["completedIndexes"]
            for other in intervals["failedIndexes"]
            if one[0] <= other[1] and other[0] <= one[1]
        ]
        if both:
            yield invalid(
                _STATUS / "failedIndexes",
                failed,
                f"failedIndexes and completedIndexes overlap at index: {min(both)}",
            )


def _kept(new: Json, status: Json, was: Json, holds: set[str], held: set[str]) -> Iterator[Problem]:
    for kind in ("Failed", "Complete", "FailureTarget"):
        if kind in held - holds:
            yield invalid(_CONDITIONS, OMITTED, f"cannot disable the terminal {kind}=True condition")
    for name in ("failed", "succeeded"):
        if status.get(name, 0) < was.get(name, 0):
            yield invalid(_STATUS / name, status.get(name, 0), f"cannot decrease the {name} counter")
    completed, before = status.get("completionTime"), was.get("completionTime")
    if completed and before and completed != before:
        yield invalid(_STATUS / "completionTime", completed, "completionTime cannot be mutated")
    if was.get("startTime") and status.get("startTime") != was["startTime"] and not new["spec"].get("suspend"):
        yield required(_STATUS / "startTime", "startTime cannot be removed for unsuspended job")
    if "SuccessCriteriaMet" in held - holds:
        yield invalid(_CONDITIONS, OMITTED, "cannot disable the SuccessCriteriaMet=True condition")
    if "Complete" in held and "SuccessCriteriaMet" in holds - held:
        yield invalid(
            _CONDITIONS, OMITTED, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        )
