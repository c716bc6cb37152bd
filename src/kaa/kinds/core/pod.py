"""Pods: what they default to, what may change of them, their quality of service and their row in a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import printing
from kaa.kinds.core.podcheck import validate_pod
from kaa.kinds.core.podnotes import validate_annotations, validate_profiles_match
from kaa.kinds.core.podrow import pod_row
from kaa.kinds.core.podspec import default_pod, default_spec
from kaa.kinds.core.podsub import SUBWRITES
from kaa.kinds.core.podupdate import validate_status, validate_update
from kaa.kinds.core.podwarn import pod_warnings
from kaa.kinds.core.quality import quality_of_service
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import NOWHERE, Path, Problem, forbidden_field

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_NOTES = Path() / "metadata" / "annotations"


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
    notes = pod["metadata"].get("annotations")
    if notes:
        yield from validate_annotations(notes, pod["spec"], _NOTES)
    # Nearly all pods are fine: paths are built for those that are not.
    if next(validate_pod(pod, NOWHERE), None) is not None:
        yield from validate_pod(pod, _SPEC)


def _validate_create(pod: Json) -> Iterator[Problem]:
    spec = pod["spec"]
    if spec.get("ephemeralContainers"):
        yield forbidden_field(_SPEC / "ephemeralContainers", "cannot be set on create")
    if spec.get("nodeName") and spec.get("schedulingGates"):
        yield forbidden_field(_SPEC / "nodeName", "cannot be set until all schedulingGates have been cleared")
    notes = pod["metadata"].get("annotations")
    if notes:
        yield from validate_profiles_match(notes, spec, _SPEC)


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
    if old is None:
        wrongs = names.dns1123_label(pod["metadata"].get("name", ""))
        if wrongs:
            yield _HOSTNAME.format(" ".join(wrongs))
    elif old.get("spec") == pod.get("spec"):
        return
    yield from pod_warnings(pod)


_HOSTNAME = (
    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
    "a DNS label is recommended: [{}]"
)


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
    validate_update=validate_update,
    validate_status=validate_status,
    subwrites=SUBWRITES,
    warnings=_warnings,
    selectable=SELECTABLE,
    columns=COLUMNS,
    cells=_cells,
    generation=True,
    grace=_grace,
)
