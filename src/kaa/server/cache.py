"""The watch cache: every object's newest bytes, the recent changes, and the watchers who follow them.

The store calls `WatchCache.apply` with each durable batch, in order and before its writers are answered, so a reader
sees its own write. Nothing here decodes an object on the read path: an entry holds the wire bytes with
resourceVersion already in place, and what selectors ask about is worked out once per revision.
"""

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import orjson

from kaa.kinds.spec import KindSpec
from kaa.server.unreadable import why_unreadable
from kaa.store.api import Event as StoreEvent

__all__ = ["ADDED", "DELETED", "MODIFIED", "Cached", "Change", "Entries", "ResourceCache", "WatchCache", "Watcher"]

Json = dict[str, Any]

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"

#: Changes remembered per resource, for watches that resume. Beyond it a watcher is told to list again.
CHANGES_MAX = 2048
CHANGE_BYTES_MAX = 8 << 20
#: Snapshots kept per resource, for lists read in pages.
SNAPSHOTS_MAX = 8


class _Meta(msgspec.Struct, gc=False):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct, gc=False):
    metadata: _Meta


class _RawMetadata(msgspec.Struct, gc=False):
    metadata: msgspec.Raw


_labelled = msgspec.json.Decoder(_Labelled)
_raw_metadata = msgspec.json.Decoder(_RawMetadata)
_NO_LABELS: dict[str, str] = {}


def splice(stored: bytes, offset: int, revision: int) -> bytes:
    """Stored bytes with resourceVersion put in; `offset` is just behind the brace that opens `metadata`."""
    return b'%b"resourceVersion":"%d",%b' % (stored[:offset], revision, stored[offset:])


