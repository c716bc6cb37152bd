"""One controller at work: its subscriptions, its workers, and what follows from how a reconcile ended."""

import asyncio
from collections.abc import Callable
from typing import Any

from kaa.base.clock import Clock
from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.http.api import CallError
from kaa.kinds.views.base import OwnerReference, View
from kaa.meta.errors import StatusError
from kaa.runtime.controller import Controller, For, Maps, Owns, Watch, key_of
from kaa.runtime.gate import WriteGate
from kaa.runtime.metrics import ControllerMetrics
from kaa.runtime.session import Session

__all__ = ["Runner"]


class Runner:
    """Runs one controller between `start` and `stop`, any number of times."""

    def __init__(
        self, controller: Controller[Any], *, client: Client, informers: Informers, gate: WriteGate, clock: Clock
    ) -> None:
        self.controller = controller
        self.metrics = ControllerMetrics(controller.name, controller.queue)
        self._client = client
        self._informers = informers
        self._gate = gate
        self._clock = clock
        self._queue = controller.queue
        self._for = controller.for_watch()
        self._lister = self._informer(self._for).lister if self._for is not None else None
        for watch in controller.watches:
            self._informer(watch)  # asked for now, so that it is filled before the start
        self._scope: Scope | None = None
        self._unsubscribe: list[Callable[[], None]] = []
        self._last_errors: dict[str, str] = {}  # by key, so that each distinct error is logged once

    async def start(self) -> None:
        """Subscribe (everything that exists is queued) and set the workers to work. The caches must be filled."""
        controller = self.controller
        self._scope = scope = Scope(controller.name)
        for watch in controller.watches:
            self._unsubscribe.append(self._informer(watch).on_change(self._handler(watch)))
        await controller.start(scope)
        for number in range(controller.workers):
            scope.spawn(self._work(), name=f"worker-{number}", eternal=True)

    async def wait(self) -> None:
        """Until a worker fails, which is a mistake in the runtime."""
        assert self._scope is not None
        await self._scope.wait()

    async def stop(self) -> None:
        """Let go of the subscriptions, cancel the workers, forget the queue."""
        for stop in self._unsubscribe:
            stop()
        self._unsubscribe.clear()
        if self._scope is not None:
            await self._scope.close()
            self._scope = None
        self._queue.clear()
        self._last_errors.clear()

    # --- events to keys ----------------------------------------------------------------------------------------------

    def _informer(self, watch: Watch) -> Any:
        return self._informers.of(watch.view, labels=watch.labels, fields=watch.fields)

    def _handler(self, watch: Watch) -> Callable[[View | None, View | None], None]:
        handler: Callable[[View | None, View | None], None]
        if isinstance(watch, For):
            handler = self._on_for
        elif isinstance(watch, Owns):
            handler = self._on_owned
        else:
            handler = self._on_mapped(watch)
        when = watch.when
        if when is None:
            return handler

        def filtered(old: View | None, new: View | None) -> None:
            if when(old, new):
                handler(old, new)

        return filtered

    def _on_for(self, old: View | None, new: View | None) -> None:
        obj = new if new is not None else old
        assert obj is not None
        self._queue.add(obj.key)

    def _on_owned(self, old: View | None, new: View | None) -> None:
        owner = new.controller if new is not None else None
        if new is not None and owner is not None:
            self._add_owner(new.metadata.namespace, owner)
        if old is not None:
            before = old.controller
            if before is not None and (owner is None or before.uid != owner.uid):
                self._add_owner(old.metadata.namespace, before)

    def _add_owner(self, namespace: str, owner: OwnerReference) -> None:
        assert self._for is not None
        resource = self._for.view.resource
        if owner.kind == resource.kind and _group(owner.api_version) == resource.group:
            self._queue.add(key_of(namespace if resource.namespaced else "", owner.name))

    def _on_mapped(self, watch: Maps) -> Callable[[View | None, View | None], None]:
        fn, controller, add = watch.fn, self.controller, self._queue.add

        def handler(old: View | None, new: View | None) -> None:
            if old is not None:
                for key in fn(old, controller):
                    add(key)
            if new is not None:
                for key in fn(new, controller):
                    add(key)

        return handler

    # --- keys to reconciles ------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            await self._reconcile(await self._queue.get())

    async def _reconcile(self, key: str) -> None:
        controller, queue = self.controller, self._queue
        session = Session(self._client, self._clock, controller.log, controller.recorder)
        started = self._clock.monotonic()
        outcome = "success"
        try:
            if self._lister is None:
                result = await controller.reconcile_key(key, session)
            elif (obj := self._lister.get_key(key)) is None:
                result = await controller.reconcile_gone(key, session)
            else:
                result = await controller.reconcile(obj, session)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            outcome = "conflict" if isinstance(error, StatusError) and error.reason == "Conflict" else "error"
            if outcome == "error":
                self._log_once(key, error)
            queue.add_backoff(key)
        else:
            queue.forget(key)
            self._last_errors.pop(key, None)
            if result is not None and result.requeue_after is not None:
                outcome = "requeue_after"
                queue.add_after(key, result.requeue_after)
        ended = self._clock.monotonic()
        self.metrics.ended(outcome, ended - started)
        if not session.writes:
            queue.done(key)
            return

        def release() -> None:
            self.metrics.gate_seconds.observe(self._clock.monotonic() - ended)
            queue.done(key)

        self._gate.hold(f"{controller.name}/{key}", session.writes, release)

    def _log_once(self, key: str, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if self._last_errors.get(key) == text:
            return
        self._last_errors[key] = text
        # A refusal or a lost connection explains itself; anything else is a mistake whose place is wanted.
        expected = isinstance(error, StatusError | CallError)
        self.controller.log.error(
            "reconcile failed; trying again", exc=None if expected else error, key=key, error=text,
        )  # fmt: skip


def _group(api_version: str) -> str:
    return api_version.partition("/")[0] if "/" in api_version else ""
