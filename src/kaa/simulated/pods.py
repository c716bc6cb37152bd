"""What a simulated node does next about a pod: pure, from the pod as the API shows it and the time.

Nothing is remembered elsewhere, so a process that is started anew goes on where the last one was. When containers end
is in the pod's annotations (see `plans`); besides, `simulated.kaa.dev/stop-after: "3s"` is how long a pod takes to end
once it is deleted (at most its grace period).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kaa.base.clock import format_seconds, parse_seconds
from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container, ContainerStatus
from kaa.kubelet.cri import api
from kaa.simulated.plans import ANNOTATION, Plan, parse_duration, plan_of, start_error

__all__ = ["Step", "next_step"]

Json = dict[str, Any]
BACKOFF_SECONDS, BACKOFF_SECONDS_MAX = 10.0, 300.0


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now, and when to look again if nothing else happens."""

    status: Json | None = None
    """A strategic merge patch of the status."""
    delete: bool = False
    """The pod has ended: take the object away."""
    again_seconds: float | None = None


def next_step(pod: Pod, now: float, host_ip: str, pod_ip: str) -> Step:
    """For a pod bound to the node. `pod_ip` is given to it if it has none yet."""
    if pod.deleting:
        return _ending(pod, now)
    if pod.finished:
        return Step()
    sandbox = api.SandboxConfig(api.SandboxMetadata(pod.name, pod.uid, pod.namespace), annotations=pod.annotations)
    states, again = [], None
    known = {each.name: each for each in pod.status.container_statuses}
    for container in pod.spec.containers:
        state, later = _container(pod, container, known.get(container.name), sandbox, now)
        states.append(state)
        if later is not None and (again is None or later < again):
            again = later
    status = _status(pod, states, now, host_ip, pod_ip)
    return Step(None if _same(pod, status) else status, again_seconds=again)


def _ending(pod: Pod, now: float) -> Step:
    grace = pod.metadata.deletion_grace_period_seconds or 0
    at = parse_seconds(pod.metadata.deletion_timestamp or "") - grace
    seconds = 0.0
    if text := pod.annotations.get(ANNOTATION + "stop-after"):
        try:
            seconds = parse_duration(text)
        except ValueError:
            seconds = 0.0
    left = 0.0 if pod.finished else at + min(seconds, grace) - now
    return Step(delete=True) if left <= 0 else Step(again_seconds=left)


def _container(
    pod: Pod, container: Container, was: ContainerStatus | None, sandbox: api.SandboxConfig, now: float
) -> tuple[Json, float | None]:
    """The container's status, and in how many seconds it will change by itself."""
    config = api.ContainerConfig(
        metadata=api.ContainerMetadata(container.name),
        image=api.ImageSpec(container.image),
        command=container.command,
        args=container.args,
    )
    if error := start_error(config, sandbox):
        return _waiting(container, was, "RunContainerError", error), None
    if was is None or (was.state.waiting is not None and was.last_state.terminated is None):
        return _begun(container, config, sandbox, 0, now, None)
    if was.state.terminated is not None:
        return _kept(was, {"terminated": _terminated(was.state.terminated)}, ready=False), None
    if was.state.waiting is not None:
        ended = was.last_state.terminated
        assert ended is not None
        left = parse_seconds(ended.finished_at or "") + _backoff(was.restart_count) - now
        if left > 0:
            return _kept(was, {"waiting": _crash_loop(pod, container)}, ready=False), left
        return _begun(container, config, sandbox, was.restart_count + 1, now, _terminated(ended))
    started = parse_seconds((was.state.running.started_at if was.state.running else None) or format_seconds(now))
    plan = plan_of(config, sandbox)
    if plan is None or started + plan.seconds > now:
        running = {"running": {"startedAt": format_seconds(started)}}
        return _kept(was, running, ready=True), None if plan is None else started + plan.seconds - now
    return _ended(pod, container, config, sandbox, was, plan, started, now)


def _begun(
    container: Container,
    config: api.ContainerConfig,
    sandbox: api.SandboxConfig,
    restarts: int,
    now: float,
    last: Json | None,
) -> tuple[Json, float | None]:
    state = _line(container, restarts, {"running": {"startedAt": format_seconds(now)}}, last, ready=True)
    plan = plan_of(config, sandbox)
    return state, None if plan is None else plan.seconds


def _ended(
    pod: Pod,
    container: Container,
    config: api.ContainerConfig,
    sandbox: api.SandboxConfig,
    was: ContainerStatus,
    plan: Plan,
    started: float,
    now: float,
) -> tuple[Json, float | None]:
    finished = min(now, started + plan.seconds)
    ended: Json = {
        "exitCode": plan.exit_code,
        "reason": "Completed" if plan.exit_code == 0 else "Error",
        "startedAt": format_seconds(started),
        "finishedAt": format_seconds(finished),
        "containerID": was.container_id,
    }
    if plan.message:
        ended["message"] = plan.message
    if not _restarts(pod, plan.exit_code):
        return _kept(was, {"terminated": ended}, ready=False), None
    left = finished + _backoff(was.restart_count) - now
    if left <= 0:
        return _begun(container, config, sandbox, was.restart_count + 1, now, ended)
    return _line(container, was.restart_count, {"waiting": _crash_loop(pod, container)}, ended, ready=False), left


