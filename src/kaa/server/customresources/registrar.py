"""Definitions as they come, change and go: their names are judged, their kinds served, their objects deleted first.

Level-triggered: whatever happened to a definition, its name is put in a queue, and `_reconcile` makes true what the
newest state asks for. What is served is decided in the same turn of the loop in which the definition became visible, so
a client that sees `Established` finds the kind there.
"""

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from kaa.base.clock import Clock, format_seconds
from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.http.api import Request
from kaa.kinds.custom.acceptance import CLEANUP, established, judged, set_condition
from kaa.kinds.custom.definition import storage_version
from kaa.kinds.custom.kind import CustomKind, kinds_of
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.cache import Cached, Change, ResourceCache
from kaa.server.call import Call, Parts
from kaa.server.objects import Objects
from kaa.server.request import RequestInfo, User
from kaa.server.verbs import deletions, writes

__all__ = ["Registrar"]

Json = dict[str, Any]
_log = Logger("apiserver")

GROUP, VERSION, PLURAL = "apiextensions.k8s.io", "v1", "customresourcedefinitions"
#: The server itself, for what it writes.
SELF = User("system:apiserver", ("system:masters", "system:authenticated"))
#: Objects of a definition that is going, deleted at the same time.
TOGETHER = 32
#: How often the objects of a definition that is going are looked at again.
RETRY_SECONDS = 0.5


