"""The kinds by which a cluster is run: leases, priorities, runtimes, certificates, flow control."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.policy.row import name as _name
from kaa.kinds.policy.row import row as _row
from kaa.kinds.policy.row import spec as _spec
from kaa.kinds.policy.row import status as _status
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules, Subwrite
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["CSR", "FLOW_SCHEMA", "LEASE", "PRIORITY_CLASS", "PRIORITY_LEVEL", "RUNTIME_CLASS"]

Json = dict[str, Any]
_SPEC = Path() / "spec"


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


_DECISIONS = ("Approved", "Denied")


def _csr_status(new: Json, old: Json) -> None:
    # Decisions are the approval subresource's: a status write keeps the old ones.
    _conditions(new, old, lambda kind: kind not in _DECISIONS)


def _csr_approval(new: Json, old: Json) -> None:
    asked = new.get("status") or {}
    new["spec"] = old.get("spec", {})
    new["status"] = {**(old.get("status") or {})}
    if "conditions" in asked:
        new["status"]["conditions"] = asked["conditions"]
    _conditions(new, old, lambda kind: kind in _DECISIONS)


def _conditions(new: Json, old: Json, ours: Callable[[str], bool]) -> None:
    """Conditions of the kinds that are `ours` from the new object, the others from the old one."""
    status = new.setdefault("status", {})
    kept = [each for each in (old.get("status") or {}).get("conditions") or () if not ours(each.get("type", ""))]
    asked = [each for each in status.get("conditions") or () if ours(each.get("type", ""))]
    status.pop("conditions", None)
    if kept + asked:
        status["conditions"] = kept + asked


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
    prepare_status=_csr_status,
    subwrites={"approval": Subwrite(_csr_approval)},
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
    spec = _setdefault_spec(obj)
    spec["matchingPrecedence"] = spec.get("matchingPrecedence") or 1000


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
