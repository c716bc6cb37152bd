"""Jobs: defaults, the labels and selector made for each, and what may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import container_cells, format_selector, match_problems, name_warnings
from kaa.kinds.batch.jobspec import COMPLETIONS_MANY, PARALLELISM_MAX_MANY, validate_job_spec
from kaa.kinds.batch.jobstatus import validate_status
from kaa.kinds.core.podspec import default_template
from kaa.kinds.core.podwarn import template_warnings
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["RULES", "default_job_spec", "job_warnings"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid", "batch.kubernetes.io/job-name", "job-name")


def default_job_spec(spec: Json) -> None:
    """What a job's spec, or a CronJob's template of one, means when it does not say."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
        spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = 0x7FFFFFFF if spec.get("backoffLimitPerIndex") is not None else 6
    spec["completionMode"] = spec.get("completionMode") or "NonIndexed"
    spec.setdefault("suspend", False)
    if spec.get("podReplacementPolicy") is None:
        spec["podReplacementPolicy"] = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
    spec.setdefault("manualSelector", False)
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for each in rule.get("onPodConditions") or ():
            each["status"] = each.get("status") or "True"
    default_template(spec.setdefault("template", {}))


def _default(obj: Json) -> None:
    spec = obj["spec"]
    default_job_spec(spec)
    # A job takes the labels of its pods when it has none.
    found = (spec["template"].get("metadata") or {}).get("labels")
    if found and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(found)


def _prepare_create(obj: Json) -> None:
    """Give the job its selector and labels, by its UID. The server has set the UID by now."""
    spec, meta = obj["spec"], obj["metadata"]
    uid, name = meta.get("uid", ""), meta.get("name", "")
    if spec.get("manualSelector") or not uid:
        return
    found = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for key, value in zip(_LABELS, (uid, uid, name, name), strict=True):
        found.setdefault(key, value)  # one that somebody chose is told of by validation
    selector = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    selector.setdefault(_LABELS[0], uid)


def _validate(obj: Json) -> Iterator[Problem]:
    spec, meta = obj["spec"], obj["metadata"]
    selector = spec.get("selector")
    if not spec.get("manualSelector") and selector is not None:
        yield from _generated(spec, meta)
    yield from validate_job_spec(spec, _SPEC)
    if selector is None:
        yield required(_SPEC / "selector")
    else:
        yield from checks.label_selector(selector, _SPEC / "selector")
    yield from match_problems(spec, _SPEC / "template")
    name, completions = meta.get("name", ""), spec.get("completions") or 0
    if spec.get("completionMode") == "Indexed" and completions > 0:
        # The host name of a pod ends in its index.
        longest = f"{name}-{completions - 1}"
        if names.dns1123_label(longest):
            yield invalid(
                Path() / "metadata" / "name", name, f"will not able to create pod with invalid DNS label: {longest}"
            )


def _generated(spec: Json, meta: Json) -> Iterator[Problem]:
    """The labels by which a job knows its pods, which it alone may give."""
    if not meta.get("uid"):
        yield required(Path() / "metadata" / "uid")
    found = (spec["template"].get("metadata") or {}).get("labels") or {}
    path = _SPEC / "template" / "metadata" / "labels"
    expected = dict(zip(_LABELS, (meta.get("uid", ""),) * 2 + (meta.get("name", ""),) * 2, strict=True))
    for key in ("controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"):
        if key not in found:
            yield required(path[key], f"must be '{expected[key]}'")
        elif found[key] != expected[key]:
            yield invalid(path[key], dict(sorted(found.items())), f"must be '{expected[key]}'")
    if not checks.selector_matches(spec["selector"], expected):
        yield invalid(_SPEC / "selector", spec["selector"], "`selector` not auto-generated")


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    spec, was = new["spec"], old["spec"]
    completions = spec.get("completions")
    if spec.get("completionMode") != "Indexed":
        yield from checks.immutable(spec, was, "completions", _SPEC)
    elif completions is not None and completions != was.get("completions") and completions != spec.get("parallelism"):
        yield invalid(_SPEC / "completions", completions, "can only be modified in tandem with spec.parallelism")
    yield from checks.immutable(spec, was, "selector", _SPEC)
    ours, theirs = spec.get("template"), was.get("template")
    if ours != theirs:
        # A suspended job that has not started may still be told where its pods shall run.
        if was.get("suspend") and not (old.get("status") or {}).get("startTime"):
            ours, theirs = _without_scheduling(ours), _without_scheduling(theirs)
        if ours != theirs:
            yield invalid(_SPEC / "template", spec.get("template"), "field is immutable")
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        yield from checks.immutable(spec, was, name, _SPEC)


def _without_scheduling(template: Json | None) -> Json:
    out = dict(template or {})
    spec = {
        name: value
        for name, value in (out.get("spec") or {}).items()
        if name not in ("nodeSelector", "tolerations", "schedulingGates")
    }
    rest = {name: value for name, value in (spec.pop("affinity", None) or {}).items() if name != "nodeAffinity"}
    if rest:
        spec["affinity"] = rest
    meta = {name: value for name, value in (out.get("metadata") or {}).items() if name not in ("labels", "annotations")}
    return {**out, "spec": spec, "metadata": meta}


def job_warnings(spec: Json, path: str) -> Iterator[str]:
    """What the writer of a job's spec, or of a template of one, is warned of."""
    if (
        spec.get("completionMode") == "Indexed"
        and (spec.get("completions") or 0) > COMPLETIONS_MANY
        and (spec.get("parallelism") or 0) > PARALLELISM_MAX_MANY
    ):
        yield (
            f"{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than "
            "10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
    yield from template_warnings(spec.get("template"), f"{path}.template")


def _warnings(obj: Json, old: Json | None) -> Iterator[str]:
    if old is None:
        yield from name_warnings(obj)
    if old is None or old["spec"] != obj["spec"]:
        yield from job_warnings(obj["spec"], "spec")


def _status_word(obj: Json) -> str:
    conditions = {each.get("type"): each.get("status") for each in (obj.get("status") or {}).get("conditions") or ()}
    if conditions.get("Complete") == "True":
        return "Complete"
    if conditions.get("Failed") == "True":
        return "Failed"
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if conditions.get(kind) == "True":
            return kind
    return "Running"


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status") or {}
    succeeded = status.get("succeeded", 0)
    if spec.get("completions") is not None:
        completions = f"{succeeded}/{spec['completions']}"
    else:
        parallelism = spec.get("parallelism") or 0
        completions = f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"
    duration = ""
    if status.get("startTime"):
        begun = printing.seconds(status["startTime"])
        ended = printing.seconds(status["completionTime"]) if status.get("completionTime") else now
        duration = printing.human_duration(ended - begun)
    return [
        obj["metadata"].get("name", ""),
        _status_word(obj),
        completions,
        duration,
        printing.age(obj, now),
        *container_cells(spec.get("template")),
        format_selector(spec.get("selector")),
    ]


RULES = Rules(
    default=_default,
    prepare_create=_prepare_create,
    validate=_validate,
    validate_update=_validate_update,
    validate_status=validate_status,
    warnings=_warnings,
    selectable={"status.successful": lambda obj: str((obj.get("status") or {}).get("succeeded", 0))},
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Status"),
        Column("Completions"),
        Column("Duration"),
        AGE_COLUMN,
        Column("Containers", priority=1),
        Column("Images", priority=1),
        Column("Selector", priority=1),
    ),
    cells=_cells,
)
