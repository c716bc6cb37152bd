"""watch: changes as they become visible, one frame per change for all who watch in the same form.

A watcher has no queue and no task of its own per change: the cache calls it with each change, and it writes the
change's frame to its connection. One that reads too slowly is cut off, and resumes from what it saw last.
"""

import asyncio
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


def watch(call: Call) -> Answer:
    """Open a watch. Everything that can be refused is refused before the stream begins."""
    request = call.request
    selection = filter_of(call)
    text = request.param("resourceVersion")
    revision = _parse_revision(text) if text else 0
    bookmarks = request.param("allowWatchBookmarks") in ("true", "1", "True")
    initial = request.param("sendInitialEvents")
    _check_initial(call, initial, request.param("resourceVersionMatch"))
    send_initial = initial in ("true", "1", "True")
    try:
        timeout_seconds = float(request.param("timeoutSeconds") or 0)
    except ValueError as error:
        raise errors.bad_request(f'timeoutSeconds "{request.param("timeoutSeconds")}" is not a number') from error
    timeout_seconds = timeout_seconds or ids.jitter(WATCH_SECONDS, 1.0)
    form = call.form()
    if not send_initial and initial == "" and revision == 0:
        send_initial = True  # "start at any, or at the most recent": what is there comes first, without a closing mark
        closing_mark = False
    else:
        closing_mark = send_initial
    cache = call.objects.of(call.spec)
    if revision and not send_initial and cache.since(revision) is None:
        raise errors.expired(f"too old resource version: {revision} ({cache.floor})")

    async def run(writer: Writer) -> None:
        if revision > call.objects.cache.revision:
            await wait_for_revision(call, revision)
        watcher = _Watcher(call, cache, selection, form, writer, bookmarks=bookmarks)
        if send_initial:
            watcher.begin_with_state(closing_mark=closing_mark)
        elif not revision:
            cache.follow(watcher)
        else:
            watcher.begin_after(revision)
        try:
            await asyncio.wait_for(writer.closed.wait(), timeout_seconds)
        except TimeoutError:
            watcher.bookmark(call.objects.cache.revision)
        finally:
            cache.unfollow(watcher)

    streamed = form.content_type if form.content_type == forms.JSON_TYPE else f"{form.content_type};stream=watch"
    return StreamingResponse(run, 200, streamed, tuple(call.warning_headers()))


class _Watcher:
    """Writes the changes that pass its filter to one connection."""

    __slots__ = ("bookmarks", "cache", "call", "form", "key", "last", "selection", "spec", "table_started", "writer")

    def __init__(self, call: Call, cache: ResourceCache, selection: Filter, form: forms.Form, writer: Writer, *,
                 bookmarks: bool) -> None:  # fmt: skip
        self.call = call
        self.cache = cache
        self.selection = selection
        self.form = form
        self.writer = writer
        self.bookmarks = bookmarks
        self.spec: KindSpec = call.spec
        #: What tells this watcher's frames from others' of the same change.
        self.key = (form.key, call.spec.resource)
        self.table_started = not isinstance(form, forms.TableForm)
        self.last = 0

    def begin_with_state(self, *, closing_mark: bool) -> None:
        """Everything there is, as ADDED, then what follows; nothing comes between."""
        cache, selection = self.cache, self.selection
        frames = [
            self._frame(ADDED, entry)
            for entry in cache.in_namespace(selection.namespace)
            if selection.everything or selection.matches(entry)
        ]
        self.last = self.call.objects.cache.revision
        for start in range(0, len(frames), 64):
            self.writer.write_framed(b"".join(frames[start : start + 64]))
        if closing_mark:
            self.writer.write(self._bookmark(self.last, {"k8s.io/initial-events-end": "true"}))
        cache.follow(self)

    def begin_after(self, revision: int) -> None:
        """What has changed since, then what follows."""
        self.last = revision
        missed = self.cache.since(revision)
        if missed is None:
            status = errors.expired(f"too old resource version: {revision} ({self.cache.floor})").to_status()
            self.writer.write(self._error(status))
            self.writer.close()
            return
        for change in missed:
            self.notice(change)
        self.cache.follow(self)

    def _error(self, status: Json) -> bytes:
        if self.form is forms.PROTOBUF:
            return protobuf.encode_watch_event("ERROR", forms.PROTOBUF.plain(self.spec, status))
        return orjson.dumps({"type": "ERROR", "object": status}) + b"\n"

    def notice(self, change: Change) -> None:
        """A change has become visible: write it, unless it does not concern this watcher."""
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
        if not self.table_started:
            entry = new if matches else None
            self.writer.write_framed(self._frame(kind, entry or old.at(change.revision)))  # type: ignore[union-attr]
            return
        framed = change.frame((self.key, kind), lambda: self._changed(kind, change))
        self.writer.write_framed(framed)
        if self.writer.buffered > UNREAD_BYTES_MAX:
            self.writer.abort()

    def bookmark(self, revision: int) -> None:
        """Say how far this watcher has seen, if it wants to know and it is news."""
        if self.bookmarks and revision > self.last and not self.writer.closed.is_set():
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
        if self.form is forms.PROTOBUF:
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
        if self.form is forms.PROTOBUF:
            return protobuf.encode_watch_event("BOOKMARK", forms.PROTOBUF.plain(self.spec, obj))
        return orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"


def _check_initial(call: Call, initial: str, match: str) -> None:
    def refuse(why: str) -> errors.StatusError:
        return errors.StatusError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {why}')

    if initial:
        if match != "NotOlderThan":
            raise refuse(
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                if not match
                else f'resourceVersionMatch: Unsupported value: "{match}": supported values: "NotOlderThan"'
            )
    elif match:
        raise refuse("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless "
                     "sendInitialEvents is provided")  # fmt: skip
