"""The pods that wait for a node.

- *active*: to be tried now, in the order of the profile's sort plugin;
- *backing off*: something moved them, but their last try was a moment ago. With nothing else to do they are tried
  early; those whose last try broke (an error, not a refusal) are not;
- *unschedulable*: until a change that may turn the refusal, by the hints of the plugins that refused;
- *gated*: refused by PreEnqueue; only a change of the pod itself helps.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kaa.base.clock import Clock
from kaa.kinds.views.core import Pod
from kaa.runtime.timers import Timer, Timers
from kaa.scheduler.framework import Change, Plugin, Status
from kaa.scheduler.settings import SchedulerSettings
from kaa.scheduler.shapes import Shape

__all__ = ["Queue", "Waiting"]

ACTIVE, BACKOFF, UNSCHEDULABLE, GATED, IN_FLIGHT = "active", "backoff", "unschedulable", "gated", "in_flight"
_NOBODY: frozenset[str] = frozenset()


@dataclass(eq=False, slots=True)
class Waiting:
    """A pod and its history in the queue."""

    pod: Pod
    #: When it entered the queue the first time, and the last time (monotonic seconds).
    first_at: float
    since: float
    place: str = ACTIVE
    #: Tries that ended in a refusal, or an error.
    failures: int = 0
    refused_by: frozenset[str] = _NOBODY
    backoff_until: float = 0.0
    #: The last try broke: no early retry.
    broken: bool = False
    shape: Shape | None = None
    #: What the pod's condition was last made to say.
    told: Any = None
    #: Marks the heap entry that counts; older ones are left behind.
    ticket: int = 0
    moves: int = 0


@dataclass(eq=False, slots=True)
class _Heap:
    entries: list[tuple[Any, int, Waiting]] = field(default_factory=list)


class Queue:
    """No I/O, but for the timer that ends back-offs. `admits` is PreEnqueue, `sort_key` QueueSort."""

    def __init__(
        self,
        clock: Clock,
        settings: SchedulerSettings,
        *,
        admits: Callable[[Pod], tuple[str, Status] | None],
        sort_key: Callable[[Pod, float], Any],
        plugins: Mapping[str, Plugin],
        shape_of: Callable[[Pod], Shape],
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._admits = admits
        self._sort_key = sort_key
        self._plugins = plugins
        self._shape_of = shape_of
        self.items: dict[str, Waiting] = {}  # by UID
        self._active = _Heap()
        self._backing_off = _Heap()
        self._broken = _Heap()
        # refusing plugins -> UID -> pod: a change is held against each set of plugins once
        self._unschedulable: dict[frozenset[str], dict[str, Waiting]] = {}
        self._tickets = 0
        self._moves = 0
        self._ready = asyncio.Event()
        self._timers = Timers(clock, "scheduler-queue")
        self._timer: Timer | None = None

    def close(self) -> None:
        """Forget the timer."""
        self._timers.close()

    def __contains__(self, uid: str) -> bool:
        return uid in self.items

    def counts(self) -> dict[str, int]:
        """Pods by place, for metrics."""
        found = {ACTIVE: 0, BACKOFF: 0, UNSCHEDULABLE: 0, GATED: 0}
        for item in self.items.values():
            if item.place in found:
                found[item.place] += 1
        return found

    # --- pods come and go --------------------------------------------------------------------------------------------

    def add(self, pod: Pod) -> None:
        """A pod without a node is new."""
        now = self._clock.monotonic()
        item = self.items[pod.uid] = Waiting(pod, now, now)
        self._admit(item)

    def update(self, pod: Pod) -> None:
        """A waiting pod changed. What its shape, gates and priority do not show (a status) moves nothing."""
        item = self.items.get(pod.uid)
        if item is None:
            self.add(pod)
            return
        old, item.pod = item.pod, pod
        if item.place == GATED:
            self._admit(item)
        elif item.place == UNSCHEDULABLE:
            if item.shape is not self._shape_of(pod) or old.spec.priority != pod.spec.priority:
                self._move(item)
        elif item.place == ACTIVE and old.spec.priority != pod.spec.priority:
            self._activate(item)

    def remove(self, uid: str) -> None:
        """The pod has a node, is going or is gone."""
        item = self.items.pop(uid, None)
        if item is not None:
            self._leave(item)
            item.place = ""

    def _admit(self, item: Waiting) -> None:
        refused = self._admits(item.pod)
        if refused is None:
            self._activate(item)
        else:
            self._leave(item)
            item.place, item.refused_by = GATED, frozenset((refused[0],))

    # --- trying ------------------------------------------------------------------------------------------------------

    def pop(self) -> Waiting | None:
        """The next pod to try. It stays known, in flight, until `remove`, `refused` or `failed` is called."""
        now = self._clock.monotonic()
        for heap in (self._broken, self._backing_off):
            while (item := _top(heap, BACKOFF)) is not None and item.backoff_until <= now:
                self._activate(item)
        item = _top(self._active, ACTIVE) or _top(self._backing_off, BACKOFF)
        if item is None:
            self._ready.clear()
            self._set_timer()
            return None
        heapq.heappop((self._active if item.place == ACTIVE else self._backing_off).entries)
        item.place, item.moves = IN_FLIGHT, self._moves
        return item

    async def wait(self) -> None:
        """Until `pop` may have something."""
        await self._ready.wait()

    def land(self) -> None:
        """Try what is in flight again: whoever took it has been stopped."""
        for item in self.items.values():
            if item.place == IN_FLIGHT:
                self._activate(item)

    def refused(self, item: Waiting, plugins: frozenset[str], shape: Shape) -> None:
        """No node for now; these plugins said so."""
        if item.place != IN_FLIGHT:
            return  # removed meanwhile
        self._failed(item)
        item.refused_by, item.broken, item.shape = plugins, False, shape
        if item.moves != self._moves:
            self._move(item)  # something happened while it was looked at: it may have been just that
            return
        item.place = UNSCHEDULABLE
        self._unschedulable.setdefault(plugins, {})[item.pod.uid] = item

    def failed(self, item: Waiting) -> None:
        """The try broke: again after a back-off."""
        if item.pod.uid not in self.items:
            return
        self._failed(item)
        item.refused_by, item.broken = _NOBODY, True
        self._back_off(item)

    def again(self, item: Waiting) -> None:
        """A pod that had been taken out (assumed) comes back after a failure."""
        self.items[item.pod.uid] = item
        self.failed(item)

    def _failed(self, item: Waiting) -> None:
        item.failures += 1
        item.since = self._clock.monotonic()
        wait = self._settings.backoff_seconds * 2.0 ** min(item.failures - 1, 30)
        item.backoff_until = item.since + min(wait, self._settings.backoff_seconds_max)

    # --- moving ------------------------------------------------------------------------------------------------------

    def happened(self, change: Change, old: Any, new: Any) -> None:
        """Something changed in the cluster: moves the pods whose refusal it may turn."""
        self._moves += 1
        for plugins, items in list(self._unschedulable.items()):
            hints = self._hints(plugins, change)
            if hints is None:
                continue
            answers: dict[int, bool] = {}
            for item in list(items.values()):
                if not hints:
                    self._move(item)
                    continue
                shape = item.shape
                assert shape is not None
                worth = answers.get(id(shape))
                if worth is None:
                    worth = answers[id(shape)] = any(hint(shape, old, new) for hint in hints)
                if worth:
                    self._move(item)

    def _hints(self, plugins: frozenset[str], change: Change) -> list[Any] | None:
        """None: the change does not concern these plugins. Empty: it is worth a try anyhow."""
        if not plugins:
            return []
        found = []
        concerned = False
        for name in plugins:
            for each, hint in self._plugins[name].turned_by.items():
                if each & change:
                    concerned = True
                    if hint is None:
                        return []
                    found.append(hint)
        return found if concerned else None

    def flush(self) -> None:
        """Move what has been unschedulable for too long; to be called once in a while."""
        limit = self._clock.monotonic() - self._settings.unschedulable_seconds_max
        for items in list(self._unschedulable.values()):
            for item in list(items.values()):
                if item.since < limit:
                    self._move(item)

    def activate(self, uid: str) -> None:
        """Try a pod now: something that it waited for has failed or come true."""
        item = self.items.get(uid)
        if item is not None and item.place in (UNSCHEDULABLE, BACKOFF):
            self._activate(item)

    def _move(self, item: Waiting) -> None:
        if item.backoff_until > self._clock.monotonic():
            self._back_off(item)
        else:
            self._activate(item)

    def _activate(self, item: Waiting) -> None:
        self._leave(item)
        item.place = ACTIVE
        item.since = self._clock.monotonic()
        self._push(self._active, self._sort_key(item.pod, item.since), item)
        self._ready.set()

    def _back_off(self, item: Waiting) -> None:
        self._leave(item)
        item.place = BACKOFF
        self._push(self._broken if item.broken else self._backing_off, item.backoff_until, item)
        if item.broken:
            self._set_timer()
        else:
            self._ready.set()

    def _push(self, heap: _Heap, key: Any, item: Waiting) -> None:
        self._tickets += 1
        item.ticket = self._tickets
        heapq.heappush(heap.entries, (key, item.ticket, item))
        if len(heap.entries) > 2 * len(self.items) + 64:
            # Entries left behind are more than those that count.
            heap.entries = [entry for entry in heap.entries if entry[1] == entry[2].ticket]
            heapq.heapify(heap.entries)

    def _leave(self, item: Waiting) -> None:
        item.ticket = 0
        if item.place == UNSCHEDULABLE:
            items = self._unschedulable[item.refused_by]
            del items[item.pod.uid]
            if not items:
                del self._unschedulable[item.refused_by]

    def _set_timer(self) -> None:
        item = _top(self._broken, BACKOFF)
        if item is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timers.after(max(0.0, item.backoff_until - self._clock.monotonic()), self._ready.set)


def _top(heap: _Heap, place: str) -> Waiting | None:
    """The first entry that counts."""
    entries = heap.entries
    while entries:
        _, ticket, item = entries[0]
        if item.ticket == ticket and item.place == place:
            return item
        heapq.heappop(entries)
    return None
