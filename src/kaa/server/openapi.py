"""OpenAPI v2 and v3, derived from the registry: what clients validate against and explain from.

The documents hold the structure (types, required, list types, merge keys, kinds), made when first asked for and kept
by the registry's generation. Descriptions are not part of the package.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Iterator
from typing import Any

import orjson

from kaa import GIT_VERSION
from kaa.http.api import Answer, Request, Response
from kaa.kinds.registry import Registry
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.meta.schema import Schema
from kaa.server.request import User

__all__ = ["OpenApi"]

Json = dict[str, Any]

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
#: Kinds written before the loop is given to others.
SPECS_STEP = 8
METHODS = {
    "list": ("get", "collection"),
    "create": ("post", "collection"),
    "deletecollection": ("delete", "collection"),
    "get": ("get", "object"),
    "update": ("put", "object"),
    "patch": ("patch", "object"),
    "delete": ("delete", "object"),
}
PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json",
               "application/strategic-merge-patch+json", "application/apply-patch+yaml")  # fmt: skip


class OpenApi:
    """The documents under /openapi."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: dict[tuple[int, str], tuple[bytes, str]] = {}

    def v2(self, request: Request, user: User) -> Answer | Awaitable[Answer]:
        """/openapi/v2: one document for everything."""
        return self._answer(request, "v2")

    def v3(self, request: Request, user: User) -> Answer | Awaitable[Answer]:
        """/openapi/v3: an index; /openapi/v3/PATH: one group version."""
        path = request.path.rstrip("/")
        if path == "/openapi/v2":
            return self.v2(request, user)
        if path == "/openapi/v3":
            return self._answer(request, "v3")
        if path.startswith("/openapi/v3/"):
            return self._answer(request, path[len("/openapi/v3/") :])
        raise errors.not_found_path()

    def _answer(self, request: Request, name: str) -> Answer | Awaitable[Answer]:
        accept = request.headers.get("accept", "")
        if accept and "json" not in accept and "*/*" not in accept and "application/*" not in accept:
            raise errors.not_acceptable(("application/json",))
        kept = self._kept.get((self._registry.generation, name))
        return self._make_and_respond(request, name) if kept is None else self._respond(request, kept)

    async def _make_and_respond(self, request: Request, name: str) -> Response:
        return self._respond(request, await self._ensure(name))

    @staticmethod
    def _respond(request: Request, kept: tuple[bytes, str]) -> Response:
        body, tag = kept
        headers = [("Etag", f'"{tag}"'), ("Vary", "Accept-Encoding, Accept")]
        wanted = request.param("hash") if request.query else ""
        if wanted == tag:
            # The client asked for this very content: it may keep it as long as it likes.
            headers.append(("Cache-Control", "public, immutable"))
        if request.headers.get("if-none-match", "").strip('"') == tag:
            return Response(304, b"", "application/json", headers)
        return Response(200, body, "application/json", headers)

    async def _ensure(self, name: str) -> tuple[bytes, str]:
        """A document and its tag, made if need be; others get the loop in between."""
        key = (self._registry.generation, name)
        kept = self._kept.get(key)
        if kept is None:
            body = orjson.dumps(await self._make(name))
            kept = (body, hashlib.sha256(body).hexdigest()[:64].upper())
            if key[0] == self._registry.generation:
                for old in [each for each in self._kept if each[0] != key[0]]:
                    del self._kept[old]
                self._kept[key] = kept
        return kept

    async def _make(self, name: str) -> Json:
        if name == "v2":
            return await self._v2()
        versions = {self._path_of(group.name, version): (group.name, version)
                    for group in self._registry.groups() for version in group.versions}  # fmt: skip
        if name == "v3":
            paths = {}
            for path in sorted(versions):
                # Each document is named by its own tag, so that clients may keep what they have.
                _, tag = await self._ensure(path)
                paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={tag}"}
                await asyncio.sleep(0)
            return {"paths": paths}
        if name not in versions:
            raise errors.not_found_path()
        group, version = versions[name]
        return self._v3(group, version)

    @staticmethod
    def _path_of(group: str, version: str) -> str:
        return f"apis/{group}/{version}" if group else f"api/{version}"

    def _v3(self, group: str, version: str) -> Json:
        specs = self._registry.of(group, version)
        writer = _Definitions("#/components/schemas/", v3=True)
        paths: Json = {}
        for spec in specs:
            writer.add_root(spec)
            for path, item in _paths(spec, writer):
                paths.setdefault(path, {}).update(item)
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": GIT_VERSION},
            "paths": dict(sorted(paths.items())),
            "components": {"schemas": dict(sorted(writer.finish().items()))},
        }

    async def _v2(self) -> Json:
        writer = _Definitions("#/definitions/", v3=False)
        paths: Json = {}
        for at, spec in enumerate(self._registry.all()):
            writer.add_root(spec)
            for path, item in _paths(spec, writer):
                paths.setdefault(path, {}).update(item)
            writer.finish()
            if at % SPECS_STEP == SPECS_STEP - 1:
                await asyncio.sleep(0)
        return {
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": GIT_VERSION},
            "paths": dict(sorted(paths.items())),
            "definitions": dict(sorted(writer.finish().items())),
        }


