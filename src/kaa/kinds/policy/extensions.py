"""The kinds that extend the API or bring devices to it: webhooks, policies, API services, custom kinds, claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.policy.row import name as _name
from kaa.kinds.policy.row import row as _row
from kaa.kinds.policy.row import spec as _spec
from kaa.kinds.policy.row import status as _status
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = [
    "API_SERVICE",
    "CRD",
    "DEVICE_CLASS",
    "MUTATING_WEBHOOK",
    "POLICY",
    "POLICY_BINDING",
    "RESOURCE_CLAIM",
    "RESOURCE_CLAIM_TEMPLATE",
    "RESOURCE_SLICE",
    "VALIDATING_WEBHOOK",
]

Json = dict[str, Any]
_SPEC = Path() / "spec"


def _webhook_default(obj: Json) -> None:
    for hook in obj.get("webhooks") or ():
        hook.setdefault("failurePolicy", "Fail")
        hook.setdefault("matchPolicy", "Equivalent")
        hook.setdefault("namespaceSelector", {})
        hook.setdefault("objectSelector", {})
        hook.setdefault("timeoutSeconds", 10)
        if obj.get("kind") == "MutatingWebhookConfiguration":
            hook.setdefault("reinvocationPolicy", "Never")
        for rule in hook.get("rules") or ():
            rule.setdefault("scope", "*")
        service = (hook.get("clientConfig") or {}).get("service")
        if service is not None:
            service.setdefault("port", 443)


def _webhook_validate(obj: Json) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, hook in enumerate(obj.get("webhooks") or ()):
        here = (Path() / "webhooks")[at]
        name = hook.get("name", "")
        for wrong in names.dns1123_subdomain(name):
            yield invalid(here / "name", name, wrong)
        if not names.dns1123_subdomain(name) and name.count(".") < 2:
            yield invalid(here / "name", name, "should be a domain with at least three segments separated by dots")
        if name in seen:
            yield invalid(here / "name", name, "must be unique")
        seen.add(name)
        if hook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            yield not_supported(here / "sideEffects", hook.get("sideEffects", ""), ("None", "NoneOnDryRun"))
        if not hook.get("admissionReviewVersions"):
            yield required(here / "admissionReviewVersions", "must specify one of v1, v1beta1")
        elif not {"v1", "v1beta1"} & set(hook["admissionReviewVersions"]):
            yield invalid(
                here / "admissionReviewVersions",
                hook["admissionReviewVersions"],
                "must include at least one of v1, v1beta1",
            )
        seconds = hook.get("timeoutSeconds", 10)
        if not 1 <= seconds <= 30:
            yield invalid(here / "timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
        yield from checks.one_of(hook, "failurePolicy", ("Fail", "Ignore"), here)
        yield from checks.one_of(hook, "matchPolicy", ("Equivalent", "Exact"), here)
        client = hook.get("clientConfig") or {}
        if (client.get("url") is None) == (client.get("service") is None):
            yield required(here / "clientConfig", "exactly one of url or service is required")
        for name in ("namespaceSelector", "objectSelector"):
            yield from checks.label_selector(hook.get(name), here / name)


_WEBHOOK_COLUMNS = (NAME_COLUMN, Column("Webhooks", "integer"), AGE_COLUMN)
MUTATING_WEBHOOK = VALIDATING_WEBHOOK = Rules(
    default=_webhook_default,
    validate=_webhook_validate,
    generation=True,
    columns=_WEBHOOK_COLUMNS,
    cells=_row(lambda obj: len(obj.get("webhooks") or ())),
)


def _policy_default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    constraints = spec.get("matchConstraints")
    if constraints is not None:
        _match_default(constraints)


def _match_default(constraints: Json) -> None:
    constraints.setdefault("matchPolicy", "Equivalent")
    constraints.setdefault("namespaceSelector", {})
    constraints.setdefault("objectSelector", {})
    for name in ("resourceRules", "excludeResourceRules"):
        for rule in constraints.get(name) or ():
            rule.setdefault("scope", "*")


def _param(obj: Json) -> str:
    found = _spec(obj).get("paramKind")
    return f"{found.get('apiVersion', '')}/{found.get('kind', '')}" if found else "<unset>"


POLICY = Rules(
    default=_policy_default,
    generation=True,
    columns=(NAME_COLUMN, Column("Validations", "integer"), Column("ParamKind"), AGE_COLUMN),
    cells=_row(lambda obj: len(_spec(obj).get("validations") or _spec(obj).get("mutations") or ()), _param),
)


def _param_ref(obj: Json) -> str:
    found = _spec(obj).get("paramRef")
    if not found:
        return "<unset>"
    if found.get("name"):
        return f"{found['namespace']}/{found['name']}" if found.get("namespace") else f"*/{found['name']}"
    return "<selector>"


def _binding_default(obj: Json) -> None:
    found = _spec(obj).get("matchResources")
    if found is not None:
        _match_default(found)


POLICY_BINDING = Rules(
    default=_binding_default,
    generation=True,
    columns=(NAME_COLUMN, Column("PolicyName"), Column("ParamRef"), AGE_COLUMN),
    cells=_row(lambda obj: _spec(obj).get("policyName", ""), _param_ref),
)


def _service_default(obj: Json) -> None:
    service = _spec(obj).get("service")
    if service is not None:
        service.setdefault("port", 443)


def _service_validate(obj: Json) -> Iterator[Problem]:
    spec, name = _spec(obj), _name(obj)
    wanted = f"{spec.get('version', '')}.{spec.get('group', '')}"
    if name != wanted:
        yield invalid(Path() / "metadata" / "name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"')
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(field, 0)
        if not 0 < value <= most:
            yield invalid(_SPEC / field, value, f"must be positive and less than {most}")
    service = spec.get("service")
    if service is not None:
        for field in ("namespace", "name"):
            if not service.get(field):
                yield required(_SPEC / "service" / field)
        if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
            yield invalid(_SPEC / "insecureSkipTLSVerify", True, "may not be true if caBundle is present")


def _available(obj: Json) -> str:
    for each in _status(obj).get("conditions") or ():
        if each.get("type") == "Available":
            return (
                str(each["status"]) if each.get("status") == "True" else f"{each.get('status')} ({each.get('reason')})"
            )
    return "Unknown"


def _service_shown(obj: Json) -> str:
    service = _spec(obj).get("service")
    return f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"


API_SERVICE = Rules(
    default=_service_default,
    validate=_service_validate,
    columns=(NAME_COLUMN, Column("Service"), Column("Available"), AGE_COLUMN),
    cells=_row(_service_shown, _available),
)

CRD = Rules(
    generation=True,
    columns=(NAME_COLUMN, Column("Created At", "date")),
    cells=lambda obj, _now: [_name(obj), obj["metadata"].get("creationTimestamp", "")],
)

# -- devices

DEVICE_CLASS = Rules(generation=True)
RESOURCE_CLAIM_TEMPLATE = Rules()


def _claim_state(obj: Json) -> str:
    states = []
    if obj["metadata"].get("deletionTimestamp"):
        states.append("deleted")
    if _status(obj).get("allocation") is None:
        states.append("pending")
    else:
        states.append("allocated")
        if _status(obj).get("reservedFor"):
            states.append("reserved")
    return ",".join(states)


def _claim_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new, old, "spec", Path())


RESOURCE_CLAIM = Rules(
    validate_update=_claim_update,
    columns=(NAME_COLUMN, Column("State"), AGE_COLUMN),
    cells=_row(_claim_state),
)

RESOURCE_SLICE = Rules(
    generation=True,
    selectable={
        "spec.nodeName": lambda obj: str(_spec(obj).get("nodeName", "")),
        "spec.driver": lambda obj: str(_spec(obj).get("driver", "")),
    },
    columns=(NAME_COLUMN, Column("Node"), Column("Driver"), Column("Pool"), AGE_COLUMN),
    cells=_row(
        lambda obj: _spec(obj).get("nodeName") or "<unset>",
        lambda obj: _spec(obj).get("driver", ""),
        lambda obj: (_spec(obj).get("pool") or {}).get("name", ""),
    ),
)
