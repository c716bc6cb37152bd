"""Events that people read: recorded without waiting, written one after another by one task."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from kaa.base.clock import REAL, Clock
from kaa.base.ids import jitter
from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.http.api import CallError
from kaa.kinds.views.base import View
from kaa.kinds.views.core import EventView
from kaa.meta.errors import StatusError
from kaa.runtime.correlate import Correlator, Occurrence, Written

__all__ = ["QUEUED_MAX", "EventBroadcaster", "ObjectRef", "Recorder"]

Json = dict[str, Any]
QUEUED_MAX = 1000
"""Events that may wait to be written; beyond it the oldest are dropped, and how many is logged."""

_TRIES_MAX = 12
_RETRY_SECONDS = 10.0
_log = Logger("events")


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """What an event is about, where there is no view at hand, or only a part of the object is meant."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""
    revision: str = ""
    #: Such as `spec.containers{web}`.
    field_path: str = ""

    @classmethod
    def of(cls, obj: View, field_path: str = "") -> "ObjectRef":
        """The object of a view."""
        resource, metadata = obj.resource, obj.metadata
        return cls(
            resource.api_version, resource.kind, metadata.name, metadata.namespace, metadata.uid,
            metadata.resource_version, field_path,
        )  # fmt: skip

    @classmethod
    def of_json(cls, obj: Json) -> "ObjectRef":
        """The object itself in JSON, or an object reference."""
        metadata = obj.get("metadata") or obj
        return cls(
            obj.get("apiVersion", ""), obj.get("kind", ""), metadata.get("name", ""), metadata.get("namespace", ""),
            metadata.get("uid", ""), metadata.get("resourceVersion", ""), obj.get("fieldPath", ""),
        )  # fmt: skip


class EventBroadcaster:
    """The queue of a process and the task that writes it. Recorders of all components share it."""

    def __init__(self, client: Client, *, clock: Clock = REAL, queued_max: int = QUEUED_MAX) -> None:
        self._client = client
        self._clock = clock
        self._queued: deque[Occurrence] = deque()
        self._queued_max = queued_max
        self._correlator = Correlator()
        self._arrived = asyncio.Event()
        self._writing = False
        #: Totals, for metrics: written (or counted up), cut by the spam filter, lost to overflow or refusal.
        self.written = 0
        self.cut = 0
        self.dropped = 0
        self._dropped_logged = 0

    def recorder(self, component: str, host: str = "") -> "Recorder":
        """Records in the name of a component (and, on nodes, a host)."""
        return Recorder(self, component, host)

    def start(self, scope: Scope) -> None:
        """Write from now on, in a task of `scope`. What was recorded before is not lost."""
        scope.spawn(self._run(), name="events", eternal=True)

    def put(self, what: Occurrence) -> None:
        """Queue one; never waits."""
        if len(self._queued) >= self._queued_max:
            self._queued.popleft()
            self.dropped += 1
        self._queued.append(what)
        self._arrived.set()

    @property
    def idle(self) -> bool:
        """Everything recorded is written, cut or dropped."""
        return not self._queued and not self._writing

    async def _run(self) -> None:
        while True:
            while not self._queued:
                self._arrived.clear()
                await self._arrived.wait()
            if self.dropped > self._dropped_logged:
                _log.warning("events were dropped: more came than could be written",
                             dropped=self.dropped - self._dropped_logged, queue_max=self._queued_max)  # fmt: skip
                self._dropped_logged = self.dropped
            written = self._correlator.take(self._queued.popleft())
            if written is None:
                self.cut += 1
                continue
            self._writing = True
            try:
                await self._write(written)
            finally:
                self._writing = False

    async def _write(self, written: Written) -> None:
        for tries in range(_TRIES_MAX):
            try:
                written = await self._send(written)
                self.written += 1
                return
            except StatusError as error:
                if error.code < 500:
                    # A namespace that is going refuses its last events: nobody would read them.
                    self._correlator.forget(written)
                    self._lost(written, error)
                    return
                failure: Exception = error
            except (CallError, ValueError) as error:
                failure = error
            if tries == 0:
                _log.warning("event cannot be written; trying again", error=str(failure))
            await self._clock.sleep(jitter(_RETRY_SECONDS, 0.2) if tries else jitter(0.5, 1.0))
        self._correlator.forget(written)
        self._lost(written, failure)

    async def _send(self, written: Written) -> Written:
        resource = EventView.resource
        if written.count > 1:
            try:
                await self._client.patch(
                    resource, written.name, written.to_patch(), namespace=written.namespace, kind="strategic"
                )
                return written
            except StatusError as error:
                if error.code != 404:
                    raise
                # It has expired meanwhile: say it again, with its count.
        try:
            await self._client.create(resource, written.to_json())
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            written = self._correlator.renamed(written)
            await self._client.create(resource, written.to_json())
        return written

    def _lost(self, written: Written, error: Exception) -> None:
        self.dropped += 1
        self._dropped_logged += 1
        _log.info("event not written", about=written.name, reason=written.occurrence.reason, error=str(error))


class Recorder:
    """Records events in the name of one component. `event` never waits and never fails."""

    __slots__ = ("_broadcaster", "component", "host")

    def __init__(self, broadcaster: EventBroadcaster, component: str, host: str = "") -> None:
        self._broadcaster = broadcaster
        self.component = component
        self.host = host

    def event(
        self,
        about: View | ObjectRef | Json,
        type_: str,
        reason: str,
        message: str,
        annotations: dict[str, str] | None = None,
    ) -> None:
        """Something happened to an object: "Normal" or "Warning", a CamelCase reason, a sentence.

        Raises ValueError for another type: that is a mistake in the program.
        """
        if type_ not in ("Normal", "Warning"):
            raise ValueError(f"an event is Normal or Warning, not {type_!r}")
        if isinstance(about, View):
            about = ObjectRef.of(about)
        elif isinstance(about, dict):
            about = ObjectRef.of_json(about)
        self._broadcaster.put(
            Occurrence(
                component=self.component,
                host=self.host,
                type=type_,
                reason=reason,
                message=message,
                about=(
                    about.api_version, about.kind, about.namespace, about.name, about.uid, about.revision,
                    about.field_path,
                ),
                at=self._broadcaster._clock.now(),
                annotations=tuple((annotations or {}).items()),
            )
        )  # fmt: skip