class Cached:
    """One object at one revision. Immutable, shared by the cache, its changes and its snapshots."""

    __slots__ = ("_fields", "_forms", "_labels", "_offset", "key", "revision", "spec", "wire")

    def __init__(self, spec: KindSpec, key: str, revision: int, wire: bytes, offset: int) -> None:
        #: What the object is.
        self.spec = spec
        #: `namespace/name`, or `name`.
        self.key = key
        #: Its resourceVersion.
        self.revision = revision
        #: JSON with resourceVersion, as GET answers it.
        self.wire = wire
        self._offset = offset
        self._labels: Mapping[str, str] | None = None
        self._fields: Mapping[str, str] | None = None
        self._forms: dict[Any, bytes] | None = None

    @property
    def namespace(self) -> str:
        """Its namespace, or ""."""
        return self.key.partition("/")[0] if self.spec.namespaced else ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.key.partition("/")[2] if self.spec.namespaced else self.key

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels; read from the bytes on first use."""
        if self._labels is None:
            self._labels = _labelled.decode(self.wire).metadata.labels or _NO_LABELS
        return self._labels

    @property
    def fields(self) -> Mapping[str, str]:
        """Its selectable fields; the bytes are decoded on first use, where the kind has more than the common two."""
        if self._fields is None:
            self.note(self.decode() if len(self.spec.selectable) > 1 + self.spec.namespaced else None)
        assert self._fields is not None
        return self._fields

    def note(self, obj: Json | None) -> None:
        """Work out what selectors ask about from the object, while a writer has it decoded at hand."""
        fields = {"metadata.name": self.name}
        if self.spec.namespaced:
            fields["metadata.namespace"] = self.namespace
        if obj is not None:
            for path, read in self.spec.selectable.items():
                if path not in fields:
                    fields[path] = read(obj)
            self._labels = obj["metadata"].get("labels") or _NO_LABELS
        self._fields = fields

    def decode(self) -> Json:
        """A fresh copy of the object, to change at will."""
        obj: Json = orjson.loads(self.wire)
        return obj

    @property
    def metadata_wire(self) -> bytes:
        """The bytes of `metadata` alone."""
        return bytes(_raw_metadata.decode(self.wire).metadata)

    def at(self, revision: int) -> "Cached":
        """The same object under another resourceVersion: what a watcher is sent when it is gone."""
        skip = len(b'"resourceVersion":"",') + len(str(self.revision))
        stored = self.wire[: self._offset] + self.wire[self._offset + skip :]
        copy = Cached(self.spec, self.key, revision, splice(stored, self._offset, revision), self._offset)
        copy._labels, copy._fields = self._labels, self._fields
        for key, body in (self._forms or {}).items():
            if type(key) is tuple and key[0] == "version":  # what a webhook made of it, which is not asked again
                moved = body.replace(b'"resourceVersion":"%d"' % self.revision, b'"resourceVersion":"%d"' % revision, 1)
                copy.form(key, lambda _, moved=moved: moved)  # type: ignore[misc]
        return copy

    def served(self, spec: KindSpec) -> bytes:
        """The bytes in the version that `spec` serves. Where a webhook converts, `Conversions.ready` goes before."""
        if spec.custom:
            return self._custom(spec)
        if self.spec is spec or spec.conversion is None:
            return self.wire
        convert = spec.conversion.from_stored
        return self.form(spec.resource, lambda entry: orjson.dumps(convert(entry.decode())))

    def _custom(self, spec: KindSpec) -> bytes:
        # Stored bytes are in the version that was the storage version when they were written.
        if self.speaks(spec.api_version):
            return self.wire
        key = ("version", spec.api_version)
        if not spec.converted_by_webhook:
            return self.form(key, lambda entry: entry.renamed(spec.api_version))
        made = self.made(key)
        if made is None:
            raise RuntimeError(f"{spec} {self.key} has not been converted to {spec.api_version} before it was read")
        return made

    def speaks(self, api_version: str) -> bool:
        """Whether the bytes are in this version: they begin with kind and apiVersion."""
        return self.wire.find(b'"apiVersion":"%b"' % api_version.encode(), 0, self._offset) >= 0

    def renamed(self, api_version: str) -> bytes:
        """The bytes under another version, where versions differ in nothing else."""
        head = self.wire[: self._offset]
        start = head.index(b'"apiVersion":"') + len(b'"apiVersion":"')
        return b"%b%b%b" % (head[:start], api_version.encode(), self.wire[head.index(b'"', start) :])

    def made(self, key: Any) -> bytes | None:
        """A form that has been made already."""
        return self._forms.get(key) if self._forms is not None else None

    def respecify(self, spec: KindSpec) -> None:
        """What the object is has been defined anew: nothing worked out before counts any more."""
        self.spec, self._fields, self._forms = spec, None, None

    def form(self, key: Any, make: Callable[["Cached"], bytes]) -> bytes:
        """Another form of the object, made once per revision."""
        if self._forms is None:
            self._forms = {}
        made = self._forms.get(key)
        if made is None:
            made = self._forms[key] = make(self)
        return made


class Entries(list[Cached]):
    """A namespace's objects at one revision, in key order; shared by all who read them, so never to be changed."""

    __slots__ = ("_wire_bytes",)

    @property
    def wire_bytes(self) -> int:
        """The size of all of them; worked out once."""
        try:
            return self._wire_bytes
        except AttributeError:
            self._wire_bytes = total = sum([len(each.wire) for each in self])
            return total


class Change:
    """One change: what the object is now, what it was, and its frames, each made once for all who watch."""

    __slots__ = ("_frames", "new", "old", "revision")

    def __init__(self, revision: int, new: Cached | None, old: Cached | None) -> None:
        self.revision = revision
        self.new = new
        self.old = old
        self._frames: dict[Any, bytes] | None = None

    def frame(self, key: Any, make: Callable[[], bytes]) -> bytes:
        """The event's bytes under a form's key, ready to be written."""
        if self._frames is None:
            self._frames = {}
        made = self._frames.get(key)
        if made is None:
            made = self._frames[key] = make()
        return made

    def respecify(self, spec: KindSpec) -> None:
        """The kind has been defined anew: its frames are made anew."""
        self._frames = None
        for each in (self.new, self.old):
            if each is not None:
                each.respecify(spec)

    @property
    def size(self) -> int:
        """Bytes it keeps alive, about."""
        return (len(self.new.wire) if self.new else 0) + (len(self.old.wire) if self.old else 0)


class Watcher(Protocol):
    """Follows one resource. Called on the loop, in revision order; must not block."""

    def notice(self, change: Change) -> None:
        """A change has become visible."""

    def bookmark(self, revision: int) -> None:
        """Everything up to `revision` has been noticed."""


