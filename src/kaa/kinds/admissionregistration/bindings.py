"""Bindings of admission policies: where a policy holds, with which parameters, and to what effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats
from kaa.kinds.admissionregistration.matching import default_resources, match_resources
from kaa.kinds.admissionregistration.policies import mutating_operations
from kaa.kinds.apps.templates import format_selector
from kaa.kinds.row import row as _row
from kaa.kinds.row import spec as _spec
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required

__all__ = ["MUTATING", "VALIDATING"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
ACTIONS = ("Audit", "Deny", "Warn")
NOT_FOUND_ACTIONS = ("Deny", "Allow")


def _default(obj: Json) -> None:
    spec = _spec(obj)
    if spec.get("matchResources") is not None:
        default_resources(spec["matchResources"])
    if spec.get("paramRef") is not None:
        spec["paramRef"].setdefault("parameterNotFoundAction", "Deny")


def _common(spec: Json) -> Iterator[Problem]:
    name = spec.get("policyName", "")
    if not name:
        yield required(_SPEC / "policyName")
    else:
        yield from formats.each_wrong(names.dns1123_subdomain, name, _SPEC / "policyName")
    if spec.get("paramRef") is not None:
        yield from _param_ref(spec["paramRef"], _SPEC / "paramRef")
    if spec.get("matchResources") is not None:
        yield from match_resources(spec["matchResources"], _SPEC / "matchResources")


def _param_ref(found: Json, path: Path) -> Iterator[Problem]:
    name, selector, action = found.get("name", ""), found.get("selector"), found.get("parameterNotFoundAction")
    both = "name and selector are mutually exclusive"
    if name:
        yield from formats.each_wrong(names.path_segment, name, path / "name")
        if selector is not None:
            yield forbidden_field(path / "name", both)
    if selector is not None:
        yield from checks.label_selector(selector, path / "selector")
        if name:
            yield forbidden_field(path / "selector", both)
    elif not name:
        yield required(path, "one of name or selector must be specified")
    if not action:
        yield required(path / "parameterNotFoundAction")
    elif action not in NOT_FOUND_ACTIONS:
        yield not_supported(path / "parameterNotFoundAction", action, NOT_FOUND_ACTIONS, as_given=True)


def _validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    yield from _common(spec)
    actions, here = spec.get("validationActions") or [], _SPEC / "validationActions"
    seen: set[str] = set()
    for at, each in enumerate(actions):
        if each not in ACTIONS:
            yield not_supported(here[at], each, ACTIONS)
        if each in seen:
            yield duplicate(here[at], each)
        seen.add(each)
    if "Deny" in actions and "Warn" in actions:
        yield invalid(
            here,
            actions,
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)",
        )
    if not actions:
        yield required(here, "at least one validation action is required")


def _validate_mutating(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    yield from _common(spec)
    yield from mutating_operations(spec.get("matchResources") or {}, _SPEC / "matchResources")


def _param(obj: Json) -> str:
    found = _spec(obj).get("paramRef") or {}
    if found.get("name"):
        # Nobody can tell from here whether the parameter lives in a namespace.
        return f"{found.get('namespace') or '*'}/{found['name']}"
    return format_selector(found["selector"]) if found.get("selector") is not None else "<unset>"


_COLUMNS = (
    NAME_COLUMN,
    Column("PolicyName", description="the policy that is bound"),
    Column("ParamRef", description="what the policy is configured by here"),
    AGE_COLUMN,
)
_cells = _row(lambda obj: _spec(obj).get("policyName", ""), _param)
VALIDATING = Rules(default=_default, validate=_validate, complete=True, generation=True, columns=_COLUMNS, cells=_cells)
MUTATING = Rules(
    default=_default, validate=_validate_mutating, complete=True, generation=True, columns=_COLUMNS, cells=_cells
)
