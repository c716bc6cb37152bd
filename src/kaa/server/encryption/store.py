"""A store that encrypts what it passes on: values go in sealed and come out open.

Values that can't be opened come out as `Unreadable`, which says why, so that one of them does not take the rest away.
"""

import asyncio
from collections.abc import AsyncIterator, Generator, Sequence

from kaa.kinds.registry import Registry
from kaa.server.encryption.configuration import NO_ENCRYPTION, EncryptionConfig
from kaa.server.encryption.transformers import Transformer, Untransformable
from kaa.server.unreadable import Unreadable
from kaa.store.api import VALUE_BYTES_MAX, Apply, Commits, Entry, Event, Mismatch, Op, Put, Range, Store, Watch

__all__ = ["OVERHEAD_BYTES", "EncryptedStore"]

#: What encryption adds to a value at most, with a key's name of a sensible length.
OVERHEAD_BYTES = 1024
#: Values opened before others have their turn.
_STEP = 500


class EncryptedStore:
    """A `Store` over another one. It does not own that one: closing it closes the other.

    `config` may be exchanged at any time (`configure`): what is written from then on is written by the new one.
    """

    def __init__(self, inner: Store, config: EncryptionConfig, registry: Registry) -> None:
        self._inner = inner
        self._config = config
        self._places = {spec.storage_prefix: (spec.resource.group, spec.resource.plural)
                        for spec in registry.all() if spec.storable and spec.conversion is None}  # fmt: skip
        self._by_prefix: dict[str, Transformer] = {}
        #: Writes under way: key -> (as stored, as it was given), so that one's own write needs no opening.
        self._writing: dict[str, tuple[bytes, bytes]] = {}

    #: The largest value that still fits when it is encrypted.
    value_bytes_max = VALUE_BYTES_MAX - OVERHEAD_BYTES

    @property
    def config(self) -> EncryptionConfig:
        """What is in force."""
        return self._config

    def configure(self, config: EncryptionConfig) -> None:
        """From now on, encrypt by another configuration."""
        self._config = config
        self._by_prefix.clear()

    async def stale(self, key: str) -> bool:
        """Whether the value under `key` was written by another provider or key than the one that would write it now."""
        entry = await self._inner.get(key)
        return entry is not None and self._of(key).stale(entry.value)

    # --- Store

    @property
    def revision(self) -> int:
        return self._inner.revision

    @property
    def compacted(self) -> int:
        return self._inner.compacted

    def commit(self, *ops: Op) -> Commits:
        sealed: list[Op] = []
        pending: dict[str, tuple[bytes, bytes]] = {}
        for op in ops:
            if type(op) is Put:
                stored = self._of(op.key).seal(op.value, op.key)
                if stored is not op.value:
                    pending[op.key] = (stored, op.value)
                    op = op._replace(value=stored)
            sealed.append(op)
        self._writing.update(pending)
        try:
            return _Commit(self, self._inner.commit(*sealed), pending)
        except BaseException:
            self._done(pending)
            raise

    async def get(self, key: str, revision: int = 0) -> Entry | None:
        entry = await self._inner.get(key, revision)
        return None if entry is None else self._entry(entry)

    async def range(self, start_prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Range:
        found = await self._inner.range(start_prefix, after=after, limit=limit, revision=revision)
        entries: list[Entry] = []
        for entry in found.entries:
            entries.append(self._entry(entry))
            if not len(entries) % _STEP:
                await asyncio.sleep(0)
        return found._replace(entries=entries)

    def on_apply(self, callback: Apply) -> None:
        self._inner.on_apply(lambda events: callback([self._event(each) for each in events]))

    async def watch(self, prefix: str, from_revision: int = 0) -> Watch:
        return _Watch(self, await self._inner.watch(prefix, from_revision))

    async def compact(self, revision: int) -> None:
        await self._inner.compact(revision)

    async def close(self) -> None:
        await self._inner.close()

    # ---

    def _of(self, key: str) -> Transformer:
        end = key.find("/", 10) + 1
        prefix = key[:end]
        found = self._by_prefix.get(prefix)
        if found is not None:
            return found
        place = self._places.get(prefix)
        if place is None:
            # Of a few old kinds and of custom resources the place has two parts: /registry/GROUP/RESOURCE/
            prefix = key[: key.find("/", end) + 1]
            found = self._by_prefix.get(prefix)
            if found is not None:
                return found
            place = self._places.get(prefix)
        if place is None:
            parts = prefix.split("/")
            place = (parts[2], parts[3]) if len(parts) == 5 and "." in parts[2] else None
        if place is None:
            return NO_ENCRYPTION  # a place that is no resource's
        found = self._by_prefix[prefix] = self._config.of(*place)
        return found

    def _entry(self, entry: Entry) -> Entry:
        return entry._replace(value=self._opened(entry.key, entry.value))

    def _opened(self, key: str, value: bytes) -> bytes:
        try:
            return self._of(key).open(value, key)
        except Untransformable as error:
            return Unreadable(str(error))

    def _event(self, event: Event) -> Event:
        key, value = event.key, event.value
        if not event.deleted:
            writing = self._writing.get(key)
            # The very bytes that were given go on: whoever wrote them knows them by their identity.
            value = writing[1] if writing is not None and writing[0] is value else self._opened(key, value)
        previous = event.previous
        return Event(key, value, None if previous is None else self._opened(key, previous),
                     event.mod_revision, event.create_revision, event.deleted)  # fmt: skip

    def _done(self, pending: dict[str, tuple[bytes, bytes]]) -> None:
        for key, pair in pending.items():
            if self._writing.get(key) is pair:
                del self._writing[key]


class _Commit:
    """A commit of the inner store; what was remembered of its writes is forgotten when it is over."""

    __slots__ = ("_inner", "_pending", "_store")

    def __init__(self, store: EncryptedStore, inner: Commits, pending: dict[str, tuple[bytes, bytes]]) -> None:
        self._store, self._inner, self._pending = store, inner, pending

    def __await__(self) -> Generator[object, None, int]:
        try:
            return (yield from self._inner.__await__())
        except Mismatch as error:
            if error.current is not None:
                error.current = self._store._entry(error.current)
            raise
        finally:
            self._store._done(self._pending)


class _Watch:
    """A watch of the inner store, opened."""

    def __init__(self, store: EncryptedStore, inner: Watch) -> None:
        self._store, self._inner = store, inner

    def __aiter__(self) -> AsyncIterator[list[Event]]:
        return self

    async def __anext__(self) -> list[Event]:
        events: Sequence[Event] = await anext(self._inner)
        return [self._store._event(each) for each in events]

    def close(self) -> None:
        self._inner.close()
