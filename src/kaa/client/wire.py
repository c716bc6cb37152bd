"""What the verbs send, and how answers are read. Pure: bytes and dicts in, values or errors out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Literal, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec
import orjson

from kaa.base.log import Logger
from kaa.kinds.views.base import View, decoder
from kaa.meta.errors import StatusError

__all__ = [
    "PATCH_TYPES",
    "Json",
    "Listing",
    "PatchKind",
    "RawReply",
    "WatchEvent",
    "delete_options",
    "query_string",
    "read_json",
    "read_list",
    "read_watch_line",
    "revision_of",
    "status_error",
]

Json = dict[str, Any]
V = TypeVar("V", bound=View)
PatchKind = Literal["merge", "json", "strategic", "apply"]
WatchType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]

PATCH_TYPES: dict[str, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",  # JSON is YAML
}

_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
    406: "NotAcceptable", 409: "Conflict", 410: "Gone", 413: "RequestEntityTooLarge", 415: "UnsupportedMediaType",
    422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip
_log = Logger("client")


class RawReply(NamedTuple):
    """An answer as it came; an error status is not an exception here. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Listing(Generic[V]):
    """A list: its items, the revision it shows, and the token of the next page ("" when complete)."""

    items: list[V]
    revision: int
    continue_: str = ""


@dataclass(slots=True)
class WatchEvent(Generic[V]):
    """One change. `object` is None for a bookmark, which only says that everything up to `revision` has been sent.

    `initial_events_end` marks the bookmark that ends a streamed list.
    """

    type: WatchType
    object: V | None
    revision: int
    initial_events_end: bool = False


class _ListMeta(msgspec.Struct, rename="camel", frozen=True):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, Generic[V]):
    metadata: _ListMeta = _ListMeta()
    items: list[V] | None = None


class _RawList(msgspec.Struct):
    metadata: _ListMeta = _ListMeta()
    items: list[msgspec.Raw] | None = None


class _Envelope(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _MetaPart(msgspec.Struct, rename="camel", frozen=True):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _MetaOnly(msgspec.Struct):
    metadata: _MetaPart = _MetaPart()


_envelope = msgspec.json.Decoder(_Envelope)
_raw_list = msgspec.json.Decoder(_RawList)
_meta_only = msgspec.json.Decoder(_MetaOnly)


@cache
def _list_decoder(view: type[V]) -> "msgspec.json.Decoder[_List[V]]":
    return msgspec.json.Decoder(_List[view])  # type: ignore[valid-type]


def query_string(params: Mapping[str, str | int | bool | None]) -> str:
    """The query of a URL; None, "", 0 and False are left out, so callers pass every option they have."""
    return "&".join(
        f"{name}={quote(str(value).lower() if isinstance(value, bool) else str(value), safe='')}"
        for name, value in params.items()
        if value
    )


def revision_of(obj: Mapping[str, Any]) -> int:
    """The revision of an object or list in JSON; 0 when it has none."""
    metadata = obj.get("metadata") or {}
    return int(metadata.get("resourceVersion") or 0)


def read_json(body: bytes) -> Json:
    """The JSON object of an answer. Raises StatusError 500 when it is none: then no API answered."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise StatusError(500, "InternalError", f"the server's answer is not JSON: {_start(body)!r}") from error
    if not isinstance(value, dict):
        raise StatusError(500, "InternalError", f"the server's answer is not an object: {_start(body)!r}")
    return value


def read_list(view: type[V], body: bytes) -> Listing[V]:
    """A page of a list. An item that the view cannot show is logged and left out; the rest is not lost for it."""
    try:
        listed = _list_decoder(view).decode(body)
        items = listed.items or []
        metadata = listed.metadata
    except msgspec.ValidationError:
        raw = _raw_list.decode(body)
        items, metadata = [], raw.metadata
        for each in raw.items or []:
            if (item := _read_object(view, each)) is not None:
                items.append(item)
    except msgspec.DecodeError as error:
        raise StatusError(500, "InternalError", f"the server's answer is not a list: {_start(body)!r}") from error
    return Listing(items, int(metadata.resource_version or 0), metadata.continue_)


def read_watch_line(view: type[V], line: bytes) -> WatchEvent[V] | None:
    """One line of a watch. None for an object the view cannot show (logged). Raises StatusError for an ERROR event."""
    envelope = _envelope.decode(line)
    kind = envelope.type
    if kind in ("ADDED", "MODIFIED", "DELETED"):
        obj = _read_object(view, envelope.object)
        return None if obj is None else WatchEvent(kind, obj, obj.revision)  # type: ignore[arg-type]
    if kind == "BOOKMARK":
        metadata = _meta_only.decode(envelope.object).metadata
        ended = (metadata.annotations or {}).get(_INITIAL_EVENTS_END) == "true"
        return WatchEvent("BOOKMARK", None, int(metadata.resource_version or 0), ended)
    if kind == "ERROR":
        raise StatusError.from_status(read_json(bytes(envelope.object)))
    raise StatusError(500, "InternalError", f"unknown watch event type {kind!r}")


def _read_object(view: type[V], raw: msgspec.Raw) -> V | None:
    try:
        obj: V = decoder(view).decode(raw)
    except msgspec.ValidationError as error:
        metadata = _meta_only.decode(raw).metadata
        _log.error(
            "object cannot be read and is left out; mend the object, or the view",
            kind=view.resource.kind, namespace=metadata.namespace, name=metadata.name, error=str(error),
        )  # fmt: skip
        return None
    return obj


def status_error(status: int, headers: Mapping[str, str], body: bytes) -> StatusError:
    """The error of an answer with an error status, whether or not its body is a `Status`."""
    error: StatusError | None = None
    if body.lstrip()[:1] == b"{":
        try:
            value = orjson.loads(body)
            if isinstance(value, dict) and value.get("kind") == "Status":
                error = StatusError.from_status({"code": status, **value})
        except orjson.JSONDecodeError:
            pass  # a proxy's page; said as text below
    if error is None:
        text = _start(body).decode(errors="replace").strip()
        error = StatusError(status, _REASONS.get(status, ""), text or f"the server answered {status} without a body")
    retry_after = headers.get("retry-after", "")
    if retry_after.isdigit() and not error.retry_after_seconds:
        error.details = {**error.details, "retryAfterSeconds": int(retry_after)}
    return error


def delete_options(grace_seconds: int | None, propagation: str | None, uid: str, revision: int, dry_run: bool) -> bytes:
    """The body of a delete; empty when nothing is asked for."""
    options: Json = {}
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    if propagation:
        options["propagationPolicy"] = propagation
    preconditions: Json = {}
    if uid:
        preconditions["uid"] = uid
    if revision:
        preconditions["resourceVersion"] = str(revision)
    if preconditions:
        options["preconditions"] = preconditions
    if dry_run:
        options["dryRun"] = ["All"]
    if not options:
        return b""
    return orjson.dumps({"kind": "DeleteOptions", "apiVersion": "v1", **options})


def _start(body: bytes) -> bytes:
    return body[:512]