class _Definitions:
    """Writes schemas as named definitions, each once."""

    def __init__(self, prefix: str, *, v3: bool) -> None:
        self._prefix = prefix
        self._v3 = v3
        self._done: Json = {}
        self._pending: list[Schema] = []
        self._kinds: dict[str, list[Json]] = {}

    def add_root(self, spec: KindSpec) -> str:
        """The definition's name of a kind, marked as what it is."""
        name = root_name(spec)
        schema = spec.schema
        resource = spec.resource
        marks = self._kinds.setdefault(name, [])
        mark = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        if mark not in marks:
            marks.append(mark)
        self._queue(name, schema)
        return name

    def ref(self, name: str) -> Json:
        """A reference to a definition."""
        return {"$ref": self._prefix + name}

    def finish(self) -> Json:
        """All definitions that were reached."""
        while self._pending:
            schema = self._pending.pop()
            self._done[schema.ref] = self._body(schema)
        for name, marks in self._kinds.items():
            if name in self._done:
                self._done[name]["x-kubernetes-group-version-kind"] = marks
        return self._done

    def _queue(self, name: str, schema: Schema) -> None:
        if name not in self._done:
            self._done[name] = None
            if schema.ref == name:
                self._pending.append(schema)
            else:
                self._done[name] = self._body(schema)

    def write(self, schema: Schema) -> Json:
        """A field's schema: a reference where it has a name, else its body."""
        if schema.ref:
            self._queue(schema.ref, schema)
            return self.ref(schema.ref)
        return self._body(schema)

    def _body(self, schema: Schema) -> Json:
        body: Json = {}
        if schema.format == "int-or-string":
            if self._v3:
                body = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
            else:
                body = {"type": "string", "format": "int-or-string"}
        elif schema.format == "quantity":
            body = {"oneOf": [{"type": "string"}, {"type": "number"}]} if self._v3 else {"type": "string"}
        else:
            if schema.type:
                body["type"] = schema.type
            if schema.format:
                body["format"] = schema.format
        if schema.fields:
            body["properties"] = {name: self._field(each) for name, each in sorted(schema.fields.items())}
        if schema.required:
            body["required"] = sorted(schema.required)
        if schema.items is not None:
            body["items"] = self._field(schema.items)
        if schema.values is not None:
            body["additionalProperties"] = self._field(schema.values)
        if schema.enum:
            body["enum"] = list(schema.enum)
        if schema.preserve_unknown:
            body["x-kubernetes-preserve-unknown-fields"] = True
        if schema.embedded:
            body["x-kubernetes-embedded-resource"] = True
        if schema.list_type:
            body["x-kubernetes-list-type"] = schema.list_type
        if schema.list_map_keys:
            body["x-kubernetes-list-map-keys"] = list(schema.list_map_keys)
        if schema.atomic_map:
            body["x-kubernetes-map-type"] = "atomic"
        if schema.patch_merge_key:
            body["x-kubernetes-patch-merge-key"] = schema.patch_merge_key
        if schema.patch_strategy:
            body["x-kubernetes-patch-strategy"] = ",".join(schema.patch_strategy)
        return body

    def _field(self, schema: Schema) -> Json:
        """A field with its merge rules: beside a reference these go into the same object (v2) or an allOf (v3)."""
        if not schema.ref:
            return self._body(schema)
        self._queue(schema.ref, schema)
        if not self._v3:
            return self.ref(schema.ref)
        field: Json = {"allOf": [self.ref(schema.ref)]}
        if schema.default is not None:
            field["default"] = schema.default
        return field


