"""watch: changes as they become visible, one frame per change for all who watch in the same form.

A watcher has no queue and no task of its own per change: the cache calls it with each change, and it writes the
change's frame to its connection. One that reads too slowly is cut off, and resumes from what it saw last.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kaa.base import ids
from kaa.base.tasks import Scope
from kaa.http.api import Answer, StreamingResponse, Writer, frame
from kaa.kinds import protobuf
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server import forms
from kaa.server.cache import ADDED, DELETED, MODIFIED, Cached, Change, ResourceCache
from kaa.server.call import Call
from kaa.server.verbs.options import list_options
from kaa.server.verbs.reads import Filter, wait_for_revision

__all__ = ["watch"]

Json = dict[str, Any]

#: Bytes a watcher may leave unread before it is cut off.
UNREAD_BYTES_MAX = 16 << 20
#: A watch without a timeout ends by itself after this long, spread so that clients do not all return at once.
WATCH_SECONDS = 1800.0
#: Objects or changes written before the loop is given to others.
STATE_STEP = 128


def watch(call: Call) -> Answer:
    """Open a watch. What is asked wrongly is refused before the stream begins; a revision that cannot be had is told
    by an ERROR event, as the original does."""
    options = list_options(call, watch=True)
    form = call.form()
    current = call.objects.cache.revision
    # "Any" and "the most recent" begin with what is there, without a closing mark.
    with_state = options.initial if options.initial is not None else options.revision == 0
    seconds = float(options.timeout_seconds) if options.timeout_seconds > 0 else ids.jitter(WATCH_SECONDS, 1.0)
    wanted = _Wanted(
        options.selection, form, options.revision or current, with_state,
        bool(options.initial) and options.bookmarks, options.bookmarks,
    )  # fmt: skip
    cache = call.objects.of(call.spec)

    async def run(writer: Writer) -> None:
        watcher = _Watcher(call, cache, wanted, writer)
        deadline = call.clock.monotonic() + seconds
        try:
            if wanted.with_state:
                await watcher.begin_with_state()
            else:
                await watcher.begin_after()
            # The listener cancels this when the client goes or the server stops, `_Watcher.cut` for one too slow.
            left = deadline - call.clock.monotonic()
            if watcher.wake is None:
                await call.clock.sleep(left)
            else:
                await _either(watcher.follow(), call.clock.sleep(left))
            watcher.bookmark(call.objects.cache.revision)
        except errors.StatusError as error:
            writer.write(watcher.error(error))
        finally:
            cache.unfollow(watcher)

    streamed = form.content_type if form.content_type == forms.JSON_TYPE else f"{form.content_type};stream=watch"
    return StreamingResponse(run, 200, streamed, tuple(call.warning_headers()))


async def _either(*works: Coroutine[Any, Any, None]) -> None:
    """Until the first of them ends; raises what it ended with."""
    async with Scope("watch") as scope:
        tasks = [scope.spawn(each, name="part") for each in works]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a watch was asked to be."""

    selection: Filter
    form: forms.Form
    #: Where it begins: the revision asked for, or the newest.
    revision: int
    with_state: bool
    closing_mark: bool
    bookmarks: bool