class Registrar:
    """Serves the kinds of all established definitions. One per server."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        spec = objects.registry.get(GROUP, VERSION, PLURAL)
        assert spec is not None
        self._spec = spec
        #: By the definition's name: what is served of it, and what it was made from.
        self._served: dict[str, list[CustomKind]] = {}
        self._served_from: dict[str, Json] = {}
        #: By the definition's name: what its group and accepted names are.
        self._accepted: dict[str, Json] = {}
        #: Definitions that wait for a name to become free.
        self._refused: set[str] = set()
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._scope = Scope("customresources")
        self._parts: Parts

    # --- start and stop

    @property
    def prefix(self) -> str:
        """Where definitions are stored."""
        return self._spec.storage_prefix

    def load(self, definitions: Iterable[Json]) -> None:
        """Serve what was established when the server stopped: before the objects are loaded, which need their kinds."""
        for each in definitions:
            if established(each):
                self._serve(each)

    def start(self, parts: Parts, clock: Clock) -> None:
        """Follow the definitions from now on."""
        self._parts, self._clock = parts, clock
        cache = self._objects.of(self._spec)
        cache.on_change(self._changed)
        for entry in cache.objects.values():
            self._note(entry.decode())
            self._enqueue(entry.name)
        self._scope.spawn(self._work(), name="definitions", eternal=True)

    async def stop(self) -> None:
        """Follow no more."""
        await self._scope.close()

    # --- following

    def _changed(self, change: Change) -> None:
        entry = change.new or change.old
        assert entry is not None
        name = entry.name
        if change.new is None:
            self._remove(name)
            self._refused.discard(name)
            freed = self._accepted.pop(name, None) is not None
        else:
            definition = change.new.decode()
            if established(definition):
                self._serve(definition)
            freed = self._note(definition)
            self._enqueue(name)
        if freed:
            for each in self._refused:
                self._enqueue(each)

    def _note(self, definition: Json) -> bool:
        """Remember the accepted names; answers whether they have changed."""
        name = definition["metadata"]["name"]
        names = {
            "metadata": {"name": name},
            "spec": {"group": definition["spec"]["group"]},
            "status": {"acceptedNames": (definition.get("status") or {}).get("acceptedNames") or {}},
        }
        changed = self._accepted.get(name) != names
        self._accepted[name] = names
        return changed

    def _enqueue(self, name: str) -> None:
        if name not in self._queued:
            self._queued.add(name)
            self._queue.put_nowait(name)

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
            self._queued.discard(name)
            try:
                await self._reconcile(name)
            except errors.StatusError as error:
                _log.warning("a definition could not be brought up to date", name=name, error=error.message)
                self._scope.spawn(self._again(name), name=f"again {name}")
            except Exception as error:
                _log.error("a definition could not be brought up to date", name=name, error=repr(error), exc=error)

    async def _again(self, name: str) -> None:
        await self._clock.sleep(RETRY_SECONDS)
        self._enqueue(name)

    # --- what is served

    def _serve(self, definition: Json) -> None:
        registry, name = self._objects.registry, definition["metadata"]["name"]
        source = {
            "uid": definition["metadata"]["uid"],
            "generation": definition["metadata"].get("generation"),
            "names": (definition.get("status") or {}).get("acceptedNames"),
            "going": "deletionTimestamp" in definition["metadata"],
        }
        if self._served_from.get(name) == source:
            return
        self._served_from[name] = source
        kinds = kinds_of(definition)
        wanted = {each.resource for each in kinds}
        for each in self._served.get(name, ()):
            if each.resource not in wanted:
                registry.remove(each.resource.group, each.resource.version, each.resource.plural)
        stored = self._stored_kind(definition, kinds)
        self._objects.define(stored)
        order = tuple(
            each.resource.version for each in sorted(kinds, key=lambda kind: _priority(kind.resource.version))
        )
        for each in kinds:
            registry.add(each, versions=order)
        self._served[name] = kinds

    def _stored_kind(self, definition: Json, kinds: list[CustomKind]) -> CustomKind:
        """The kind of the storage version, which need not be served."""
        version = storage_version(definition)
        for each in kinds:
            if each.resource.version == version:
                return each
        return CustomKind(definition, next(v for v in definition["spec"]["versions"] if v["name"] == version))

    def _remove(self, name: str) -> None:
        self._served_from.pop(name, None)
        for each in self._served.pop(name, ()):
            self._objects.registry.remove(each.resource.group, each.resource.version, each.resource.plural)
            self._objects.cache.drop(each)

    # --- status and deletion

    async def _reconcile(self, name: str) -> None:
        entry = self._objects.find(self._spec, "", name)
        if entry is None:
            return
        definition = entry.decode()
        if definition["metadata"].get("deletionTimestamp"):
            await self._clean_up(definition)
            return
        group = definition["spec"]["group"]
        others = [each for each in self._accepted.values() if each["spec"]["group"] == group]
        wanted = judged(definition, others, self._now())
        (self._refused.discard if established({"status": wanted}) else self._refused.add)(name)
        if wanted != definition.get("status"):
            await self._write_status(name, lambda obj: judged(obj, others, self._now()))

    async def _clean_up(self, definition: Json) -> None:
        """Delete every object, then let the definition go."""
        name = definition["metadata"]["name"]
        if CLEANUP not in (definition["metadata"].get("finalizers") or ()):
            return
        if not established(definition):
            await self._condition(name, "False", "NeverEstablished", "resource was never established")
            await self._release(name)
            return
        # Of no version that is served there may still be objects.
        cache = self._objects.of(self._stored_kind(definition, kinds_of(definition)))
        await self._condition(name, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
        if cache.objects:
            await self._delete_all(cache)
            if cache.objects:
                # Finalizers hold some of them: come back until they are gone.
                self._scope.spawn(self._again(name), name=f"again {name}")
                return
        await self._condition(name, "False", "InstanceDeletionCompleted", "removed all instances")
        await self._release(name)

    async def _release(self, name: str) -> None:
        """Let a definition go."""

        def release(obj: Json) -> Json:
            meta = obj["metadata"]
            meta["finalizers"] = [each for each in meta.get("finalizers") or () if each != CLEANUP]
            return obj

        await writes.change_object(self._call("update", name), release, trusted=True)

    async def _delete_all(self, cache: ResourceCache) -> None:
        async def one(entry: Cached) -> None:
            call = self._call("delete", entry.name, cache.spec, entry.namespace)
            try:
                await deletions.delete_object(call, deletions.DeleteOptions())
            except errors.StatusError as error:
                if error.code != 404:
                    raise

        entries = list(cache.objects.values())
        for start in range(0, len(entries), TOGETHER):
            await asyncio.gather(*map(one, entries[start : start + TOGETHER]))

    async def _condition(self, name: str, value: str, reason: str, message: str) -> None:
        def change(obj: Json) -> Json:
            status = obj.setdefault("status", {})
            set_condition(status, "Terminating", value, reason, message, self._now())
            return dict(status)

        await self._write_status(name, change)

    async def _write_status(self, name: str, status: Any) -> None:
        def change(obj: Json) -> Json:
            obj["status"] = status(obj)
            return obj

        try:
            await writes.change_object(self._call("update", name, subresource="status"), change, trusted=True)
        except errors.StatusError as error:
            if error.code != 404:  # it may have gone meanwhile
                raise

    def _call(
        self, verb: str, name: str, spec: KindSpec | None = None, namespace: str = "", subresource: str = ""
    ) -> Call:
        spec = spec or self._spec
        resource = spec.resource
        info = RequestInfo(verb, "", True, resource.group, resource.version, resource.plural, subresource, namespace,
                           name)  # fmt: skip
        request = Request("PUT", resource.path(namespace, name), headers={"user-agent": "kube-apiserver"})
        return Call(request, info, SELF, spec, self._parts)

    def _now(self) -> str:
        return format_seconds(self._clock.now())


def _priority(version: str) -> tuple[int, int, int, str]:
    """The order of versions as discovery shows them: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not found:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[found[2]]
    return (stage, -int(found[1]), -int(found[3] or 0), version)
