"""The write gate: after a reconcile wrote, its key rests until the caches show what was written.

Without it the next reconcile would see the world as it was before its own writes, and make the same pod twice. A
write is shown when an informer that covers its namespace without filters has reached its revision; a delete, when the
UID is gone or terminating there. Where the process keeps no such informer there is nothing to wait for.

When the outcome of a write is unknown, or five seconds have passed, the gate looks at the server itself: the key goes
on once the cache is as new as what the server shows. While the server cannot be asked, the key rests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.base.tasks import spawn
from kaa.client.client import Client
from kaa.client.informers import Informer, Informers
from kaa.client.wire import revision_of
from kaa.http.api import CallError
from kaa.kinds.views.base import View
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource
from kaa.runtime.controller import key_of
from kaa.runtime.timers import Timer, Timers

__all__ = ["LOOK_AFTER_SECONDS", "Write", "WriteGate"]

LOOK_AFTER_SECONDS = 5.0
_PAGE_ITEMS = 500
_log = Logger("gate")


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a reconcile: its revision, or the UID it deleted, or that its outcome is unknown.

    The name is "" when the server was to make one and its answer was lost.
    """

    resource: Resource
    namespace: str
    name: str
    revision: int = 0
    deleted_uid: str = ""
    unknown: bool = False


class _Hold:
    """One resting key: what it still waits for."""

    __slots__ = ("owner", "pending", "release", "timer", "undo")

    def __init__(self, owner: str, release: Callable[[], None]) -> None:
        self.owner = owner
        self.release: Callable[[], None] | None = release
        self.pending: set[Write] = set()
        self.timer: Timer | None = None
        self.undo: list[Callable[[], None]] = []

    def shown(self, write: Write) -> None:
        self.pending.discard(write)
        if not self.pending:
            self.finish()

    def finish(self) -> None:
        release, self.release = self.release, None
        if self.timer is not None:
            self.timer.cancel()
        for undo in self.undo:
            undo()
        self.undo.clear()
        if release is not None:
            release()


