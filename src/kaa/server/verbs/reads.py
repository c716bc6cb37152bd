"""get and list: answered from the cache, without decoding what is stored."""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from operator import attrgetter
from typing import Any

from kaa.http.api import Answer, Response
from kaa.meta import errors
from kaa.server import forms
from kaa.server.cache import Cached, make_cached
from kaa.server.call import Call
from kaa.server.compression import LARGE_BYTES, squeezed
from kaa.server.unreadable import why_unreadable
from kaa.server.verbs.filters import Filter, filter_of
from kaa.server.verbs.options import ListOptions, list_options, parse_revision, request_seconds
from kaa.server.verbs.tokens import LATEST, decode_token, encode_token
from kaa.store.api import Compacted, FutureRevision

__all__ = ["Filter", "filter_of", "get", "list_objects", "wait_for_revision"]

Json = dict[str, Any]
Answering = Answer | Awaitable[Answer]

#: How long a read waits for a revision it asks for and the server does not have yet.
REVISION_WAIT_SECONDS = 3.0
#: What a client is asked to wait before it comes again for such a revision.
RETRY_SECONDS = 1

_EXPIRED = "The resourceVersion for the provided list is too old."
_EXPIRED_PAGES = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
    "the results. Continuing with the provided token results in an inconsistent list - objects that were "
    "created, modified, or deleted between the time the first chunk was returned and now may show up in the "
    "list."
)


def get(call: Call) -> Answering:
    """One object: the newest, whatever older revision is asked for."""
    request = call.request
    if request.query:
        revision = parse_revision(request.param("resourceVersion"))
        seconds = request_seconds(request)
        if revision > call.objects.cache.revision:
            return _get_after_wait(call, revision, seconds)
    return _got(call)


async def _get_after_wait(call: Call, revision: int, seconds: float) -> Answer:
    await wait_for_revision(call, revision, seconds)
    answer = _got(call)
    return await answer if isawaitable(answer) else answer


def _got(call: Call) -> Answering:
    request, spec = call.request, call.spec
    entry = call.objects.find(spec, call.namespace, call.info.name)
    if entry is None:
        entry = _computed_one(call)
    if spec.converted_by_webhook and (coming := call.objects.ready(spec, (entry,))) is not None:
        return _once_ready(coming, lambda: _got(call))
    headers = request.headers
    accept = headers.get("accept")
    if (accept is None or accept == "*/*" or accept == forms.JSON_TYPE) and not request.query and not call.warnings \
            and not forms.for_people(headers.get("user-agent", "")):  # fmt: skip
        answer = Response(200, forms.wire_of(spec, entry))
    else:
        answer = forms.render_object(call.form(), spec, entry, headers=call.warning_headers())
    if answer.length > LARGE_BYTES:
        return squeezed(headers.get("accept-encoding", ""), answer)
    return answer


async def _once_ready(coming: Awaitable[None], make: Callable[[], Answering]) -> Answer:
    """What can be answered when a webhook has converted what is to be read."""
    await coming
    answer = make()
    return await answer if isawaitable(answer) else answer


def _computed_one(call: Call) -> Cached:
    computed = call.parts.computed.get(call.spec.resource.qualified)
    for each in computed() if computed is not None else ():
        if each.key == call.info.name:
            return each
    raise errors.not_found(call.spec.resource, call.info.name)


async def wait_for_revision(call: Call, revision: int, seconds: float = 60.0) -> None:
    """Wait until the cache has reached a revision; raises 504 when it does not in time."""
    limit = min(seconds, REVISION_WAIT_SECONDS)
    deadline = call.clock.monotonic() + limit
    while call.objects.cache.revision < revision:
        left = deadline - call.clock.monotonic()
        if left <= 0:
            if limit < REVISION_WAIT_SECONDS:
                raise errors.timeout("request did not complete within requested timeout - context deadline exceeded")
            raise too_large(revision, call.objects.cache.revision)
        await call.clock.sleep(min(0.05, left))


def too_large(revision: int, current: int) -> errors.StatusError:
    """504: a revision that does not exist yet. Clients tell it by its cause, and list again without it."""
    error = errors.timeout(f"Too large resource version: {revision}, current: {current}", RETRY_SECONDS)
    error.details["causes"] = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return error


def list_objects(call: Call) -> Answering:
    """A list, or one page of it. Answers at once unless it must wait, or go to the store for an old revision."""
    if "watch" not in call.spec.verbs and (computed := call.parts.computed.get(call.spec.resource.qualified)):
        selection = filter_of(call)
        return _answer(call, [each for each in computed() if selection.matches(each)], {})
    if not call.request.query:
        return _newest(call, Filter(call.namespace, None, None), 0, "")
    options = list_options(call)
    seconds = request_seconds(call.request)
    if options.token:
        return _continue(call, options)
    revision, current = options.revision, call.objects.cache.revision
    # Without a match, a limit makes a revision exact: the oldest meaning of the two together.
    exact = options.match == "Exact" or (not options.match and options.limit > 0 and revision > 0)
    if (exact and revision != current) or revision > current:
        return _list_of(call, options, exact, seconds)
    return _newest(call, options.selection, options.limit, "")


