"""Jobs: defaults, the labels and selector made for each, and what may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import container_cells, format_selector
from kaa.kinds.core.podcheck import validate_template
from kaa.kinds.core.podspec import default_template
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported, required, too_many

__all__ = ["RULES", "default_job_spec", "validate_job_spec"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
PARALLELISM_MAX_INDEXED = 100_000
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
        found[key] = value
    selector = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    selector[_LABELS[0]] = uid


def validate_job_spec(spec: Json, path: Path, *, generated: bool) -> Iterator[Problem]:
    """A job's spec. `generated`: of a template, whose selector will be made later."""
    for name in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex",
                 "maxFailedIndexes", "ttlSecondsAfterFinished"):  # fmt: skip
        yield from checks.non_negative(spec, name, path)
    mode = spec.get("completionMode")
    if mode not in ("Indexed", "NonIndexed"):
        yield not_supported(path / "completionMode", mode, ("Indexed", "NonIndexed"))
    if mode == "Indexed":
        if spec.get("completions") is None:
            yield required(path / "completions", f"when completion mode is {mode}")
        if (spec.get("parallelism") or 0) > PARALLELISM_MAX_INDEXED:
            yield invalid(
                path / "parallelism",
                spec["parallelism"],
                f"must be less than or equal to {PARALLELISM_MAX_INDEXED} when completion mode is {mode}",
            )
    elif spec.get("backoffLimitPerIndex") is not None:
        yield invalid(path / "backoffLimitPerIndex", spec["backoffLimitPerIndex"], "requires indexed completion mode")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        yield required(path / "backoffLimitPerIndex", "when maxFailedIndexes is specified")
    yield from checks.one_of(spec, "podReplacementPolicy", ("Failed", "TerminatingOrFailed"), path)
    if spec.get("podFailurePolicy") and spec.get("podReplacementPolicy") == "TerminatingOrFailed":
        yield not_supported(path / "podReplacementPolicy", "TerminatingOrFailed", ("Failed",))
    manager = spec.get("managedBy")
    if manager:
        for wrong in (
            names.qualified_name(manager)
            if "/" in manager
            else ('must be a domain-prefixed path (such as "acme.io/foo")',)
        ):
            yield invalid(path / "managedBy", manager, wrong)
    selector = spec.get("selector")
    template = spec.get("template") or {}
    if generated:
        if selector is not None and not spec.get("manualSelector"):
            yield invalid(path / "selector", selector, "`selector` will be auto-generated")
        if spec.get("manualSelector"):
            yield not_supported(path / "manualSelector", True, ("nil", "false"))
    elif selector is None:
        yield required(path / "selector")
    else:
        yield from checks.label_selector(selector, path / "selector")
        found = (template.get("metadata") or {}).get("labels") or {}
        if not checks.selector_matches(selector, found):
            yield invalid(
                path / "template" / "metadata" / "labels", found, "`selector` does not match template `labels`"
            )
    yield from validate_template(template, path / "template")
    policy = (template.get("spec") or {}).get("restartPolicy", "")
    here = path / "template" / "spec" / "restartPolicy"
    if policy == "Always":
        yield required(here, 'valid values: "OnFailure", "Never"')
    elif policy not in ("Never", "OnFailure"):
        yield not_supported(here, policy, ("Never", "OnFailure"))
    elif spec.get("podFailurePolicy") and policy != "Never":
        yield invalid(here, policy, 'only "Never" is supported when podFailurePolicy is specified')
    yield from _failure_policy(spec.get("podFailurePolicy"), path / "podFailurePolicy")


def _failure_policy(policy: Json | None, path: Path) -> Iterator[Problem]:
    if policy is None:
        return
    rules = policy.get("rules") or []
    if len(rules) > 20:
        yield too_many(path / "rules", len(rules), 20)
    for at, rule in enumerate(rules):
        here = (path / "rules")[at]
        yield from checks.one_of(rule, "action", ("Count", "FailIndex", "FailJob", "Ignore"), here, needed=True)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None and conditions:
            yield invalid(here, rule, "specifying both OnExitCodes and OnPodConditions is not supported")
        elif codes is None and not conditions:
            yield invalid(here, rule, "specifying one of OnExitCodes and OnPodConditions is required")
        if codes is not None:
            yield from checks.one_of(codes, "operator", ("In", "NotIn"), here / "onExitCodes", needed=True)
            values = codes.get("values") or []
            if not values:
                yield invalid(here / "onExitCodes" / "values", values, "at least one value is required")
            if codes.get("operator") == "In" and 0 in values:
                yield invalid(
                    (here / "onExitCodes" / "values")[values.index(0)], 0, "must not be 0 for the In operator"
                )


def _validate(obj: Json) -> Iterator[Problem]:
    for wrong in (
        names.dns1123_label(obj["metadata"].get("name", "")) if obj["spec"].get("completionMode") == "Indexed" else ()
    ):
        yield invalid(Path() / "metadata" / "name", obj["metadata"].get("name", ""), wrong)
    yield from validate_job_spec(obj["spec"], _SPEC, generated=False)


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    spec, was = new["spec"], old["spec"]
    if not (spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")):
        yield from checks.immutable(spec, was, "completions", _SPEC)
    for name in (
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ):
        yield from checks.immutable(spec, was, name, _SPEC)
    ours, theirs = spec.get("template"), was.get("template")
    if ours != theirs:
        # A suspended job that has not started may still be told where its pods shall run.
        if was.get("suspend") and not (old.get("status") or {}).get("startTime"):
            ours, theirs = _without_scheduling(ours), _without_scheduling(theirs)
        if ours != theirs:
            yield invalid(_SPEC / "template", spec.get("template"), "field is immutable")


def _without_scheduling(template: Json | None) -> Json:
    out = dict(template or {})
    out["spec"] = {
        name: value
        for name, value in (out.get("spec") or {}).items()
        if name not in ("nodeSelector", "affinity", "tolerations", "schedulingGates")
    }
    out.pop("metadata", None)
    return out


def _validate_status(new: Json, old: Json) -> Iterator[Problem]:
    status, was = new.get("status") or {}, old.get("status") or {}
    path = Path() / "status"
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        yield from checks.non_negative(status, name, path)
    finished = {each.get("type") for each in was.get("conditions") or () if each.get("status") == "True"}
    still = {each.get("type") for each in status.get("conditions") or () if each.get("status") == "True"}
    for kind in ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"):
        if kind in finished and kind not in still:
            yield invalid(
                path / "conditions", status.get("conditions"), f"cannot disable the terminal {kind}=True condition"
            )
    if {"Complete", "Failed"} <= still:
        yield invalid(
            path / "conditions", status.get("conditions"), "cannot set Complete=True and Failed=True conditions"
        )


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
    validate_status=_validate_status,
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
