"""The status of a pod from what is seen of it: pure. Reasons and messages are worded as users know them."""

from dataclasses import dataclass
from typing import Any

from kaa.base.clock import format_seconds
from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container, PodCondition
from kaa.kubelet.amounts import is_sidecar, qos_class
from kaa.kubelet.lifecycle import Plan, should_restart
from kaa.kubelet.memo import Memo, Waiting
from kaa.kubelet.seen import CREATED, ContainerSeen, PodSeen

__all__ = ["Host", "changes", "status_of"]

Json = dict[str, Any]
_CREATING = Waiting("ContainerCreating")
_INITIALIZING = Waiting("PodInitializing")


@dataclass(frozen=True, slots=True)
class Host:
    """What a pod's status says of its node."""

    ip: str = ""
    runtime_name: str = "containerd"


def status_of(pod: Pod, seen: PodSeen, memo: Memo, plan: Plan, host: Host, now: float) -> Json:
    """The whole status the kubelet answers for, as JSON.

    `plan` is the current one (its back-offs become waiting states). Conditions of others are not in it: `changes`
    makes a patch that leaves them alone. Times of unchanged conditions are kept from `pod.status`.
    """
    make = _Containers(pod, seen, memo, plan)
    init = [make.status(c, init=True) for c in pod.spec.init_containers]
    app = [make.status(c) for c in pod.spec.containers]
    ephemeral = [
        make.status(c) for c in pod.spec.ephemeral_containers if seen.latest(c.name) or c.name in memo.failures
    ]
    finished = memo.finished
    phase = finished[0] if finished else _phase(pod, init, app, plan.initialized)
    # A phase never leaves its end, whatever is seen later.
    if pod.finished or (finished and seen.running):
        phase = pod.status.phase
    status: Json = {"phase": phase, "qosClass": pod.status.qos_class or qos_class(pod)}
    if pod.metadata.generation:
        status["observedGeneration"] = pod.metadata.generation
    reason, message = (finished[1], finished[2]) if finished else (pod.status.reason, pod.status.message)
    if reason:
        status["reason"] = reason
    if message:
        status["message"] = message
    if memo.started_at:
        status["startTime"] = pod.status.start_time or format_seconds(memo.started_at)
    if host.ip:
        status["hostIP"] = host.ip
        status["hostIPs"] = [{"ip": host.ip}]
    addresses = pod_addresses(pod, seen, host, over=phase in ("Succeeded", "Failed"))
    if addresses:
        status["podIP"] = addresses[0]
        status["podIPs"] = [{"ip": ip} for ip in addresses]
    if init:
        status["initContainerStatuses"] = init
    status["containerStatuses"] = app
    if ephemeral:
        status["ephemeralContainerStatuses"] = ephemeral
    status["conditions"] = _conditions(pod, seen, init, app, phase, plan.initialized, now)
    return status


def pod_addresses(pod: Pod, seen: PodSeen, host: Host, *, over: bool = False) -> tuple[str, ...]:
    """The pod's addresses: its sandbox's, or the node's. One that is `over`, whether or not the API has been told so,
    keeps those it had, as the original's cache of the runtime does; a short one may never have told them."""
    sandbox = seen.sandbox
    if sandbox is None or not sandbox.ready:
        known = tuple(each.ip for each in pod.status.pod_ips) or seen.addresses
        return known if over or pod.finished or pod.deleting else ()
    return (host.ip,) if pod.spec.host_network and host.ip else sandbox.ips


