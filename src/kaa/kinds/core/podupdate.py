"""What may change of a pod, by its writers and by its kubelet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from kaa.kinds import checks
from kaa.kinds.core.podnotes import validate_annotation_updates, validate_annotations
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported

__all__ = ["validate_status", "validate_update"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_STATUS = Path() / "status"
_NOTES = Path() / "metadata" / "annotations"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

_MAY_CHANGE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate_update(new: Json, old: Json) -> Iterator[Problem]:
    """A change of the pod by its writers. The new pod is valid by itself."""
    yield from _annotations(new, old)
    spec, was = new["spec"], old["spec"]
    if spec == was:
        return
    for kind in ("containers", "initContainers"):
        if len(spec.get(kind) or ()) != len(was.get(kind) or ()):
            yield forbidden_field(_SPEC / kind, "pod updates may not add or remove containers")
            return
    deadline, before = spec.get("activeDeadlineSeconds"), was.get("activeDeadlineSeconds")
    here = _SPEC / "activeDeadlineSeconds"
    if deadline is not None:
        if not 0 <= deadline <= 0x7FFFFFFF:
            yield invalid(here, deadline, "must be between 0 and 2147483647, inclusive")
            return
        if before is not None and before < deadline:
            yield invalid(here, deadline, "must be less than or equal to previous value")
            return
    elif before is not None:
        yield invalid(here, None, "must not update from a positive integer to nil value")
    yield from _added_tolerations(spec.get("tolerations") or [], was.get("tolerations") or [])
    yield from _removed_gates(spec.get("schedulingGates") or [], was.get("schedulingGates") or [])
    gated = bool(was.get("schedulingGates"))
    if gated:
        yield from _narrowed(spec, was)
    munged, before_munged = (_without_what_may_change(each, gated=gated) for each in (spec, was))
    if was.get("terminationGracePeriodSeconds", 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = before_munged.get("terminationGracePeriodSeconds")
    if munged != before_munged:
        changed = "\n".join(_difference(before_munged, munged))
        yield forbidden_field(_SPEC, f"pod updates may not change fields other than {_MAY_CHANGE}\n{changed}\n")


def _annotations(new: Json, old: Json) -> Iterator[Problem]:
    ours = new["metadata"].get("annotations") or {}
    theirs = old["metadata"].get("annotations") or {}
    if ours != theirs:
        yield from validate_annotation_updates(ours, theirs, _NOTES)


def _without_what_may_change(spec: Json, *, gated: bool) -> Json:
    out = dict(spec)
    for kind in ("containers", "initContainers"):
        if kind in out:
            out[kind] = [{**container, "image": ""} for container in out[kind]]
    for name in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        out.pop(name, None)
    if gated:
        out.pop("nodeSelector", None)
        if "affinity" in out:
            rest = {name: value for name, value in out.pop("affinity").items() if name != "nodeAffinity"}
            if rest:
                out["affinity"] = rest
    return out


def _narrowed(spec: Json, was: Json) -> Iterator[Problem]:
    """Until a pod may be scheduled, what selects its node may still be narrowed, and only that."""
    ours, theirs = spec.get("nodeSelector") or {}, was.get("nodeSelector") or {}
    if any(ours.get(key) != value for key, value in theirs.items()):
        yield invalid(
            _SPEC / "nodeSelector", ours, "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        )
    after, before = _terms(spec), _terms(was)
    path = _SPEC / "affinity" / "nodeAffinity" / REQUIRED / "nodeSelectorTerms"
    if not before:
        return
    if len(after) != len(before):
        yield invalid(path, after, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
        return
    for at, (one, other) in enumerate(zip(after, before, strict=True)):
        if not _only_added(one, other):
            yield invalid(path[at], one, "only additions are allowed (no mutations or deletions)")


def _terms(spec: Json) -> list[Json]:
    needed = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED) or {}
    found: list[Json] = needed.get("nodeSelectorTerms") or []
    return found


def _only_added(new: Json, old: Json) -> bool:
    kinds = ("matchExpressions", "matchFields")
    if not any(old.get(kind) for kind in kinds):
        return not any(new.get(kind) for kind in kinds)  # an empty term selects nothing, and stays so
    return all((new.get(kind) or [])[: len(old.get(kind) or [])] == (old.get(kind) or []) for kind in kinds)


def _but_seconds(toleration: Json) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((name, value) for name, value in toleration.items() if name != "tolerationSeconds"))


def _added_tolerations(new: list[Json], old: list[Json]) -> Iterator[Problem]:
    kept = {_but_seconds(each) for each in new}
    if any(_but_seconds(each) not in kept for each in old):
        yield forbidden_field(
            _SPEC / "tolerations", "existing toleration can not be modified except its tolerationSeconds"
        )


def _removed_gates(new: list[Json], old: list[Json]) -> Iterator[Problem]:
    before = {each.get("name") for each in old}
    for at, gate in enumerate(new):
        if gate.get("name") not in before:
            yield forbidden_field(
                (_SPEC / "schedulingGates")[at] / "name",
                f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'",
            )


# -- the difference, in the manner in which the original shows it: what was with a minus, what is with a plus


def _difference(old: Any, new: Any, depth: int = 1, name: str = "", kind: str = "core.PodSpec") -> Iterable[str]:
    pad = "  " + "\t" * (depth - 1)
    label = f"{_upper(name)}: " if name else ""
    if isinstance(old, dict) and isinstance(new, dict):
        yield f"{pad}{label}{kind or _upper(name)}{{" if depth == 1 else f"{pad}{label}{{"
        same = 0
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) == new.get(key):
                same += 1
                continue
            yield from _difference(old.get(key), new.get(key), depth + 1, key)
        if same:
            yield f"  {chr(9) * depth}... // {same} identical fields"
        yield f"{pad}}}" if depth == 1 else f"{pad}}},"
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        yield f"{pad}{label}{{"
        for one, other in zip(old, new, strict=True):
            if one != other:
                yield from _difference(one, other, depth + 1)
        yield f"{pad}}},"
    else:
        for sign, value in (("-", old), ("+", new)):
            yield f"{sign} {pad[2:]}{label}{_short(value)},"


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]


def _short(value: Any) -> str:
    text = "nil" if value is None else orjson.dumps(value).decode()
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        text = "[]string{" + ", ".join(orjson.dumps(each).decode() for each in value) + "}"
    return text if len(text) <= 200 else f"{text[:197]}..."


# -- status

_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_OWN_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
_HEALTH = ("Healthy", "Unhealthy", "Unknown")


def validate_status(new: Json, old: Json) -> Iterator[Problem]:
    """A change of the status, by the kubelet or by the scheduler."""
    status, was = new.get("status") or {}, old.get("status") or {}
    spec = old["spec"]
    yield from _annotations(new, old)
    notes = new["metadata"].get("annotations")
    if notes:
        yield from validate_annotations(notes, spec, _NOTES)
    for at, each in enumerate(status.get("conditions") or ()):
        if each.get("type") not in _OWN_CONDITIONS:
            for wrong in names.qualified_name(each.get("type", "")):
                yield invalid((Path() / "metadata" / "conditions")[at] / "Type", each.get("type", ""), wrong)
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != was.get("nominatedNodeName"):
        for wrong in names.dns1123_subdomain(nominated):
            yield invalid(_STATUS / "nominatedNodeName", nominated, wrong)
    yield from checks.immutable(status, was, "qosClass", _STATUS)
    sidecars = {each.get("name") for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"}
    policies = {
        each.get("name"): each
        for kind in ("containers", "initContainers")
        for each in spec.get(kind) or ()
        if each.get("restartPolicy")
    }
    for kind in _STATUSES:
        policy = "Never" if kind.startswith("ephemeral") else spec.get("restartPolicy", "Always")
        yield from _terminated_stays(status, was, kind, policy, sidecars, policies)
    yield from _claim_statuses(status.get("resourceClaimStatuses") or (), spec)
    yield from _addresses(status)
    for kind in _STATUSES:
        for at, each in enumerate(status.get(kind) or ()):
            if each.get("user"):
                yield from _user(each["user"], (_STATUS / kind)[at] / "linux", spec)
    for kind in _STATUSES:
        for at, each in enumerate(status.get(kind) or ()):
            if each.get("allocatedResourcesStatus"):
                yield from _allocated(each, (_STATUS / kind)[at] / "allocatedResourcesStatus", spec, kind)


def _terminated_stays(
    status: Json, was: Json, kind: str, policy: str, sidecars: set[str], own: dict[str, Json]
) -> Iterator[Problem]:
    """A container that may not be restarted does not leave its terminated state."""
    after = {each.get("name"): each for each in status.get(kind) or ()}
    for at, each in enumerate(was.get(kind) or ()):
        terminated = (each.get("state") or {}).get("terminated")
        name = each.get("name")
        now = after.get(name)
        if not terminated or now is None or name in sidecars:
            continue
        holder = own.get(name, {})
        effective = holder.get("restartPolicy") or policy
        if effective == "Always" or holder.get("restartPolicyRules"):
            continue  # rules may restart it whatever its exit code says to the policy
        if effective == "OnFailure" and terminated.get("exitCode"):
            continue
        if not (now.get("state") or {}).get("terminated"):
            yield forbidden_field((_STATUS / kind)[at] / "state", "may not be transitioned to non-terminated state")


def _claim_statuses(found: Iterable[Json], spec: Json) -> Iterator[Problem]:
    known = {each.get("name") for each in spec.get("resourceClaims") or ()}
    seen: set[str] = set()
    for at, each in enumerate(found):
        here = (_STATUS / "resourceClaimStatuses")[at] / "name"
        name, claim = each.get("name", ""), each.get("resourceClaimName")
        if name not in known:
            yield invalid(here, name, "must match the name of an entry in `spec.resourceClaims`")
        if name in seen:
            yield duplicate(here, name)
        seen.add(name)
        if claim is not None:
            for wrong in names.dns1123_subdomain(claim):
                yield invalid(here, claim, wrong)


def _addresses(status: Json) -> Iterator[Problem]:
    for field in ("podIPs", "hostIPs"):
        found = [each.get("ip", "") for each in status.get(field) or ()]
        path = _STATUS / field
        if field == "hostIPs" and found and status.get("hostIP", "") != found[0]:
            yield invalid(path[0] / "ip", found[0], "must be equal to `hostIP`")
        for at, ip in enumerate(found):
            yield from checks.ip_address(ip, path[at])
        if len(found) > 1:
            if len(found) > 2 or (":" in found[0]) == (":" in found[1]):
                yield invalid(path, status[field], "may specify no more than one IP for each IP family")
            for at, ip in enumerate(found):
                if ip in found[:at]:
                    yield duplicate(path[at], {"ip": ip})


def _user(user: Json, path: Path, spec: Json) -> Iterator[Problem]:
    linux = user.get("linux")
    if linux is None:
        return
    if (spec.get("os") or {}).get("name", "linux") == "windows":
        yield forbidden_field(path, "cannot be set for a windows pod")
        return
    text = "must be between 0 and 2147483647, inclusive"
    for field in ("uid", "gid"):
        if not 0 <= linux.get(field, 0) <= 0x7FFFFFFF:
            yield invalid(path / field, linux[field], text)
    for at, group in enumerate(linux.get("supplementalGroups") or ()):
        if not 0 <= group <= 0x7FFFFFFF:
            yield invalid((path / "supplementalGroups")[at], group, text)


def _allocated(status: Json, path: Path, spec: Json, kind: str) -> Iterator[Problem]:
    """What is said of devices is said of what the container asked for."""
    if kind.startswith("ephemeral"):
        yield forbidden_field(path, "must not be specified in container status")
        return
    own = spec.get("containers" if kind == "containerStatuses" else "initContainers") or ()
    container = next((each for each in own if each.get("name") == status.get("name")), None)
    for at, each in enumerate(status["allocatedResourcesStatus"]):
        name = each.get("name", "")
        if container is not None:
            asked = container.get("resources") or {}
            if name.startswith("claim:"):
                known = {
                    f"claim:{claim.get('name', '')}" + (f"/{claim['request']}" if claim.get("request") else "")
                    for claim in asked.get("claims") or ()
                }
                text = (
                    "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or "
                    "'claim:<claimName>' if request is empty"
                )
            else:
                known = set(asked.get("requests") or ())
                text = "must match one of the container's resource requests"
            if name not in known:
                yield invalid(path[at] / "name", name, text)
        seen: set[str] = set()
        for place, resource in enumerate(each.get("resources") or ()):
            here = (path[at] / "resources")[place]
            health, identity = resource.get("health", ""), resource.get("resourceID", "")
            if health not in _HEALTH:
                yield not_supported(here / "health", health, _HEALTH)
            if identity in seen:
                yield duplicate(here / "resourceID", identity)
            seen.add(identity)