class WriteGate:
    """Shared by the controllers of a process. Bounded by the keys being worked on."""

    def __init__(self, client: Client, informers: Informers, clock: Clock) -> None:
        self._client = client
        self._informers = informers
        self._timers = Timers(clock, "gate")
        self._holds: set[_Hold] = set()
        # Deletions waited for, per informer and key: one handler per informer, one look-up per event.
        self._deletions: dict[Informer[Any], dict[str, list[Callable[[], None]]]] = {}
        self._unsubscribe: list[Callable[[], None]] = []
        #: Holds that had to ask the server; a number that grows says that a cache lags or writes fail.
        self.looks = 0

    def __len__(self) -> int:
        """Keys resting now."""
        return len(self._holds)

    def hold(self, owner: str, writes: list[Write], release: Callable[[], None]) -> None:
        """Call `release` once every write is shown: before this returns, if they all are. `owner` is for the log."""
        hold = _Hold(owner, release)
        look_now = False
        for write in _last_of_each(writes):
            informer = self._informers.covering(write.resource, write.namespace)
            if informer is None or not informer.synced:
                continue
            if write.unknown:
                hold.pending.add(write)
                look_now = True
            elif write.deleted_uid:
                if not _is_gone(informer, write):
                    hold.pending.add(write)
                    self._await_deletion(informer, write, hold)
            elif informer.revision < write.revision:
                hold.pending.add(write)
                hold.undo.append(informer.when_revision(write.revision, partial(hold.shown, write)))
        if not hold.pending:
            hold.finish()
            return
        self._holds.add(hold)
        hold.undo.append(lambda: self._holds.discard(hold))
        if look_now:
            self._look_soon(hold)
        else:
            hold.timer = self._timers.after(LOOK_AFTER_SECONDS, lambda: self._look_soon(hold))

    def close(self) -> None:
        """Forget all holds, without releasing them."""
        for hold in list(self._holds):
            hold.release = None
            hold.finish()
        self._timers.close()
        for stop in self._unsubscribe:
            stop()
        self._unsubscribe.clear()
        self._deletions.clear()

    # --- deletions ---------------------------------------------------------------------------------------------------

    def _await_deletion(self, informer: Informer[Any], write: Write, hold: _Hold) -> None:
        waiting = self._deletions.get(informer)
        if waiting is None:
            waiting = self._deletions[informer] = {}
            self._unsubscribe.append(informer.on_change(partial(self._changed, informer, waiting)))
        key = key_of(write.namespace, write.name)

        def check() -> None:
            if _is_gone(informer, write):
                hold.shown(write)

        waiting.setdefault(key, []).append(check)

        def undo() -> None:
            checks = waiting.get(key, [])
            if check in checks:
                checks.remove(check)
            if not checks:
                waiting.pop(key, None)

        hold.undo.append(undo)

    def _changed(
        self, _informer: Informer[Any], waiting: dict[str, list[Callable[[], None]]], old: View | None, new: View | None
    ) -> None:
        if not waiting:
            return
        obj = new or old
        assert obj is not None
        for check in tuple(waiting.get(obj.key, ())):
            check()

    # --- looking at the server ---------------------------------------------------------------------------------------

    def _look_soon(self, hold: _Hold) -> None:
        if hold.release is not None:
            self.looks += 1
            spawn(self._look(hold), name=f"gate/{hold.owner}")

    async def _look(self, hold: _Hold) -> None:
        for write in tuple(hold.pending):
            informer = self._informers.covering(write.resource, write.namespace)
            try:
                if informer is None or await self._as_new_as_server(informer, write):
                    hold.shown(write)
            except StatusError as error:
                if error.code in (401, 403, 405):
                    hold.shown(write)  # we may write this, but not read it: waiting would not help
            except CallError:
                pass  # asked again below
        if hold.pending and hold.release is not None:
            _log.debug("cache is behind what was written; waiting on", owner=hold.owner, writes=len(hold.pending))
            hold.timer = self._timers.after(LOOK_AFTER_SECONDS, lambda: self._look_soon(hold))

    async def _as_new_as_server(self, informer: Informer[Any], write: Write) -> bool:
        if not write.name:
            return await self._namespace_as_new(informer, write)
        try:
            live = await self._client.get_json(write.resource, write.name, write.namespace)
        except StatusError as error:
            if error.code != 404:
                raise
            live = {}
        held = informer.lister.get(write.name, write.namespace)
        if not live:
            return held is None or await informer.wait_revision(_newer_than(held), 0.2) or _absent(informer, write)
        revision = revision_of(live)
        if held is not None and held.uid == live["metadata"].get("uid", "") and held.revision >= revision:
            return True
        return await informer.wait_revision(revision, LOOK_AFTER_SECONDS)

    async def _namespace_as_new(self, informer: Informer[Any], write: Write) -> bool:
        """A create whose name is not known: the newest object of the namespace is at least as new as it."""
        newest, continue_ = 0, ""
        while True:
            page = await self._client.list_json(
                write.resource, write.namespace, limit=_PAGE_ITEMS, continue_=continue_, metadata_only=True
            )
            newest = max([newest, *(revision_of(item) for item in page.get("items") or ())])
            continue_ = (page.get("metadata") or {}).get("continue") or ""
            if not continue_:
                return await informer.wait_revision(newest, LOOK_AFTER_SECONDS)


def _last_of_each(writes: list[Write]) -> list[Write]:
    """Of the plain writes only the newest revision per resource and namespace: reaching it reaches the others."""
    kept: list[Write] = []
    newest: dict[tuple[Resource, str], Write] = {}
    for write in writes:
        if write.unknown or write.deleted_uid:
            kept.append(write)
        else:
            place = (write.resource, write.namespace)
            before = newest.get(place)
            if before is None or write.revision > before.revision:
                newest[place] = write
    return [*kept, *newest.values()]


def _is_gone(informer: Informer[Any], write: Write) -> bool:
    held = informer.lister.get(write.name, write.namespace)
    return held is None or held.uid != write.deleted_uid or held.deleting


def _newer_than(held: View) -> int:
    return held.revision + 1


def _absent(informer: Informer[Any], write: Write) -> bool:
    return informer.lister.get(write.name, write.namespace) is None
