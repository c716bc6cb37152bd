"""The edge of service rules: watches Services and EndpointSlices, lets bursts pass, and has the backend sync.

Handlers on the loop only note what changed; compiling and the kernel's tools run in a worker thread, one at a time, so
that no callback holds the loop.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.base.retry import Backoff
from kaa.base.tasks import Scope
from kaa.client import Informers
from kaa.http.serve import Server, serve
from kaa.kinds.views import EndpointSlice, Node, Service
from kaa.network.backend import Backend, ProxySettings, SyncReport
from kaa.network.healthcheck import HealthChecks, ProxyHealth
from kaa.network.services import Compiler, Model

__all__ = ["ProxyMetrics", "ServiceProxy"]

_log = Logger("proxy")
ZONE_LABEL = "topology.kubernetes.io/zone"
SYNC_SECONDS_MIN = 0.1
"""Between the ends of two syncs. The first change after a quiet time is synced at once."""
CHECK_SECONDS = 30.0
"""How often the kernel is asked whether the rules are still there."""


@dataclass(slots=True)
class ProxyMetrics:
    """Figures of the proxy since it began."""

    syncs: int = 0
    full_syncs: int = 0
    failures: int = 0
    last_seconds: float = 0.0
    """How long the last sync took, compiling included."""
    last_changed: int = 0
    last_commands: int = 0
    last_at: float = 0.0
    """When the last sync ended, in seconds since the epoch."""
    service_ports: int = 0


class ServiceProxy:
    """Keeps one node's service rules like the API says.

    ```
    proxy = ServiceProxy(informers, choose(settings), settings)
    scope.spawn(proxy.run(), name="proxy", eternal=True)
    await proxy.synced.wait()
    ```
    Ending `run` leaves the rules in place, so that a restart interrupts nothing; `cleanup` removes them.
    """

    def __init__(
        self, informers: Informers, backend: Backend, settings: ProxySettings, *,
        clock: Clock = REAL, health_port: int = 0, health_address: str = "0.0.0.0",
    ) -> None:  # fmt: skip
        """`health_port`: where `/healthz` is served (10256 in the original); 0 for nowhere."""
        self.backend, self.settings = backend, settings
        self.metrics = ProxyMetrics()
        self.synced = asyncio.Event()
        """The rules have been written once."""
        self.health = ProxyHealth(clock)
        self._health_at = (health_address, health_port)
        self._checks = HealthChecks(settings.netns)
        self._clock = clock
        self._changed = asyncio.Event()
        self._pending: list[Callable[[Compiler], None]] = []
        self._compiler = Compiler(settings.node)
        # A sync whose caller was cancelled still runs to its end in its thread; whatever comes next waits for it.
        self._at_work = threading.Lock()
        self._services = informers.of(Service)
        self._slices = informers.of(EndpointSlice)
        # By name on the server's side: a node has no use for the heartbeats of five thousand others.
        self._node = informers.of(Node, fields=f"metadata.name={settings.node}") if settings.node else None

    async def run(self) -> None:
        """Watch and sync until cancelled."""
        stops = [
            self._services.on_change(self._service_changed),
            self._slices.on_change(self._slice_changed),
            *([self._node.on_change(self._node_changed)] if self._node else []),
        ]
        listening: Server | None = None
        try:
            address, port = self._health_at
            if port:
                made = self.settings.netns.listen(socket.SOCK_STREAM, address, port)
                listening = await serve(self.health.answer, sock=made, clock=self._clock)
            # Half a picture would take services away from an adopted table.
            await self._services.wait_synced()
            await self._slices.wait_synced()
            self._changed.set()
            async with Scope("proxy") as scope:
                scope.spawn(self._check(), name="check", eternal=True)
                scope.spawn(self._sync_forever(), name="sync", eternal=True)
                await scope.wait()
        finally:
            for stop in stops:
                stop()
            await self._checks.close()
            if listening is not None:
                await listening.close(grace_seconds=0.5)

    async def cleanup(self) -> None:
        """Remove every rule. After `run` has ended."""
        await asyncio.to_thread(self._clean)

    async def _sync_forever(self) -> None:
        backoff = Backoff(first_seconds=0.5, seconds_max=30.0)
        while True:
            await self._changed.wait()
            self._changed.clear()
            started = self._clock.monotonic()
            try:
                model, report = await asyncio.to_thread(self._sync, self._taken())
            except (RuntimeError, OSError, ValueError) as error:
                self.metrics.failures += 1
                self.health.healthy = self._checks.healthy = False
                wait = backoff.next_seconds()
                _log.error("cannot write service rules; the earlier ones stay", error=str(error)[:2000], retry_in=wait)
                self._changed.set()
                await self._clock.sleep(wait)
                continue
            backoff.reset()
            await self._note(model, report, self._clock.monotonic() - started)
            # A sync that takes long is done less often: at most about half of the time goes to it.
            await self._clock.sleep(max(SYNC_SECONDS_MIN, min(5.0, self.metrics.last_seconds)))

    def _taken(self) -> list[Callable[[Compiler], None]]:
        taken, self._pending = self._pending, []
        return taken

    def _sync(self, pending: list[Callable[[Compiler], None]]) -> tuple[Model, SyncReport]:
        with self._at_work:
            for change in pending:
                change(self._compiler)
            model = self._compiler.model()
            return model, self.backend.sync(model)

    def _clean(self) -> None:
        with self._at_work:
            self.backend.cleanup()

    async def _note(self, model: Model, report: SyncReport, seconds: float) -> None:
        m = self.metrics
        m.syncs += 1
        m.full_syncs += report.full
        m.last_seconds, m.last_changed, m.last_commands = seconds, report.changed, report.commands
        m.last_at, m.service_ports = self._clock.now(), len(model.ports)
        self.health.healthy = self._checks.healthy = True
        self.health.last_synced = m.last_at
        if report.full:
            _log.info(
                "wrote service rules", backend=self.backend.name, ports=len(model.ports), seconds=round(seconds, 3)
            )
        await self._checks.update(model.health_checks)
        self.synced.set()

    async def _check(self) -> None:
        while True:
            await self._clock.sleep(CHECK_SECONDS)
            self._pending.append(lambda _: self._look())
            self._changed.set()

    def _look(self) -> None:
        # In the worker, between syncs: backends are not reentrant.
        if not self.backend.intact():
            _log.warning("somebody removed the service rules; writing them again")

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        if new is not None:
            self._pending.append(lambda c: c.set_service(new))
        elif old is not None:
            namespace, name = old.namespace, old.name
            self._pending.append(lambda c: c.delete_service(namespace, name))
        self._changed.set()

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        if new is not None:
            self._pending.append(lambda c: c.set_slice(new))
        elif old is not None:
            namespace, name = old.namespace, old.name
            self._pending.append(lambda c: c.delete_slice(namespace, name))
        self._changed.set()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        self.health.eligible = new is not None and not new.deleting
        if new is None:
            return
        zone = new.labels.get(ZONE_LABEL, "")
        if old is None or old.labels.get(ZONE_LABEL, "") != zone:
            self._pending.append(lambda c: c.set_zone(zone))
            self._changed.set()
