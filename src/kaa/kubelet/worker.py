"""One pod's worker: looks, plans, acts, says how it went; again while there is something to do, then rests.

It has a task only while it works. Whatever happens (the pod changed, a container ended, a probe gave its verdict, a
timer fired) only wakes it. Deleting the pod interrupts what is under way; every await may be where that happens, so
after an interruption the runtime is listed anew.
"""

import asyncio
from collections.abc import Callable

from kaa.base import tasks
from kaa.base.log import Logger
from kaa.base.retry import Backoff
from kaa.http.api import CallError
from kaa.kinds.views import Pod
from kaa.kubelet import ending, lifecycle, names
from kaa.kubelet.cri import api
from kaa.kubelet.errors import CannotStart, VolumeFailed
from kaa.kubelet.lifecycle import Plan, Start
from kaa.kubelet.looking import Looking
from kaa.kubelet.memo import Memo, Waiting
from kaa.kubelet.mounts.objects import References
from kaa.kubelet.mounts.tokens import Tokens
from kaa.kubelet.mounts.volumes import PodVolumes
from kaa.kubelet.parts import Parts
from kaa.kubelet.seen import PodSeen
from kaa.kubelet.starting import HookFailed, make_sandbox, start_container
from kaa.kubelet.status import pod_addresses, status_of
from kaa.kubelet.statuswriter import StatusWriter
from kaa.kubelet.stopping import stop_one
from kaa.meta.errors import StatusError
from kaa.runtime.timers import Timer

__all__ = ["Worker"]

_log = Logger("kubelet")
STEPS_MAX = 100