class _Containers:
    """Container statuses of one pod."""

    def __init__(self, pod: Pod, seen: PodSeen, memo: Memo, plan: Plan) -> None:
        self.pod, self.seen, self.memo, self.plan = pod, seen, memo, plan
        self.previous = {
            each.name: each
            for each in (
                *pod.status.init_container_statuses,
                *pod.status.container_statuses,
                *pod.status.ephemeral_container_statuses,
            )
        }
        self.default = _CREATING
        if pod.spec.init_containers and not plan.initialized:
            self.default = _INITIALIZING

    def status(self, container: Container, *, init: bool = False) -> Json:
        """One container's."""
        name = container.name
        tries = self.seen.containers.get(name, [])
        latest = tries[0] if tries else None
        waiting = self.plan.waiting.get(name) or self.memo.failures.get(name)
        if waiting is None and "" in self.memo.failures:
            waiting = Waiting(self.default.reason, self.memo.failures[""].message)
        result: Json = {"name": name}
        last: Json = {}
        if latest is None:
            state, last = self._unseen(name, waiting, init)
        elif latest.running or latest.state == "unknown":
            state = {"running": {"startedAt": format_seconds(latest.started_at)}}
        elif latest.state == CREATED:
            state = _waiting(waiting or _CREATING)
        elif waiting is not None and self._comes_back(container, latest, init):
            state, last = _waiting(waiting), terminated(latest)
        else:
            state = terminated(latest)
        if not last and len(tries) > 1 and tries[1].exited:
            last = terminated(tries[1])
        ready, started = self._ready(container, latest, init)
        result["state"] = state
        result["lastState"] = last
        result["ready"] = ready
        previous = self.previous.get(name)
        known = previous.restart_count if previous else 0
        result["restartCount"] = latest.attempt if latest else known
        result["image"] = container.image
        result["imageID"] = latest.image_id if latest else (previous.image_id if previous else "")
        if latest is not None:
            result["containerID"] = f"containerd://{latest.id}"
        result["started"] = started
        if container.resources.requests:
            result["allocatedResources"] = dict(container.resources.requests)
        resources = {
            key: dict(value)
            for key, value in (("limits", container.resources.limits), ("requests", container.resources.requests))
            if value
        }
        if resources and latest is not None:
            result["resources"] = resources
        if container.volume_mounts and latest is not None:
            result["volumeMounts"] = [_mount_status(mount) for mount in container.volume_mounts]
        return result

    def _unseen(self, name: str, waiting: Waiting | None, init: bool) -> tuple[Json, Json]:
        """Never made, or made and gone from the runtime: what the API remembers of its end stays."""
        previous = self.previous.get(name)
        if previous is not None and previous.state.terminated is not None and (self.memo.finished or init):
            ended = previous.state.terminated
            return {
                "terminated": {
                    "exitCode": ended.exit_code,
                    "reason": ended.reason,
                    "startedAt": ended.started_at,
                    "finishedAt": ended.finished_at,
                    "containerID": ended.container_id,
                }
            }, {}
        if self.memo.finished and previous is not None and previous.state.running is not None:
            message = "The container could not be located when the pod was terminated"
            return {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": message}}, {}
        default = self.default
        if init and not self.plan.initialized:
            default = _INITIALIZING
        return _waiting(waiting or default), {}

    def _comes_back(self, container: Container, latest: ContainerSeen, init: bool) -> bool:
        if self.memo.finished or self.pod.deleting or container in self.pod.spec.ephemeral_containers:
            return False
        return should_restart(self.pod, container, latest, init=init and not is_sidecar(container))

    def _ready(self, container: Container, latest: ContainerSeen | None, init: bool) -> tuple[bool, bool]:
        if latest is None:
            return False, False
        if init and not is_sidecar(container):
            return latest.exited and latest.exit_code == 0, latest.running
        if not latest.running:
            return False, False
        started = latest.id in self.memo.startup_passed
        if container.readiness_probe is None:
            return started, started
        return started and self.memo.ready.get(latest.id, False), started


def _waiting(why: Waiting) -> Json:
    state: Json = {"reason": why.reason}
    if why.message:
        state["message"] = why.message
    return {"waiting": state}


def terminated(container: ContainerSeen) -> Json:
    """The terminated state of a container that has ended."""
    state: Json = {"exitCode": container.exit_code, "reason": container.reason or "Error"}
    if container.message:
        state["message"] = container.message
    if container.started_at > 0:
        state["startedAt"] = format_seconds(container.started_at)
    if container.finished_at > 0:
        state["finishedAt"] = format_seconds(container.finished_at)
    state["containerID"] = f"containerd://{container.id}"
    return {"terminated": state}


def _mount_status(mount: Any) -> Json:
    result: Json = {"name": mount.name, "mountPath": mount.mount_path}
    if mount.read_only:
        result["readOnly"] = True
        result["recursiveReadOnly"] = "Disabled"
    return result


def _phase(pod: Pod, init: list[Json], app: list[Json], initialized: bool) -> str:
    """Pending until every app container has been started once; then Running (the ends come from `memo.finished`)."""
    if not initialized and not any("running" in each["state"] for each in app):
        return "Running" if pod.status.phase == "Running" else "Pending"
    for each in app:
        waiting = "waiting" in each["state"]
        if waiting and not each["lastState"] and not each["restartCount"]:
            return "Pending"
    return "Running" if any("waiting" not in each["state"] or each["lastState"] for each in app) else "Pending"


def _conditions(
    pod: Pod, seen: PodSeen, init: list[Json], app: list[Json], phase: str, initialized: bool, now: float
) -> list[Json]:
    sandbox = seen.sandbox
    networked = sandbox is not None and sandbox.ready and (pod.spec.host_network or bool(sandbox.ips))
    sidecars = {c.name for c in pod.spec.init_containers if is_sidecar(c)}
    # Those who must be ready: app containers and sidecars.
    counted = [each for each in init if each["name"] in sidecars] + app
    containers_ready = _containers_ready(counted, phase)
    made = [
        _condition("PodReadyToStartContainers", networked),
        _initialized(pod, init, phase, initialized),
        _ready(pod, containers_ready, phase),
        containers_ready,
        _condition("PodScheduled", True),
    ]
    before = {each.type: each for each in pod.status.conditions}
    return [_dated(each, before.get(each["type"]), pod, now) for each in made]


def _condition(type_: str, holds: bool, reason: str = "", message: str = "") -> Json:
    condition: Json = {"type": type_, "status": "True" if holds else "False"}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _initialized(pod: Pod, init: list[Json], phase: str, initialized: bool) -> Json:
    if phase == "Succeeded":
        return _condition("Initialized", True, "PodCompleted")
    if initialized or not init or phase == "Running":
        return _condition("Initialized", True)
    incomplete = [
        each["name"]
        for each, container in zip(init, pod.spec.init_containers, strict=True)
        if not (each["started"] if is_sidecar(container) else each["ready"])
    ]
    if not incomplete:
        return _condition("Initialized", True)
    return _condition(
        "Initialized", False, "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]"
    )


def _containers_ready(counted: list[Json], phase: str) -> Json:
    if phase == "Succeeded":
        return _condition("ContainersReady", False, "PodCompleted")
    if phase == "Failed":
        return _condition("ContainersReady", False, "PodFailed")
    unready = [each["name"] for each in counted if not each["ready"]]
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return _condition("ContainersReady", False, "ContainersNotReady", message)
    return _condition("ContainersReady", True)


def _ready(pod: Pod, containers_ready: Json, phase: str) -> Json:
    if containers_ready["status"] != "True":
        return _condition("Ready", False, containers_ready.get("reason", ""), containers_ready.get("message", ""))
    wrong: list[str] = []
    for gate in pod.spec.readiness_gates:
        type_ = str(gate.get("conditionType", ""))
        value = pod.condition(type_)
        if not value:
            wrong.append(f'corresponding condition of pod readiness gate "{type_}" does not exist.')
        elif value != "True":
            wrong.append(f'the status of pod readiness gate "{type_}" is not "True", but {value}')
    if wrong:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(wrong))
    return _condition("Ready", True)


