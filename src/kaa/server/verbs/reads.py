"""get and list: answered from the cache, without decoding what is stored."""

import base64
import binascii
from collections.abc import Awaitable, Sequence
from inspect import isawaitable
from typing import Any

import orjson

from kaa.http.api import Answer, Response
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.meta.selectors import FieldSelector, LabelSelector, SelectorError, parse_fields, parse_labels
from kaa.server import forms
from kaa.server.cache import Cached, make_cached
from kaa.server.call import Call
from kaa.server.objects import served_form
from kaa.store.api import Compacted, FutureRevision

__all__ = ["Filter", "filter_of", "get", "list_objects", "wait_for_revision"]

Json = dict[str, Any]
Answering = Answer | Awaitable[Answer]

#: How long a read waits for a revision it asks for and the server does not have yet.
REVISION_WAIT_SECONDS = 3.0


class Filter:
    """What a list, a watch or a collection's deletion is restricted to."""

    __slots__ = ("fields", "labels", "name", "namespace", "spec")

    def __init__(self, namespace: str, labels: LabelSelector | None, fields: FieldSelector | None,
                 spec: KindSpec | None = None) -> None:  # fmt: skip
        self.namespace = namespace
        #: Whose field names `fields` uses, where they are not those of the stored version.
        self.spec = spec if spec is not None and spec.conversion is not None else None
        self.labels = labels
        self.fields = fields
        #: The one name that can match, where the field selector says so.
        self.name = fields.exact("metadata.name") if fields is not None else None

    @property
    def everything(self) -> bool:
        """No selector at all."""
        return self.labels is None and self.fields is None

    def matches(self, cached: Cached) -> bool:
        """The object is in the namespace and passes both selectors."""
        if self.namespace and cached.namespace != self.namespace:
            return False
        if self.labels is not None and not self.labels.matches(cached.labels):
            return False
        if self.fields is None:
            return True
        if self.spec is not None:
            obj = served_form(self.spec, cached)
            return self.fields.matches({name: read(obj) for name, read in self.spec.selectable.items()})
        return self.fields.matches(cached.fields)


def filter_of(call: Call) -> Filter:
    """The request's selectors; raises 400 for what cannot be parsed or is not selectable."""
    request = call.request
    labels = request.param("labelSelector") if "labelSelector" in request.query else ""
    fields = request.param("fieldSelector") if "fieldSelector" in request.query else ""
    return read_filter(call.spec, call.namespace, call.info.name, labels, fields)


def read_filter(spec: KindSpec, namespace: str, name: str, labels: str, fields: str) -> Filter:
    """Selectors from their text."""
    try:
        label_selector = parse_labels(labels) if labels else None
    except SelectorError as error:
        raise errors.bad_request(f"unable to parse requirement: {error}") from error
    try:
        field_selector = parse_fields(fields) if fields else None
    except SelectorError as error:
        raise errors.bad_request(str(error)) from error
    if field_selector is not None:
        for requirement in field_selector.requirements:
            if requirement.field not in spec.selectable:
                raise errors.bad_request(
                    f'Unable to find "{spec.resource.group}/{spec.resource.version}, Resource={spec.resource.plural}" '
                    f'that match label selector "{labels}", field selector "{fields}": '
                    f"field label not supported: {requirement.field}"
                )
    if name and field_selector is None:
        field_selector = parse_fields(f"metadata.name={name}")
    return Filter(namespace, label_selector if label_selector is None or not label_selector.empty else None,
                  field_selector, spec)  # fmt: skip


def get(call: Call) -> Answer:
    """One object."""
    info, request = call.info, call.request
    if request.query and (text := request.param("resourceVersion")):
        _parse_revision(text)
    entry = call.objects.find(call.spec, call.namespace, info.name)
    if entry is None:
        raise errors.not_found(call.spec.resource, info.name)
    accept = request.headers.get("accept")
    if (accept is None or accept == "*/*" or accept == forms.JSON_TYPE) and not request.query:
        return Response(200, forms.wire_of(call.spec, entry))
    return forms.render_object(call.form(), call.spec, entry)


async def wait_for_revision(call: Call, revision: int) -> None:
    """Wait until the cache has reached a revision; raises 504 when it does not in time."""
    deadline = call.clock.monotonic() + REVISION_WAIT_SECONDS
    while call.objects.cache.revision < revision:
        if call.clock.monotonic() >= deadline:
            current = call.objects.cache.revision
            error = errors.timeout(f"Too large resource version: {revision}, current: {current}", 1)
            error.details["causes"] = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
            raise error
        await call.clock.sleep(0.05)


def list_objects(call: Call) -> Answering:
    """A list, or one page of it. Answers at once unless it must wait, or go to the store for an old revision."""
    request = call.request
    query = request.query
    if not query:
        return _answer(call, Filter(call.namespace, None, None), 0, "")
    selection = filter_of(call)
    limit = _parse_limit(request.param("limit"))
    token = request.param("continue")
    text, match = request.param("resourceVersion"), request.param("resourceVersionMatch")
    revision = _parse_revision(text) if text else None
    _check_match(call, text, match, token, limit)
    if token:
        return _continue(call, selection, limit, token)
    exact = match == "Exact" or (not match and limit > 0 and revision is not None and revision > 0)
    if exact and revision is not None and revision != call.objects.cache.revision:
        return _list_at(call, selection, limit, revision, "")
    if revision is not None and revision > call.objects.cache.revision:
        return _list_after_wait(call, selection, limit, revision)
    return _answer(call, selection, limit, "")