class ResourceCache:
    """All objects of one resource (all of its served versions share it), newest state and recent changes."""

    def __init__(self, spec: KindSpec, revision: int) -> None:
        self.spec = spec
        #: Nothing before this revision can be replayed.
        self.floor = revision
        self.objects: dict[str, Cached] = {}
        #: Objects that are stored in a way this server can't read: why, by key. Whoever reads them is told so.
        self.unreadable: dict[str, str] = {}
        self._keys: list[str] = []
        self._keys_stale = False
        #: The list read last, until something changes: many clients ask for the same one.
        self._latest: tuple[str, Entries] | None = None
        self._changes: deque[Change] = deque()
        self._change_bytes = 0
        self._watchers: dict[Watcher, None] = {}
        self._snapshots: OrderedDict[tuple[int, str], list[Cached]] = OrderedDict()
        self._handlers: list[Callable[[Change], None]] = []

    # --- reading

    def get(self, key: str) -> Cached | None:
        """The newest state of one object."""
        return self.objects.get(key)

    @property
    def keys(self) -> list[str]:
        """All keys in order."""
        if self._keys_stale:
            self._keys = sorted(self.objects)
            self._keys_stale = False
        return self._keys

    def in_namespace(self, namespace: str) -> Entries:
        """The objects of a namespace ("": all), in key order."""
        if self._latest is not None and self._latest[0] == namespace:
            return self._latest[1]
        keys = self.keys
        if namespace:
            keys = keys[bisect_left(keys, f"{namespace}/") : bisect_left(keys, f"{namespace}0")]
        objects = self.objects
        made = Entries([objects[key] for key in keys])
        self._latest = (namespace, made)
        return made

    def snapshot(self, revision: int, namespace: str) -> list[Cached] | None:
        """What `keep_snapshot` kept, or None when it has been pushed out."""
        kept = self._snapshots.get((revision, namespace))
        if kept is not None:
            self._snapshots.move_to_end((revision, namespace))
        return kept

    def keep_snapshot(self, revision: int, namespace: str, objects: list[Cached]) -> None:
        """Keep a list that is being read in pages; entries are shared, so it costs one reference each."""
        self._snapshots[revision, namespace] = objects
        while len(self._snapshots) > SNAPSHOTS_MAX:
            self._snapshots.popitem(last=False)

    # --- following

    def since(self, revision: int) -> Iterator[Change] | None:
        """Changes after `revision`, in order; None when they are no longer all remembered."""
        if revision < self.floor:
            return None
        changes = list(self._changes)
        low, high = 0, len(changes)
        while low < high:
            middle = (low + high) // 2
            if changes[middle].revision <= revision:
                low = middle + 1
            else:
                high = middle
        return iter(changes[low:])

    def follow(self, watcher: Watcher) -> None:
        """Tell `watcher` of each change from now on."""
        self._watchers[watcher] = None

    def unfollow(self, watcher: Watcher) -> None:
        """Stop telling it."""
        self._watchers.pop(watcher, None)

    def on_change(self, handler: Callable[[Change], None]) -> None:
        """For the server's own indexes (roles, allocations): called before any watcher."""
        self._handlers.append(handler)

    @property
    def watchers(self) -> Sequence[Watcher]:
        """Who follows now."""
        return list(self._watchers)

    def respecify(self, spec: KindSpec) -> None:
        """The kind has been defined anew: entries, and changes that watchers may still ask for, follow."""
        self.spec = spec
        for entry in self.objects.values():
            entry.respecify(spec)
        for change in self._changes:
            change.respecify(spec)

    # --- changing (only `WatchCache.apply` does)

    def load(self, cached: Cached) -> None:
        """Take in an object while the server starts: no change is made of it."""
        self.objects[cached.key] = cached
        self._keys_stale = True
        self._latest = None

    def change(self, revision: int, key: str, new: Cached | None) -> Change | None:
        """Bring one object up to date; the change is remembered, and told by `tell`."""
        old = self.objects.get(key)
        self._latest = None
        if new is None:
            if old is None:
                return None
            del self.objects[key]
            if not self._keys_stale:
                del self._keys[bisect_left(self._keys, key)]
        else:
            self.objects[key] = new
            if old is None and not self._keys_stale:
                if self._keys and key < self._keys[-1]:
                    self._keys.insert(bisect_left(self._keys, key), key)
                else:
                    self._keys.append(key)
        change = Change(revision, new, old)
        self._changes.append(change)
        self._change_bytes += change.size
        while len(self._changes) > CHANGES_MAX or self._change_bytes > CHANGE_BYTES_MAX:
            dropped = self._changes.popleft()
            self._change_bytes -= dropped.size
            self.floor = dropped.revision
        return change

    def tell(self, change: Change) -> None:
        """Pass a change on to handlers, then watchers."""
        for handler in self._handlers:
            handler(change)
        for watcher in list(self._watchers):
            watcher.notice(change)


