"""The verbs of the API, for any kind, over one transport."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from kaa.base.clock import REAL, Clock
from kaa.client.wire import (
    PATCH_TYPES,
    Json,
    Listing,
    PatchKind,
    RawReply,
    WatchEvent,
    delete_options,
    query_string,
    read_json,
    read_list,
    read_watch_line,
    status_error,
)
from kaa.http.api import Header, Reply, StreamReply, Transport
from kaa.kinds.views.base import View, decoder
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource

__all__ = ["Client", "Credentials"]

V = TypeVar("V", bound=View)
Credentials = Callable[[], Sequence[Header]]
"""Gives the headers that say who is calling; asked before every request, so that a rotated token is used at once."""

_TRIES_MAX = 10  # of a request the server asked to send again later
_RETRY_WAIT_SECONDS_MAX = 30
_JSON: Header = ("accept", "application/json")
# Servers that cannot give metadata alone give the object, and its view takes the metadata of it.
_PARTIAL: Header = ("accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json")
_PARTIAL_LIST: Header = ("accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json")
_JSON_BODY: Header = ("content-type", "application/json")


class Client:
    """The API of one server. Safe to share between tasks.

    Every verb raises `StatusError` for what the server refuses and a `kaa.http` `CallError` when there is no answer;
    after a `TimedOut` or `Disconnected` write the outcome is unknown. A 429, or another refusal with a Retry-After,
    is sent again up to ten times: the server has said that it did not act on it.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock = REAL,
        user_agent: str = "kaa",
        credentials: Credentials | None = None,
        watch_transport: Transport | None = None,
        timeout_seconds: float = 60.0,
    ) -> None:
        """`user_agent` "" leaves that header, and `credentials` None the caller's identity, to the transport.

        `watch_transport` carries the streams; `transport` itself when not given (its streams hold connections of
        their own, outside its pool)."""
        self.transport = transport
        self.clock = clock
        self.timeout_seconds = timeout_seconds
        #: False once the server has refused to stream lists; reflectors then list in pages.
        self.streams_lists = True
        self._watch_transport = watch_transport or transport
        self._credentials = credentials
        self._base_headers: tuple[Header, ...] = (("user-agent", user_agent),) if user_agent else ()

    @classmethod
    def from_kubeconfig(cls, path: str | Path = "", context: str = "", **options: Any) -> "Client":
        """The cluster a kubeconfig names; "" is $KUBECONFIG, then ~/.kube/config. Raises config.ConfigError."""
        from kaa.client.config import load_kubeconfig, open_client  # late: config builds on Client

        return open_client(load_kubeconfig(path, context), **options)

    @classmethod
    def in_cluster(cls, **options: Any) -> "Client":
        """The cluster this pod runs in. Raises config.ConfigError outside of one."""
        from kaa.client.config import in_cluster, open_client

        return open_client(in_cluster(), **options)

    # --- reading ---------------------------------------------------------------------------------------------------

    async def get(self, view: type[V], name: str, namespace: str = "") -> V:
        """One object as a view."""
        headers: tuple[Header, ...] = (_PARTIAL,) if view.metadata_only else ()
        reply = await self._call("GET", view.resource.path(namespace, name), headers=headers)
        obj: V = decoder(view).decode(reply.body)
        return obj

    async def get_json(self, resource: Resource, name: str, namespace: str = "", subresource: str = "") -> Json:
        """One object, or a subresource of it, whole."""
        return read_json((await self._call("GET", resource.path(namespace, name, subresource))).body)

    async def list(
        self,
        view: type[V],
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        revision: str = "",
    ) -> Listing[V]:
        """A collection as views. `limit` is the size of a page: pages are fetched until all is there, with a yield to
        other tasks in between; should the snapshot expire meanwhile, the list starts over, whole.

        `revision` is the API's resourceVersion parameter: "" is the newest there is, "0" whatever the server has.
        """
        path = view.resource.path(namespace)
        headers: tuple[Header, ...] = (_PARTIAL_LIST,) if view.metadata_only else ()
        query: dict[str, str | int | bool | None] = {
            "labelSelector": labels, "fieldSelector": fields, "limit": limit, "resourceVersion": revision,
        }  # fmt: skip
        listing = read_list(view, (await self._call("GET", path, query_string(query), headers=headers)).body)
        while listing.continue_:
            await self.clock.sleep(0)
            query.update({"continue": listing.continue_, "resourceVersion": None})
            try:
                page = read_list(view, (await self._call("GET", path, query_string(query), headers=headers)).body)
            except StatusError as error:
                if error.code != 410:
                    raise
                query.update({"continue": None, "limit": 0})
                return read_list(view, (await self._call("GET", path, query_string(query), headers=headers)).body)
            listing.items.extend(page.items)
            listing.revision, listing.continue_ = page.revision, page.continue_
        return listing

    async def list_json(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_: str = "",
        revision: str = "",
        metadata_only: bool = False,
    ) -> Json:
        """One page of a collection, whole: the list object as the server wrote it.

        `metadata_only` asks for `PartialObjectMetadata` items, which a server may give without reading the objects.
        """
        query = query_string({
            "labelSelector": labels, "fieldSelector": fields, "limit": limit, "continue": continue_,
            "resourceVersion": revision,
        })  # fmt: skip
        headers: tuple[Header, ...] = (_PARTIAL_LIST,) if metadata_only else ()
        return read_json((await self._call("GET", resource.path(namespace), query, headers=headers)).body)

    async def watch(
        self,
        view: type[V],
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        revision: int | str = 0,
        send_initial_events: bool = False,
        timeout_seconds: int = 0,
    ) -> AsyncGenerator[WatchEvent[V], None]:
        """Changes after `revision`, bookmarks included, until the server ends the stream (then the iterator ends).

        `send_initial_events` asks for the present state first, ended by a bookmark with `initial_events_end`. Raises
        StatusError (410 when the revision is compacted: list again). Close the iterator when leaving it early
        (`contextlib.aclosing`).
        """
        query = query_string({
            "watch": True, "allowWatchBookmarks": True, "labelSelector": labels, "fieldSelector": fields,
            "resourceVersion": str(revision) if revision else "",
            "sendInitialEvents": send_initial_events,
            "resourceVersionMatch": "NotOlderThan" if send_initial_events else "",
            "timeoutSeconds": timeout_seconds,
        })  # fmt: skip
        accept = _PARTIAL if view.metadata_only else _JSON
        stream = await self.stream("GET", view.resource.path(namespace), query=query, headers=(accept,))
        try:
            async for line in stream.lines():
                if line and (event := read_watch_line(view, line)) is not None:
                    yield event
        finally:
            await stream.aclose()

    # --- writing ---------------------------------------------------------------------------------------------------

    async def create(
        self,
        resource: Resource,
        obj: Json,
        *,
        namespace: str = "",
        name: str = "",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = "",
    ) -> Json:
        """POST. The namespace is the object's own unless given; `name` and `subresource` together address one
        (bindings, evictions, tokens)."""
        namespace = namespace or (obj.get("metadata") or {}).get("namespace", "")
        query = query_string({"dryRun": "All" if dry_run else "", "fieldManager": field_manager})
        path = resource.path(namespace, name, subresource)
        return await self._write("POST", path, query, _JSON_BODY, orjson.dumps(_typed(resource, obj, subresource)))

    async def update(
        self,
        resource: Resource,
        obj: Json,
        *,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = "",
    ) -> Json:
        """PUT of a whole object; its metadata.resourceVersion makes it conditional (409 when stale)."""
        metadata = obj["metadata"]
        path = resource.path(metadata.get("namespace", ""), metadata["name"], subresource)
        query = query_string({"dryRun": "All" if dry_run else "", "fieldManager": field_manager})
        return await self._write("PUT", path, query, _JSON_BODY, orjson.dumps(_typed(resource, obj, subresource)))

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Json | Sequence[Json],
        *,
        namespace: str = "",
        kind: PatchKind = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> Json:
        """PATCH; "apply" is server-side apply and needs a field manager. `force` takes fields from other managers."""
        if kind == "apply" and not field_manager:
            raise ValueError("server-side apply needs a field_manager")
        query = query_string({
            "fieldManager": field_manager, "force": force, "dryRun": "All" if dry_run else "",
        })  # fmt: skip
        path = resource.path(namespace, name, subresource)
        return await self._write("PATCH", path, query, ("content-type", PATCH_TYPES[kind]), orjson.dumps(body))

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str = "",
        grace_seconds: int | None = None,
        propagation: str | None = None,
        uid: str = "",
        revision: int = 0,
        dry_run: bool = False,
    ) -> Json:
        """DELETE; `uid` and `revision` are preconditions (409 when they fail). Answers the object or a Status."""
        body = delete_options(grace_seconds, propagation, uid, revision, dry_run)
        return await self._write("DELETE", resource.path(namespace, name), "", _JSON_BODY, body)

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        grace_seconds: int | None = None,
        propagation: str | None = None,
    ) -> Json:
        """DELETE of everything that matches."""
        query = query_string({"labelSelector": labels, "fieldSelector": fields})
        body = delete_options(grace_seconds, propagation, "", 0, dry_run=False)
        return await self._write("DELETE", resource.path(namespace), query, _JSON_BODY, body)

    # --- as it comes -----------------------------------------------------------------------------------------------

    async def raw(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Sequence[Header] = (),
        body: bytes = b"",
        timeout_seconds: float | None = None,
    ) -> RawReply:
        """Any request, with this client's credentials; an error status is not an exception."""
        reply = await self.transport.call(
            method, path, query=query, headers=self._headers(headers), body=body,
            timeout_seconds=timeout_seconds or self.timeout_seconds,
        )  # fmt: skip
        return RawReply(reply.status, reply.headers, reply.body)

    async def stream(self, method: str, path: str, *, query: str = "", headers: Sequence[Header] = ()) -> StreamReply:
        """Any request whose answer is read as it comes; the caller must close it. Raises StatusError for an error."""
        stream = await self._watch_transport.stream(
            method, path, query=query, headers=self._headers(headers or (_JSON,)), timeout_seconds=self.timeout_seconds
        )
        if stream.status < 400:
            return stream
        try:
            async with asyncio.timeout(self.timeout_seconds):
                body = await stream.read()
        finally:
            await stream.aclose()
        raise status_error(stream.status, stream.headers, body)

    async def close(self) -> None:
        """Let the connections go."""
        await self.transport.close()
        if self._watch_transport is not self.transport:
            await self._watch_transport.close()

    # --- the common way --------------------------------------------------------------------------------------------

    def _headers(self, more: Sequence[Header]) -> Sequence[Header]:
        identity = self._credentials() if self._credentials is not None else ()
        return (*self._base_headers, *identity, *more)

    async def _write(self, method: str, path: str, query: str, content_type: Header, body: bytes) -> Json:
        reply = await self._call(method, path, query, headers=(_JSON, content_type) if body else (_JSON,), body=body)
        return read_json(reply.body)

    async def _call(
        self, method: str, path: str, query: str = "", *, headers: Sequence[Header] = (), body: bytes = b""
    ) -> Reply:
        for tries in range(1, _TRIES_MAX + 1):
            reply = await self.transport.call(
                method, path, query=query, headers=self._headers(headers or (_JSON,)), body=body,
                timeout_seconds=self.timeout_seconds,
            )  # fmt: skip
            if reply.status < 400:
                return reply
            error = status_error(reply.status, reply.headers, reply.body)
            asked_to_wait = reply.status == 429 or (reply.status >= 500 and "retry-after" in reply.headers)
            if not asked_to_wait or tries == _TRIES_MAX:
                raise error
            await self.clock.sleep(min(_RETRY_WAIT_SECONDS_MAX, max(1, error.retry_after_seconds)))
        raise AssertionError("unreachable")


def _typed(resource: Resource, obj: Json, subresource: str) -> Json:
    """The object with its apiVersion and kind, which builders may leave out."""
    if "kind" in obj and "apiVersion" in obj:
        return obj
    if subresource and subresource != "status":
        raise ValueError(f"the body for {resource.plural}/{subresource} must state its apiVersion and kind")
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