def _restarts(pod: Pod, exit_code: int) -> bool:
    return pod.spec.restart_policy == "Always" or (pod.spec.restart_policy == "OnFailure" and exit_code != 0)


def _backoff(restarts: int) -> float:
    """Before the next start: none the first time, then 10 s, 20 s, up to five minutes."""
    return min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2.0 ** (restarts - 1)) if restarts else 0.0


def _crash_loop(pod: Pod, container: Container) -> Json:
    message = f"restarting failed container={container.name} pod={pod.name}_{pod.namespace}({pod.uid})"
    return {"reason": "CrashLoopBackOff", "message": f"back-off {message}"}


def _waiting(container: Container, was: ContainerStatus | None, reason: str, message: str) -> Json:
    return _line(container, was.restart_count if was else 0, {"waiting": {"reason": reason, "message": message}}, None,
                 ready=False)  # fmt: skip


def _line(container: Container, restarts: int, state: Json, last: Json | None, *, ready: bool) -> Json:
    return {
        "name": container.name,
        "image": container.image,
        "imageID": f"simulated://{container.image}",
        "containerID": f"simulated://{container.name}-{restarts}",
        "ready": ready,
        "started": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }


def _kept(was: ContainerStatus, state: Json, *, ready: bool) -> Json:
    last = was.last_state.terminated
    return {
        "name": was.name,
        "image": was.image,
        "imageID": was.image_id,
        "containerID": was.container_id,
        "ready": ready,
        "started": ready,
        "restartCount": was.restart_count,
        "state": state,
        "lastState": {"terminated": _terminated(last)} if last else {},
    }


def _terminated(state: Any) -> Json:
    found = {
        "exitCode": state.exit_code,
        "reason": state.reason,
        "startedAt": state.started_at,
        "finishedAt": state.finished_at,
        "containerID": state.container_id,
    }
    return found | ({"message": state.message} if state.message else {})


def _status(pod: Pod, states: Sequence[Json], now: float, host_ip: str, pod_ip: str) -> Json:
    stamp = format_seconds(now)
    phase = _phase(states)
    ready = phase == "Running" and all(each["ready"] for each in states)
    gates = all(pod.condition(str(each.get("conditionType"))) == "True" for each in pod.spec.readiness_gates)
    over = phase in ("Succeeded", "Failed")
    reason = "PodCompleted" if phase == "Succeeded" else "ContainersNotReady"
    wanted: Mapping[str, tuple[bool, str]] = {
        "PodReadyToStartContainers": (not over, ""),
        "Initialized": (True, "PodCompleted" if phase == "Succeeded" else ""),
        "ContainersReady": (ready, "" if ready else reason),
        "Ready": (ready and gates, "" if ready and gates else reason if not ready else "ReadinessGatesNotReady"),
    }
    before = {each.type: each for each in pod.status.conditions}
    conditions = []
    for kind, (value, why) in wanted.items():
        word, old = "True" if value else "False", before.get(kind)
        at = old.last_transition_time if old is not None and old.status == word else stamp
        condition = {"type": kind, "status": word, "lastTransitionTime": at or stamp}
        if why:
            condition["reason"] = why
        conditions.append(condition)
    ip = host_ip if pod.spec.host_network else pod.status.pod_ip or pod_ip
    generation = {"observedGeneration": pod.metadata.generation} if pod.metadata.generation else {}
    return {
        "phase": phase,
        **generation,
        "conditions": conditions,
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": pod.status.start_time or stamp,
        "containerStatuses": list(states),
        **_init_statuses(pod, stamp),
    }


def _phase(states: Sequence[Json]) -> str:
    kinds = [next(iter(each["state"])) for each in states]
    if all(kind == "terminated" for kind in kinds):
        good = all(each["state"]["terminated"]["exitCode"] == 0 for each in states)
        return "Succeeded" if good else "Failed"
    if any(kind == "running" or each["lastState"] for kind, each in zip(kinds, states, strict=True)):
        return "Running"
    return "Pending"


def _init_statuses(pod: Pod, stamp: str) -> Json:
    """Init containers are over at once; those with restartPolicy Always run beside the others."""
    if not pod.spec.init_containers or pod.status.init_container_statuses:
        return {}
    lines = []
    for each in pod.spec.init_containers:
        if each.restart_policy == "Always":
            lines.append(_line(each, 0, {"running": {"startedAt": stamp}}, None, ready=True))
            continue
        ended = {"exitCode": 0, "reason": "Completed", "startedAt": stamp, "finishedAt": stamp}
        lines.append({**_line(each, 0, {"terminated": ended}, None, ready=True), "started": False})
    return {"initContainerStatuses": lines}


def _same(pod: Pod, status: Json) -> bool:
    """The API shows this already (whatever could differ, differs in one of these)."""
    now = pod.status
    if now.phase != status["phase"] or now.pod_ip != status["podIP"] or now.host_ip != status["hostIP"]:
        return False
    if now.observed_generation != status.get("observedGeneration", 0):
        return False
    if any(pod.condition(each["type"]) != each["status"] for each in status["conditions"]):
        return False
    if len(now.container_statuses) != len(status["containerStatuses"]):
        return False
    for has, wants in zip(now.container_statuses, status["containerStatuses"], strict=True):
        kind = next(iter(wants["state"]))
        if getattr(has.state, kind) is None or has.restart_count != wants["restartCount"] or has.name != wants["name"]:
            return False
    return True
