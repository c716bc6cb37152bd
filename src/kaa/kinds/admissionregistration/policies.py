"""Validating and mutating admission policies: what must hold of a write, or what is changed in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kaa.kinds import formats
from kaa.kinds.admissionregistration.expressions import Scope, compiled, is_identifier
from kaa.kinds.admissionregistration.matching import (
    FAILURE_POLICIES,
    default_resources,
    match_conditions,
    match_resources,
)
from kaa.kinds.row import name as _name
from kaa.kinds.row import row as _row
from kaa.kinds.row import spec as _spec
from kaa.kinds.row import status as _status
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, invalid, not_supported, required

__all__ = ["MUTATING", "MUTATING_OPERATIONS", "VALIDATING"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
#: What a mutating policy can be about: there is nothing to change in a deletion.
MUTATING_OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")
ANNOTATIONS_MAX = 20
ANNOTATION_EXPRESSION_BYTES_MAX = 5 * 1024


def _default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    if spec.get("matchConstraints") is not None:
        default_resources(spec["matchConstraints"])


def _common(spec: Json) -> Iterator[Problem]:
    """What both kinds say: failure, parameters, what they are about."""
    policy = spec.get("failurePolicy")
    if policy is None:
        yield required(_SPEC / "failurePolicy")
    elif policy not in FAILURE_POLICIES:
        yield not_supported(_SPEC / "failurePolicy", policy, FAILURE_POLICIES)
    if spec.get("paramKind") is not None:
        yield from _param_kind(spec["paramKind"], _SPEC / "paramKind")
    constraints, here = spec.get("matchConstraints"), _SPEC / "matchConstraints"
    if constraints is None:
        yield required(here)
    else:
        yield from match_resources(constraints, here)
        if not constraints.get("resourceRules"):
            # Without a rule nobody knows the types.
            yield required(here / "resourceRules")


def _param_kind(found: Json, path: Path) -> Iterator[Problem]:
    api_version, kind = found.get("apiVersion", ""), found.get("kind", "")
    here = path / "apiVersion"
    if not api_version:
        yield required(here)
    elif api_version.count("/") > 1:
        yield invalid(here, api_version, f"unexpected GroupVersion string: {api_version}")
    else:
        group, _, version = api_version.rpartition("/")
        if group:
            yield from formats.joined_wrong(names.dns1123_subdomain, group, here)
        if not version:
            yield invalid(here, api_version, "version must be specified")
        else:
            yield from formats.joined_wrong(names.dns1035_label, version, here)
    if not kind:
        yield required(path / "kind")
    else:
        wrongs = names.dns1035_label(kind.lower())
        if wrongs:
            text = "may have mixed case, but should otherwise match: " + ",".join(wrongs)
            yield invalid(path / "kind", kind, text)


def _variables(spec: Json, scope: Scope) -> Iterator[Problem]:
    known: tuple[tuple[str, str], ...] = ()
    for at, each in enumerate(spec.get("variables") or ()):
        here, name, expression = (_SPEC / "variables")[at], each.get("name", ""), each.get("expression", "")
        if not name.strip():
            yield required(here / "name", "name is not specified")
        elif not is_identifier(name):
            yield invalid(here / "name", name, "must be a valid CEL identifier")
        if not expression.strip():
            yield required(here / "expression", "expression is not specified")
        else:
            before = Scope(params=scope.params, variables=known, answers=("any",))
            yield from compiled(expression, before, here / "expression")
        known += ((name, expression),)


def _scope(spec: Json, *answers: str, authorizer: bool = True) -> Scope:
    variables = tuple((each.get("name", ""), each.get("expression", "")) for each in spec.get("variables") or ())
    return Scope(
        params=spec.get("paramKind") is not None,
        authorizer=authorizer,
        variables=variables,
        answers=answers or ("bool",),
    )


def _conditions(spec: Json) -> Iterator[Problem]:
    scope = Scope(params=spec.get("paramKind") is not None)
    yield from match_conditions(spec.get("matchConditions") or [], _SPEC / "matchConditions", scope)


# -- validating


def _validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    yield from _common(spec)
    yield from _conditions(spec)
    yield from _variables(spec, _scope(spec))
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        for field in ("validations", "auditAnnotations"):
            yield required(_SPEC / field, "validations or auditAnnotations must contain at least one item")
        return
    for at, each in enumerate(validations):
        yield from _validation(each, spec, (_SPEC / "validations")[at])
    yield from _annotations(annotations, spec, _name(obj))


def _validation(found: Json, spec: Json, path: Path) -> Iterator[Problem]:
    expression, message, made = (found.get(field, "") for field in ("expression", "message", "messageExpression"))
    if not expression.strip():
        yield required(path / "expression", "expression is not specified")
    else:
        yield from compiled(expression, _scope(spec), path / "expression")
    if made and not made.strip():
        yield invalid(path / "messageExpression", made, "must be non-empty if specified")
    elif made:
        scope = _scope(spec, "string", authorizer=False)
        yield from compiled(made, scope, path / "messageExpression")
    if message and not message.strip():
        yield invalid(path / "message", message, "must be non-empty if specified")
    elif re.search(r"[\n\r]", message.strip()):
        yield invalid(path / "message", message, "must not contain line breaks")
    reason = found.get("reason")
    if reason is not None and reason not in REASONS:
        yield not_supported(path / "reason", reason, REASONS)


def _annotations(found: list[Json], spec: Json, name: str) -> Iterator[Problem]:
    path = _SPEC / "auditAnnotations"
    if len(found) > ANNOTATIONS_MAX:
        yield invalid(path, found, f"must not have more than {ANNOTATIONS_MAX} auditAnnotations")
    seen: set[str] = set()
    for at, each in enumerate(found):
        here, key, expression = path[at], each.get("key", ""), each.get("valueExpression", "").strip()
        if name:
            yield from formats.label_name(f"{name}/{key}", here / "key")
        else:
            yield invalid(here / "key", key, "requires metadata.name be non-empty")
        if not expression:
            yield required(here / "valueExpression", "valueExpression is not specified")
        elif len(expression.encode()) > ANNOTATION_EXPRESSION_BYTES_MAX:
            text = f"must not exceed {ANNOTATION_EXPRESSION_BYTES_MAX} bytes in length"
            yield required(here / "valueExpression", text)
        else:
            yield from compiled(expression, _scope(spec, "string", "null"), here / "valueExpression")
        if key in seen:
            yield duplicate(here / "key", key)
        seen.add(key)


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    status, path = _status(new), Path() / "status"
    for at, each in enumerate((status.get("typeChecking") or {}).get("expressionWarnings") or ()):
        here = (path / "typeChecking" / "expressionWarnings")[at]
        for field in ("warning", "fieldRef"):
            if not str(each.get(field, "")).strip():
                yield required(here / field)
    yield from formats.conditions(status.get("conditions"), path / "conditions")


# -- mutating


def _validate_mutating(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    yield from _common(spec)
    constraints = spec.get("matchConstraints") or {}
    yield from mutating_operations(constraints, _SPEC / "matchConstraints")
    yield from _conditions(spec)
    yield from _variables(spec, _scope(spec))
    mutations, again = spec.get("mutations") or [], spec.get("reinvocationPolicy", "")
    if not mutations:
        yield required(_SPEC / "mutations", "mutations must contain at least one item")
    for at, each in enumerate(mutations):
        yield from _mutation(each, spec, (_SPEC / "mutations")[at])
    if not again:
        yield required(_SPEC / "reinvocationPolicy")
    elif again not in REINVOCATION_POLICIES:
        yield not_supported(_SPEC / "reinvocationPolicy", again, REINVOCATION_POLICIES)


def mutating_operations(found: Json, path: Path) -> Iterator[Problem]:
    """Only requests that carry an object can be changed."""
    for rule in found.get("resourceRules") or ():
        for each in rule.get("operations") or ():
            if each not in MUTATING_OPERATIONS:
                yield not_supported(path / "resourceRules" / "operations", each, MUTATING_OPERATIONS)


#: Type of a patch -> the field with its expression, and what that answers.
_PATCHES = {"ApplyConfiguration": ("applyConfiguration", "apply"), "JSONPatch": ("jsonPatch", "jsonpatch")}


def _mutation(found: Json, spec: Json, path: Path) -> Iterator[Problem]:
    kind = found.get("patchType", "")
    if not kind:
        yield required(path / "patchType")
        return
    if kind not in _PATCHES:
        yield not_supported(path / "patchType", kind, _PATCHES)
        return
    ours, answer = _PATCHES[kind]
    if found.get(ours) is None:
        yield required(path / ours, f"must be specified when patchType is {kind}")
    else:
        expression = found[ours].get("expression", "").strip()
        if not expression:
            yield required(path / ours / "expression")
        else:
            yield from compiled(expression, _scope(spec, answer), path / ours / "expression")
    for field, _ in _PATCHES.values():
        if field != ours and found.get(field) is not None:
            yield invalid(path / field, f"{{{field}}}", f"must not be specified when patchType is {kind}")


def _param(obj: Json) -> str:
    found = _spec(obj).get("paramKind")
    return f"{found.get('apiVersion', '')}/{found.get('kind', '')}" if found else "<unset>"


_PARAM_COLUMN = Column("ParamKind", description="the kind of what the policy is configured by")
VALIDATING = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_status=_validate_status,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Validations", "integer", description="how many expressions must hold"),
        _PARAM_COLUMN,
        AGE_COLUMN,
    ),
    cells=_row(lambda obj: len(_spec(obj).get("validations") or ()), _param),
)
MUTATING = Rules(
    default=_default,
    validate=_validate_mutating,
    complete=True,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Mutations", "integer", description="how many changes are made"),
        _PARAM_COLUMN,
        AGE_COLUMN,
    ),
    cells=_row(lambda obj: len(_spec(obj).get("mutations") or ()), _param),
)
