"""The kinds by which a cluster is run: leases, priorities, certificates, flow control, extensions, devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = [
    "API_SERVICE", "CRD", "CSR", "DEVICE_CLASS", "FLOW_SCHEMA", "LEASE", "MUTATING_WEBHOOK", "POLICY",
    "POLICY_BINDING", "PRIORITY_CLASS", "PRIORITY_LEVEL", "RESOURCE_CLAIM", "RESOURCE_CLAIM_TEMPLATE",
    "RESOURCE_SLICE", "RUNTIME_CLASS", "VALIDATING_WEBHOOK",
]  # fmt: skip

Json = dict[str, Any]
Cells = Callable[[Json, float], list[Any]]
_SPEC = Path() / "spec"


def _name(obj: Json) -> str:
    return str(obj["metadata"].get("name", ""))


def _spec(obj: Json) -> Json:
    found: Json = obj.get("spec") or {}
    return found


def _status(obj: Json) -> Json:
    found: Json = obj.get("status") or {}
    return found


def _row(*values: Callable[[Json], Any]) -> Cells:
    """Cells between the name and the age."""
    return lambda obj, now: [_name(obj), *(value(obj) for value in values), printing.age(obj, now)]


# -- leases


def _lease_validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        yield invalid(_SPEC / "leaseDurationSeconds", seconds, "must be greater than 0")
    yield from checks.non_negative(spec, "leaseTransitions", _SPEC)
    if spec.get("holderIdentity") == "":
        yield invalid(_SPEC / "holderIdentity", "", "must not be empty")


LEASE = Rules(
    validate=_lease_validate,
    allow_create_on_update=True,
    allow_unconditional_update=False,
    columns=(NAME_COLUMN, Column("Holder"), AGE_COLUMN),
    cells=_row(lambda obj: _spec(obj).get("holderIdentity") or ""),
)

# -- priorities and runtimes

_USER_PRIORITY_MAX = 1_000_000_000
_SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def _priority_default(obj: Json) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _priority_validate(obj: Json) -> Iterator[Problem]:
    name, value = _name(obj), obj.get("value", 0)
    if name.startswith("system-"):
        if _SYSTEM_PRIORITIES.get(name) != value:
            yield forbidden_field(
                Path() / "metadata" / "name",
                "priority class names with 'system-' prefix are reserved for system use only",
            )
    elif value > _USER_PRIORITY_MAX:
        yield forbidden_field(
            Path() / "value", f"maximum allowed value of a user defined priority is {_USER_PRIORITY_MAX}"
        )
    policy = obj.get("preemptionPolicy")
    if policy not in ("Never", "PreemptLowerPriority"):
        yield not_supported(Path() / "preemptionPolicy", policy, ("Never", "PreemptLowerPriority"))


def _priority_update(new: Json, old: Json) -> Iterator[Problem]:
    for name in ("value", "preemptionPolicy"):
        if new.get(name) != old.get(name):
            yield forbidden_field(Path() / name, "may not be changed in an update.")


PRIORITY_CLASS = Rules(
    default=_priority_default,
    validate=_priority_validate,
    validate_update=_priority_update,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Value", "integer"),
        Column("Global-Default", "boolean"),
        AGE_COLUMN,
        Column("PreemptionPolicy"),
    ),
    cells=lambda obj, now: [
        _name(obj),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        printing.age(obj, now),
        obj.get("preemptionPolicy") or "PreemptLowerPriority",
    ],
)


def _runtime_validate(obj: Json) -> Iterator[Problem]:
    handler = obj.get("handler", "")
    for wrong in names.dns1123_label(handler):
        yield invalid(Path() / "handler", handler, wrong)


def _runtime_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new, old, "handler", Path())


RUNTIME_CLASS = Rules(
    validate=_runtime_validate,
    validate_update=_runtime_update,
    columns=(NAME_COLUMN, Column("Handler"), AGE_COLUMN),
    cells=_row(lambda obj: obj.get("handler", "")),
)

# -- certificates


def _csr_validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    if not spec.get("request"):
        yield invalid(_SPEC / "request", spec.get("request", ""), "PEM block type must be CERTIFICATE REQUEST")
    if not spec.get("usages"):
        yield required(_SPEC / "usages")
    signer = spec.get("signerName", "")
    if not signer:
        yield required(_SPEC / "signerName")
    elif "/" not in signer:
        yield invalid(
            _SPEC / "signerName",
            signer,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        )
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        yield invalid(
            _SPEC / "expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)"
        )


def _csr_update(new: Json, old: Json) -> None:
    # A request is what it was: only its status, by two subresources, goes on.
    new["spec"] = old.get("spec", {})


def _csr_word(obj: Json) -> str:
    found = {each.get("type") for each in _status(obj).get("conditions") or ()}
    words = ["Denied" if "Denied" in found else "Approved" if "Approved" in found else "Pending"]
    if "Failed" in found:
        words.append("Failed")
    if _status(obj).get("certificate"):
        words.append("Issued")
    return ",".join(words)


def _csr_cells(obj: Json, now: float) -> list[Any]:
    spec = _spec(obj)
    seconds = spec.get("expirationSeconds")
    return [
        _name(obj),
        printing.age(obj, now),
        spec.get("signerName") or "<none>",
        spec.get("username", ""),
        printing.human_duration(seconds) if seconds is not None else "<none>",
        _csr_word(obj),
    ]


CSR = Rules(
    validate=_csr_validate,
    prepare_update=_csr_update,
    name_check=names.path_segment,
    selectable={"spec.signerName": lambda obj: str(_spec(obj).get("signerName", ""))},
    columns=(
        NAME_COLUMN,
        AGE_COLUMN,
        Column("SignerName"),
        Column("Requestor"),
        Column("RequestedDuration"),
        Column("Condition"),
    ),
    cells=_csr_cells,
)

# -- flow control


def _flow_default(obj: Json) -> None:
    _setdefault_spec(obj).setdefault("matchingPrecedence", 1000)


def _setdefault_spec(obj: Json) -> Json:
    spec: Json = obj.setdefault("spec", {})
    return spec


def _flow_validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    precedence = spec.get("matchingPrecedence", 1000)
    if not 1 <= precedence <= 10000:
        yield invalid(_SPEC / "matchingPrecedence", precedence, "must be a value between 1 and 10000, both inclusive")
    if not (spec.get("priorityLevelConfiguration") or {}).get("name"):
        yield required(_SPEC / "priorityLevelConfiguration" / "name", "must reference a priority level")
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        yield not_supported(_SPEC / "distinguisherMethod", method, ("ByNamespace", "ByUser"))


def _flow_missing(obj: Json) -> str:
    for each in _status(obj).get("conditions") or ():
        if each.get("type") == "Dangling":
            return str(each.get("status", "?"))
    return "?"


FLOW_SCHEMA = Rules(
    default=_flow_default,
    validate=_flow_validate,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("PriorityLevel"),
        Column("MatchingPrecedence"),
        Column("DistinguisherMethod"),
        AGE_COLUMN,
        Column("MissingPL"),
    ),
    cells=lambda obj, now: [
        _name(obj),
        (_spec(obj).get("priorityLevelConfiguration") or {}).get("name", ""),
        _spec(obj).get("matchingPrecedence", 0),
        (_spec(obj).get("distinguisherMethod") or {}).get("type") or "<none>",
        printing.age(obj, now),
        _flow_missing(obj),
    ],
)


def _level_default(obj: Json) -> None:
    spec = _setdefault_spec(obj)
    limited, exempt = spec.get("limited"), spec.get("exempt")
    if exempt is not None:
        exempt.setdefault("nominalConcurrencyShares", 0)
        exempt.setdefault("lendablePercent", 0)
    if limited is not None:
        limited.setdefault("nominalConcurrencyShares", 30)
        limited.setdefault("lendablePercent", 0)
        queuing = (limited.get("limitResponse") or {}).get("queuing")
        if queuing is not None:
            for name, value in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
                queuing[name] = queuing.get(name) or value


def _level_validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    kind = spec.get("type")
    if kind not in ("Exempt", "Limited"):
        yield not_supported(_SPEC / "type", kind, ("Exempt", "Limited"))
    if kind == "Limited" and spec.get("limited") is None:
        yield required(_SPEC / "limited", "must not be empty when type is Limited")
    if kind == "Exempt" and spec.get("limited") is not None:
        yield forbidden_field(_SPEC / "limited", "must be nil if the type is not Limited")


def _level_cells(obj: Json, now: float) -> list[Any]:
    spec = _spec(obj)
    found = spec.get("limited") or spec.get("exempt") or {}
    queuing = (found.get("limitResponse") or {}).get("queuing") or {}
    return [
        _name(obj),
        spec.get("type", ""),
        found.get("nominalConcurrencyShares", "<none>"),
        queuing.get("queues", "<none>"),
        queuing.get("handSize", "<none>"),
        queuing.get("queueLengthLimit", "<none>"),
        printing.age(obj, now),
    ]


PRIORITY_LEVEL = Rules(
    default=_level_default,
    validate=_level_validate,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Type"),
        Column("NominalConcurrencyShares"),
        Column("Queues"),
        Column("HandSize"),
        Column("QueueLengthLimit"),
        AGE_COLUMN,
    ),
    cells=_level_cells,
)

# -- extensions


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
    spec = _setdefault_spec(obj)
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