def root_name(spec: KindSpec) -> str:
    """The name of a kind's definition."""
    if spec.schema.ref:
        return spec.schema.ref
    resource = spec.resource
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def _paths(spec: KindSpec, writer: _Definitions) -> Iterator[tuple[str, Json]]:
    resource = spec.resource
    base = resource.root
    if spec.namespaced:
        base += "/namespaces/{namespace}"
    collection, single = f"{base}/{resource.plural}", f"{base}/{resource.plural}/{{name}}"
    items: dict[str, Json] = {}
    for verb, (method, place) in METHODS.items():
        if verb in spec.verbs:
            path = collection if place == "collection" else single
            items.setdefault(path, {})[method] = _operation(spec, verb, method, writer)
    for name in spec.subresources:
        if name == "status":
            for verb in ("get", "update", "patch"):
                method = METHODS[verb][0]
                items.setdefault(f"{single}/status", {})[method] = _operation(spec, verb, method, writer)
    for path, item in items.items():
        item["parameters"] = [_path_parameter(name, writer) for name in ("name", "namespace") if f"{{{name}}}" in path]
        yield path, item


def _path_parameter(name: str, writer: _Definitions) -> Json:
    parameter: Json = {"name": name, "in": "path", "required": True}
    if writer._v3:
        parameter["schema"] = {"type": "string", "uniqueItems": True}
    else:
        parameter.update({"type": "string", "uniqueItems": True})
    return parameter


#: kubectl looks for these two on a patch to learn whether the server can dry-run and validate fields.
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")


def _operation(spec: KindSpec, verb: str, method: str, writer: _Definitions) -> Json:
    resource = spec.resource
    root = writer.ref(root_name(spec))
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    operation: Json = {
        "operationId": f"{verb}{resource.group.replace('.', '')}{resource.version}{resource.kind}",
        "x-kubernetes-action": {"create": "post", "update": "put"}.get(verb, verb),
        "x-kubernetes-group-version-kind": gvk,
    }
    parameters: list[Json] = []
    if verb in ("create", "update", "patch"):
        names = _WRITE_PARAMETERS + (("force",) if verb == "patch" else ())
        for name in names:
            kind = "boolean" if name == "force" else "string"
            parameter: Json = {"name": name, "in": "query"}
            parameter.update({"schema": {"type": kind}} if writer._v3 else {"type": kind})
            parameters.append(parameter)
        if writer._v3:
            types = PATCH_TYPES if verb == "patch" else ("application/json", "application/yaml")
            schema = {"type": "object"} if verb == "patch" else root
            operation["requestBody"] = {"required": True, "content": {each: {"schema": schema} for each in types}}
        else:
            parameters.append({"name": "body", "in": "body", "required": True,
                               "schema": {"type": "object"} if verb == "patch" else root})  # fmt: skip
            if verb == "patch":
                operation["consumes"] = list(PATCH_TYPES)
    if parameters:
        operation["parameters"] = parameters
    code = "201" if verb == "create" else "200"
    answer: Json = {"description": "OK"}
    if writer._v3:
        answer["content"] = {"application/json": {"schema": root}}
    else:
        answer["schema"] = root
    operation["responses"] = {code: answer, "401": {"description": "Unauthorized"}}
    return operation
