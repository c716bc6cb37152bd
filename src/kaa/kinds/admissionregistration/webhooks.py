"""Validating and mutating webhook configurations: who is asked before a write, and how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats
from kaa.kinds.admissionregistration.expressions import Scope
from kaa.kinds.admissionregistration.matching import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    default_rules,
    match_conditions,
    rule_with_operations,
)
from kaa.kinds.clientconfig import client_config
from kaa.kinds.row import row as _row
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, invalid, not_supported, required

__all__ = ["MUTATING", "VALIDATING"]

Json = dict[str, Any]
_HOOKS = Path() / "webhooks"
SIDE_EFFECTS = ("None", "NoneOnDryRun")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
REVIEW_VERSIONS = ("v1", "v1beta1")


def _default(obj: Json) -> None:
    for hook in obj.get("webhooks") or ():
        hook.setdefault("failurePolicy", "Fail")
        hook.setdefault("matchPolicy", "Equivalent")
        hook.setdefault("namespaceSelector", {})
        hook.setdefault("objectSelector", {})
        hook.setdefault("timeoutSeconds", 10)
        default_rules(hook.get("rules"))
        service = (hook.get("clientConfig") or {}).get("service")
        if service is not None:
            service.setdefault("port", 443)


def _default_mutating(obj: Json) -> None:
    _default(obj)
    for hook in obj.get("webhooks") or ():
        hook.setdefault("reinvocationPolicy", "Never")


def _validate(obj: Json) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, hook in enumerate(obj.get("webhooks") or ()):
        here, name = _HOOKS[at], hook.get("name", "")
        yield from _hook(hook, here)
        yield from _versions(hook.get("admissionReviewVersions") or [], here / "admissionReviewVersions")
        if name and name in seen:
            yield duplicate(here / "name", name)
        seen.add(name)


def _hook(hook: Json, path: Path) -> Iterator[Problem]:
    yield from formats.fully_qualified_name(hook.get("name", ""), path / "name")
    for at, rule in enumerate(hook.get("rules") or ()):
        yield from rule_with_operations(rule, (path / "rules")[at])
    for field, allowed in (("failurePolicy", FAILURE_POLICIES), ("matchPolicy", MATCH_POLICIES)):
        if hook.get(field) is not None and hook[field] not in allowed:
            yield not_supported(path / field, hook[field], allowed)
    effects, seconds = hook.get("sideEffects"), hook.get("timeoutSeconds")
    if effects is None:
        yield required(path / "sideEffects", f"must specify one of {', '.join(SIDE_EFFECTS)}")
    elif effects not in SIDE_EFFECTS:
        yield not_supported(path / "sideEffects", effects, SIDE_EFFECTS)
    if seconds is not None and not 1 <= seconds <= 30:
        yield invalid(path / "timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
    for field in ("namespaceSelector", "objectSelector"):
        yield from checks.label_selector(hook.get(field), path / field)
    again = hook.get("reinvocationPolicy")
    if again is not None and again not in REINVOCATION_POLICIES:
        yield not_supported(path / "reinvocationPolicy", again, REINVOCATION_POLICIES)
    yield from client_config(hook.get("clientConfig") or {}, path / "clientConfig")
    yield from match_conditions(hook.get("matchConditions") or [], path / "matchConditions", Scope())


def _versions(versions: list[str], path: Path) -> Iterator[Problem]:
    if not versions:
        yield required(path, f"must specify one of {', '.join(REVIEW_VERSIONS)}")
        return
    seen: set[str] = set()
    for at, each in enumerate(versions):
        if each in seen:
            yield invalid(path[at], each, "duplicate version")
            continue
        seen.add(each)
        yield from formats.each_wrong(names.dns1035_label, each, path[at])
    if not seen & set(REVIEW_VERSIONS):
        yield invalid(path, versions, f"must include at least one of {', '.join(REVIEW_VERSIONS)}")


_COLUMNS = (NAME_COLUMN, Column("Webhooks", "integer", description="how many webhooks are registered here"), AGE_COLUMN)
_cells = _row(lambda obj: len(obj.get("webhooks") or ()))
VALIDATING = Rules(default=_default, validate=_validate, complete=True, generation=True, columns=_COLUMNS, cells=_cells)
MUTATING = Rules(
    default=_default_mutating, validate=_validate, complete=True, generation=True, columns=_COLUMNS, cells=_cells
)
