"""What is validated of a job's spec, which Jobs and CronJobs share: modes, limits, policies of failure and success."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.core.podcheck import validate_template
from kaa.meta import names
from kaa.meta.problems import (
    OMITTED,
    Path,
    Problem,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)

__all__ = ["IndexesError", "index_intervals", "validate_job_spec"]

Json = dict[str, Any]

PARALLELISM_MAX_INDEXED = 100_000
FAILED_INDEXES_MAX = 100_000
#: From here on a job with a limit per index keeps less of what failed.
COMPLETIONS_MANY = 100_000
PARALLELISM_MAX_MANY = 10_000
FAILED_INDEXES_MAX_MANY = 10_000
MANAGER_LENGTH_MAX = 63
RULES_MAX = 20
CONDITIONS_MAX = 20
EXIT_CODES_MAX = 255
INDEXES_LENGTH_MAX = 64 * 1024

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")


def _listed(values: tuple[str, ...]) -> str:
    return "valid values: [" + " ".join(f'"{each}"' for each in values) + "]"


def validate_job_spec(spec: Json, path: Path) -> Iterator[Problem]:
    """Everything but the selector, which a job has and a template of one has not."""
    get = spec.get
    for name in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
                 "backoffLimitPerIndex", "maxFailedIndexes"):  # fmt: skip
        yield from checks.non_negative(spec, name, path)
    per_index, failed = get("backoffLimitPerIndex"), get("maxFailedIndexes")
    if failed is not None and per_index is None:
        yield required(path / "backoffLimitPerIndex", "when maxFailedIndexes is specified")
    manager = get("managedBy")
    if manager is not None:
        yield from checks.domain_prefixed_path(manager, path / "managedBy")
        if len(manager) > MANAGER_LENGTH_MAX:
            yield too_long(path / "managedBy", MANAGER_LENGTH_MAX)
    mode = get("completionMode")
    if mode is not None and mode not in ("NonIndexed", "Indexed"):
        yield not_supported(path / "completionMode", mode, ("NonIndexed", "Indexed"), as_given=True)
    if mode == "Indexed":
        yield from _indexed(spec, path)
    elif mode in (None, "NonIndexed"):
        for name, value in (("backoffLimitPerIndex", per_index), ("maxFailedIndexes", failed)):
            if value is not None:
                yield invalid(path / name, value, "requires indexed completion mode")
    failure, success = get("podFailurePolicy"), get("successPolicy")
    if failure is not None:
        yield from _failure_policy(failure, spec, path / "podFailurePolicy")
    if success is not None:
        if mode != "Indexed":
            yield invalid(path / "successPolicy", success, "requires indexed completion mode")
        else:
            yield from _success_policy(success, get("completions") or 0, path / "successPolicy")
    replacement = get("podReplacementPolicy")
    allowed = ("Failed",) if failure is not None else ("Failed", "TerminatingOrFailed")
    if replacement is not None and replacement not in allowed:
        yield not_supported(path / "podReplacementPolicy", replacement, allowed)
    template = get("template") or {}
    yield from validate_template(template, path / "template")
    policy = (template.get("spec") or {}).get("restartPolicy", "")
    here = path / "template" / "spec" / "restartPolicy"
    if policy in ("", "Always"):  # the default of pods is none of jobs: whoever wrote nothing must say
        yield required(here, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield not_supported(here, policy, ("OnFailure", "Never"), as_given=True)
    elif failure is not None and policy != "Never":
        yield invalid(here, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _indexed(spec: Json, path: Path) -> Iterator[Problem]:
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    failed = spec.get("maxFailedIndexes")
    if completions is None:
        yield required(path / "completions", "when completion mode is Indexed")
    if parallelism is not None and parallelism > PARALLELISM_MAX_INDEXED:
        yield invalid(
            path / "parallelism",
            parallelism,
            f"must be less than or equal to {PARALLELISM_MAX_INDEXED} when completion mode is Indexed",
        )
    if failed is not None:
        if completions is not None and failed > completions:
            yield invalid(path / "maxFailedIndexes", failed, "must be less than or equal to completions")
        if failed > FAILED_INDEXES_MAX:
            yield invalid(path / "maxFailedIndexes", failed, f"must be less than or equal to {FAILED_INDEXES_MAX}")
    if completions is None or completions <= COMPLETIONS_MANY or spec.get("backoffLimitPerIndex") is None:
        return
    if failed is None:
        yield required(path / "maxFailedIndexes", f"must be specified when completions is above {COMPLETIONS_MANY}")
    for name, value, most in (
        ("parallelism", parallelism, PARALLELISM_MAX_MANY),
        ("maxFailedIndexes", failed, FAILED_INDEXES_MAX_MANY),
    ):
        if value is not None and value > most:
            yield invalid(
                path / name,
                value,
                f"must be less than or equal to {most} when completions are above {COMPLETIONS_MANY} "
                "and used with backoff limit per index",
            )


def _failure_policy(policy: Json, spec: Json, path: Path) -> Iterator[Problem]:
    rules = policy.get("rules") or []
    if len(rules) > RULES_MAX:
        yield too_many(path / "rules", len(rules), RULES_MAX)
    inner = (spec.get("template") or {}).get("spec") or {}
    known = {each.get("name") for kind in ("containers", "initContainers") for each in inner.get(kind) or ()}
    for at, rule in enumerate(rules):
        here = (path / "rules")[at]
        action = rule.get("action", "")
        if not action:
            yield required(here / "action", _listed(_ACTIONS))
        elif action == "FailIndex":
            if spec.get("backoffLimitPerIndex") is None:
                yield invalid(here / "action", action, "requires the backoffLimitPerIndex to be set")
        elif action not in _ACTIONS:
            yield not_supported(here / "action", action, _ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            yield from _exit_codes(codes, here / "onExitCodes", known)
        if conditions:
            yield from _conditions(conditions, here / "onPodConditions")
        if codes is not None and conditions:
            yield invalid(here, OMITTED, "specifying both OnExitCodes and OnPodConditions is not supported")
        elif codes is None and not conditions:
            yield invalid(here, OMITTED, "specifying one of OnExitCodes and OnPodConditions is required")


def _conditions(conditions: list[Json], path: Path) -> Iterator[Problem]:
    if len(conditions) > CONDITIONS_MAX:
        yield too_many(path, len(conditions), CONDITIONS_MAX)
    known = ("False", "True", "Unknown")
    for at, each in enumerate(conditions):
        for wrong in names.qualified_name(each.get("type", "")):
            yield invalid(path[at] / "type", each.get("type", ""), wrong)
        status = each.get("status", "")
        if not status:
            yield required(path[at] / "status", _listed(known))
        elif status not in known:
            yield not_supported(path[at] / "status", status, known)


def _exit_codes(codes: Json, path: Path, known: set[str | None]) -> Iterator[Problem]:
    operator, name, values = codes.get("operator", ""), codes.get("containerName"), codes.get("values") or []
    if not operator:
        yield required(path / "operator", _listed(("In", "NotIn")))
    elif operator not in ("In", "NotIn"):
        yield not_supported(path / "operator", operator, ("In", "NotIn"))
    if name is not None and name not in known:
        yield invalid(
            path / "containerName", name, "must be one of the container or initContainer names in the pod template"
        )
    if not values:
        yield invalid(path / "values", codes.get("values"), "at least one value is required")
    elif len(values) > EXIT_CODES_MAX:
        yield too_many(path / "values", len(values), EXIT_CODES_MAX)
    seen: set[int] = set()
    for at, value in enumerate(values):
        if operator == "In" and value == 0:
            yield invalid((path / "values")[at], value, "must not be 0 for the In operator")
        if value in seen:
            yield duplicate((path / "values")[at], value)
        seen.add(value)
    if values != sorted(values):
        yield invalid(path / "values", values, "must be ordered")


def _success_policy(policy: Json, completions: int, path: Path) -> Iterator[Problem]:
    rules = policy.get("rules") or []
    if not rules:
        yield required(path / "rules", "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > RULES_MAX:
        yield too_many(path / "rules", len(rules), RULES_MAX)
    for at, rule in enumerate(rules):
        here = (path / "rules")[at]
        count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            yield required(here, "at least one of succeededCount or succeededIndexes must be specified")
        total = 0
        if indexes is not None:
            where = here / "succeededIndexes"
            if len(indexes) > INDEXES_LENGTH_MAX:
                yield too_long(where, INDEXES_LENGTH_MAX)
            try:
                total = sum(last - first + 1 for first, last in index_intervals(indexes, completions))
            except IndexesError as error:
                yield invalid(where, indexes, f"error parsing succeededIndexes: {error}")
        if count is not None:
            where = here / "succeededCount"
            yield from checks.non_negative(rule, "succeededCount", here)
            if count > completions:
                yield invalid(
                    where,
                    count,
                    f"must be less than or equal to {completions} (the number of specified completions)",
                )
            if indexes is not None and count > total:
                yield invalid(
                    where,
                    count,
                    f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes "
                    "field)",
                )


class IndexesError(ValueError):
    """The text lists no indexes; the message is the API's."""


def index_intervals(text: str, completions: int) -> list[tuple[int, int]]:
    """`1,3-5` as first and last of each interval. Raises `IndexesError`."""
    found: list[tuple[int, int]] = []
    last: int | None = None
    for part in text.split(",") if text else ():
        limits = part.split("-")
        if len(limits) > 2:
            raise IndexesError(f'the fragment "{part}" violates the requirement that an index interval can have at '
                               "most two parts separated by '-'")  # fmt: skip
        first = _index(limits[0])
        if first >= completions:
            raise IndexesError(f'too large index: "{limits[0]}"')
        end = first
        if len(limits) == 2:
            end = _index(limits[1])
            if end >= completions:
                raise IndexesError(f'too large index: "{limits[1]}"')
            if first >= end:
                raise IndexesError(f"non-increasing order, previous: {first}, current: {end}")
        if last is not None and last >= first:
            raise IndexesError(f"non-increasing order, previous: {last}, current: {first}")
        last = end
        found.append((first, end))
    return found


def _index(text: str) -> int:
    if not text.lstrip("+-").isdecimal() or not text.isascii():
        raise IndexesError(f'cannot convert string to integer for index: "{text}"')
    return int(text)
