"""watch: changes as they become visible, one frame per change for all who watch in the same form.

A watcher has no queue and no task of its own per change: the cache calls it with each change, and it writes the
change's frame to its connection. One that reads too slowly is cut off, and resumes from what it saw last.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import orjson

from kaa.base import ids
from kaa.http.api import Answer, StreamingResponse, Writer, frame
from kaa.kinds import protobuf
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server import forms
from kaa.server.cache import ADDED, DELETED, MODIFIED, Cached, Change, ResourceCache
from kaa.server.call import Call
from kaa.server.verbs.reads import Filter, _parse_revision, filter_of, wait_for_revision

__all__ = ["watch"]

Json = dict[str, Any]

#: Bytes a watcher may leave unread before it is cut off.
UNREAD_BYTES_MAX = 16 << 20
#: A watch without a timeout ends by itself after this long, spread so that clients do not all return at once.
WATCH_SECONDS = 1800.0
#: Objects or changes written before the loop is given to others.
STATE_STEP = 128
TRUE = ("true", "1", "True", "t", "T", "TRUE")


def watch(call: Call) -> Answer | Awaitable[Answer]:
    """Open a watch. Everything that can be refused is refused before the stream begins."""
    request = call.request
    selection = filter_of(call)
    text = request.param("resourceVersion")
    revision = _parse_revision(text) if text else 0
    bookmarks = request.param("allowWatchBookmarks") in TRUE
    initial = request.param("sendInitialEvents")
    _check_initial(call, initial, request.param("resourceVersionMatch"))
    seconds = _timeout_seconds(request.param("timeoutSeconds"))
    form = call.form()
    if isinstance(form, forms.YamlForm):
        raise errors.not_acceptable((forms.JSON_TYPE, forms.PROTOBUF_TYPE))
    if form is forms.PRETTY:
        form = forms.JSON  # an event is a line
    # "start at any, or at the most recent": what is there comes first, without a closing mark
    with_state = initial in TRUE or (not initial and revision == 0)
    wanted = _Wanted(
        selection, form, revision or call.objects.cache.revision, with_state, initial in TRUE and bookmarks, bookmarks,
        seconds,
    )  # fmt: skip
    if revision > call.objects.cache.revision:
        return _open_after_wait(call, wanted)
    return _open(call, wanted)


async def _open_after_wait(call: Call, wanted: "_Wanted") -> Answer:
    await wait_for_revision(call, wanted.revision)
    return _open(call, wanted)


def _open(call: Call, wanted: "_Wanted") -> Answer:
    cache = call.objects.of(call.spec)
    if not wanted.with_state and cache.since(wanted.revision) is None:
        raise errors.expired(f"too old resource version: {wanted.revision} ({cache.floor})")

    async def run(writer: Writer) -> None:
        watcher = _Watcher(call, cache, wanted, writer)
        try:
            async with asyncio.timeout(wanted.seconds):
                if wanted.with_state:
                    await watcher.begin_with_state(closing_mark=wanted.closing_mark)
                else:
                    await watcher.begin_after(wanted.revision)
                await writer.closed.wait()
        except TimeoutError:
            watcher.bookmark(call.objects.cache.revision)
        finally:
            cache.unfollow(watcher)

    form = wanted.form
    streamed = form.content_type if form.content_type == forms.JSON_TYPE else f"{form.content_type};stream=watch"
    return StreamingResponse(run, 200, streamed, tuple(call.warning_headers()))


def _timeout_seconds(text: str) -> float:
    try:
        seconds = int(text or 0)
    except ValueError as error:
        raise errors.bad_request(f'timeoutSeconds "{text}" is not a whole number') from error
    return float(seconds) if 0 < seconds < WATCH_SECONDS * 48 else ids.jitter(WATCH_SECONDS, 1.0)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a watch was asked to be."""

    selection: Filter
    form: forms.Form
    revision: int
    with_state: bool
    closing_mark: bool
    bookmarks: bool
    seconds: float


