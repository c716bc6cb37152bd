"""CronJobs: a schedule and the job it makes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import container_cells, format_selector, name_warnings
from kaa.kinds.batch.job import default_job_spec, job_warnings
from kaa.kinds.batch.jobspec import validate_job_spec
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
    """What is wrong with a schedule of five fields; "" where nothing is. In the words of the original's parser."""
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, space, text = text.partition(" ")
        name = zone.partition("=")[2]
        if not space or name not in _zones() | {"UTC", "Local"}:
            return f"provided bad location {name}: unknown time zone {name}"
        text = text.strip()
    if text.startswith("@"):
        if text in _NAMED or _EVERY.match(text):
            return ""
        if text.startswith("@every "):
            return f'failed to parse duration {text}: time: invalid duration "{text[7:]}"'
        return f"unrecognized descriptor: {text}"
    fields = text.split()
    if len(fields) != 5:
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for field, (low, high, words) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            wrong = _range_problem(part, low, high, words)
            if wrong:
                return wrong
    return ""


def _range_problem(part: str, low: int, high: int, words: dict[str, int]) -> str:
    span, *steps = part.split("/")
    ends = span.split("-")
    if ends[0] in ("*", "?"):
        first, last = low, high
    else:
        if len(ends) > 2:
            return f"too many hyphens: {part}"
        numbers = []
        for end in ends:
            number = words.get(end.lower())
            if number is None:
                if not end.lstrip("+-").isdecimal() or not end.isascii():
                    return f'failed to parse int from {end}: strconv.Atoi: parsing "{end}": invalid syntax'
                number = int(end)
                if number < 0:
                    return f"negative number ({number}) not allowed: {end}"
            numbers.append(number)
        first, last = numbers[0], numbers[-1]
        if len(ends) == 1 and len(steps) == 1:
            last = high  # N/step means from N on
    step = 1
    if len(steps) > 1:
        return f"too many slashes: {part}"
    if steps:
        if not steps[0].isdecimal() or not steps[0].isascii():
            return f'failed to parse int from {steps[0]}: strconv.Atoi: parsing "{steps[0]}": invalid syntax'
        step = int(steps[0])
    if first < low:
        return f"beginning of range ({first}) below minimum ({low}): {part}"
    if last > high:
        return f"end of range ({last}) above maximum ({high}): {part}"
    if first > last:
        return f"beginning of range ({first}) beyond end of range ({last}): {part}"
    return "" if step else f"step of range should be a positive number: {part}"


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
    spec = obj["spec"]
    schedule = spec.get("schedule", "")
    if not schedule:
        yield required(_SPEC / "schedule")
    else:
        wrong = schedule_problem(schedule)
        if wrong:
            yield invalid(_SPEC / "schedule", schedule, wrong)
        if "TZ" in schedule:
            yield invalid(
                _SPEC / "schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            )
    yield from checks.non_negative(spec, "startingDeadlineSeconds", _SPEC)
    if spec.get("timeZone") is not None:
        yield from _zone(spec["timeZone"], _SPEC / "timeZone")
    policy = spec.get("concurrencyPolicy", "")
    if not policy:
        yield required(_SPEC / "concurrencyPolicy")
    elif policy not in ("Allow", "Forbid", "Replace"):
        yield not_supported(_SPEC / "concurrencyPolicy", policy, ("Allow", "Forbid", "Replace"))
    template = (spec.get("jobTemplate") or {}).get("spec") or {}
    here = _SPEC / "jobTemplate" / "spec"
    yield from validate_job_spec(template, here)
    if template.get("selector") is not None:
        yield invalid(here / "selector", template["selector"], "`selector` will be auto-generated")
    if template.get("manualSelector"):
        yield not_supported(here / "manualSelector", True, ("nil", "false"), as_given=True)
    yield from checks.non_negative(spec, "successfulJobsHistoryLimit", _SPEC)
    yield from checks.non_negative(spec, "failedJobsHistoryLimit", _SPEC)


def _validate_create(obj: Json) -> Iterator[Problem]:
    name = obj["metadata"].get("name", "")
    if len(name) > NAME_LENGTH_MAX:
        yield invalid(Path() / "metadata" / "name", name, f"must be no more than {NAME_LENGTH_MAX} characters")


_ZONE_PART = re.compile(r"[A-Za-z._0-9+-]{1,14}\Z")


def _zone(zone: str, path: Path) -> Iterator[Problem]:
    """A time zone by the name the world's database of them gives it."""
    if not zone:
        yield invalid(path, zone, "timeZone must be nil or non-empty string")
        return
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _ZONE_PART.match(part):
            yield invalid(path, zone, f"unknown time zone {zone}")
            return
    if zone.lower() == "local":
        yield invalid(
            path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
    if zone not in ("UTC", "Local") and zone not in _zones():
        yield invalid(path, zone, f"unknown time zone {zone}")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _warnings(obj: Json, old: Json | None) -> Iterator[str]:
    if old is None:
        yield from name_warnings(obj)
    if old is None or old["spec"] != obj["spec"]:
        yield from job_warnings((obj["spec"].get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")


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
    validate_create=_validate_create,
    warnings=_warnings,
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
