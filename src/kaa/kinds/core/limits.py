"""LimitRanges, ResourceQuotas and the small rest of the core group: pod templates, component statuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import printing
from kaa.kinds.apps.templates import container_cells, format_selector
from kaa.kinds.core.podcheck import validate_template
from kaa.kinds.core.podspec import default_template
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, duplicate, invalid

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


def _limits_validate(obj: Json) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        here = (_SPEC / "limits")[at]
        kind = item.get("type", "")
        if kind in seen:
            yield duplicate(here / "type", kind)
        seen.add(kind)
        least, most = item.get("min") or {}, item.get("max") or {}
        usual, asked = item.get("default") or {}, item.get("defaultRequest") or {}
        for name in sorted({*least, *most, *usual, *asked}):
            order = [("min", least.get(name)), ("defaultRequest", asked.get(name)),
                     ("default", usual.get(name)), ("max", most.get(name))]  # fmt: skip
            given = [(field, amount) for field, amount in order if amount is not None]
            for low, (field, amount) in enumerate(given):
                for other, bound in given[low + 1 :]:
                    if quantity.parse(amount) > quantity.parse(bound):
                        where = here / field
                        text = f"{_WORDS[field]} value {amount} is greater than {_WORDS[other]} value {bound}"
                        yield invalid(where[name], amount, text)


_WORDS = {"min": "min", "defaultRequest": "default request", "default": "default", "max": "max"}

LIMIT_RANGE = Rules(
    default=_limits_default,
    validate=_limits_validate,
    columns=(NAME_COLUMN, Column("Created At", format="date")),
    cells=lambda obj, _now: [obj["metadata"].get("name", ""), obj["metadata"].get("creationTimestamp", "")],
)


def _quota_validate(obj: Json) -> Iterator[Problem]:
    for name, amount in ((obj.get("spec") or {}).get("hard") or {}).items():
        here = (_SPEC / "hard")[name]
        for wrong in names.qualified_name(name):
            yield invalid(here, name, wrong)
        if quantity.parse(amount).nano < 0:
            yield invalid(here, amount, "must be greater than or equal to 0")


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
    columns=(NAME_COLUMN, Column("Request"), Column("Limit"), AGE_COLUMN),
    cells=_quota_cells,
)


def _template_validate(obj: Json) -> Iterator[Problem]:
    yield from validate_template(obj.get("template") or {}, Path() / "template")


def _template_cells(obj: Json, _now: float) -> list[Any]:
    template = obj.get("template") or {}
    found = (template.get("metadata") or {}).get("labels") or {}
    return [obj["metadata"].get("name", ""), *container_cells(template), format_selector({"matchLabels": found})]


POD_TEMPLATE = Rules(
    default=lambda obj: default_template(obj["template"]),
    validate=_template_validate,
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