class _Watcher:
    """Writes the changes that pass its filter to one connection."""

    __slots__ = (
        "ages",
        "bookmarks",
        "cache",
        "call",
        "form",
        "held",
        "held_bytes",
        "key",
        "last",
        "selection",
        "spec",
        "table_started",
        "task",
        "wake",
        "wanted",
        "writer",
    )  # fmt: skip

    def __init__(self, call: Call, cache: ResourceCache, wanted: _Wanted, writer: Writer) -> None:
        self.call = call
        self.cache = cache
        self.wanted = wanted
        self.selection = wanted.selection
        self.form = wanted.form
        self.writer = writer
        self.bookmarks = wanted.bookmarks
        self.spec: KindSpec = call.spec
        #: What tells this watcher's frames from others' of the same change.
        self.key = (wanted.form.key, call.spec.resource)
        #: A table's cells depend on when they are made.
        self.ages = isinstance(wanted.form, forms.TableForm)
        self.table_started = not self.ages
        #: The newest revision this client has been told of; changes that do not concern it do not count.
        self.last = 0
        #: Changes that wait until the state before them has been written; None once everything is live.
        self.held: list[Change] | None = []
        self.held_bytes = 0
        self.task = asyncio.current_task()
        #: Where a webhook converts, changes are held for good, until it has; this tells that there are some.
        self.wake = asyncio.Event() if call.spec.converted_by_webhook else None

    async def begin_with_state(self) -> None:
        """Everything there is, as ADDED, as fast as the client takes it, then what has changed meanwhile, then what
        follows. Nothing is left out, and nothing comes twice. Raises 504 for a revision that does not come."""
        await wait_for_revision(self.call, self.wanted.revision)
        selection = self.selection
        if selection.name is not None and (selection.namespace or not self.spec.namespaced):
            entry = self.call.objects.find(self.spec, selection.namespace, selection.name)
            entries = [entry] if entry is not None else []
        else:
            self.call.objects.check_readable(self.spec, selection.namespace)
            entries = self.cache.in_namespace(selection.namespace)
        mark = self.call.objects.cache.revision
        self.cache.follow(self)
        for start in range(0, len(entries), STATE_STEP):
            step = entries[start : start + STATE_STEP]
            if not selection.everything:
                step = [each for each in step if selection.matches(each)]
            if step:
                await self._ready(step)
                self.last = max(self.last, *[each.revision for each in step])
                self.writer.write_framed(b"".join([self._frame(ADDED, each) for each in step]))
            await self._breathe()
        if self.wanted.closing_mark:
            self.last = mark
            self.writer.write(self._bookmark(mark, {"k8s.io/initial-events-end": "true"}))
        await self._go_live()

    async def begin_after(self) -> None:
        """What has changed since, then what follows; of a revision to come, only what follows that. Raises 410 when
        the changes are no longer all remembered."""
        revision = self.wanted.revision
        missed = self.cache.since(revision)
        if missed is None:
            raise errors.expired(f"too old resource version: {revision} ({self.cache.floor})")
        self.last = revision
        self.cache.follow(self)
        held = self.held
        assert held is not None
        held[:0] = missed
        await self._go_live()

    async def _go_live(self) -> None:
        while self.held:
            held, self.held, self.held_bytes = self.held, [], 0
            if self.wake is not None:
                await self._ready([each for change in held for each in (change.new, change.old) if each is not None])
            for at, change in enumerate(held):
                self._pass_on(change)
                if at % STATE_STEP == STATE_STEP - 1:
                    await self._breathe()
        if self.wake is None:
            self.held = None

    async def _ready(self, entries: Sequence[Cached]) -> None:
        if (coming := self.call.objects.ready(self.spec, entries)) is not None:
            await coming

    async def follow(self) -> None:
        """Pass on what a webhook has converted, for ever; where none converts, there is nothing to do. Raises what
        becomes of a conversion that fails."""
        while self.wake is not None:
            self.wake.clear()
            await self._go_live()
            if not self.held:
                await self.wake.wait()

    async def _breathe(self) -> None:
        """Wait for a slow client, and let others have the loop."""
        await self.writer.drain()
        await asyncio.sleep(0)

    def error(self, error: errors.StatusError) -> bytes:
        """The ERROR event that ends a watch."""
        status = error.to_status()
        if isinstance(self.form, forms.ProtobufForm):
            return protobuf.encode_watch_event("ERROR", forms.PROTOBUF.plain(self.spec, status))
        return orjson.dumps({"type": "ERROR", "object": status}) + b"\n"

    def notice(self, change: Change) -> None:
        """A change has become visible: write it, unless it does not concern this watcher."""
        if self.held is None:
            self._pass_on(change)
            return
        self.held.append(change)
        if self.wake is not None:
            self.wake.set()
        self.held_bytes += change.size
        if self.held_bytes > UNREAD_BYTES_MAX:
            self.cut()

    def cut(self) -> None:
        """The client reads too slowly: it comes back, and resumes from what it saw last."""
        self.writer.abort()
        if self.task is not None:
            self.task.cancel()

    def _pass_on(self, change: Change) -> None:
        if change.revision <= self.wanted.revision:
            return  # before the revision that was asked for, which was still to come
        new, old = change.new, change.old
        selection = self.selection
        if not selection.everything or selection.namespace:
            matched = old is not None and selection.matches(old)
            matches = new is not None and selection.matches(new)
        else:
            matched, matches = old is not None, new is not None
        if matches:
            kind = MODIFIED if matched else ADDED
        elif matched:
            kind = DELETED
        else:
            return
        if self.table_started and not (self.ages and self.held is not None):
            framed = change.frame((self.key, kind), lambda: self._changed(kind, change))
        else:
            # With the columns, for this watcher alone; or an old change, whose ages were told when it was new.
            framed = self._changed(kind, change)
        self.last = change.revision
        self.writer.write_framed(framed)
        if self.writer.buffered > UNREAD_BYTES_MAX:
            self.cut()

    def bookmark(self, revision: int) -> None:
        """Say how far this watcher has seen, if it wants to know and it is news."""
        if self.bookmarks and self.held is None and revision > self.last and not self.writer.closed.is_set():
            self.last = revision
            self.writer.write(self._bookmark(revision, None))

    def _changed(self, kind: str, change: Change) -> bytes:
        if kind == DELETED:
            assert change.old is not None
            # What leaves is shown as it last was to this watcher, under the revision at which it left.
            return self._frame(kind, change.old.at(change.revision))
        assert change.new is not None
        return self._frame(kind, change.new)

    def _frame(self, kind: str, entry: Cached) -> bytes:
        if not self.table_started:
            self.table_started = True
            body = self.form.one(self.spec, entry)
        else:
            body = self.form.event(self.spec, entry)
        if isinstance(self.form, forms.ProtobufForm):
            return frame(protobuf.encode_watch_event(kind, body))
        return frame(b'{"type":"%b","object":%b}\n' % (kind.encode(), body.rstrip(b"\n")))

    def _bookmark(self, revision: int, annotations: Json | None) -> bytes:
        metadata: Json = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        obj = {"kind": self.spec.kind, "apiVersion": self.spec.api_version, "metadata": metadata}
        if isinstance(self.form, forms.TableForm):
            body = self.form.mark(self.spec, obj, columns=not self.table_started)
            self.table_started = True
        else:
            body = self.form.plain(self.spec, obj)
        if isinstance(self.form, forms.ProtobufForm):
            return protobuf.encode_watch_event("BOOKMARK", body)
        return b'{"type":"BOOKMARK","object":%b}\n' % body
