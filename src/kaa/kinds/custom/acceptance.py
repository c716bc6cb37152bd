"""Whether a definition's names are free in its group, and what its status says of it.

Names already accepted stay accepted until their definition gives them up: the first to come keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "APPROVED", "CLEANUP", "approval", "condition", "established", "judged", "protected", "set_condition",
    "terminating",
]  # fmt: skip

Json = dict[str, Any]

#: Held by a definition that is being deleted until its objects are gone.
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
#: Where definitions in groups of the community's say who has approved of them.
APPROVED = "api-approved.kubernetes.io"


def protected(group: str) -> bool:
    """Whether a group is the community's."""
    return any(group == each or group.endswith(f".{each}") for each in ("k8s.io", "kubernetes.io"))


def approval(annotations: Json) -> tuple[str, str]:
    """How a definition in a protected group is approved: the reason of its condition, and the message."""
    text = str(annotations.get(APPROVED) or "")
    see = "see https://github.com/kubernetes/enhancements/pull/1111"
    if not text:
        return "MissingAnnotation", f'protected groups must have approval annotation "{APPROVED}", {see}'
    if text.startswith("unapproved"):
        return "UnapprovedAnnotation", f'not approved: "{text}"'
    try:
        url = urlsplit(text)
    except ValueError:
        url = urlsplit("")
    if url.scheme and url.netloc:
        return "ApprovedAnnotation", f"approved in {text}"
    return "InvalidAnnotation", (f'protected groups must have approval annotation "{APPROVED}" with either a URL or a '
                                 f'reason starting with "unapproved", {see}')  # fmt: skip


def established(obj: Json) -> bool:
    """Whether the kind is being served."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Established" and each.get("status") == "True" for each in conditions)


def judged(definition: Json, others: Iterable[Json], now_text: str) -> Json:
    """The status a definition should have beside the other definitions; the given one is not changed."""
    spec = definition["spec"]
    old = definition.get("status") or {}
    status: Json = {**old, "conditions": [dict(each) for each in old.get("conditions") or ()]}
    resources, kinds = _taken(definition, others)
    accepted, reason, why = _accept(spec["names"], old.get("acceptedNames") or {}, resources, kinds)
    status["acceptedNames"] = accepted
    if reason:
        set_condition(status, "NamesAccepted", "False", reason, why, now_text)
        if not established(definition):
            set_condition(status, "Established", "False", "NotAccepted", "not all names are accepted", now_text)
    else:
        set_condition(status, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now_text)
        if not established(definition):
            set_condition(
                status, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted", now_text
            )
    if protected(spec["group"]):
        state, why = approval(definition["metadata"].get("annotations") or {})
        approved = "True" if state == "ApprovedAnnotation" else "False"
        set_condition(status, "KubernetesAPIApprovalPolicyConformant", approved, state, why, now_text)
    return status


def _taken(definition: Json, others: Iterable[Json]) -> tuple[set[str], set[str]]:
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        same = other["metadata"]["name"] == definition["metadata"]["name"]
        if same or other["spec"]["group"] != definition["spec"]["group"]:
            continue
        names = (other.get("status") or {}).get("acceptedNames") or {}
        resources.update(each for each in (names.get("plural"), names.get("singular"), *(names.get("shortNames") or ()))
                         if each)  # fmt: skip
        kinds.update(each for each in (names.get("kind"), names.get("listKind")) if each)
    return resources, kinds


def _accept(wanted: Json, had: Json, resources: set[str], kinds: set[str]) -> tuple[Json, str, str]:
    """The accepted names, and reason and message of the last conflict, if there is one."""
    accepted: Json = {name: value for name, value in had.items() if value}
    reason = why = ""
    for name, conflict, taken in (
        ("plural", "PluralConflict", resources),
        ("singular", "SingularConflict", resources),
        ("kind", "KindConflict", kinds),
        ("listKind", "ListKindConflict", kinds),
    ):
        value = wanted.get(name, "")
        if value and value in taken:
            reason, why = conflict, f'"{value}" is already in use'
            accepted.setdefault(name, "")
        else:
            accepted[name] = value
    short = [each for each in wanted.get("shortNames") or () if each in resources]
    if short:
        reason, why = "ShortNamesConflict", ", ".join(f'"{each}" is already in use' for each in short)
    elif wanted.get("shortNames"):
        accepted["shortNames"] = list(wanted["shortNames"])
    else:
        accepted.pop("shortNames", None)
    if wanted.get("categories"):
        accepted["categories"] = list(wanted["categories"])
    else:
        accepted.pop("categories", None)
    return accepted, reason, why


def condition(status: Json, kind: str) -> Json | None:
    """A condition of a status."""
    return next((each for each in status.get("conditions") or () if each.get("type") == kind), None)


def set_condition(status: Json, kind: str, value: str, reason: str, message: str, now_text: str) -> None:
    """Set a condition, in place; its time of transition moves only with its value."""
    found = condition(status, kind)
    if found is None:
        found = {"type": kind, "lastTransitionTime": now_text}
        status.setdefault("conditions", []).append(found)
    elif found.get("status") != value:
        found["lastTransitionTime"] = now_text
    found.update(status=value, reason=reason, message=message)


def terminating(definition: Json, now_text: str) -> None:
    """What the deletion of a definition begins with, in place: its objects go before it does."""
    meta, status = definition["metadata"], definition.get("status") or {}
    finalizers = meta.get("finalizers") or []
    meta["finalizers"] = finalizers if CLEANUP in finalizers else [*finalizers, CLEANUP]
    definition["status"] = status = {**status, "conditions": [dict(each) for each in status.get("conditions") or ()]}
    set_condition(status, "Terminating", "True", "InstanceDeletionPending",
                  "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
                  now_text)  # fmt: skip
