"""The controls of the restricted level, beyond those of baseline: today's best practice of hardening."""

from typing import Any

from kaa.server.admission.podsecurity.baseline import SECCOMP, seccomp
from kaa.server.admission.podsecurity.found import (
    Check,
    Finding,
    containers,
    is_windows,
    named,
    quoted,
    security,
    setters,
)

__all__ = [
    "capabilities", "no_escalation", "not_on_windows", "not_with_own_users", "run_as_non_root", "run_as_user",
    "seccomp_set", "volumes",
]  # fmt: skip

Json = dict[str, Any]

VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
           "secret")  # fmt: skip


def not_on_windows(check: Check) -> Check:
    """The same check, of pods for Linux only."""
    return lambda annotations, spec: None if is_windows(spec) else check(annotations, spec)


def not_with_own_users(check: Check) -> Check:
    """The same check, of pods whose users are the node's."""
    return lambda annotations, spec: None if spec.get("hostUsers") is False else check(annotations, spec)


def no_escalation(_annotations: Json, spec: Json) -> Finding | None:
    """Processes may not gain rights (setuid programs)."""
    bad = [each["name"] for each in containers(spec) if security(each).get("allowPrivilegeEscalation") is not False]
    if not bad:
        return None
    return Finding(
        "allowPrivilegeEscalation != false", f"{named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    )


def capabilities(_annotations: Json, spec: Json) -> Finding | None:
    """All capabilities are dropped; only low ports may be had back."""
    keeping, adding, extra = [], [], set()
    for each in containers(spec):
        theirs = security(each).get("capabilities") or {}
        if "ALL" not in (theirs.get("drop") or ()):
            keeping.append(each["name"])
        added = set(theirs.get("add") or ()) - {"NET_BIND_SERVICE"}
        if added:
            adding.append(each["name"])
            extra |= added
    what = [f'{named(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if adding:
        what.append(f"{named(adding)} must not include {quoted(sorted(extra))} in securityContext.capabilities.add")
    return Finding("unrestricted capabilities", "; ".join(what)) if what else None


def volumes(_annotations: Json, spec: Json) -> Finding | None:
    """Volumes come from the cluster, or through claims."""
    bad: dict[str, str] = {}
    for each in spec.get("volumes") or ():
        if not any(each.get(kind) is not None for kind in VOLUMES):
            kind = next((name for name, value in each.items() if name != "name" and value is not None), "unknown")
            bad[each["name"]] = kind
    if not bad:
        return None
    word, uses = ("volume", "uses") if len(bad) == 1 else ("volumes", "use")
    kinds = sorted(set(bad.values()))
    noun = "restricted volume type" if len(kinds) == 1 else "restricted volume types"
    return Finding("restricted volume types", f"{word} {quoted(bad)} {uses} {noun} {quoted(kinds)}")


def run_as_non_root(_annotations: Json, spec: Json) -> Finding | None:
    """The pod, or each of its containers, says that it does not run as root."""
    pod = security(spec).get("runAsNonRoot")
    denying, silent = [], []
    for each in containers(spec):
        theirs = security(each).get("runAsNonRoot")
        if theirs is False:
            denying.append(each["name"])
        elif theirs is None and pod is not True:
            silent.append(each["name"])
    reason = "runAsNonRoot != true"
    if who := setters(pod is False, denying):
        return Finding(reason, f"{who} must not set securityContext.runAsNonRoot=false")
    if silent:
        return Finding(reason, f"pod or {named(silent)} must set securityContext.runAsNonRoot=true")
    return None


def run_as_user(_annotations: Json, spec: Json) -> Finding | None:
    """Nobody asks to be root."""
    bad = [each["name"] for each in containers(spec) if security(each).get("runAsUser") == 0]
    who = setters(security(spec).get("runAsUser") == 0, bad)
    return Finding("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def seccomp_set(annotations: Json, spec: Json) -> Finding | None:
    """A seccomp profile is set, by the pod or by each container."""
    if (wrong := seccomp(annotations, spec)) is not None:
        return wrong
    if (security(spec).get("seccompProfile") or {}).get("type") in SECCOMP:
        return None
    silent = [each["name"] for each in containers(spec) if security(each).get("seccompProfile") is None]
    if not silent:
        return None
    return Finding(
        "seccompProfile",
        f'pod or {named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"',
    )