def _dated(condition: Json, before: PodCondition | None, pod: Pod, now: float) -> Json:
    same = before is not None and before.status == condition["status"] and before.last_transition_time
    condition["lastTransitionTime"] = before.last_transition_time if same and before else format_seconds(now)
    if pod.metadata.generation:
        condition["observedGeneration"] = pod.metadata.generation
    return condition


# What to send -----------------------------------------------------------------------------------------------------


def changes(before: Json, after: Json) -> Json | None:
    """A strategic merge patch of `status` that makes `before` (what was last sent, or read) into `after`; None when
    nothing differs. Conditions merge by type, so those of others stay; address lists are replaced, not merged."""
    patch: Json = {}
    for key, value in after.items():
        if key == "conditions":
            old = {each["type"]: each for each in before.get("conditions") or ()}
            changed = [each for each in value if not _same_condition(old.get(each["type"]), each)]
            if changed:
                patch[key] = [_full_condition(old.get(each["type"]), each) for each in changed]
        elif before.get(key) != value:
            patch[key] = [{"$patch": "replace"}, *value] if key in ("podIPs", "hostIPs") else value
    for key in _OWNED - after.keys():
        if before.get(key):
            patch[key] = None
    return patch or None


_OWNED = {
    "reason", "message", "podIP", "podIPs", "initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses",
}  # fmt: skip


def _same_condition(old: Json | None, new: Json) -> bool:
    keys = ("status", "reason", "message", "observedGeneration")
    return old is not None and all((old.get(key) or "") == (new.get(key) or "") for key in keys)


def _full_condition(old: Json | None, new: Json) -> Json:
    cleared = {key: None for key in ("reason", "message") if old and old.get(key) and key not in new}
    return {**new, **cleared}
