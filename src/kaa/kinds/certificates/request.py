"""CertificateSigningRequests: written once, then only decided upon (`/approval`) and answered (`/status`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.certificates.pem import certificate_problem, request_problem
from kaa.kinds.row import name as _name
from kaa.kinds.row import spec as _spec
from kaa.kinds.row import status as _status
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules, Subwrite
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_CONDITIONS = Path() / "status" / "conditions"
_CERTIFICATE = Path() / "status" / "certificate"
LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
EXPIRATION_SECONDS_MIN = 600
USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
#: Once such a condition is there, it is true and stays.
_LASTING = ("Approved", "Denied", "Failed")
_DECISIONS = ("Approved", "Denied")


def _validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    wrong = request_problem(spec.get("request", ""))
    if wrong:
        yield invalid(_SPEC / "request", _bytes_shown(spec.get("request", "")), wrong)
    usages = spec.get("usages") or ()
    if not usages:
        yield required(_SPEC / "usages")
    for at, usage in enumerate(usages):
        if usage not in USAGES:
            yield not_supported((_SPEC / "usages")[at], usage, USAGES)
    for at, usage in enumerate(usages):
        if usage in usages[:at]:
            yield duplicate((_SPEC / "usages")[at], usage)
    signer = spec.get("signerName", "")
    if signer == LEGACY_SIGNER:
        yield invalid(_SPEC / "signerName", signer, "the legacy signerName is not allowed via this API version")
    else:
        yield from checks.signer_name(signer, _SPEC / "signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < EXPIRATION_SECONDS_MIN:
        yield invalid(
            _SPEC / "expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)"
        )
    yield from _validate_conditions(_status(obj))
    wrong = certificate_problem(_status(obj).get("certificate", ""))
    if wrong:
        yield invalid(_CERTIFICATE, "<certificate data>", wrong)


def _bytes_shown(text: str) -> Any:
    """Bytes are shown as JSON writes them: in base64, or null where there are none."""
    return text or None


def _validate_conditions(status: Json) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, each in enumerate(status.get("conditions") or ()):
        here, kind, state = _CONDITIONS[at], each.get("type", ""), each.get("status", "")
        if not kind:
            yield required(here / "type")
        allowed = ("True",) if kind in _LASTING else ("False", "True", "Unknown")
        if not state:
            yield required(here / "status")
        elif state not in allowed:
            yield not_supported(here / "status", state, allowed)
        if kind in _DECISIONS and seen & (set(_DECISIONS) - {kind}):
            yield invalid(here / "type", kind, "Approved and Denied conditions are mutually exclusive")
        if kind in seen:
            yield duplicate(here / "type", kind)
        seen.add(kind)


def _of(obj: Json, kind: str) -> list[Json]:
    return [each for each in _status(obj).get("conditions") or () if each.get("type") == kind]


def _change(new: Json, old: Json, *, decides: bool, issues: bool) -> Iterator[Problem]:
    """What this way of writing may change: decisions, or the certificate; and never take back a lasting condition."""
    for kind in _LASTING:
        if len(_of(new, kind)) < len(_of(old, kind)):
            yield forbidden_field(_CONDITIONS, f'updates may not remove a condition of type "{kind}"')
    for kind in () if decides else _DECISIONS:
        before, after = _of(old, kind), _of(new, kind)
        if len(after) > len(before):
            yield forbidden_field(_CONDITIONS, f'updates may not add a condition of type "{kind}"')
        elif len(after) == len(before) and after != before:
            yield forbidden_field(_CONDITIONS, f'updates may not modify a condition of type "{kind}"')
    before, after = _status(old).get("certificate", ""), _status(new).get("certificate", "")
    if before != after:
        if not issues:
            yield forbidden_field(_CERTIFICATE, "updates may not set certificate content")
        elif before:
            yield forbidden_field(_CERTIFICATE, "updates may not modify existing certificate content")


def _update(new: Json, old: Json) -> Iterator[Problem]:
    yield from _change(new, old, decides=False, issues=False)


def _validate_status(new: Json, old: Json) -> Iterator[Problem]:
    yield from _validate(new)
    yield from _change(new, old, decides=False, issues=True)


def _validate_approval(new: Json, old: Json) -> Iterator[Problem]:
    yield from _validate(new)
    yield from _change(new, old, decides=True, issues=False)


def _asked_by(obj: Json, name: str, uid: str, groups: Sequence[str], extra: Mapping[str, Sequence[str]]) -> None:
    """Whoever sends the request is who asks, whatever the request says."""
    spec = obj.setdefault("spec", {})
    for field, value in (
        ("username", name),
        ("uid", uid),
        ("groups", list(groups)),
        ("extra", {key: list(values) for key, values in extra.items()}),
    ):
        spec.pop(field, None)
        if value:
            spec[field] = value


def _prepare_update(new: Json, old: Json) -> None:
    # A request is what it was: only its status, by two subresources, goes on.
    new["spec"] = old.get("spec", {})


def _prepare_status(new: Json, old: Json) -> None:
    # Decisions are the approval subresource's: a status write keeps the old ones.
    _keep_conditions(new, old, lambda kind: kind not in _DECISIONS)


def _prepare_approval(new: Json, old: Json) -> None:
    asked = new.get("status") or {}
    new["spec"] = old.get("spec", {})
    new["status"] = {**(old.get("status") or {})}
    if "conditions" in asked:
        new["status"]["conditions"] = asked["conditions"]
    _keep_conditions(new, old, lambda kind: kind in _DECISIONS)


def _keep_conditions(new: Json, old: Json, ours: Callable[[str], bool]) -> None:
    """Conditions of the kinds that are `ours` from the new object, the others from the old one."""
    status = new.setdefault("status", {})
    kept = [each for each in (old.get("status") or {}).get("conditions") or () if not ours(each.get("type", ""))]
    asked = [each for each in status.get("conditions") or () if ours(each.get("type", ""))]
    status.pop("conditions", None)
    if kept + asked:
        status["conditions"] = kept + asked


def _any_name(_name: str) -> tuple[str, ...]:
    """Requests may be called anything a path can hold."""
    return ()


def _word(obj: Json) -> str:
    found = {each.get("type") for each in _status(obj).get("conditions") or ()}
    words = ["Denied" if "Denied" in found else "Approved" if "Approved" in found else "Pending"]
    if "Failed" in found:
        words.append("Failed")
    if _status(obj).get("certificate"):
        words.append("Issued")
    return ",".join(words)


def _cells(obj: Json, now: float) -> list[Any]:
    spec = _spec(obj)
    seconds = spec.get("expirationSeconds")
    return [
        _name(obj),
        printing.age(obj, now),
        spec.get("signerName") or "<none>",
        spec.get("username", ""),
        printing.human_duration(seconds) if seconds is not None else "<none>",
        _word(obj),
    ]


RULES = Rules(
    validate=_validate,
    complete=True,
    validate_update=_update,
    validate_status=_validate_status,
    asked_by=_asked_by,
    prepare_update=_prepare_update,
    prepare_status=_prepare_status,
    subwrites={"approval": Subwrite(_prepare_approval, _validate_approval)},
    name_check=_any_name,
    selectable={"spec.signerName": lambda obj: str(_spec(obj).get("signerName", ""))},
    columns=(
        NAME_COLUMN,
        AGE_COLUMN,
        Column("SignerName", description="who is asked to sign"),
        Column("Requestor", description="who asks"),
        Column("RequestedDuration", description="how long the certificate is to be valid"),
        Column("Condition", description="what was decided, and whether a certificate was issued"),
    ),
    cells=_cells,
)