async def _list_after_wait(call: Call, selection: Filter, limit: int, revision: int) -> Answer:
    await wait_for_revision(call, revision)
    answer = _answer(call, selection, limit, "")
    return await answer if isawaitable(answer) else answer


def _answer(call: Call, selection: Filter, limit: int, after: str) -> Answering:
    cache = call.objects.of(call.spec)
    revision = call.objects.cache.revision
    if selection.name is not None and (selection.namespace or not call.spec.resource.namespaced):
        entry = call.objects.find(call.spec, selection.namespace, selection.name)
        found = [entry] if entry is not None and selection.matches(entry) else []
        return _render(call, found, revision, "", 0)
    everything = cache.in_namespace(selection.namespace)
    return _page(call, selection, everything, revision, limit, after, keep=True)


def _page(call: Call, selection: Filter, everything: Sequence[Cached], revision: int, limit: int, after: str, *,
          keep: bool) -> Answering:  # fmt: skip
    start = 0
    if after:
        low, high = 0, len(everything)
        while low < high:
            middle = (low + high) // 2
            if everything[middle].key <= after:
                low = middle + 1
            else:
                high = middle
        start = low
    if not limit:
        rest = everything[start:] if start else everything
        return _render(call, rest if selection.everything else [e for e in rest if selection.matches(e)],
                       revision, "", 0)  # fmt: skip
    page: list[Cached] = []
    position = start
    matches = selection.matches
    while position < len(everything) and len(page) < limit:
        entry = everything[position]
        position += 1
        if selection.everything or matches(entry):
            page.append(entry)
    if position >= len(everything):
        return _render(call, page, revision, "", 0)
    if keep:
        call.objects.of(call.spec).keep_snapshot(revision, selection.namespace, list(everything))
    remaining = len(everything) - position if selection.everything else 0
    return _render(call, page, revision, encode_token(revision, everything[position - 1].key), remaining)


def _render(call: Call, objects: Sequence[Cached], revision: int, token: str, remaining: int) -> Answering:
    metadata: Json = {"resourceVersion": str(revision)}
    if token:
        metadata["continue"] = token
        if remaining:
            metadata["remainingItemCount"] = remaining
    return forms.render_list(call.form(), call.spec, objects, metadata, call.warning_headers())


def _continue(call: Call, selection: Filter, limit: int, token: str) -> Answering:
    revision, after = decode_token(token)
    if revision < 0:
        # The token of an expired list asks to go on from the newest state, at the price of consistency.
        return _answer(call, selection, limit, after)
    kept = call.objects.of(call.spec).snapshot(revision, selection.namespace)
    if kept is None:
        return _list_at(call, selection, limit, revision, after)
    return _page(call, selection, kept, revision, limit, after, keep=False)


async def _list_at(call: Call, selection: Filter, limit: int, revision: int, after: str) -> Answer:
    """The list as it was at a revision, from the store."""
    spec = call.spec
    storage = call.objects.of(spec).spec
    prefix = spec.storage_prefix + (f"{selection.namespace}/" if selection.namespace else "")
    try:
        found = await call.objects.store.range(prefix, revision=revision)
    except Compacted as error:
        expired = errors.expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
            "the results. Continuing with the provided token results in an inconsistent list - objects that were "
            "created, modified, or deleted between the time the first chunk was returned and now may show up in the "
            "list."
            if after
            else f"The resourceVersion for the provided list is too old: {error}"
        )
        if not after:
            raise expired from error
        status = expired.to_status()
        status["metadata"] = {"continue": encode_token(-1, after)}
        return forms.render(status, 410)
    except FutureRevision:
        await wait_for_revision(call, revision)
        found = await call.objects.store.range(prefix, revision=revision)
    skip = len(spec.storage_prefix)
    entries = [make_cached(storage, each.key[skip:], each.mod_revision, each.value) for each in found.entries]
    page = _page(call, selection, entries, revision, limit, after, keep=True)
    return await page if isawaitable(page) else page


def encode_token(revision: int, key: str) -> str:
    """Where a list goes on; opaque to clients."""
    raw = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": key})
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_token(token: str) -> tuple[int, str]:
    """The revision and the last key of a token; raises 400 for what is none of ours."""
    try:
        raw = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, revision, key = raw["v"], raw["rv"], raw["start"]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise errors.bad_request("continue key is not valid: list again without it") from error
    if version != "meta.k8s.io/v1" or not isinstance(revision, int) or not isinstance(key, str):
        raise errors.bad_request("continue key is not valid: list again without it")
    return revision, key


def _parse_limit(text: str) -> int:
    if not text:
        return 0
    try:
        return max(0, int(text))
    except ValueError as error:
        raise errors.bad_request(f'limit "{text}" is not a number') from error


def _parse_revision(text: str) -> int:
    try:
        revision = int(text)
    except ValueError:
        revision = -1
    if revision < 0 or revision >= 1 << 63:
        raise errors.bad_request(f'Invalid value: "{text}": resourceVersion is not valid: use one that the server gave')
    return revision


def _check_match(call: Call, text: str, match: str, token: str, limit: int) -> None:
    """The combinations of resourceVersion, its match and continue that make no sense are refused, as in the API."""

    def refuse(why: str) -> errors.StatusError:
        return errors.StatusError(422, "Invalid", f"{call.spec.resource.list_kind} is invalid: {why}")

    if match:
        if token:
            raise refuse("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided")
        if not text:
            raise refuse(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
            )
        if match not in ("Exact", "NotOlderThan"):
            raise refuse(
                f'resourceVersionMatch: Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
            )
        if match == "Exact" and text == "0":
            raise refuse(
                'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            )
    if token and text and text != "0":
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    if call.request.param("sendInitialEvents"):
        raise refuse("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list")
