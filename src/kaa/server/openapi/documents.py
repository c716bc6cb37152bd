"""The answers under /openapi.

A document is put together from parts, one per group version, each kept as long as the kinds of that group version stay
the same: a custom kind that comes or goes costs its own part and the joining of the others. Documents are named by the
hash of their content, which the index tells, so that clients keep what they have.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from kaa import GIT_VERSION
from kaa.http.api import Answer, Request, Response
from kaa.kinds.registry import Registry
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.openapi import protobuf
from kaa.server.openapi.definitions import Definitions
from kaa.server.openapi.descriptions import Descriptions
from kaa.server.openapi.paths import paths_of, root_path
from kaa.server.request import User

__all__ = ["OpenApi"]

Json = dict[str, Any]
#: What of a document is written at once, before others get the loop.
KINDS_STEP = 2
ENTRIES_STEP = 16

JSON = "application/json"
V2_JSON = "application/com.github.proto-openapi.spec.v2.v1.0+json"
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
#: As the clients write it, whose names are older than the rules for media types.
V2_PROTOBUF_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


@dataclass
class _Part:
    """What one group version adds to a document."""

    kinds: list[KindSpec]
    #: Definitions and paths by name, encoded.
    definitions: dict[str, bytes]
    paths: dict[str, bytes]
    #: The same in the v2 document's protobuf; made on first use.
    packed: tuple[dict[str, bytes], dict[str, bytes]] | None = None


@dataclass(frozen=True)
class _Document:
    body: bytes
    tag: str
    content_type: str = JSON


class OpenApi:
    """The documents under /openapi."""

    def __init__(self, registry: Registry, descriptions: Descriptions | None = None) -> None:
        self._registry = registry
        self._descriptions = descriptions or Descriptions()
        #: Group version -> its part of the v2 document. (A v3 document is its part: nothing is kept beside it.)
        self._parts: dict[str, _Part] = {}
        #: Path -> the v3 document, with the kinds it was made of.
        self._v3: dict[str, tuple[list[KindSpec], _Document]] = {}
        #: Documents about everything ("index", "v2", "v2 protobuf"), with the registry's generation.
        self._whole: dict[str, tuple[int, _Document]] = {}

    def v2(self, request: Request, user: User) -> Answer | Awaitable[Answer]:
        """/openapi/v2: one document for everything."""
        media = _v2_media(request.headers.get("accept", ""))
        name = "v2 protobuf" if media == V2_PROTOBUF else "v2"
        make = self._make_v2_protobuf if media == V2_PROTOBUF else self._make_v2
        return self._of_everything(request, name, make)

    def v3(self, request: Request, user: User) -> Answer | Awaitable[Answer]:
        """/openapi/v3: an index; /openapi/v3/PATH: one group version."""
        path = request.path.rstrip("/")
        if path == "/openapi/v2":
            return self.v2(request, user)
        if path == "/openapi/v3":
            _check_json(request)
            return self._of_everything(request, "index", self._make_index)
        if path.startswith("/openapi/v3/"):
            _check_json(request)
            return self._of_one(request, path[len("/openapi/v3/") :])
        raise errors.not_found_path()

    # -- one group version

    def _of_one(self, request: Request, path: str) -> Answer | Awaitable[Answer]:
        kinds = self._served().get(path)
        if not kinds:
            raise errors.not_found_path()
        kept = self._v3.get(path)
        if kept is not None and kept[0] == kinds:
            return _respond(request, kept[1], path)
        return self._made_and_respond(request, path, kinds)

    async def _made_and_respond(self, request: Request, path: str, kinds: list[KindSpec]) -> Response:
        return _respond(request, await self._document(path, kinds), path)

    async def _document(self, path: str, kinds: list[KindSpec]) -> _Document:
        kept = self._v3.get(path)
        if kept is not None and kept[0] == kinds:
            return kept[1]
        part = await self._write(kinds, v3=True)
        head = {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": GIT_VERSION}}
        body = b'%b,"paths":%b,"components":{"schemas":%b}}' % (
            orjson.dumps(head)[:-1], await _joined(part.paths), await _joined(part.definitions),
        )  # fmt: skip
        document = _Document(body, _hash(body))
        self._v3[path] = (kinds, document)
        return document

    # -- everything

    def _of_everything(self, request: Request, name: str, make: Callable[[], Awaitable[_Document]]) -> (
            Answer | Awaitable[Answer]):  # fmt: skip
        kept = self._whole.get(name)
        if kept is not None and kept[0] == self._registry.generation:
            return _respond(request, kept[1])
        return self._make_whole(request, name, make)

    async def _make_whole(self, request: Request, name: str, make: Callable[[], Awaitable[_Document]]) -> Response:
        generation = self._registry.generation
        document = await make()
        if generation == self._registry.generation:
            self._whole[name] = (generation, document)
        return _respond(request, document)

    async def _make_index(self) -> _Document:
        paths = {}
        served = self._served()
        for path, kinds in sorted(served.items()):
            document = await self._document(path, kinds)
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={document.tag}"}
        body = orjson.dumps({"paths": paths})
        return _Document(body, _hash(body))

    async def _make_v2(self) -> _Document:
        definitions: dict[str, bytes] = {}
        paths: dict[str, bytes] = {}
        for path, kinds in self._served().items():
            part = await self._part(path, kinds)
            definitions.update(part.definitions)
            paths.update(part.paths)
        head = {"swagger": "2.0", "info": {"title": "Kubernetes", "version": GIT_VERSION}}
        body = b'%b,"paths":%b,"definitions":%b}' % (
            orjson.dumps(head)[:-1], await _joined(paths), await _joined(definitions),
        )  # fmt: skip
        return _Document(body, _hash(body))

    async def _make_v2_protobuf(self) -> _Document:
        definitions: dict[str, bytes] = {}
        paths: dict[str, bytes] = {}
        for path, kinds in self._served().items():
            part = await self._part(path, kinds)
            if part.packed is None:
                packed_definitions, packed_paths = {}, {}
                for at, (name, raw) in enumerate(part.definitions.items()):
                    packed_definitions[name] = protobuf.named_schema(name, orjson.loads(raw))
                    if at % ENTRIES_STEP == ENTRIES_STEP - 1:
                        await asyncio.sleep(0)
                for at, (name, raw) in enumerate(part.paths.items()):
                    packed_paths[name] = protobuf.named_path(name, orjson.loads(raw))
                    if at % ENTRIES_STEP == ENTRIES_STEP - 1:
                        await asyncio.sleep(0)
                part.packed = (packed_definitions, packed_paths)
            definitions.update(part.packed[0])
            paths.update(part.packed[1])
        body = protobuf.document(
            "Kubernetes", GIT_VERSION, [paths[name] for name in sorted(paths)],
            [definitions[name] for name in sorted(definitions)],
        )  # fmt: skip
        return _Document(body, _hash(body), V2_PROTOBUF)

    # -- parts

    def _served(self) -> dict[str, list[KindSpec]]:
        """Path of each group version -> its kinds."""
        found: dict[str, list[KindSpec]] = {}
        for spec in self._registry.all():
            group, version = spec.resource.group, spec.resource.version
            found.setdefault(f"apis/{group}/{version}" if group else f"api/{version}", []).append(spec)
        for kept in (self._parts, self._v3):
            for gone in kept.keys() - found.keys():
                del kept[gone]
        return found

    async def _part(self, path: str, kinds: list[KindSpec]) -> _Part:
        kept = self._parts.get(path)
        if kept is None or kept.kinds != kinds:
            kept = self._parts[path] = await self._write(kinds, v3=False)
        return kept

    async def _write(self, kinds: list[KindSpec], *, v3: bool) -> _Part:
        """A group version's definitions and paths; others get the loop in between."""
        if not self._descriptions.read:
            await asyncio.to_thread(self._descriptions.of, "")  # takes longer than the loop may wait
        definitions = Definitions(self._descriptions, v3=v3)
        resource = kinds[0].resource
        root, item = root_path(resource.group, resource.version, definitions)
        paths: dict[str, bytes] = {root: orjson.dumps(item)}
        for at, spec in enumerate(kinds):
            definitions.kind(spec)
            items: dict[str, Json] = {}
            for name, item in paths_of(spec, definitions):
                items.setdefault(name, {}).update(item)
            definitions.finish()
            paths.update({name: orjson.dumps(item) for name, item in items.items()})
            if at % KINDS_STEP == KINDS_STEP - 1:
                await asyncio.sleep(0)
        encoded = {name: orjson.dumps(each) for name, each in definitions.finish().items()}
        return _Part(kinds, encoded, paths)


