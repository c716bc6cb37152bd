"""The loop: pods without a node in, bindings out.

One pod at a time is decided, without waiting for anything; its binding is written while the next are decided. What
the informers tell is taken in between. Runs against any conformant API server.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from kaa.base import ids
from kaa.base.clock import REAL, Clock, format_seconds
from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.http.api import CallError
from kaa.kinds.views.core import Namespace, Node, Pod
from kaa.meta.errors import StatusError
from kaa.runtime.events import EventBroadcaster
from kaa.runtime.leader import Election, LeaderElector
from kaa.runtime.metrics import Histogram
from kaa.scheduler.framework import Change, Cycle
from kaa.scheduler.owners import Owners
from kaa.scheduler.queue import Queue, Waiting
from kaa.scheduler.registry import WEIGHTS, default_plugins
from kaa.scheduler.runner import Decision, Refusal, Runner
from kaa.scheduler.settings import SchedulerSettings
from kaa.scheduler.snapshot import Placed, Snapshot
from kaa.scheduler.writer import Writer

__all__ = ["Scheduler"]

_SWEEP_SECONDS = 1.0
_FLUSH_SWEEPS = 30


class Scheduler:
    """One scheduler. `start` returns when the caches are filled and pods are being taken; not to be started again
    after `stop`."""

    def __init__(
        self,
        client: Client,
        *,
        settings: SchedulerSettings | None = None,
        informers: Informers | None = None,
        clock: Clock = REAL,
        election: Election | None = None,
        host: str = "",
    ) -> None:
        """Informers that are given are shared: their owner starts and stops them, after this was made."""
        self.settings = settings = settings or SchedulerSettings()
        self.client = client
        self.clock = clock
        self._own_informers = informers is None
        self.informers = informers = informers if informers is not None else Informers(client, clock=clock)
        self.snapshot = Snapshot()
        self.owners = Owners(informers, self._owners_changed)
        self.events = EventBroadcaster(client, clock=clock)
        self.recorder = self.events.recorder(settings.scheduler_name, host)
        plugins = default_plugins(
            client=client, selector_of=self.owners.selector_of, budgets=self.owners.budgets,
            record=self.recorder.event, disabled=settings.disabled_plugins,
        )  # fmt: skip
        self.runner = Runner(self.snapshot, plugins, {**WEIGHTS, **settings.weights})
        self.queue = Queue(
            clock, settings, admits=self.runner.admits, sort_key=self.runner.sort_key, plugins=self.runner.by_name,
            shape_of=self.snapshot.shapes.of,
        )  # fmt: skip
        self.writer = Writer(settings.writes_in_flight_max)
        self.elector = LeaderElector(client, election, clock=clock) if election is not None else None
        #: Attempts by how they ended, as in the original's metric: scheduled, unschedulable, error.
        self.attempts = {"scheduled": 0, "unschedulable": 0, "error": 0}
        self.decision_seconds = Histogram()
        #: Pods without a node that name another scheduler, by UID.
        self.others: set[str] = set()
        self._pods = informers.of(Pod)
        self._stops = [
            informers.of(Namespace).on_change(self._namespace_changed),
            informers.of(Node).on_change(self._node_changed),
            self._pods.on_change(self._pod_changed),
        ]
        self._log = Logger("scheduler")
        self._scope: Scope | None = None
        self._turn_at = 0.0

    # --- starting and stopping ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns when the caches are filled; with an election, pods are taken once it is won."""
        if self._scope is not None:
            raise RuntimeError("the scheduler runs already")
        self._scope = scope = Scope("scheduler")
        try:
            self.events.start(scope)
            if self._own_informers:
                await self.informers.start(scope)
            await self.informers.wait_synced()
            scope.spawn(self._campaign() if self.elector is not None else self._lead(), name="loop", eternal=True)
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> None:
        """Until cancelled; raises when a task that must not end has ended."""
        assert self._scope is not None
        await self._scope.wait()

    async def stop(self) -> None:
        """Stop deciding; bindings in flight are cut off, and the next scheduler sees what came of them."""
        if self._scope is None:
            return
        scope, self._scope = self._scope, None
        await scope.close()
        self.queue.close()

    async def run(self) -> None:
        """Start, and run until cancelled or failed; then stop."""
        await self.start()
        try:
            await self.wait()
        finally:
            await self.stop()

    def close(self) -> None:
        """Stop listening to shared informers. The scheduler cannot be started again."""
        for stop in self._stops:
            stop()

    async def __aenter__(self) -> Scheduler:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def idle(self) -> bool:
        """No pod could be tried now, and nothing is being written."""
        places = self.queue.counts()
        return not places["active"] and not places["backoff"] and self.writer.idle and not self.snapshot.assumed

    async def _campaign(self) -> None:
        assert self.elector is not None
        while True:
            await self.elector.run(self._lead)

    async def _lead(self) -> None:
        # What an earlier term left half done: pods taken from the queue, and bindings whose end nobody saw.
        self.queue.land()
        for placed in self.snapshot.assumed.values():
            placed.expires = self.clock.monotonic()
        async with Scope("scheduler/leading") as scope:
            self.writer.start(scope)
            scope.spawn(self._loop(), name="decide", eternal=True)
            scope.spawn(self._sweep(), name="sweep", eternal=True)
            await scope.wait()

    # --- what the informers tell -------------------------------------------------------------------------------------

    def _owners_changed(self) -> None:
        self.snapshot.owners_version += 1

    def _namespace_changed(self, old: Namespace | None, new: Namespace | None) -> None:
        obj = new or old
        assert obj is not None
        if self.snapshot.set_namespace(obj.name, None if new is None else new.labels):
            self.queue.happened(Change.OTHER, old, new)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            assert old is not None
            self.snapshot.remove_node(old.name)
            self.queue.happened(Change.NODE_REMOVED, old, None)
            return
        change = self.snapshot.set_node(new)
        if change:
            self.queue.happened(change, old, new)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        assert pod is not None
        if new is None or new.finished:
            self._pod_left(pod)
        elif new.spec.node_name:
            self._pod_placed(old, new)
        elif new.spec.scheduler_name != self.settings.scheduler_name:
            self.others.add(new.uid)
        elif new.deleting:
            self.queue.remove(new.uid)
            self.runner.nominations.set(new, "")
        elif new.uid not in self.snapshot.assumed:
            self.runner.nominations.set(new, new.status.nominated_node_name)
            self.queue.update(new)

    def _pod_left(self, pod: Pod) -> None:
        self.queue.remove(pod.uid)
        self.others.discard(pod.uid)
        self.runner.nominations.set(pod, "")
        placed = self.snapshot.remove_pod(pod.uid)
        if placed is not None:
            self.queue.happened(Change.POD_REMOVED, placed.pod, None)

    def _pod_placed(self, old: Pod | None, new: Pod) -> None:
        before = self.snapshot.pods.get(new.uid)
        shape = before.shape if before is not None else None
        self.snapshot.set_pod(new)
        if old is None or not old.spec.node_name:
            self.queue.remove(new.uid)
            self.others.discard(new.uid)
            self.runner.nominations.set(new, "")
            self.queue.happened(Change.POD_ADDED, None, new)
        elif shape is not None and self.snapshot.pods[new.uid].shape is not shape:
            change = Change.POD_LABELS if old.labels != new.labels else Change.POD_SHRUNK
            self.queue.happened(change, old, new)

    # --- deciding ----------------------------------------------------------------------------------------------------

    async def _loop(self) -> None:
        self._turn_at = self.clock.monotonic()
        while True:
            await self.writer.room()
            item = self.queue.pop()
            if item is None:
                await self.queue.wait()
                self._turn_at = self.clock.monotonic()
                continue
            await self._try(item)
            await self._pause()

    async def _pause(self) -> None:
        """Gives way to other tasks when the turn is over."""
        if self.clock.monotonic() - self._turn_at > self.settings.turn_seconds_max:
            await self.clock.sleep(0)
            self._turn_at = self.clock.monotonic()

    async def _try(self, item: Waiting) -> None:
        began = self.clock.monotonic()
        try:
            cycle = self.runner.cycle(item.pod)
            cycle.pause = self._pause
            result = self.runner.decide(cycle)
            if isinstance(result, Decision):
                self._accept(item, cycle, result.node)
            else:
                await self._refuse(item, cycle, result)
        except Exception as error:
            # A pod that cannot be read, or a mistake in a plugin, must not stop the others.
            self._log.error("pod cannot be scheduled", pod=item.pod.key, error=repr(error), exc=error)
            self._broke(item, str(error) or repr(error))
        self.decision_seconds.observe(self.clock.monotonic() - began)

    def _accept(self, item: Waiting, cycle: Cycle, node: str) -> None:
        placed = self.snapshot.assume(item.pod, cycle.shape, node)
        refused = self.runner.reserve(cycle, node)
        if refused is not None:
            self.snapshot.forget(item.pod.uid)
            raise RuntimeError(f"plugin {refused[0]}: {refused[1].message}")
        self.queue.remove(item.pod.uid)
        self.runner.nominations.set(item.pod, "")
        self.writer.first(partial(self._bind, item, cycle, placed))

    async def _refuse(self, item: Waiting, cycle: Cycle, refusal: Refusal) -> None:
        nominated = None
        work = None
        if refusal.nodes:
            nomination = await self.runner.after_refusal(cycle, refusal)
            nominated, work = nomination.node, nomination.work
        if nominated is not None:
            self.runner.nominations.set(item.pod, nominated)
        self.attempts["unschedulable"] += 1
        self.queue.refused(item, refusal.plugins, cycle.shape)
        self._tell(item, "Unschedulable", refusal.message, nominated)
        if work is not None:
            if nominated:
                self._take_back_lesser(item.pod, nominated)
            self.writer.first(partial(self._make_room, item.pod.uid, work))

    async def _make_room(self, uid: str, work: Any) -> None:
        try:
            await work()
        except (StatusError, CallError) as error:
            self._log.warning("victims could not be removed; the pod is tried again", error=str(error))
            self.queue.activate(uid)

    def _take_back_lesser(self, pod: Pod, node: str) -> None:
        """Pods of lower priority that waited for the same room look elsewhere."""
        for other in self.runner.nominations.on(node):
            if (other.spec.priority or 0) < (pod.spec.priority or 0):
                self.runner.nominations.set(other, "")
                self.writer.note(f"nomination/{other.uid}", partial(self._patch, other, {"nominatedNodeName": None}))
                self.queue.activate(other.uid)

    # --- binding -----------------------------------------------------------------------------------------------------

    async def _bind(self, item: Waiting, cycle: Cycle, placed: Placed) -> None:
        pod, node = cycle.pod, placed.node
        try:
            await self.runner.bind(cycle, node)
        except (StatusError, CallError, RuntimeError) as error:
            await self._bind_failed(item, cycle, placed, error)
            return
        placed.expires = self.clock.monotonic() + self.settings.assumed_seconds_max
        self.attempts["scheduled"] += 1
        self.recorder.event(pod, "Normal", "Scheduled", f"Successfully assigned {pod.key} to {node}")

    async def _bind_failed(self, item: Waiting, cycle: Cycle, placed: Placed, error: Exception) -> None:
        """The pod may be gone, bound by somebody else, or bound by us without our knowing: look before trying again."""
        pod = cycle.pod
        try:
            present: Pod | None = await self.client.get(Pod, pod.name, pod.namespace)
        except (StatusError, CallError) as lookup:
            gone = isinstance(lookup, StatusError) and lookup.code == 404
            present = None if gone else pod
        if present is not None and present.uid == pod.uid and present.spec.node_name:
            # The informer will show it where it really is.
            placed.expires = self.clock.monotonic() + self.settings.assumed_seconds_max
            return
        self.runner.unreserve(cycle, placed.node)
        if self.snapshot.forget(pod.uid):
            self.queue.happened(Change.POD_REMOVED, pod, None)
        if present is None or present.uid != pod.uid or present.deleting:
            return
        self._log.warning("pod could not be bound; trying again", pod=pod.key, node=placed.node, error=str(error))
        newest = self._pods.lister.get_key(pod.key)
        if newest is not None and newest.uid == pod.uid and pod.uid not in self.queue:
            item.pod = newest
            self.queue.again(item)
        self._broke(item, f"binding rejected: {error}", requeue=False)

    def _broke(self, item: Waiting, message: str, *, requeue: bool = True) -> None:
        self.attempts["error"] += 1
        if requeue:
            self.queue.failed(item)
        self._tell(item, "SchedulerError", message, None)

    # --- telling -----------------------------------------------------------------------------------------------------

    def _tell(self, item: Waiting, reason: str, message: str, nominated: str | None) -> None:
        """The pod's condition, when it says something else, and an event (repeated ones are counted)."""
        pod = item.pod
        self.recorder.event(pod, "Warning", "FailedScheduling", message)
        status: dict[str, Any] = {}
        told = (reason, message)
        present = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
        shown = (present.reason, present.message) if present is not None and present.status == "False" else None
        if told != item.told and told != shown:
            condition: dict[str, Any] = {
                "type": "PodScheduled", "status": "False", "reason": reason, "message": message, "lastProbeTime": None,
            }  # fmt: skip
            if shown is None or present is None:
                condition["lastTransitionTime"] = format_seconds(self.clock.now())
            if pod.metadata.generation:
                condition["observedGeneration"] = pod.metadata.generation
            status["conditions"] = [condition]
        item.told = told
        if nominated is not None and nominated != pod.status.nominated_node_name:
            status["nominatedNodeName"] = nominated or None
        if status:
            self.writer.note(f"status/{pod.uid}", partial(self._patch, pod, status))

    async def _patch(self, pod: Pod, status: dict[str, Any]) -> None:
        body = {"metadata": {"uid": pod.uid}, "status": status}
        try:
            await self.client.patch(
                Pod.resource, pod.name, body, namespace=pod.namespace, kind="strategic", subresource="status"
            )
        except StatusError as error:
            if error.code not in (404, 409):
                self._log.warning("a pod's status could not be written", pod=pod.key, error=str(error))
        except CallError as error:
            self._log.warning("a pod's status could not be written", pod=pod.key, error=str(error))

    # --- once in a while ---------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        sweeps = 0
        while True:
            await self.clock.sleep(ids.jitter(_SWEEP_SECONDS))
            sweeps += 1
            for placed in self.snapshot.expired(self.clock.monotonic()):
                await self._look_up(placed)
            if sweeps % _FLUSH_SWEEPS == 0:
                self.queue.flush()

    async def _look_up(self, placed: Placed) -> None:
        """A binding was acknowledged and has not been seen: believe the server."""
        pod = placed.pod
        try:
            present = await self.client.get(Pod, pod.name, pod.namespace)
            bound = present.uid == pod.uid and present.spec.node_name == placed.node
        except StatusError as error:
            if error.code != 404:
                return
            bound = False
        except CallError:
            return
        if not placed.assumed:
            return
        self._log.warning("an acknowledged binding has not been seen", pod=pod.key, node=placed.node, bound=bound)
        if bound:
            placed.expires = self.clock.monotonic() + self.settings.assumed_seconds_max
        elif self.snapshot.forget(pod.uid):
            self.queue.happened(Change.POD_REMOVED, pod, None)
            newest = self._pods.lister.get_key(pod.key)
            if newest is not None:
                self._pod_changed(None, newest)

    def metrics_text(self) -> str:
        """For `/metrics`, under the original's names."""
        lines = ["# TYPE scheduler_schedule_attempts_total counter"]
        profile = self.settings.scheduler_name
        for result, count in self.attempts.items():
            lines.append(f'scheduler_schedule_attempts_total{{profile="{profile}",result="{result}"}} {count}')
        lines.append("# TYPE scheduler_pending_pods gauge")
        for place, count in self.queue.counts().items():
            lines.append(f'scheduler_pending_pods{{queue="{place}"}} {count}')
        lines += [
            "# TYPE scheduler_cache_size gauge",
            f'scheduler_cache_size{{type="nodes"}} {self.snapshot.table.size}',
            f'scheduler_cache_size{{type="pods"}} {len(self.snapshot.pods)}',
            f'scheduler_cache_size{{type="assumed_pods"}} {len(self.snapshot.assumed)}',
            "# TYPE scheduler_scheduling_attempt_duration_seconds summary",
            f"scheduler_scheduling_attempt_duration_seconds_sum {self.decision_seconds.sum:.6f}",
            f"scheduler_scheduling_attempt_duration_seconds_count {self.decision_seconds.count}",
        ]
        return "\n".join(lines) + "\n"
