"""Pods: what they default to, what may change of them, their quality of service and their row in a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from kaa.kinds import printing
from kaa.kinds.core.podcheck import validate_spec
from kaa.kinds.core.podrow import pod_row
from kaa.kinds.core.podspec import default_pod, default_spec
from kaa.kinds.core.podsub import SUBWRITES
from kaa.kinds.core.quality import quality_of_service
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, forbidden_field, invalid

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"


def _default(pod: Json) -> None:
    spec = pod["spec"]
    default_spec(spec)
    default_pod(spec)


def _prepare_create(pod: Json) -> None:
    pod["status"] = {"phase": "Pending", "qosClass": quality_of_service(pod["spec"])}
    # A gated pod says so from the start: the scheduler will not look at it.
    if pod["spec"].get("schedulingGates"):
        pod["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]


def _prepare_status(new: Json, old: Json) -> None:
    # The kubelet's writes may not move a deletion, nor owners.
    meta, was = new["metadata"], old["metadata"]
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences"):
        if name in was:
            meta[name] = was[name]
        else:
            meta.pop(name, None)
    status, before = new.setdefault("status", {}), old.get("status", {})
    if not status.get("qosClass") and before.get("qosClass"):
        status["qosClass"] = before["qosClass"]


def _validate(pod: Json) -> Iterator[Problem]:
    yield from validate_spec(pod["spec"], _SPEC)


def _validate_create(pod: Json) -> Iterator[Problem]:
    if pod["spec"].get("ephemeralContainers"):
        yield forbidden_field(_SPEC / "ephemeralContainers", "cannot be set on create")


_MAY_CHANGE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    spec, was = new["spec"], old["spec"]
    if spec == was:
        return
    for kind in ("containers", "initContainers"):
        ours, theirs = spec.get(kind) or [], was.get(kind) or []
        if len(ours) != len(theirs):
            yield forbidden_field(_SPEC / kind, "pod updates may not add or remove containers")
            return
    deadline, before = spec.get("activeDeadlineSeconds"), was.get("activeDeadlineSeconds")
    if before is not None:
        if deadline is None:
            yield invalid(_SPEC / "activeDeadlineSeconds", None, "must not update from a positive integer to nil value")
            return
        if deadline > before:
            yield invalid(_SPEC / "activeDeadlineSeconds", deadline, "must be less than or equal to previous value")
            return
    yield from _added_tolerations(spec.get("tolerations") or [], was.get("tolerations") or [])
    gated = bool(was.get("schedulingGates"))
    yield from _removed_gates(spec.get("schedulingGates") or [], was.get("schedulingGates") or [])
    munged = _without_what_may_change(spec, gated=gated)
    before_munged = _without_what_may_change(was, gated=gated)
    if was.get("terminationGracePeriodSeconds", 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = before_munged.get("terminationGracePeriodSeconds")
    if munged != before_munged:
        changed = ", ".join(_differences(before_munged, munged, "spec"))
        yield forbidden_field(
            _SPEC, f"pod updates may not change fields other than {_MAY_CHANGE}\nchanged: {changed}\n"
        )


def _without_what_may_change(spec: Json, *, gated: bool) -> Json:
    out = dict(spec)
    for kind in ("containers", "initContainers"):
        if kind in out:
            out[kind] = [{**container, "image": ""} for container in out[kind]]
    for name in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        out.pop(name, None)
    if gated:
        # Until it may be scheduled, what selects its node may still be narrowed.
        out.pop("nodeSelector", None)
        if "affinity" in out:
            rest = {name: value for name, value in out.pop("affinity").items() if name != "nodeAffinity"}
            if rest:
                out["affinity"] = rest
    return out


def _added_tolerations(new: list[Json], old: list[Json]) -> Iterator[Problem]:
    kept = [{**each, "tolerationSeconds": None} for each in new]
    if any({**each, "tolerationSeconds": None} not in kept for each in old):
        yield forbidden_field(
            _SPEC / "tolerations", "existing toleration can not be modified except its tolerationSeconds"
        )


def _removed_gates(new: list[Json], old: list[Json]) -> Iterator[Problem]:
    before = {each.get("name") for each in old}
    for at, gate in enumerate(new):
        if gate.get("name") not in before:
            yield forbidden_field(
                (_SPEC / "schedulingGates")[at],
                f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'",
            )


def _differences(old: Any, new: Any, path: str) -> Iterable[str]:
    """The paths at which two values differ, as deep as both have a common shape."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield from _differences(old.get(name), new.get(name), f"{path}.{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (one, other) in enumerate(zip(old, new, strict=True)):
            if one != other:
                yield from _differences(one, other, f"{path}[{at}]")
    else:
        yield f"{path}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def _validate_status(new: Json, old: Json) -> Iterator[Problem]:
    status, was = new.get("status") or {}, old.get("status") or {}
    path = Path() / "status"
    policy = new["spec"].get("restartPolicy", "Always")
    if policy != "Always":
        yield from _terminated_stays(was, status, policy, new["spec"], path)


def _terminated_stays(old: Json, new: Json, policy: str, spec: Json, path: Path) -> Iterator[Problem]:
    """A container that may not be restarted does not leave its terminated state."""
    after = {each.get("name"): each for each in new.get("containerStatuses") or ()}
    own = {each.get("name") for each in spec.get("containers") or () if each.get("restartPolicy")}
    for at, each in enumerate(old.get("containerStatuses") or ()):
        terminated = (each.get("state") or {}).get("terminated")
        now = after.get(each.get("name"))
        if not terminated or now is None or each.get("name") in own:
            continue
        if policy == "OnFailure" and terminated.get("exitCode"):
            continue
        if not (now.get("state") or {}).get("terminated"):
            yield forbidden_field(
                ((path / "containerStatuses")[at] / "state"), "may not be transitioned to non-terminated state"
            )


def _phase(pod: Json) -> str:
    return str(pod.get("status", {}).get("phase", ""))


def _of_spec(name: str, default: str = "") -> Any:
    return lambda pod: str(pod.get("spec", {}).get(name, default))


SELECTABLE = {
    "spec.nodeName": _of_spec("nodeName"),
    "spec.restartPolicy": _of_spec("restartPolicy"),
    "spec.schedulerName": _of_spec("schedulerName"),
    "spec.serviceAccountName": _of_spec("serviceAccountName"),
    "spec.hostNetwork": lambda pod: "true" if pod.get("spec", {}).get("hostNetwork") else "false",
    "status.phase": _phase,
    "status.podIP": lambda pod: str(pod.get("status", {}).get("podIP", "")),
    "status.nominatedNodeName": lambda pod: str(pod.get("status", {}).get("nominatedNodeName", "")),
}

COLUMNS = (
    NAME_COLUMN,
    Column("Ready"),
    Column("Status"),
    Column("Restarts"),
    AGE_COLUMN,
    Column("IP", priority=1),
    Column("Node", priority=1),
    Column("Nominated Node", priority=1),
    Column("Readiness Gates", priority=1),
)


def _cells(pod: Json, now: float) -> list[Any]:
    meta, spec, status = pod.get("metadata", {}), pod.get("spec", {}), pod.get("status", {})
    shown = pod_row(pod, now)
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or ()}
    gates = spec.get("readinessGates") or ()
    passed = sum(1 for gate in gates if conditions.get(gate.get("conditionType")) == "True")
    ips = status.get("podIPs") or ()
    return [
        meta.get("name", ""),
        f"{shown.ready}/{shown.total}",
        shown.reason,
        shown.restarts,
        printing.age(pod, now),
        (ips[0].get("ip", "") if ips else status.get("podIP", "")) or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        f"{passed}/{len(gates)}" if gates else "<none>",
    ]


