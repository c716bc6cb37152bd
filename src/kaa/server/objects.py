"""Objects as keys and bytes in the store: read from the cache, written by compare-and-swap.

Writers hand in decoded objects and get cache entries back. What is returned has been committed durably and is visible
to every reader.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import orjson

from kaa.base.log import Logger
from kaa.kinds.registry import Registry
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.meta.problems import Path, invalid
from kaa.server.cache import Cached, ResourceCache, WatchCache, encode, make_cached
from kaa.store.api import (
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
    Delete,
    Mismatch,
    Op,
    Put,
    Store,
    StoreBusy,
    StoreClosed,
    StoreFailed,
    StoreFull,
)

__all__ = ["Objects", "carried", "convert", "name_of", "served_form", "stored_form"]

Json = dict[str, Any]
_log = Logger("apiserver")

#: Keys read from the store per step while the server starts.
LOAD_STEP = 2000
#: What is surely left for a name, whatever the kind and the namespace.
NAME_BYTES_MAX = 3500
#: Events outlive their objects, but not by much.
EVENT_SECONDS = 3600.0
EVENTS = "/registry/events/"


def name_of(namespace: str, name: str) -> str:
    """The key of an object within its resource."""
    return f"{namespace}/{name}" if namespace else name


def stored_form(spec: KindSpec, obj: Json) -> Json:
    """The object in the version that is stored. The argument is left as it is."""
    if spec.conversion is None:
        return obj
    return spec.conversion.to_stored({**obj, "metadata": dict(obj["metadata"])})


def served_form(spec: KindSpec, cached: Cached) -> Json:
    """A fresh decoded copy of an entry, in the version that `spec` serves."""
    if spec.custom:
        obj: Json = orjson.loads(cached.served(spec))
        return obj
    if spec.conversion is None or cached.spec is spec:
        return cached.decode()
    return spec.conversion.from_stored(cached.decode())


def carried(obj: Json, source: KindSpec, target: KindSpec) -> Json:
    """A copy of a built-in kind's object in another version."""
    copied: Json = orjson.loads(orjson.dumps(obj))
    if source.conversion is not None:
        copied = source.conversion.to_stored(copied)
    if target.conversion is not None:
        copied = target.conversion.from_stored(copied)
    return copied


async def convert(objects: "Objects", obj: Json, source: KindSpec, target: KindSpec) -> Json:
    """A copy of an object in another version of its kind. Raises 500 where a webhook that converts fails."""
    if not source.custom or objects.conversions is None:
        return carried(obj, source, target)
    return await objects.conversions.to_version(source, obj, target)


class Converting(Protocol):
    """What converts objects of custom kinds (`kaa.server.customresources.conversion`)."""

    def ready(self, spec: KindSpec, entries: Sequence[Cached]) -> Awaitable[None] | None: ...

    async def to_stored(self, spec: KindSpec, obj: Json) -> Json: ...

    async def to_version(self, spec: KindSpec, obj: Json, target: KindSpec) -> Json: ...


