"""An informer as clients in Go have it, in protobuf: what is there, then each change, on as many streams as it takes.

It asserts what such clients take for granted: objects come once, revisions grow, what is changed or deleted was known,
bookmarks lie, a list and the watch after it leave no gap.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from tests.kinds import wire_client as wire
from tests.server.test_protobuf import PROTOBUF, message_of, unpacked
from tests.server.world import Api

Json = dict[str, Any]
Key = tuple[str, str]
END_MARK = "k8s.io/initial-events-end"


class Gone(Exception):
    """410: what is known is too old, begin again."""


def key_of(obj: Json) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def revision_of(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])


def unpacked_list(body: bytes) -> tuple[Json, list[Json]]:
    """Its metadata and its objects; lists of all kinds have the same two fields."""
    api_version, kind, raw = wire.opened(body)
    inside = wire.parts(raw)
    [metadata] = [wire.read(wire.META + "ListMeta", part) for at, part in inside if at == 1]
    message = message_of(api_version, kind.removesuffix("List"))
    return metadata, [wire.read(message, part) for at, part in inside if at == 2]


class Informer:
    """Follows one collection of one kind. `streaming` begins with a watch (sendInitialEvents), else with a list."""

    def __init__(self, api: Api, path: str, *, streaming: bool, page: int = 0, **selectors: str) -> None:
        self.api, self.path, self.streaming, self.page, self.selectors = api, path, streaming, page, selectors
        self.items: dict[Key, Json] = {}
        self.revision = 0
        self.told: list[tuple[str, Key, int]] = []
        self.begun = self.relists = self.resumed = self.bookmarks = 0
        self.synced = asyncio.Event()
        self.online = asyncio.Event()  # unset: without a network, once the stream has ended
        self.online.set()
        self.task: asyncio.Task[None]
        self._stream: Any = None

    async def run(self) -> None:
        """For ever; cancel it."""
        fresh = False
        while True:
            try:
                if not self.revision:
                    await (self._begin_streaming() if self.streaming else self._begin_listing(fresh))
                    if not self.revision:
                        continue  # the stream ended too soon
                    self.begun += 1
                    self.synced.set()
                await self.online.wait()
                self.resumed += 1
                await self._follow(str(self.revision))
            except Gone:
                self.relists += 1
                self.revision, fresh = 0, True

    async def drop(self) -> None:
        """Lose the connection."""
        if self._stream is not None:
            await self._stream.aclose()

    async def _begin_listing(self, fresh: bool) -> None:
        """The first list may be as old as the server likes; after 410 it has to be the newest, in pages."""
        found: dict[Key, Json] = {}
        query = {"limit": str(self.page)} if self.page and fresh else {"resourceVersion": "" if fresh else "0"}
        while True:
            answer = await self.api.get(self.path, accept=PROTOBUF, **{**query, **self.selectors})
            if answer.code == 410:
                raise Gone
            assert answer.code == 200, answer.body
            metadata, objects = unpacked_list(answer.body)
            for obj in objects:
                assert key_of(obj) not in found, "twice in one list"
                found[key_of(obj)] = obj
            onward = metadata.get("continue", "")
            if not onward:
                break
            query = {"limit": str(self.page), "continue": onward}
        self._replace(found, int(metadata["resourceVersion"]))

    async def _begin_streaming(self) -> None:
        found: dict[Key, Json] = {}
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "resourceVersion": ""}
        async for kind, obj in self._events(query):
            if kind == "BOOKMARK" and (obj["metadata"].get("annotations") or {}).get(END_MARK) == "true":
                self._replace(found, revision_of(obj))
                return
            assert kind == "ADDED" and key_of(obj) not in found, (kind, obj["metadata"])
            found[key_of(obj)] = obj

    def _replace(self, found: dict[Key, Json], revision: int) -> None:
        for key, obj in found.items():
            if key in self.items:
                assert revision_of(obj) >= revision_of(self.items[key]), "older than what was known"
            assert revision_of(obj) <= revision
        self.items, self.revision = found, revision

    async def _follow(self, since: str) -> None:
        """Until the stream ends."""
        async for kind, obj in self._events({"resourceVersion": since}):
            revision = revision_of(obj)
            assert revision > self.revision or (kind == "BOOKMARK" and revision == self.revision), "back in time"
            self.revision = revision
            if kind == "BOOKMARK":
                self.bookmarks += 1
                continue
            key = key_of(obj)
            assert (key in self.items) == (kind != "ADDED"), (kind, key)
            if kind == "DELETED":
                assert self.items.pop(key)["metadata"]["uid"] == obj["metadata"]["uid"]
            else:
                self.items[key] = obj
            self.told.append((kind, key, revision))

    async def _events(self, query: dict[str, str]) -> AsyncIterator[tuple[str, Json]]:
        asked = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": "300", **self.selectors, **query}
        self._stream = await self.api.transport.stream(
            "GET", self.path, query=urlencode(asked), headers=[("Accept", PROTOBUF)]
        )
        try:
            assert self._stream.status == 200
            assert self._stream.headers["content-type"] == f"{PROTOBUF};stream=watch"
            held = b""
            async for chunk in self._stream.chunks():
                held += chunk
                while len(held) >= 4 and len(held) >= 4 + (size := struct.unpack(">I", held[:4])[0]):
                    event = dict(wire.parts(held[4 : 4 + size]))
                    held = held[4 + size :]
                    kind, obj = event[1].decode(), unpacked(dict(wire.parts(event[2]))[1])
                    if kind == "ERROR":
                        assert obj["code"] == 410 and obj["reason"] == "Expired", obj
                        raise Gone
                    yield kind, obj
        finally:
            await self._stream.aclose()