class WatchCache:
    """The caches of all resources, fed by the store."""

    def __init__(self) -> None:
        self.revision = 0
        self._by_prefix: dict[str, ResourceCache] = {}
        self._pending: dict[str, tuple[bytes, Json]] = {}

    def resource(self, spec: KindSpec) -> ResourceCache:
        """The cache of a resource, made on first use."""
        cache = self._by_prefix.get(spec.storage_prefix)
        if cache is None:
            cache = self._by_prefix[spec.storage_prefix] = ResourceCache(spec, self.revision)
        return cache

    def has(self, spec: KindSpec) -> bool:
        """Whether the resource has a cache already."""
        return spec.storage_prefix in self._by_prefix

    def drop(self, spec: KindSpec) -> None:
        """Forget a resource that is no longer served."""
        self._by_prefix.pop(spec.storage_prefix, None)

    def expect(self, key: str, stored: bytes, obj: Json) -> None:
        """A writer is about to commit these bytes and has the object decoded: spares `apply` the decoding."""
        self._pending[key] = (stored, obj)

    def forget(self, key: str) -> None:
        """The write that `expect` announced is over."""
        self._pending.pop(key, None)

    def load(self, key: str, stored: bytes, revision: int) -> None:
        """Take in one stored entry while the server starts."""
        cache, name = self._place(key)
        if cache is not None:
            try:
                cache.load(make_cached(cache.spec, name, revision, stored))
            except ValueError:  # it does not begin as an object does
                cache.unreadable[name] = why_unreadable(stored)
            else:
                cache.unreadable.pop(name, None)

    def apply(self, events: Sequence[StoreEvent]) -> None:
        """One durable batch has been committed. Everything is brought up to date before anyone is told."""
        changes: list[tuple[ResourceCache, Change]] = []
        for event in events:
            self.revision = event.mod_revision
            cache, key = self._place(event.key)
            if cache is None:
                continue
            new: Cached | None = None
            if cache.unreadable:
                cache.unreadable.pop(key, None)
            if not event.deleted:
                try:
                    new = make_cached(cache.spec, key, event.mod_revision, event.value)
                except ValueError:  # another server has keys that this one has not
                    cache.unreadable[key] = why_unreadable(event.value)
                    continue
                pending = self._pending.get(event.key)
                if pending is not None and pending[0] is event.value:
                    new.note(pending[1])
            change = cache.change(event.mod_revision, key, new)
            if change is not None:
                changes.append((cache, change))
        for cache, change in changes:
            cache.tell(change)

    def bookmark(self) -> None:
        """Let every watcher know how far it has seen; called on a timer."""
        for cache in list(self._by_prefix.values()):
            for watcher in cache.watchers:
                watcher.bookmark(self.revision)

    def all(self) -> Iterator[ResourceCache]:
        """Every resource that has been used."""
        return iter(list(self._by_prefix.values()))

    def _place(self, key: str) -> tuple[ResourceCache | None, str]:
        # "/registry/<resource>/<namespace>/<name>": most prefixes end at the third slash, those of custom resources and
        # of a few old kinds ("/registry/services/specs/") at the fourth.
        end = key.find("/", 10) + 1
        cache = self._by_prefix.get(key[:end])
        if cache is None:
            end = key.find("/", end) + 1
            cache = self._by_prefix.get(key[:end])
        return cache, key[end:]


_MARK = b'"metadata":{'


def make_cached(spec: KindSpec, key: str, revision: int, stored: bytes) -> Cached:
    """An entry from stored bytes. `encode` writes kind, apiVersion and metadata first, so the mark comes early."""
    offset = stored.index(_MARK) + len(_MARK)
    return Cached(spec, key, revision, splice(stored, offset, revision), offset)


def encode(obj: Json) -> bytes:
    """An object as it is stored: kind, apiVersion, metadata first, and no resourceVersion."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    ordered = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata}
    for key, value in obj.items():
        if key not in ordered:
            ordered[key] = value
    return orjson.dumps(ordered)