class Objects:
    """The cluster's objects. One per server."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store = store
        self.registry = registry
        self.cache = WatchCache()
        #: Why the last write failed at the store; "" while writes get through. What /readyz tells.
        self.trouble = ""
        #: Converts objects of custom kinds; put in by the server.
        self.conversions: Converting | None = None
        #: Whether what is stored under a key should be written anew though it stays the same; put in by the server
        #: where values are encrypted.
        self.stale: Callable[[str], Awaitable[bool]] | None = None
        #: The largest object that the store takes.
        self.value_bytes_max = VALUE_BYTES_MAX

    async def start(self) -> None:
        """Load every object, then follow the store. Nothing is served before this has returned."""
        for spec in self.registry.all():
            if spec.storable and spec.conversion is None:
                self.cache.resource(spec)
        self.cache.revision = self.store.revision
        after, revision = "", self.store.revision
        while True:
            step = await self.store.range("/registry/", after=after, limit=LOAD_STEP, revision=revision)
            for entry in step.entries:
                self.cache.load(entry.key, entry.value, entry.mod_revision)
            if not step.more:
                break
            after = step.entries[-1].key
        for cache in self.cache.all():
            cache.floor = revision
        self.store.on_apply(self.cache.apply)

    async def below(self, prefix: str) -> list[Json]:
        """Stored objects, before anything is loaded: what says which kinds there are to load."""
        found = await self.store.range(prefix)
        return [orjson.loads(each.value) for each in found.entries if each.value.startswith(b"{")]

    def define(self, stored: KindSpec) -> None:
        """Keep objects of a custom kind, or go on keeping them under a new definition. `stored` is the kind in its
        storage version."""
        if self.cache.has(stored):
            self.cache.resource(stored).respecify(stored)
        else:
            self.cache.resource(stored)

    def ready(self, spec: KindSpec, entries: Sequence[Cached]) -> Awaitable[None] | None:
        """Have entries at hand in the version of `spec`: None where they are, else to be awaited before reading."""
        if not spec.converted_by_webhook or self.conversions is None:
            return None
        return self.conversions.ready(spec, entries)

    def of(self, spec: KindSpec) -> ResourceCache:
        """The cache of a resource."""
        return self.cache.resource(spec)

    def find(self, spec: KindSpec, namespace: str, name: str) -> Cached | None:
        """An object, or None. Raises 500 for one that is there and can't be read."""
        cache, key = self.cache.resource(spec), name_of(namespace, name)
        found = cache.objects.get(key)
        if found is None and key in cache.unreadable:
            raise errors.internal(cache.unreadable[key])
        return found

    def check_readable(self, spec: KindSpec, namespace: str = "") -> None:
        """Raise 500 where a list of these objects would lack one that can't be read."""
        for key, reason in self.cache.resource(spec).unreadable.items():
            if not namespace or key.startswith(f"{namespace}/"):
                raise errors.internal(f'unable to transform key "{spec.storage_prefix}{key}": {reason}')

    async def read_again(self) -> None:
        """Read what could not be read before: there may be keys for it by now.

        What can be read is written anew, under the key that writes now: so it gets a revision, by which everybody who
        follows its kind is told of it.
        """
        for cache in self.cache.all():
            for name in list(cache.unreadable):
                key = cache.spec.storage_prefix + name
                entry = await self.store.get(key)
                if entry is None or not entry.value.startswith(b"{"):
                    continue
                try:
                    ttl = EVENT_SECONDS if cache.spec.storage_prefix == EVENTS else None
                    await self._commit(Put(key, entry.value, entry.mod_revision, ttl))
                except (Mismatch, errors.StatusError) as error:
                    _log.warning("an object that can be read again was not written", key=key, error=str(error))

    def get(self, spec: KindSpec, namespace: str, name: str) -> Cached:
        """An object; raises NotFound."""
        found = self.find(spec, namespace, name)
        if found is None:
            raise errors.not_found(spec.resource, name)
        return found

    async def create(self, spec: KindSpec, obj: Json, *, also: Sequence[Op] = ()) -> Cached:
        """Write a new object; raises AlreadyExists. `also` is done in the same commit."""
        try:
            return await self._put(spec, obj, 0, also)
        except Mismatch as mismatch:
            raise errors.already_exists(spec.resource, obj["metadata"]["name"]) from mismatch

    async def replace(self, spec: KindSpec, obj: Json, current: Cached, *,
                      also: Sequence[Op] = ()) -> Cached | None:  # fmt: skip
        """Write over `current`; None when somebody else was first, and nothing was written.

        An object that would not change is not written: the entry that stands is returned, and its revision stays.
        """
        stored = await self._encoded(spec, obj)
        meta = obj["metadata"]
        key = name_of(meta.get("namespace", ""), meta["name"])
        wire = make_cached(current.spec, key, current.revision, stored).wire
        same = wire == current.wire or (len(wire) == len(current.wire) and orjson.loads(wire) == current.decode())
        if same and (self.stale is None or not await self.stale(spec.storage_prefix + key)):
            return current  # the same, perhaps with its fields in another order
        try:
            return await self._put(spec, obj, current.revision, also, stored)
        except Mismatch:
            return None

    async def remove(self, spec: KindSpec, current: Cached, *, also: Sequence[Op] = ()) -> Cached | None:
        """Delete the object; None when it changed meanwhile. Returns its last state under the deletion's revision."""
        key = spec.storage_prefix + current.key
        try:
            revision = await self._commit(Delete(key, current.revision), *also)
        except Mismatch:
            return None
        return current.at(revision)

    async def _put(self, spec: KindSpec, obj: Json, expected: int,
                   also: Sequence[Op], stored: bytes | None = None) -> Cached:  # fmt: skip
        stored = stored if stored is not None else await self._encoded(spec, obj)
        meta = obj["metadata"]
        name = name_of(meta.get("namespace", ""), meta["name"])
        key = spec.storage_prefix + name
        if len(key) > NAME_BYTES_MAX and len(key.encode()) > KEY_BYTES_MAX:
            path = Path("metadata") / "name"
            raise errors.invalid(spec.resource, meta["name"][:100], [
                invalid(path, meta["name"][:100] + "...", f"must be no more than {NAME_BYTES_MAX} bytes")])  # fmt: skip
        if len(stored) > self.value_bytes_max:
            raise errors.too_large(self.value_bytes_max)
        if spec.conversion is None and not (spec.custom and obj["apiVersion"] != spec.storage_version):
            self.cache.expect(key, stored, obj)
        try:
            # Each write of an event gives it its time anew.
            ttl = EVENT_SECONDS if spec.storage_prefix == EVENTS else None
            revision = await self._commit(Put(key, stored, expected, ttl), *also)
        finally:
            self.cache.forget(key)
        entry = self.cache.resource(spec).objects.get(name)
        if entry is None or entry.revision != revision:
            # Written over, or deleted, in the same batch: this write's own state is still the answer.
            entry = make_cached(self.of(spec).spec, name, revision, stored)
        if (coming := self.ready(spec, (entry,))) is not None:
            await coming  # the answer is what readers of this version see, not what was sent
        return entry

    async def _encoded(self, spec: KindSpec, obj: Json) -> bytes:
        if spec.custom and self.conversions is not None:
            return encode(await self.conversions.to_stored(spec, obj))
        return encode(stored_form(spec, obj))

    async def _commit(self, *ops: Op) -> int:
        try:
            revision = await self.store.commit(*ops)
        except StoreFull as error:
            self.trouble = str(error)
            raise errors.StatusError(507, "InsufficientStorage", f"the write was not done: {error}") from error
        except StoreBusy as error:
            raise errors.too_many_requests(f"the store is busy, please try again later: {error}", 1) from error
        except (StoreFailed, StoreClosed) as error:
            self.trouble = str(error)
            raise errors.service_unavailable(f"the store failed: {error}") from error
        self.trouble = ""
        return revision