def _warnings(pod: Json, old: Json | None) -> Iterator[str]:
    spec = pod.get("spec", {})
    if old is not None and old.get("spec") == spec:
        return
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
    for kind in ("containers", "initContainers"):
        for at, container in enumerate(spec.get(kind) or ()):
            seen: set[str] = set()
            for place, variable in enumerate(container.get("env") or ()):
                name = variable.get("name", "")
                if name in seen:
                    yield (
                        f'spec.{kind}[{at}].env[{place}]: hides previous definition of "{name}", '
                        "which may be dropped when using apply"
                    )
                seen.add(name)


def _grace(pod: Json) -> int:
    """None where nothing runs: not on a node yet, or finished."""
    if not pod["spec"].get("nodeName") or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    seconds = int(pod["spec"].get("terminationGracePeriodSeconds", 30))
    return seconds if seconds >= 0 else 1


RULES = Rules(
    default=_default,
    prepare_create=_prepare_create,
    prepare_status=_prepare_status,
    validate=_validate,
    validate_create=_validate_create,
    validate_update=_validate_update,
    validate_status=_validate_status,
    subwrites=SUBWRITES,
    warnings=_warnings,
    selectable=SELECTABLE,
    columns=COLUMNS,
    cells=_cells,
    generation=True,
    grace=_grace,
)
