"""LimitRanges, ResourceQuotas and the small rest of the core group: pod templates, component statuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kaa.kinds import printing
from kaa.kinds.apps.templates import container_cells, format_selector
from kaa.kinds.core.podcheck import validate_template
from kaa.kinds.core.podspec import default_template
from kaa.kinds.core.podwarn import template_warnings
from kaa.kinds.core.resources import (
    container_resource_name,
    is_overcommittable,
    is_quota_resource,
    quantity_problems,
    quota_resource_name,
    resource_name,
)
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, required

__all__ = ["COMPONENT_STATUS", "LIMIT_RANGE", "POD_TEMPLATE", "QUOTA"]

Json = dict[str, Any]
_SPEC = Path() / "spec"


def _limits_default(obj: Json) -> None:
    for item in (obj.get("spec") or {}).get("limits") or ():
        if item.get("type") != "Container":
            continue
        # A maximum is the default limit, a default limit the default request, as is a minimum.
        for target, source in (("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")):
            for name, amount in (item.get(source) or {}).items():
                item.setdefault(target, {}).setdefault(name, amount)


_TYPES = ("Container", "PersistentVolumeClaim", "Pod")


def _limits_validate(obj: Json) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        here = (_SPEC / "limits")[at]
        kind = item.get("type", "")
        wrongs = names.qualified_name(kind)
        for wrong in wrongs:
            yield invalid(here / "type", kind, wrong)
        if not wrongs and "/" not in kind and kind not in _TYPES:
            yield invalid(here / "type", kind, "must be a standard limit type or fully qualified")
        if kind in seen:
            yield duplicate(here / "type", kind)
        seen.add(kind)
        yield from _limit_names(item, kind, here)
        for name in sorted({name for field in _FIELDS if _counts(field, kind) for name in item.get(field) or ()}):
            yield from _limit_order(item, kind, name, here)


_FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def _counts(field: str, kind: str) -> bool:
    """Pods as a whole have no defaults."""
    return kind != "Pod" or field not in ("default", "defaultRequest")


def _limit_names(item: Json, kind: str, here: Path) -> Iterator[Problem]:
    check = container_resource_name if kind in ("Pod", "Container") else resource_name
    for field in _FIELDS:
        bounded = any("storage" in (item.get(bound) or {}) for bound in ("min", "max"))
        if field == "maxLimitRequestRatio" and kind == "PersistentVolumeClaim" and not bounded:
            yield required(
                here / "limits", "either minimum or maximum storage value is required, but neither was provided"
            )
        if not _counts(field, kind):
            if item.get(field):
                yield forbidden_field(here / field, "may not be specified when `type` is 'Pod'")
            continue
        for name in item.get(field) or ():
            yield from check(name, (here / field)[name])


def _limit_order(item: Json, kind: str, name: str, here: Path) -> Iterator[Problem]:
    """The least, the usual and the most, in this order."""
    texts = {field: (item.get(field) or {}).get(name) for field in _FIELDS if _counts(field, kind)}
    given = {field: quantity.parse(text) for field, text in texts.items() if text is not None}
    # (lower, higher, where it is told, whose value is shown, words)
    for low, high, field, shown, words in (
        ("min", "max", "min", "min", "min value {} is greater than max value {}"),
        ("min", "defaultRequest", "defaultRequest", "defaultRequest",
         "min value {} is greater than default request value {}"),
        ("defaultRequest", "max", "defaultRequest", "defaultRequest",
         "default request value {} is greater than max value {}"),
        ("defaultRequest", "default", "defaultRequest", "defaultRequest",
         "default request value {} is greater than default limit value {}"),
        ("min", "default", "default", "min", "min value {} is greater than default value {}"),
        ("default", "max", "default", "max", "default value {} is greater than max value {}"),
    ):  # fmt: skip
        if low in given and high in given and given[low] > given[high]:
            yield invalid((here / field)[name], texts[shown], words.format(texts[low], texts[high]))
    ratio = given.get("maxLimitRequestRatio")
    if ratio is not None:
        where, text = (here / "maxLimitRequestRatio")[name], texts["maxLimitRequestRatio"]
        if ratio.nano < quantity.NANO:
            yield invalid(where, text, f"ratio {text} is less than 1")
        if given.get("min") and "max" in given and ratio.nano / quantity.NANO > given["max"].nano / given["min"].nano:
            most = given["max"].nano / given["min"].nano
            yield invalid(where, text, f"ratio {text} is greater than max/min = {most:f}")
    usual, asked = given.get("default"), given.get("defaultRequest")
    if usual is not None and asked is not None and usual != asked and not is_overcommittable(name):
        yield invalid(
            (here / "defaultRequest")[name],
            texts["defaultRequest"],
            f"default value {texts['default']} must equal to defaultRequest value {texts['defaultRequest']} in {name}",
        )


LIMIT_RANGE = Rules(
    default=_limits_default,
    validate=_limits_validate,
    columns=(NAME_COLUMN, Column("Created At", "date")),
    cells=lambda obj, _now: [obj["metadata"].get("name", ""), obj["metadata"].get("creationTimestamp", "")],
)


_COMPUTE = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_POD_SCOPES = ("Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity")
_SCOPES = {
    **dict.fromkeys(_POD_SCOPES, _COMPUTE | {"pods"}),
    "BestEffort": frozenset({"pods"}),
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
#: Scopes a pod is in or not: nothing to compare.
_WITHOUT_VALUES = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_OPPOSITES = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))


def _amounts(amounts: Json | None, path: Path) -> Iterator[Problem]:
    for name, amount in (amounts or {}).items():
        yield from quota_resource_name(name, path[name])
        yield from quantity_problems(name, amount, path[name])


def _quota_validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from _amounts(spec.get("hard"), _SPEC / "hard")
    hard = [name for name in sorted(spec.get("hard") or ()) if is_quota_resource(name)]
    scopes = spec.get("scopes") or []
    path = _SPEC / "scopes"
    for scope in scopes:
        if scope not in _SCOPES:
            yield invalid(path, scopes, "unsupported scope")
        for name in hard:
            if name not in _SCOPES.get(scope, (name,)):
                yield invalid(path, scopes, "unsupported scope applied to resource")
    yield from _opposed(scopes, scopes, path)
    selector = spec.get("scopeSelector")
    if selector is not None:
        yield from _scope_selector(selector, hard, scopes, _SPEC / "scopeSelector" / "matchExpressions")
    status = obj.get("status") or {}
    for name in ("hard", "used"):
        yield from _amounts(status.get(name), Path() / "status" / name)


def _opposed(scopes: Iterable[str], shown: list[str], path: Path) -> Iterator[Problem]:
    for pair in _OPPOSITES:
        if set(pair) <= set(scopes):
            yield invalid(path, shown or None, "conflicting scopes")


def _scope_selector(selector: Json, hard: list[str], scopes: list[str], path: Path) -> Iterator[Problem]:
    """Expressions over scopes. The original tells of all at one path."""
    found = selector.get("matchExpressions") or []
    for each in found:
        scope, operator, values = each.get("scopeName", ""), each.get("operator", ""), each.get("values") or []
        if scope not in _SCOPES:
            yield invalid(path / "scopeName", scope, "unsupported scope")
        for name in hard:
            if name not in _SCOPES.get(scope, (name,)):
                yield invalid(path, selector, "unsupported scope applied to resource")
        if scope in _WITHOUT_VALUES and operator != "Exists":
            yield invalid(
                path / "operator",
                operator,
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
                "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                "ResourceQuotaScopeCrossNamespacePodAffinity",
            )
        if operator in ("In", "NotIn"):
            if not values:
                yield required(
                    path / "values", "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                )
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                yield invalid(
                    path / "values",
                    values,
                    "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
                )
        else:
            yield invalid(path / "operator", operator, "not a valid selector operator")
    yield from _opposed([each.get("scopeName", "") for each in found], scopes, path)


def _quota_status(new: Json, _old: Json) -> Iterator[Problem]:
    status = new.get("status") or {}
    for name in ("hard", "used"):
        yield from _amounts(status.get(name), Path() / "status" / name)


def _quota_update(new: Json, old: Json) -> Iterator[Problem]:
    ours, theirs = (new.get("spec") or {}).get("scopes"), (old.get("spec") or {}).get("scopes")
    if set(ours or ()) != set(theirs or ()):
        yield invalid(_SPEC / "scopes", ours, "field is immutable")


def _quota_cells(obj: Json, now: float) -> list[Any]:
    status = obj.get("status") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(status.get("hard") or {}):
        text = f"{name}: {(status.get('used') or {}).get(name, '0')}/{status['hard'][name]}"
        (limits if name.startswith("limits.") else requests).append(text)
    return [obj["metadata"].get("name", ""), ", ".join(requests), ", ".join(limits), printing.age(obj, now)]


QUOTA = Rules(
    validate=_quota_validate,
    validate_update=_quota_update,
    validate_status=_quota_status,
    columns=(NAME_COLUMN, Column("Request"), Column("Limit"), AGE_COLUMN),
    cells=_quota_cells,
)


def _template_validate(obj: Json) -> Iterator[Problem]:
    yield from validate_template(obj.get("template") or {}, Path() / "template")


def _template_warnings(obj: Json, old: Json | None) -> Iterator[str]:
    if old is None or old.get("template") != obj.get("template"):
        yield from template_warnings(obj.get("template"), "template")


def _template_cells(obj: Json, _now: float) -> list[Any]:
    template = obj.get("template") or {}
    found = (template.get("metadata") or {}).get("labels") or {}
    return [obj["metadata"].get("name", ""), *container_cells(template), format_selector({"matchLabels": found})]


POD_TEMPLATE = Rules(
    default=lambda obj: default_template(obj["template"]),
    validate=_template_validate,
    warnings=_template_warnings,
    generation=True,
    columns=(NAME_COLUMN, Column("Containers"), Column("Images"), Column("Pod Labels")),
    cells=_template_cells,
)


def _component_cells(obj: Json, _now: float) -> list[Any]:
    status, message, error = "Unknown", "", ""
    for each in obj.get("conditions") or ():
        if each.get("type") == "Healthy":
            status = "Healthy" if each.get("status") == "True" else "Unhealthy"
            message, error = each.get("message", ""), each.get("error", "")
    return [obj["metadata"].get("name", ""), status, message, error]


COMPONENT_STATUS = Rules(
    columns=(NAME_COLUMN, Column("Status"), Column("Message"), Column("Error")),
    cells=_component_cells,
)
