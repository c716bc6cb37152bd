"""Liveness, readiness and startup probes of the node's containers: one timer wheel, a task only while one is asked.

A probe that has reached its threshold changes the pod's memo (`ready`, `startup_passed`, `condemned`) and wakes its
worker, which decides. Liveness and readiness wait for the startup probe.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kaa.base import tasks
from kaa.base.clock import Clock
from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container, Probe
from kaa.kubelet import names
from kaa.kubelet.actions import perform
from kaa.kubelet.cri import api
from kaa.kubelet.memo import Memo
from kaa.kubelet.seen import ContainerSeen
from kaa.runtime.timers import Timer, Timers

__all__ = ["Probes"]

AT_ONCE_MAX = 64
Event = Callable[[dict[str, Any], str, str, str], None]
_TITLES = {"startup": "Startup", "liveness": "Liveness", "readiness": "Readiness"}


@dataclass(slots=True, eq=False)
class _Run:
    """One probe of one running container."""

    pod: Pod
    memo: Memo
    container: Container
    container_id: str
    pod_ip: str
    kind: str
    probe: Probe
    timer: Timer | None = None
    task: "asyncio.Task[None] | None" = None
    last: bool | None = None
    streak: int = 0


@dataclass(slots=True)
class _OfPod:
    runs: dict[tuple[str, str], _Run] = field(default_factory=dict)
    """By (container id, kind)."""


class Probes:
    """Every probe of the node."""

    def __init__(
        self, runtime: api.Runtime, event: Event, clock: Clock, timers: Timers, changed: Callable[[str], None]
    ) -> None:
        self._runtime, self._event, self._clock, self._timers, self._changed = runtime, event, clock, timers, changed
        self._pods: dict[str, _OfPod] = {}
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)

    def sync(
        self,
        pod: Pod,
        memo: Memo,
        running: Iterable[tuple[Container, ContainerSeen]],
        pod_ip: str,
        *,
        readiness_only: bool = False,
    ) -> None:
        """Probe exactly these containers. Cheap when nothing has changed. `readiness_only`: the pod is going down."""
        held = self._pods.get(pod.uid)
        wanted: dict[tuple[str, str], tuple[Container, ContainerSeen, Probe]] = {}
        for container, seen in running:
            started = seen.id in memo.startup_passed
            doomed = readiness_only or seen.id in memo.condemned
            if container.startup_probe is not None and not started and not doomed:
                wanted[seen.id, "startup"] = (container, seen, container.startup_probe)
            if started and container.readiness_probe is not None:
                wanted[seen.id, "readiness"] = (container, seen, container.readiness_probe)
            live = container.liveness_probe is not None and not doomed
            if started and live and container.liveness_probe is not None:
                wanted[seen.id, "liveness"] = (container, seen, container.liveness_probe)
        if held is None:
            if not wanted:
                return
            held = self._pods[pod.uid] = _OfPod()
        for key in [key for key in held.runs if key not in wanted]:
            self._stop(held.runs.pop(key))
        for key, (container, seen, probe) in wanted.items():
            run = held.runs.get(key)
            if run is not None:
                run.pod, run.pod_ip, run.container, run.probe = pod, pod_ip, container, probe
                continue
            run = _Run(pod, memo, container, seen.id, pod_ip, key[1], probe)
            held.runs[key] = run
            delay = seen.started_at + probe.initial_delay_seconds - self._clock.now()
            self._schedule(run, max(0.0, min(delay, probe.initial_delay_seconds)))
        if not held.runs:
            del self._pods[pod.uid]

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        held = self._pods.pop(uid, None)
        for run in held.runs.values() if held else ():
            self._stop(run)

    def close(self) -> None:
        """Probe nothing any more."""
        for uid in list(self._pods):
            self.forget(uid)

    def _stop(self, run: _Run) -> None:
        if run.timer is not None:
            run.timer.cancel()
        if run.task is not None:
            run.task.cancel()

    def _schedule(self, run: _Run, seconds: float) -> None:
        run.timer = self._timers.after(seconds, lambda: self._begin(run))

    def _begin(self, run: _Run) -> None:
        run.timer = None
        run.task = tasks.spawn(self._ask(run), name=f"probe-{run.kind}-{run.pod.name}/{run.container.name}")

    async def _ask(self, run: _Run) -> None:
        began = self._clock.monotonic()
        async with self._slots:
            outcome = await perform(
                run.probe, run.container, run.container_id, run.pod_ip, self._runtime, run.probe.timeout_seconds or 1
            )
        run.task = None
        period = run.probe.period_seconds or 10
        self._schedule(run, max(0.05, period - (self._clock.monotonic() - began)))
        if not outcome.ok:
            title = _TITLES[run.kind]
            what = f"failed: {outcome.output}"
            if outcome.error:
                what = f"errored and resulted in unknown state: {outcome.error}"
            ref = names.container_ref(run.pod, run.container.name)
            self._event(ref, "Warning", "Unhealthy", f"{title} probe {what}")
        if not outcome.error:
            self._count(run, outcome.ok)

    def _count(self, run: _Run, ok: bool) -> None:
        if run.last == ok:
            run.streak += 1
        else:
            run.last, run.streak = ok, 1
        probe, memo, id_ = run.probe, run.memo, run.container_id
        threshold = (probe.success_threshold or 1) if ok else (probe.failure_threshold or 3)
        if run.streak < threshold:
            return
        changed = False
        if run.kind == "readiness":
            changed = memo.ready.get(id_, False) != ok
            memo.ready[id_] = ok
        elif not ok:
            if id_ not in memo.condemned:
                name = run.container.name
                message = f"Container {name} failed {run.kind} probe, will be restarted"
                memo.condemned[id_] = (message, probe.termination_grace_period_seconds)
                changed = True
        elif run.kind == "startup" and id_ not in memo.startup_passed:
            memo.startup_passed.add(id_)
            changed = True
        if changed:
            if run.kind != "readiness":
                # Its verdict is final; the worker's next sync takes the run away.
                held = self._pods.get(run.pod.uid)
                if held is not None:
                    held.runs.pop((id_, run.kind), None)
                if run.timer is not None:
                    run.timer.cancel()
            self._changed(run.pod.uid)
