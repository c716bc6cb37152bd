"""The shared caches of a process: one reflector, lister and set of subscribers per view and filter."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.listers import Lister
from kaa.client.reflector import Reflector
from kaa.client.wire import WatchEvent
from kaa.kinds.views.base import View
from kaa.meta.resource import Resource

__all__ = ["Handler", "Informer", "Informers"]

V = TypeVar("V", bound=View)
Handler = Callable[[V | None, V | None], None]
_log = Logger("informers")
_OBJECTS_PER_TURN = 200


class Informer(Generic[V]):
    """One kind, followed. Read `lister`; subscribe with `on_change`.

    A handler sees each object's changes in order, none lost and none twice. An object that was deleted and made
    again under its name while nobody looked is told as deleted and added, never as changed.
    """

    def __init__(
        self, view: type[V], *, namespace: str = "", labels: str = "", fields: str = "", clock: Clock = REAL
    ) -> None:
        self._clock = clock
        self.view = view
        self.namespace = namespace
        self.labels = labels
        self.fields = fields
        self.lister: Lister[V] = Lister()
        #: The newest revision seen, bookmarks included: everything up to it is in the lister.
        self.revision = 0
        self._synced = asyncio.Event()
        self._handlers: tuple[Handler[V], ...] = ()
        self._waiters: list[tuple[int, int, Callable[[], None]]] = []  # a heap by revision
        self._waiter_count = 0

    @property
    def synced(self) -> bool:
        """The lister has held a complete picture at least once."""
        return self._synced.is_set()

    @property
    def unfiltered(self) -> bool:
        """Every object of its namespace (all, when that is empty) is shown."""
        return not self.labels and not self.fields

    def covers(self, namespace: str) -> bool:
        """Whether every object of that namespace is shown."""
        return self.unfiltered and self.namespace in ("", namespace)

    def on_change(self, handler: Handler[V]) -> Callable[[], None]:
        """Call `handler(old, new)` for each change: `(None, new)` added, `(old, None)` deleted. Returns how to stop it.

        Called on the loop, so it must be quick. Objects already there are told as added before this returns.
        """
        for obj in self.lister.all():
            handler(None, obj)
        self._handlers = (*self._handlers, handler)

        def stop() -> None:
            self._handlers = tuple(each for each in self._handlers if each is not handler)

        return stop

    async def wait_synced(self) -> None:
        """Until the lister holds a complete picture."""
        await self._synced.wait()

    async def wait_revision(self, revision: int, timeout_seconds: float) -> bool:
        """Until everything up to `revision` is in the lister; False when that took too long."""
        if self.revision >= revision:
            return True
        reached = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not reached.done():
                reached.set_result(None)

        cancel = self.when_revision(revision, wake)
        try:
            async with asyncio.timeout(timeout_seconds):
                await reached
            return True
        except TimeoutError:
            return False
        finally:
            cancel()

    def when_revision(self, revision: int, callback: Callable[[], object]) -> Callable[[], None]:
        """Call back once, after the handlers, when the lister holds everything up to `revision`; at once if it does.

        Returns how to give up waiting. One entry in a heap: cheaper than a task.
        """
        if self.revision >= revision:
            callback()
            return _nothing
        live = True

        def once() -> None:
            nonlocal live
            if live:
                live = False
                callback()

        def cancel() -> None:
            nonlocal live
            live = False

        self._waiter_count += 1
        heapq.heappush(self._waiters, (revision, self._waiter_count, once))
        return cancel

    # --- the reflector's side ---------------------------------------------------------------------------------------

    async def replace(self, objects: list[V], revision: int) -> None:
        """Make the picture equal to `objects`, in turns with other tasks; what did not change is not told."""
        lister = self.lister
        present = {obj.key for obj in objects}
        for key in [key for key in lister.keys() if key not in present]:  # noqa: SIM118 - not a dict
            self._remove(key, None)
        for count, obj in enumerate(objects, 1):
            if count % _OBJECTS_PER_TURN == 0:
                await self._clock.sleep(0)
            held = lister.get_key(obj.key)
            if held is None or held.metadata.resource_version != obj.metadata.resource_version:
                self._put(obj)
            elif held.metadata.uid != obj.metadata.uid:
                self._put(obj)  # a store begun anew may use a revision again
        # A server restored from an older copy goes back: then so do we.
        self.revision = revision
        self._synced.set()
        self._wake()

    def apply(self, event: WatchEvent[V]) -> None:
        """Take one event."""
        obj = event.object
        if obj is not None:
            if event.type == "DELETED":
                self._remove(obj.key, obj)
            else:
                self._put(obj)
        if event.revision > self.revision:
            self.revision = event.revision
        if self._waiters:
            self._wake()

    def _put(self, obj: V) -> None:
        old = self.lister.get_key(obj.key)
        if old is not None and old.metadata.uid != obj.metadata.uid:
            self._remove(obj.key, None)
            old = None
        self.lister._put(obj)
        if self._handlers:
            self._tell(old, obj)

    def _remove(self, key: str, last: V | None) -> None:
        old = self.lister._drop(key)
        if old is not None and self._handlers:
            # The deletion event shows the object's last state, which may be newer than ours.
            self._tell(last if last is not None and last.metadata.uid == old.metadata.uid else old, None)

    def _tell(self, old: V | None, new: V | None) -> None:
        for handler in self._handlers:
            try:
                handler(old, new)
            except Exception as error:
                # One subscriber's mistake must not blind the others, nor stop the reflector.
                _log.error("change handler failed", resource=self.view.resource.qualified, error=repr(error), exc=error)

    def _wake(self) -> None:
        while self._waiters and self._waiters[0][0] <= self.revision:
            heapq.heappop(self._waiters)[2]()


class Informers:
    """One informer per view and filter. `of` may be asked before and after `start`."""

    def __init__(self, client: Client, *, clock: Clock = REAL) -> None:
        self.client = client
        self.clock = clock
        self._informers: dict[tuple[type[View], str, str, str], Informer[Any]] = {}
        self._by_resource: dict[Resource, list[Informer[Any]]] = {}
        self._followers: dict[Informer[Any], asyncio.Task[None]] = {}
        self._scope: Scope | None = None

    def of(self, view: type[V], *, namespace: str = "", labels: str = "", fields: str = "") -> Informer[V]:
        """The informer of a view; the same one for the same question."""
        key = (view, namespace, labels, fields)
        informer = self._informers.get(key)
        if informer is None:
            informer = self._informers[key] = Informer(
                view, namespace=namespace, labels=labels, fields=fields, clock=self.clock
            )
            self._by_resource.setdefault(view.resource, []).append(informer)
            if self._scope is not None:
                self._follow(informer)
        return informer

    def drop(self, informer: Informer[Any]) -> None:
        """Stop to follow, and forget: for a resource that is served no more. Nobody else may be using the informer."""
        key = (informer.view, informer.namespace, informer.labels, informer.fields)
        if self._informers.get(key) is not informer:
            return
        del self._informers[key]
        self._by_resource[informer.view.resource].remove(informer)
        follower = self._followers.pop(informer, None)
        if follower is not None:
            follower.cancel()

    def covering(self, resource: Resource, namespace: str) -> Informer[Any] | None:
        """An informer that shows every object of that resource and namespace, if this process keeps one."""
        for informer in self._by_resource.get(resource, ()):
            if informer.covers(namespace):
                return informer
        return None

    async def start(self, scope: Scope) -> None:
        """Begin to follow, in tasks of `scope`. Idempotent."""
        if self._scope is None:
            self._scope = scope
            for informer in self._informers.values():
                self._follow(informer)

    async def wait_synced(self) -> None:
        """Until every informer asked for so far has its picture."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()

    @property
    def synced(self) -> bool:
        """Every informer asked for so far has its picture."""
        return all(informer.synced for informer in self._informers.values())

    def unsynced(self) -> list[str]:
        """The resources still waited for: for the log, and for health answers."""
        return [i.view.resource.qualified for i in self._informers.values() if not i.synced]

    def _follow(self, informer: Informer[Any]) -> None:
        assert self._scope is not None
        reflector: Reflector[Any] = Reflector(
            self.client, informer.view, informer, clock=self.clock,
            namespace=informer.namespace, labels=informer.labels, fields=informer.fields,
        )  # fmt: skip
        name = f"reflector-{informer.view.resource.qualified}"
        self._followers[informer] = self._scope.spawn(reflector.run(), name=name, eternal=True)


def _nothing() -> None:
    pass