class _Watcher:
    """Writes the changes that pass its filter to one connection."""

    __slots__ = (
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
        "writer",
    )  # fmt: skip

    def __init__(self, call: Call, cache: ResourceCache, wanted: _Wanted, writer: Writer) -> None:
        self.call = call
        self.cache = cache
        self.selection = wanted.selection
        self.form = wanted.form
        self.writer = writer
        self.bookmarks = wanted.bookmarks
        self.spec: KindSpec = call.spec
        #: What tells this watcher's frames from others' of the same change.
        self.key = (wanted.form.key, call.spec.resource)
        self.table_started = not isinstance(wanted.form, forms.TableForm)
        self.last = 0
        #: Changes that wait until the state before them has been written; None once everything is live.
        self.held: list[Change] | None = []
        self.held_bytes = 0

    async def begin_with_state(self, *, closing_mark: bool) -> None:
        """Everything there is, as ADDED, as fast as the client takes it, then what has changed meanwhile, then what
        follows. Nothing is left out, and nothing comes twice."""
        selection = self.selection
        entries = self.cache.in_namespace(selection.namespace)
        if selection.name is not None:
            entries = [entry for entry in entries if entry.name == selection.name]
        self.last = mark = self.call.objects.cache.revision
        self.cache.follow(self)
        for start in range(0, len(entries), STATE_STEP):
            step = entries[start : start + STATE_STEP]
            frames = [self._frame(ADDED, each) for each in step if selection.everything or selection.matches(each)]
            if frames:
                self.writer.write_framed(b"".join(frames))
            await self._breathe()
        if closing_mark:
            self.writer.write(self._bookmark(mark, {"k8s.io/initial-events-end": "true"}))
        await self._go_live()

    async def begin_after(self, revision: int) -> None:
        """What has changed since, then what follows."""
        self.last = revision
        missed = self.cache.since(revision)
        if missed is None:
            status = errors.expired(f"too old resource version: {revision} ({self.cache.floor})").to_status()
            self.writer.write(self._error(status))
            self.writer.close()
            return
        self.cache.follow(self)
        held = self.held
        assert held is not None
        held[:0] = missed
        await self._go_live()

    async def _go_live(self) -> None:
        while self.held:
            held, self.held, self.held_bytes = self.held, [], 0
            for at, change in enumerate(held):
                self._pass_on(change)
                if at % STATE_STEP == STATE_STEP - 1:
                    await self._breathe()
        self.held = None

    async def _breathe(self) -> None:
        """Wait for a slow client, and let others have the loop."""
        await self.writer.drain()
        await asyncio.sleep(0)

    def _error(self, status: Json) -> bytes:
        if isinstance(self.form, forms.ProtobufForm):
            return protobuf.encode_watch_event("ERROR", forms.PROTOBUF.plain(self.spec, status))
        return orjson.dumps({"type": "ERROR", "object": status}) + b"\n"

    def notice(self, change: Change) -> None:
        """A change has become visible: write it, unless it does not concern this watcher."""
        if self.held is None:
            self._pass_on(change)
            return
        self.held.append(change)
        self.held_bytes += change.size
        if self.held_bytes > UNREAD_BYTES_MAX:
            self.writer.abort()

    def _pass_on(self, change: Change) -> None:
        self.last = change.revision
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
        if self.table_started:
            framed = change.frame((self.key, kind), lambda: self._changed(kind, change))
        else:
            framed = self._changed(kind, change)  # with the columns, for this watcher alone
        self.writer.write_framed(framed)
        if self.writer.buffered > UNREAD_BYTES_MAX:
            self.writer.abort()

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
        resource = self.spec.resource
        metadata: Json = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        obj: Json
        if isinstance(self.form, forms.TableForm):
            obj = {
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": None if self.table_started else forms.column_definitions(self.spec),
                "rows": [{"cells": [""] * len(self.spec.columns), "object": {
                    "kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}}],
            }  # fmt: skip
        elif self.form is forms.PARTIAL:
            obj = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        else:
            obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        if isinstance(self.form, forms.ProtobufForm):
            return protobuf.encode_watch_event("BOOKMARK", self.form.plain(self.spec, obj))
        return orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"


def _check_initial(call: Call, initial: str, match: str) -> None:
    def refuse(why: str) -> errors.StatusError:
        return errors.StatusError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {why}')

    if initial:
        if match != "NotOlderThan":
            raise refuse(
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to "
                "NotOlderThan"
                if not match
                else f'resourceVersionMatch: Unsupported value: "{match}": supported values: "NotOlderThan"'
            )
    elif match:
        raise refuse("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless "
                     "sendInitialEvents is provided")  # fmt: skip
