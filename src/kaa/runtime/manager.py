"""An explicit list of controllers in one process, with what they share."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.runtime.controller import Controller, Parts
from kaa.runtime.events import EventBroadcaster
from kaa.runtime.gate import WriteGate
from kaa.runtime.leader import Election, LeaderElector
from kaa.runtime.metrics import ControllerMetrics, render
from kaa.runtime.runner import Runner

__all__ = ["Check", "Manager"]

_SYNC_COMPLAINT_SECONDS = 10.0


@dataclass(frozen=True)
class Check:
    """One line of the health answer."""

    name: str
    ok: bool
    detail: str = ""


class Manager:
    """Starts in this order: informers, caches filled, (election won,) workers; stops in the reverse.

    `async with Manager(...)`, or `start` and `stop`. `wait` raises when something that must not end has ended.
    """

    def __init__(
        self,
        client: Client,
        controllers: Sequence[Callable[[Parts], Controller[Any]]],
        *,
        informers: Informers | None = None,
        clock: Clock = REAL,
        settings: Any = None,
        extras: dict[str, Any] | None = None,
        host: str = "",
        election: Election | None = None,
        name: str = "manager",
    ) -> None:
        """`controllers` are classes, or whatever makes one from `Parts`. Informers that are given are shared, and are
        started and stopped by their owner."""
        self.client = client
        self.clock = clock
        self.name = name
        self._own_informers = informers is None
        self.informers = informers if informers is not None else Informers(client, clock=clock)
        self.events = EventBroadcaster(client, clock=clock)
        self.gate = WriteGate(client, self.informers, clock)
        self.parts = Parts(
            client=client,
            informers=self.informers,
            recorder=lambda component: self.events.recorder(component, host),
            clock=clock,
            settings=settings,
            extras=extras or {},
        )
        self.controllers = [make(self.parts) for make in controllers]
        names = [controller.name for controller in self.controllers]
        if len(set(names)) != len(names):
            raise ValueError(f"two controllers share a name: {sorted(names)}")
        self.runners = [
            Runner(controller, client=client, informers=self.informers, gate=self.gate, clock=clock)
            for controller in self.controllers
        ]
        self.elector = LeaderElector(client, election, clock=clock) if election is not None else None
        self._log = Logger(name)
        self._scope: Scope | None = None
        self._working = asyncio.Event()

    async def start(self) -> None:
        """Returns when the caches are filled and the workers run; with an election, when the campaign has begun."""
        if self._scope is not None:
            raise RuntimeError(f"{self.name} runs already")
        self._scope = scope = Scope(self.name)
        try:
            self.events.start(scope)
            if self._own_informers:
                await self.informers.start(scope)
            await self._wait_synced()
            if self.elector is None:
                await self._start_runners()
                scope.spawn(self._watch_runners(), name="runners", eternal=True)
            else:
                scope.spawn(self._campaign(), name="election", eternal=True)
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> None:
        """Until cancelled; raises when a task that must not end has ended."""
        assert self._scope is not None
        await self._scope.wait()

    async def wait_working(self) -> None:
        """Until the workers run: at once without an election, when it is won with one."""
        await self._working.wait()

    async def stop(self) -> None:
        """Stop the workers, give the lease back, let the informers go. Safe to call twice."""
        if self._scope is None:
            return
        scope, self._scope = self._scope, None
        if self.elector is None:
            await self._stop_runners()
        await scope.close()  # with an election this stops the workers first, then gives the lease back
        self.gate.close()

    async def run(self) -> None:
        """Start, and run until cancelled or failed; then stop."""
        await self.start()
        try:
            await self.wait()
        finally:
            await self.stop()

    async def __aenter__(self) -> "Manager":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- what it says about itself ---------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing is queued, worked on, resting at the gate, or waiting to be written as an event."""
        return all(runner.controller.queue.idle for runner in self.runners) and not len(self.gate) and self.events.idle

    def health(self) -> list[Check]:
        """For `/healthz`: the caches, the election, and each controller's workers."""
        unsynced = self.informers.unsynced()
        checks = [Check("informers", not unsynced, f"waiting for {', '.join(unsynced)}" if unsynced else "")]
        if self.elector is not None:
            leader = self.elector.leader
            checks.append(Check("leader-election", True, f"held by {leader}" if leader else "nobody holds the lease"))
        checks += [Check(controller.name, self._scope is not None) for controller in self.controllers]
        return checks

    def metrics(self) -> list[ControllerMetrics]:
        """The counters, one per controller."""
        return [runner.metrics for runner in self.runners]

    def metrics_text(self) -> str:
        """For `/metrics`."""
        return render(self.metrics())

    # --- starting and stopping ---------------------------------------------------------------------------------------

    async def _wait_synced(self) -> None:
        """Says what it waits for, rather than hanging in silence."""
        while True:
            try:
                async with asyncio.timeout(_SYNC_COMPLAINT_SECONDS):
                    await self.informers.wait_synced()
                return
            except TimeoutError:
                self._log.warning("still waiting for caches", resources=",".join(self.informers.unsynced()))

    async def _start_runners(self) -> None:
        for runner in self.runners:
            await runner.start()
        self._working.set()
        self._log.info("controllers started", count=len(self.runners))

    async def _stop_runners(self) -> None:
        self._working.clear()
        for runner in reversed(self.runners):
            await runner.stop()

    async def _watch_runners(self) -> None:
        """Ends, with its error, as soon as a runner's worker does."""
        async with Scope(f"{self.name}/watch") as scope:
            for runner in self.runners:
                scope.spawn(runner.wait(), name=runner.controller.name, eternal=True)
            await scope.wait()

    async def _campaign(self) -> None:
        assert self.elector is not None
        while True:
            await self.elector.run(self._lead)

    async def _lead(self) -> None:
        try:
            await self._start_runners()
            await self._watch_runners()
        finally:
            await self._stop_runners()