class Worker:
    """One pod. Its methods are called on the loop; only `_work` awaits."""

    def __init__(self, parts: Parts, pod: Pod, on_end: "Callable[[Worker], None]") -> None:
        self.parts = parts
        self.pod = pod
        self._on_end = on_end
        self.seen = PodSeen()
        self.memo = Memo()
        self.plan = Plan()
        self.removed = False
        """The API has no such pod any more."""
        self.ended = False
        """Nothing is left of it, here or in the API."""
        self.hooks_begun: set[str] = set()
        self.looking = Looking(parts, self)
        self.references = References(parts.objects, self._objects_changed)
        self.volumes = PodVolumes(parts.settings, Tokens(parts.client, parts.clock), parts.clock)
        self.writer = StatusWriter(parts, pod)
        self._volumes_stale = True
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._ending = False
        self._ending_grace = float("inf")
        self._timer: Timer | None = None
        self._retry = Backoff(first_seconds=0.5, seconds_max=10.0)
        self._settled = False
        """It was said what became of a finished pod, and its resources given back."""

    # What happens to it ---------------------------------------------------------------------------------------------

    def update(self, pod: Pod) -> None:
        """The pod's object has changed."""
        before, self.pod = self.pod, pod
        if self.ended:
            return
        if pod.spec != before.spec or pod.labels != before.labels or pod.annotations != before.annotations:
            self._volumes_stale = True
        if pod.spec != before.spec:
            # What could not be started may be another thing now: no waiting for its turn.
            self._try_again(lambda _name, _failure: True)
            self._refuse_resize(before, pod)
        grace = pod.metadata.deletion_grace_period_seconds
        if pod.deleting and (not self._ending or (grace is not None and grace < self._ending_grace)):
            self._interrupt()
        elif _matters(before, pod):
            self.wake()

    def remove(self) -> None:
        """The API has no such pod any more: end it."""
        self.removed = True
        if not self._ending:
            self._interrupt()
        else:
            self.wake()

    def container_changed(self, id_: str) -> None:
        """The runtime says that something happened to this container or sandbox."""
        self.looking.stale.add(id_)
        self.wake()

    def look_again(self) -> None:
        """Something differs at the runtime: list it anew."""
        self.looking.everything = True
        self.wake()

    def wake(self) -> None:
        """Look and plan, now or after what is under way."""
        if self.ended:
            return
        if self._task is None:
            self._begin()
        else:
            self._again = True

    def _objects_changed(self) -> None:
        self._volumes_stale = True
        # What was missing may be there now.
        self._try_again(lambda name, failure: name == "" or failure.reason == "CreateContainerConfigError")
        self.wake()

    def _try_again(self, which: Callable[[str, Waiting], bool]) -> None:
        for name, failure in list(self.memo.failures.items()):
            if which(name, failure):
                self.memo.failures[name] = Waiting(failure.reason, failure.message)

    def _refuse_resize(self, before: Pod, after: Pod) -> None:
        old = {c.name: c.resources for c in (*before.spec.init_containers, *before.spec.containers)}
        for container in (*after.spec.init_containers, *after.spec.containers):
            if old.get(container.name) not in (None, container.resources):
                message = (
                    f"resources of container {container.name} were changed in place, which this node does not support: "
                    "it goes on with what it was started with; recreate the pod"
                )
                self.parts.event(after, "Warning", "ResizeInfeasible", message, container.name)

    @property
    def busy(self) -> bool:
        """It is at work."""
        return self._task is not None

    def close(self) -> None:
        """Stop where it is; containers run on."""
        self.ended = True
        self._set_timer(float("inf"))
        if self._task is not None:
            self._task.cancel()
        self.writer.close()
        self.references.close()

    # How it works ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._again = False
        self._task = tasks.spawn(self._work(), name=f"pod-{self.pod.key}")
        self._task.add_done_callback(self._done)

    def _interrupt(self) -> None:
        if self.ended:
            return
        if self._task is not None:
            self._again = True
            self.looking.everything = True
            self._task.cancel()
        else:
            self._begin()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if self.ended:
            self._on_end(self)
            return
        if not task.cancelled() and task.exception() is not None:
            self._wake_at(self.parts.clock.now() + self._retry.next_seconds())
        if self._again:
            self._begin()

    async def _work(self) -> None:
        try:
            await self.looking.look()
            if self.removed or self.pod.deleting:
                self._ending = True
                grace = self.pod.metadata.deletion_grace_period_seconds
                self._ending_grace = float(grace) if grace is not None else float("inf")
                await ending.end(self)
                return
            await self._sync()
            self._retry.reset()
        except (api.RuntimeFailed, StatusError, CallError, TimeoutError, OSError) as error:
            _log.warning("pod not brought where it should be; trying again", pod=self.pod.key, error=str(error))
            self.looking.everything = True
            self.publish()
            self._wake_at(self.parts.clock.now() + self._retry.next_seconds())

    async def _sync(self) -> None:
        if not self.memo.started_at:
            self._admit()
        for _ in range(STEPS_MAX):
            now = self.parts.clock.now()
            self.plan = plan = lifecycle.plan(self.pod, self.seen, self.memo, now)
            if plan.finished is not None:
                if not self._settled:
                    await ending.finish(self, plan.finished)
                    self._settled = True
                return
            if not await self._prepare(plan):
                break
            if plan.idle:
                break
            self.publish(soft=True)
            await self._carry_out(plan)
        self._backoff_events()
        self._probe()
        self.publish()
        self._wake_at(min(self.plan.wake_at, self.volumes.renew_at))
        await self.looking.sweep()

    def _admit(self) -> None:
        self.memo.started_at = self.parts.clock.now()
        known = {each.container_id.removeprefix("containerd://"): each for each in (
            *self.pod.status.init_container_statuses, *self.pod.status.container_statuses
        )}  # fmt: skip
        # Taken over from an earlier kubelet: what it knew holds until a probe says otherwise.
        for container, latest in lifecycle.started_containers(self.pod, self.seen):
            before = known.get(latest.id)
            if container.startup_probe is None or (before is not None and before.started):
                self.memo.startup_passed.add(latest.id)
            if container.readiness_probe is not None and before is not None and before.ready:
                self.memo.ready[latest.id] = True

    async def _prepare(self, plan: Plan) -> bool:
        """Volumes and what else the containers refer to; False when they can't be made now."""
        if not self._volumes_stale and self.parts.clock.now() < self.volumes.renew_at:
            return True
        held = self.memo.failures.get("")
        if held is not None and self.parts.clock.now() < held.until:
            plan.wake_at = min(plan.wake_at, held.until)
            return self._has_begun()
        self._volumes_stale = False
        try:
            await self.references.sync(self.pod)
            await self.volumes.setup(self.pod, self.references, self.parts.facts())
        except VolumeFailed as error:
            self._volumes_stale = True
            self.parts.event(self.pod, "Warning", "FailedMount", error.message)
            until = self.parts.clock.now() + error.retry_seconds
            self.memo.failures[""] = Waiting("ContainerCreating", error.message, until)
            plan.wake_at = min(plan.wake_at, until)
            # A running pod goes on with the files that it has.
            return self._has_begun()
        self.memo.failures.pop("", None)
        return True

    def _has_begun(self) -> bool:
        return bool(self.seen.running)

    async def _carry_out(self, plan: Plan) -> None:
        ip = self.address
        for kill in plan.kills:
            grace = kill.grace if kill.grace is not None else self.pod.spec.termination_grace_period_seconds
            await stop_one(self.parts, self.pod, kill.container, grace, ip, kill.message)
            self.memo.condemned.pop(kill.container.id, None)
            self.looking.stale.add(kill.container.id)
        if plan.kills:
            await self.looking.look()
        if plan.create_sandbox:
            await self._make_sandbox(plan)
        for start in plan.starts:
            await self._start(start)
        await self.looking.look()

    async def _make_sandbox(self, plan: Plan) -> None:
        if plan.replace_sandbox:
            self.parts.event(
                self.pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created."
            )
            for old in list(self.seen.sandboxes):
                await self.parts.runtime.stop_sandbox(old.id)
            self.looking.everything = True
            await self.looking.look()
        try:
            self.seen.put_sandbox(await make_sandbox(self.parts, self.pod, plan.sandbox_attempt))
        except (api.RuntimeFailed, OSError) as error:
            until = self.parts.clock.now() + self._retry.next_seconds()
            message = f"Failed to create pod sandbox: {error}"
            self.memo.failures[""] = Waiting("ContainerCreating", message, until)
            self.looking.everything = True
            await self.looking.look()
            return
        self.memo.failures.pop("", None)

    async def _start(self, start: Start) -> None:
        name = start.container.name
        sandbox = self.seen.sandbox
        assert sandbox is not None
        try:
            await start_container(
                self.parts, self.pod, start, sandbox, self.seen, self.memo, self.references, self.volumes.paths
            )
            self.memo.failures.pop(name, None)
        except HookFailed as error:
            grace = self.pod.spec.termination_grace_period_seconds
            await stop_one(self.parts, self.pod, error.container, grace, self.address, "FailedPostStartHook")
            self.memo.failures[name] = Waiting(error.reason, error.message)
            self.looking.stale.add(error.container.id)
            await self.looking.look()
        except CannotStart as error:
            until = self.parts.clock.now() + error.retry_seconds if error.retry_seconds else 0.0
            self.memo.failures[name] = Waiting(error.reason, error.message, until)

    # What it says ---------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The pod's first address, "" while it has none."""
        return next(iter(pod_addresses(self.pod, self.seen, self.parts.host)), "")

    def publish(self, *, soft: bool = False) -> None:
        """Tell the API how the pod is doing."""
        if self.removed:
            return
        now = self.parts.clock.now()
        status = status_of(self.pod, self.seen, self.memo, self.plan, self.parts.host, now)
        self.writer.publish(status, soft=soft)

    def _backoff_events(self) -> None:
        for name, waiting in self.plan.waiting.items():
            if waiting.reason == "CrashLoopBackOff":
                message = f"Back-off restarting failed container {name} in pod {names.pod_text(self.pod)}"
                self.parts.event(self.pod, "Warning", "BackOff", message, name)

    def _probe(self) -> None:
        running = lifecycle.started_containers(self.pod, self.seen)
        self.parts.probes.sync(self.pod, self.memo, running, self.address)

    def _wake_at(self, at: float) -> None:
        self._set_timer(at)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at != float("inf") and not self.ended:
            self._timer = self.parts.timers.after(max(0.0, at - self.parts.clock.now()), self.wake)


def _matters(before: Pod, after: Pod) -> bool:
    """Whether a change is one that the worker acts on; its own status writes are not."""
    if before.spec != after.spec or before.metadata.generation != after.metadata.generation:
        return True
    if before.labels != after.labels or before.annotations != after.annotations:
        return True
    gates = {str(gate.get("conditionType")) for gate in after.spec.readiness_gates}
    return any(before.condition(gate) != after.condition(gate) for gate in gates) or after.finished != before.finished