def _respond(request: Request, document: _Document, path: str = "") -> Response:
    headers = [("Etag", f'"{document.tag}"'), ("Vary", "Accept-Encoding, Accept"), ("Last-Modified", _EPOCH)]
    wanted = request.param("hash") if request.query else ""
    if path and wanted and wanted != document.tag:
        # What the client has heard of is gone: it is told where the present one is.
        headers.append(("Location", f"/openapi/v3/{path}?hash={document.tag}"))
        return Response(301, b"", JSON, headers)
    if wanted:
        # The client asked for this very content: it may keep it as long as it likes.
        headers.append(("Cache-Control", "public, immutable"))
        headers.append(("Expires", _FAR))
    else:
        headers.append(("Cache-Control", "no-cache, private"))
    held = {each.strip().strip('"') for each in request.headers.get("if-none-match", "").split(",")}
    if document.tag in held:
        return Response(304, b"", document.content_type, headers)
    return Response(200, document.body, document.content_type, headers)


_EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"
_FAR = "Fri, 31 Dec 9999 23:59:59 GMT"


def _hash(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest().upper()


async def _joined(entries: dict[str, bytes]) -> bytes:
    """A JSON object of encoded values, in the order of their names."""
    pieces = []
    for at, name in enumerate(sorted(entries)):
        pieces.append(orjson.dumps(name) + b":" + entries[name])
        if at % ENTRIES_STEP == ENTRIES_STEP - 1:
            await asyncio.sleep(0)
    return b"{" + b",".join(pieces) + b"}"


def _clauses(accept: str) -> list[str]:
    return [clause.partition(";")[0].strip() for clause in accept.split(",")] if accept else [JSON]


def _v2_media(accept: str) -> str:
    for media in _clauses(accept):
        if media in (V2_PROTOBUF, V2_PROTOBUF_ASKED):
            return V2_PROTOBUF
        if media in (JSON, V2_JSON, "application/*", "*/*"):
            return JSON
    raise errors.not_acceptable((JSON, V2_PROTOBUF_ASKED))


def _check_json(request: Request) -> None:
    for media in _clauses(request.headers.get("accept", "")):
        if media in (JSON, "application/*", "*/*"):
            return
    # kubectl and client-go ask for v3 in JSON; the protobuf form of v3 is not served.
    raise errors.not_acceptable((JSON,))
