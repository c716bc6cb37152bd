"""CronJobs: a schedule and the job it makes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import container_cells, format_selector
from kaa.kinds.batch.job import default_job_spec, validate_job_spec
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
#: A job's name adds eleven characters to the CronJob's, and is a label itself.
NAME_LENGTH_MAX = 52

_NAMED = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_EVERY = re.compile(r"@every (?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+\Z")
_MONTHS = {name: at for at, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DAYS = {name: at for at, name in enumerate("sun mon tue wed thu fri sat".split())}
_FIELDS = ((0, 59, {}), (0, 23, {}), (1, 31, {}), (1, 12, _MONTHS), (0, 6, _DAYS))  # type: ignore[var-annotated]


def schedule_problem(text: str) -> str:
    """What is wrong with a schedule of five fields; "" where nothing is."""
    if text in _NAMED or _EVERY.match(text):
        return ""
    if text.startswith("@"):
        return f"unrecognized descriptor: {text}"
    fields = text.split()
    if len(fields) != 5:
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for field, (low, high, words) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            span, slash, step = part.partition("/")
            if slash and (not step.isdigit() or int(step) == 0):
                return f"step of range should be a positive number: {part}"
            if span in ("*", "?"):
                continue
            ends = span.split("-")
            if len(ends) > 2:
                return f"too many hyphens: {part}"
            values = []
            for end in ends:
                value = words.get(end.lower()) if end.lower() in words else int(end) if end.isdigit() else None
                if value is None:
                    return f"failed to parse int from {end}"
                values.append(value)
            if values[0] < low:
                return f"beginning of range ({values[0]}) below minimum ({low}): {part}"
            if values[-1] > high:
                return f"end of range ({values[-1]}) above maximum ({high}): {part}"
            if values[0] > values[-1]:
                return f"beginning of range ({values[0]}) beyond end of range ({values[-1]}): {part}"
    return ""


def _default(obj: Json) -> None:
    spec = obj["spec"]
    spec["concurrencyPolicy"] = spec.get("concurrencyPolicy") or "Allow"
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    template = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    asked = set(template)
    default_job_spec(template)
    # In a template these stay open: they are decided when a job is made of it.
    for name in ("completions", "parallelism", "backoffLimit", "completionMode", "suspend", "podReplacementPolicy",
                 "manualSelector"):  # fmt: skip
        if name not in asked:
            template.pop(name, None)


def _validate(obj: Json) -> Iterator[Problem]:
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    if len(name) > NAME_LENGTH_MAX:
        yield invalid(Path() / "metadata" / "name", name, f"must be no more than {NAME_LENGTH_MAX} characters")
    schedule = spec.get("schedule", "")
    if not schedule:
        yield required(_SPEC / "schedule")
    else:
        if "TZ" in schedule:
            yield invalid(
                _SPEC / "schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            )
        else:
            wrong = schedule_problem(schedule)
            if wrong:
                yield invalid(_SPEC / "schedule", schedule, wrong)
    yield from checks.non_negative(spec, "startingDeadlineSeconds", _SPEC)
    zone = spec.get("timeZone")
    if zone is not None:
        if not zone:
            yield invalid(_SPEC / "timeZone", zone, "timeZone must be nil or non-empty string")
        elif zone.lower() == "local":
            yield invalid(
                _SPEC / "timeZone",
                zone,
                "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            )
        elif not re.fullmatch(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+){0,2}", zone):
            yield invalid(_SPEC / "timeZone", zone, f"unknown time zone {zone}")
    policy = spec.get("concurrencyPolicy", "")
    if policy not in ("Allow", "Forbid", "Replace"):
        yield not_supported(_SPEC / "concurrencyPolicy", policy, ("Allow", "Forbid", "Replace"))
    yield from checks.non_negative(spec, "successfulJobsHistoryLimit", _SPEC)
    yield from checks.non_negative(spec, "failedJobsHistoryLimit", _SPEC)
    template = {"completionMode": "NonIndexed", **((spec.get("jobTemplate") or {}).get("spec") or {})}
    yield from validate_job_spec(template, _SPEC / "jobTemplate" / "spec", generated=True)


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status") or {}
    last = status.get("lastScheduleTime")
    template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template")
    return [
        obj["metadata"].get("name", ""),
        spec.get("schedule", ""),
        spec.get("timeZone") or "<none>",
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        printing.since(last, now) if last else "<none>",
        printing.age(obj, now),
        *container_cells(template),
        format_selector(((spec.get("jobTemplate") or {}).get("spec") or {}).get("selector")),
    ]


RULES = Rules(
    default=_default,
    validate=_validate,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Schedule"),
        Column("Timezone"),
        Column("Suspend", "boolean"),
        Column("Active", "integer"),
        Column("Last Schedule"),
        AGE_COLUMN,
        Column("Containers", priority=1),
        Column("Images", priority=1),
        Column("Selector", priority=1),
    ),
    cells=_cells,
)
