"""What `kubectl get pods` says of a pod: how many containers are ready, its status in a word, its restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kaa.kinds import printing

__all__ = ["PodRow", "pod_row"]

Json = dict[str, Any]


@dataclass(frozen=True)
class PodRow:
    """The changing part of the row."""

    ready: int
    total: int
    reason: str
    restarts: str


def pod_row(pod: Json, now: float) -> PodRow:
    """The summary, following the original's order of precedence: init containers, containers, deletion."""
    meta, spec, status = pod.get("metadata", {}), pod.get("spec", {}), pod.get("status", {})
    total = len(spec.get("containers") or ())
    reason = status.get("reason") or status.get("phase") or ""
    conditions = status.get("conditions") or ()
    for each in conditions:
        if each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"

    init_by_name = {each.get("name"): each for each in spec.get("initContainers") or ()}
    ready = 0
    restarts = sidecar_restarts = 0
    last_restart = sidecar_last_restart = ""
    initializing = False
    for container in init_by_name.values():
        total += container.get("restartPolicy") == "Always"
    for at, each in enumerate(status.get("initContainerStatuses") or ()):
        restarts += each.get("restartCount", 0)
        last_restart = max(last_restart, _finished(each))
        sidecar = init_by_name.get(each.get("name"), {}).get("restartPolicy") == "Always"
        if sidecar:
            sidecar_restarts += each.get("restartCount", 0)
            sidecar_last_restart = max(sidecar_last_restart, _finished(each))
        state = each.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if sidecar and each.get("started"):
            ready += bool(each.get("ready"))
            continue
        if terminated is not None:
            reason = "Init:" + _exit_word(terminated)
        elif waiting is not None and waiting.get("reason") and waiting["reason"] != "PodInitializing":
            reason = "Init:" + waiting["reason"]
        else:
            reason = f"Init:{at}/{len(init_by_name)}"
        initializing = True
        break

    if not initializing or any(
        each.get("type") == "Initialized" and each.get("status") == "True" for each in conditions
    ):
        restarts, last_restart = sidecar_restarts, sidecar_last_restart
        running = False
        for each in reversed(status.get("containerStatuses") or ()):
            restarts += each.get("restartCount", 0)
            last_restart = max(last_restart, _finished(each))
            state = each.get("state") or {}
            terminated, waiting = state.get("terminated"), state.get("waiting")
            if waiting is not None and waiting.get("reason"):
                reason = waiting["reason"]
            elif terminated is not None:
                reason = _exit_word(terminated)
            elif each.get("ready") and state.get("running") is not None:
                running = True
                ready += 1
        if reason == "Completed" and running:
            is_ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
            reason = "Running" if is_ready else "NotReady"

    if meta.get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            reason = "Terminating"
    text = str(restarts)
    if restarts and last_restart:
        text = f"{restarts} ({printing.since(last_restart, now)} ago)"
    return PodRow(ready, total, reason, text)


def _finished(status: Json) -> str:
    """When the container last ended; ISO times in UTC sort as text."""
    return str(((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or "")


def _exit_word(terminated: Json) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"