async def _list_of(call: Call, options: ListOptions, exact: bool, seconds: float) -> Answer:
    if options.revision > call.objects.cache.revision:
        await wait_for_revision(call, options.revision, seconds)
    if exact and options.revision != call.objects.cache.revision:
        return await _list_at(call, options.selection, options.limit, options.revision, "")
    answer = _newest(call, options.selection, options.limit, "")
    return await answer if isawaitable(answer) else answer


def _newest(call: Call, selection: Filter, limit: int, start: str) -> Answering:
    cache = call.objects.of(call.spec)
    revision = call.objects.cache.revision
    if selection.name is not None and (selection.namespace or not call.spec.namespaced):
        entry = call.objects.find(call.spec, selection.namespace, selection.name)
        found = [entry] if entry is not None and entry.key >= start and selection.matches(entry) else []
        return _answer(call, found, {"resourceVersion": str(revision)})
    if cache.unreadable:
        call.objects.check_readable(call.spec, selection.namespace)
    return _page(call, selection, cache.in_namespace(selection.namespace), revision, limit, start, keep=True)


def _page(call: Call, selection: Filter, everything: Sequence[Cached], revision: int, limit: int, start: str, *,
          keep: bool) -> Answering:  # fmt: skip
    if selection.fields is not None and (coming := call.objects.ready(call.spec, everything)) is not None:
        return _once_ready(coming, lambda: _page(call, selection, everything, revision, limit, start, keep=keep))
    position = bisect_left(everything, start, key=attrgetter("key")) if start else 0
    metadata: Json = {"resourceVersion": str(revision)}
    matches = selection.matches
    if not limit:
        rest = everything[position:] if position else everything
        return _answer(call, rest if selection.everything else [each for each in rest if matches(each)], metadata)
    page: list[Cached] = []
    while position < len(everything) and len(page) < limit:
        entry = everything[position]
        position += 1
        if selection.everything or matches(entry):
            page.append(entry)
    if position < len(everything):
        if keep:
            call.objects.of(call.spec).keep_snapshot(revision, selection.namespace, list(everything))
        metadata["continue"] = encode_token(revision, everything[position - 1].key)
        if selection.everything:  # how many of the rest a selector leaves is not known
            metadata["remainingItemCount"] = len(everything) - position
    return _answer(call, page, metadata)


def _answer(call: Call, objects: Sequence[Cached], metadata: Json) -> Answering:
    if call.spec.converted_by_webhook and (coming := call.objects.ready(call.spec, objects)) is not None:
        return _once_ready(coming, lambda: _answer(call, objects, metadata))
    answer = forms.render_list(call.form(), call.spec, objects, metadata, call.warning_headers())
    encodings = call.request.headers.get("accept-encoding", "")
    return squeezed(encodings, answer) if encodings else answer


def _continue(call: Call, options: ListOptions) -> Answering:
    revision, start = decode_token(options.token)
    if options.resource_version not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    selection, limit = options.selection, options.limit
    if revision <= LATEST:
        return _newest(call, selection, limit, start)
    kept = call.objects.of(call.spec).snapshot(revision, selection.namespace)
    if kept is None:
        return _list_at(call, selection, limit, revision, start)
    return _page(call, selection, kept, revision, limit, start, keep=False)


async def _list_at(call: Call, selection: Filter, limit: int, revision: int, start: str) -> Answer:
    """The list as it was at a revision, from the store."""
    storage = call.objects.of(call.spec).spec
    prefix = storage.key(selection.namespace)
    try:
        found = await call.objects.store.range(prefix, revision=revision)
    except Compacted as error:
        if not start:
            raise errors.expired(_EXPIRED) from error
        status = errors.expired(_EXPIRED_PAGES).to_status()
        status["metadata"] = {"continue": encode_token(LATEST, start.removesuffix("\0"))}
        return forms.render(status, 410)
    except FutureRevision as error:
        raise too_large(revision, call.objects.cache.revision) from error
    skip = len(storage.storage_prefix)
    for each in found.entries:
        if not each.value.startswith(b"{"):
            raise errors.internal(f'unable to transform key "{each.key}": {why_unreadable(each.value)}')
    entries = [make_cached(storage, each.key[skip:], each.mod_revision, each.value) for each in found.entries]
    page = _page(call, selection, entries, revision, limit, start, keep=True)
    return await page if isawaitable(page) else page
