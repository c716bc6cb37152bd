"""The effects of one reconcile. Every write is remembered, so that the key rests until the caches show it."""

from collections.abc import Sequence
from typing import Any

from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.client.client import Client
from kaa.client.wire import Json, PatchKind, revision_of
from kaa.http.api import CallError, ConnectFailed
from kaa.kinds.views.base import View
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource
from kaa.runtime.events import ObjectRef, Recorder
from kaa.runtime.gate import Write
from kaa.runtime.status import status_patch

__all__ = ["Session"]


class Session:
    """What a reconcile may do to the world. One per reconcile; do not keep it.

    Writes raise as the client's do. After an error whose outcome is unknown the runtime looks before it lets the key
    be reconciled again.
    """

    __slots__ = ("client", "clock", "log", "recorder", "writes")

    def __init__(self, client: Client, clock: Clock, log: Logger, recorder: Recorder) -> None:
        self.client = client
        self.clock = clock
        self.log = log
        self.recorder = recorder
        #: What was written, for the gate.
        self.writes: list[Write] = []

    async def create(
        self, resource: Resource, obj: Json, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> Json:
        """Create an object; its metadata may ask for a generated name."""
        metadata = obj.get("metadata") or {}
        at = namespace or metadata.get("namespace", "")
        try:
            made = await self.client.create(resource, obj, namespace=namespace, name=name, subresource=subresource)
        except (CallError, StatusError) as error:
            self._failed(error, resource, at, name or metadata.get("name", ""))
            raise
        if not subresource:
            self._wrote(resource, at, made)
        return made

    async def update(self, resource: Resource, obj: Json, *, subresource: str = "") -> Json:
        """Replace an object; its resourceVersion makes the write conditional."""
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        try:
            made = await self.client.update(resource, obj, subresource=subresource)
        except (CallError, StatusError) as error:
            self._failed(error, resource, namespace, metadata["name"])
            raise
        self._wrote(resource, namespace, made)
        return made

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Json | Sequence[Json],
        *,
        namespace: str = "",
        kind: PatchKind = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Json:
        """Change an object. A merge patch may carry metadata.uid and resourceVersion as preconditions."""
        try:
            made = await self.client.patch(
                resource, name, body, namespace=namespace, kind=kind, subresource=subresource,
                field_manager=field_manager, force=force,
            )  # fmt: skip
        except (CallError, StatusError) as error:
            self._failed(error, resource, namespace, name)
            raise
        self._wrote(resource, namespace, made)
        return made

    async def delete(self, obj: View, *, propagation: str | None = None, grace: int | None = None) -> bool:
        """Delete exactly this object (its UID is a precondition). False when it was gone already.

        Raises StatusError 409 when the name belongs to another object by now.
        """
        resource, metadata = obj.resource, obj.metadata
        write = Write(resource, metadata.namespace, metadata.name, deleted_uid=metadata.uid)
        try:
            await self.client.delete(
                resource, metadata.name, namespace=metadata.namespace, uid=metadata.uid, propagation=propagation,
                grace_seconds=grace,
            )  # fmt: skip
        except StatusError as error:
            if error.code == 404:
                self.writes.append(write)
                return False
            self._failed(error, resource, metadata.namespace, metadata.name)
            raise
        except CallError as error:
            self._failed(error, resource, metadata.namespace, metadata.name)
            raise
        self.writes.append(write)
        return True

    async def update_status(self, obj: View, status: Json) -> bool:
        """Make `status` the object's, by a merge patch on what differs. False, and nothing sent, when nothing does.

        The patch carries the resourceVersion of `obj`, so one that is out of date conflicts. `status` is the whole
        status in the wire form: what it leaves out is removed. Raises TypeError when it names a field the view of the
        kind does not: the view could not tell whether it differs.
        """
        difference = status_patch(getattr(obj, "status", None), status)
        if difference is None:
            return False
        metadata = obj.metadata
        body: Json = {"metadata": {"resourceVersion": metadata.resource_version}, "status": difference}
        await self.patch(obj.resource, metadata.name, body, namespace=metadata.namespace, subresource="status")
        return True

    def event(self, obj: View | ObjectRef | Json, type_: str, reason: str, message: str) -> None:
        """Tell people: "Normal" or "Warning". Never waits, never fails."""
        self.recorder.event(obj, type_, reason, message)

    def _wrote(self, resource: Resource, namespace: str, made: dict[str, Any]) -> None:
        revision = revision_of(made)
        if revision:
            name = made["metadata"].get("name", "")
            self.writes.append(Write(resource, namespace, name, revision=revision))

    def _failed(self, error: Exception, resource: Resource, namespace: str, name: str) -> None:
        if isinstance(error, ConnectFailed):
            return  # nothing was sent
        if isinstance(error, StatusError) and error.code < 500:
            return  # refused: nothing was done
        self.writes.append(Write(resource, namespace, name, unknown=True))
