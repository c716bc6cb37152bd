"""How an object leaves: JSON as it is stored, protobuf, a table, its metadata alone, or YAML; and which was asked for.

A form turns entries of the cache into bytes. The JSON form passes on what the cache holds; the others are made when
asked for.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

import orjson

from kaa.http.api import Response
from kaa.kinds import protobuf
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.cache import Cached

__all__ = ["JSON", "Form", "TableForm", "choose", "render", "render_list", "render_object", "render_status"]

Json = dict[str, Any]

JSON_TYPE = "application/json"
_META = "meta.k8s.io/v1"
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
YAML_TYPE = "application/yaml"
#: A list leaves in pieces of this many objects, so that no piece is large and nothing is joined twice.
PIECE_OBJECTS = 128
#: Lists up to this long are made at once.
AT_ONCE_OBJECTS = 512


class Form(Protocol):
    """One way to write objects. `key` tells forms apart where their bytes are kept."""

    key: Any
    content_type: str

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """One object, as the answer to a get or a write."""

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json) -> Iterable[bytes]:
        """A list, as pieces of one body, each made when it is asked for; an empty piece is a place to pause."""

    def event(self, spec: KindSpec, cached: Cached) -> bytes:
        """The object of a watch event."""

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """An object that is not in the cache: a dry run's answer, a review, a status."""


def wire_of(spec: KindSpec, cached: Cached) -> bytes:
    """The entry's JSON in the version that `spec` serves."""
    if cached.spec is spec or spec.conversion is None:
        return cached.wire
    convert = spec.conversion.from_stored
    return cached.form(spec.resource, lambda entry: orjson.dumps(convert(entry.decode())))


class JsonForm:
    """The stored bytes, passed on."""

    key: Any = "json"
    content_type = JSON_TYPE

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """As it is held."""
        return wire_of(spec, cached)

    event = one

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json) -> Iterable[bytes]:
        """As they are held, with commas between them."""
        head = orjson.dumps({"kind": spec.resource.list_kind, "apiVersion": spec.resource.api_version,
                             "metadata": metadata})[:-1] + b',"items":['  # fmt: skip
        yield head
        for start in range(0, len(objects), PIECE_OBJECTS):
            if start:
                yield b","
            yield b",".join([wire_of(spec, each) for each in objects[start : start + PIECE_OBJECTS]])
        yield b"]}\n"

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """Encoded."""
        return orjson.dumps(obj)


class PrettyForm(JsonForm):
    """JSON with indents, for people with curl (`?pretty=true`)."""

    key: Any = "pretty"

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """Indented."""
        return _indent(wire_of(spec, cached))

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json) -> Iterable[bytes]:
        """Indented; decoded once, since it is for people."""
        return [_indent(b"".join(super().listing(spec, objects, metadata)))]

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """Indented."""
        return orjson.dumps(obj, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _indent(wire: bytes) -> bytes:
    return orjson.dumps(orjson.loads(wire), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


class YamlForm:
    """YAML, for people: any of the forms in JSON, rewritten."""

    content_type = YAML_TYPE

    def __init__(self, inner: Form) -> None:
        self._inner = inner
        self.key: Any = ("yaml", inner.key)

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """As YAML."""
        return to_yaml(orjson.loads(self._inner.one(spec, cached)))

    event = one

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json) -> Iterable[bytes]:
        """As YAML."""
        return [to_yaml(orjson.loads(b"".join(self._inner.listing(spec, objects, metadata))))]

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """As YAML."""
        return to_yaml(orjson.loads(self._inner.plain(spec, obj)))


def to_yaml(obj: Json) -> bytes:
    """Block style, keys sorted, as people know it."""
    import yaml  # not on the path of programs, so not at start

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: bytes = yaml.dump(obj, Dumper=dumper, default_flow_style=False, encoding="utf-8", allow_unicode=True)
    return text


class PartialForm:
    """`PartialObjectMetadata`: metadata and nothing else."""

    key: Any = "partial"
    content_type = JSON_TYPE
    _one = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":%b}'

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """The metadata's bytes in their envelope."""
        return cached.form("partial", lambda entry: self._one % entry.metadata_wire)

    event = one

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json) -> Iterable[bytes]:
        """A `PartialObjectMetadataList`."""
        head = orjson.dumps({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                             "metadata": metadata})[:-1] + b',"items":['  # fmt: skip
        yield head
        for start in range(0, len(objects), PIECE_OBJECTS):
            if start:
                yield b","
            yield b",".join([self.one(spec, each) for each in objects[start : start + PIECE_OBJECTS]])
        yield b"]}\n"

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """Cut down, unless it is a Status."""
        if obj.get("kind") == "Status":
            return orjson.dumps(obj)
        return self._one % orjson.dumps(obj.get("metadata") or {})


class TableForm:
    """`Table`: the cells that `kubectl get` prints, worked out here so that every client prints the same.

    `include` says what comes with each row: "Metadata" (the default), "Object" or "None". Cells such as AGE depend on
    the time, so rows are made anew for each answer.
    """

    content_type = JSON_TYPE

    def __init__(self, include: str, now: Callable[[], float]) -> None:
        self.include = include or "Metadata"
        self.key: Any = ("table", self.include)
        self._now = now

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """A table of one row."""
        return b"".join(self._table(spec, [cached], {"resourceVersion": str(cached.revision)}, columns=True))

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json) -> Iterable[bytes]:
        """A table of all rows."""
        return self._table(spec, objects, metadata, columns=True)

    def event(self, spec: KindSpec, cached: Cached) -> bytes:
        """A table of one row without the column definitions: the watch sends those once, with its first event."""
        return b"".join(self._table(spec, [cached], {"resourceVersion": str(cached.revision)}, columns=False))

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """A table of one row, unless it is a Status."""
        if obj.get("kind") == "Status":
            return orjson.dumps(obj)
        row: Json = {"cells": spec.cells(obj, self._now())}
        if self.include != "None":
            row["object"] = obj if self.include == "Object" else {
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"],
            }  # fmt: skip
        return orjson.dumps({
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
            "columnDefinitions": column_definitions(spec), "rows": [row],
        })  # fmt: skip

    def _table(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json, *, columns: bool) -> Iterator[bytes]:
        now = self._now()
        definitions = column_definitions(spec) if columns else None
        head = orjson.dumps({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                             "columnDefinitions": definitions})[:-1] + b',"rows":['  # fmt: skip
        yield head
        for start in range(0, len(objects), PIECE_OBJECTS):
            if start:
                yield b","
            yield b",".join([self._row(spec, each, now) for each in objects[start : start + PIECE_OBJECTS]])
        yield b"]}\n"

    def _row(self, spec: KindSpec, cached: Cached, now: float) -> bytes:
        cells = orjson.dumps(spec.cells(orjson.loads(wire_of(spec, cached)), now), default=str)
        if self.include == "None":
            return b'{"cells":%b}' % cells
        if self.include == "Object":
            return b'{"cells":%b,"object":%b}' % (cells, wire_of(spec, cached))
        return b'{"cells":%b,"object":%b}' % (cells, PARTIAL.one(spec, cached))


class ProtobufForm:
    """Protobuf in its envelope, for built-in kinds: what clients in Go ask for. Made once per revision."""

    key: Any = "protobuf"
    content_type = PROTOBUF_TYPE

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """The object in its envelope."""
        return cached.form(
            (self.key, spec.resource), lambda entry: self._enveloped(spec, orjson.loads(wire_of(spec, entry)))
        )

    event = one

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json) -> Iterable[bytes]:
        """The list message: its metadata, then each item without an envelope."""
        items: list[bytes] = []
        for start in range(0, len(objects), PIECE_OBJECTS):
            items += [self._raw(spec, each) for each in objects[start : start + PIECE_OBJECTS]]
            yield b""
        raw = protobuf.encode_list(metadata, items)
        yield protobuf.encode_envelope(spec.resource.api_version, spec.resource.list_kind, raw)

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """An object of any built-in kind, by what it says it is."""
        return self._enveloped(spec, obj)

    def _raw(self, spec: KindSpec, cached: Cached) -> bytes:
        return cached.form(("protobuf-raw", spec.resource), lambda entry: protobuf.encode(
            spec.protobuf, orjson.loads(wire_of(spec, entry))))  # fmt: skip

    def _enveloped(self, spec: KindSpec, obj: Json) -> bytes:
        kind, api_version = obj.get("kind", spec.kind), obj.get("apiVersion", spec.api_version)
        message = spec.protobuf
        if (kind, api_version) != (spec.kind, spec.api_version):
            message = protobuf.message_of(api_version, kind)
        return protobuf.encode_envelope(api_version, kind, protobuf.encode(message, obj))


class PartialProtobufForm(ProtobufForm):
    """`PartialObjectMetadata` in protobuf: what metadata informers in Go ask for, of custom resources too."""

    key: Any = "partial-protobuf"

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """The metadata in its envelope."""
        return cached.form(self.key, lambda entry: self._partial(orjson.loads(entry.metadata_wire)))

    event = one

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json) -> Iterable[bytes]:
        """A `PartialObjectMetadataList`."""
        message = protobuf.message_of(_META, "PartialObjectMetadata")
        items: list[bytes] = []
        for start in range(0, len(objects), PIECE_OBJECTS):
            items += [protobuf.encode(message, {"metadata": orjson.loads(each.metadata_wire)})
                      for each in objects[start : start + PIECE_OBJECTS]]  # fmt: skip
            yield b""
        yield protobuf.encode_envelope(_META, "PartialObjectMetadataList", protobuf.encode_list(metadata, items))

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """Cut down, unless it is a Status."""
        return self._enveloped(spec, obj) if obj.get("kind") == "Status" else self._partial(obj.get("metadata") or {})

    @staticmethod
    def _partial(metadata: Json) -> bytes:
        kind = "PartialObjectMetadata"
        raw = protobuf.encode(protobuf.message_of(_META, kind), {"metadata": metadata})
        return protobuf.encode_envelope(_META, kind, raw)


def column_definitions(spec: KindSpec) -> list[Json]:
    """The columns of a kind as a table states them."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in spec.columns
    ]


JSON, PRETTY, PARTIAL, PROTOBUF = JsonForm(), PrettyForm(), PartialForm(), ProtobufForm()
YAML, PARTIAL_YAML, PARTIAL_PROTOBUF = YamlForm(JSON), YamlForm(PARTIAL), PartialProtobufForm()


_MEDIA = {
    "application/json": "json", "application/*": "json", "*/*": "json", "": "json",
    "application/yaml": "yaml", "application/x-yaml": "yaml", "text/yaml": "yaml",
    PROTOBUF_TYPE: "protobuf",
}  # fmt: skip
_SHAPES = {"Table": "table", "PartialObjectMetadata": "partial", "PartialObjectMetadataList": "partial"}


@lru_cache(maxsize=512)
def _wanted(accept: str) -> tuple[tuple[str, str], ...]:
    """What a client accepts, best first: (shape, media), shapes "", "table" and "partial", media "json", "yaml" and
    "protobuf". Empty: none.

    A clause that cannot be met is passed over: a table has no protobuf form, other shapes do not exist.
    """
    found: list[tuple[float, int, tuple[str, str]]] = []
    for position, clause in enumerate(accept.split(",")):
        media, *parameters = (part.strip() for part in clause.split(";"))
        values = dict(parameter.partition("=")[::2] for parameter in parameters)
        try:
            quality = float(values.get("q", "1"))
        except ValueError:
            quality = 0.0
        base = _MEDIA.get(media.lower())
        if base is None:
            continue
        shape = ""
        if values.get("as"):
            shape = _SHAPES.get(values["as"], "")
            meant = values.get("g") == "meta.k8s.io" and values.get("v") in ("v1", "v1beta1")
            if not shape or not meant or (shape == "table" and base == "protobuf"):
                continue
        found.append((-quality, position, (shape, base)))
    return tuple(wanted for _, _, wanted in sorted(found))


_PRETTY = re.compile(r"(?:^|&)pretty=(?:1|t|T|true|True|TRUE)(?:&|$)")
SERVED = (JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE)


def choose(accept: str, query: str, include: Callable[[], str], now: Callable[[], float],
           has_protobuf: bool = True) -> Form:  # fmt: skip
    """The form of the answer. Raises 406 when nothing the client accepts is served.

    `query` tells whether `pretty` is worth looking for; `include` reads the `includeObject` parameter.
    """
    if not accept or accept == JSON_TYPE or accept == "*/*":
        return PRETTY if "pretty=" in query and _PRETTY.search(query) else JSON
    wanted = _wanted(accept)
    if not has_protobuf:  # custom resources have no messages, but their metadata has
        wanted = tuple(each for each in wanted if each != ("", "protobuf"))
    if not wanted:
        raise errors.not_acceptable(SERVED)
    shape, media = wanted[0]
    if shape == "table":
        chosen = include()
        if chosen not in ("", "None", "Metadata", "Object"):
            raise errors.bad_request(f'unrecognized includeObject value: "{chosen}": use None, Metadata or Object')
        table = TableForm(chosen, now)
        return YamlForm(table) if media == "yaml" else table
    if shape == "partial":
        return {"json": PARTIAL, "yaml": PARTIAL_YAML, "protobuf": PARTIAL_PROTOBUF}[media]
    if media == "json":
        return PRETTY if "pretty=" in query and _PRETTY.search(query) else JSON
    return PROTOBUF if media == "protobuf" else YAML


def render_object(form: Form, spec: KindSpec, cached: Cached, status: int = 200,
                  headers: Iterable[tuple[str, str]] = ()) -> Response:  # fmt: skip
    """An object of the cache as an answer."""
    return Response(status, form.one(spec, cached), form.content_type, tuple(headers))


def render_list(form: Form, spec: KindSpec, objects: Sequence[Cached], metadata: Json,
                headers: Iterable[tuple[str, str]] = ()) -> Response | Awaitable[Response]:  # fmt: skip
    """A list as an answer, in pieces. A long one that has to be made first is made in steps, so others get the loop."""
    pieces = form.listing(spec, objects, metadata)
    if form is JSON or len(objects) <= AT_ONCE_OBJECTS:
        return Response(200, list(pieces), form.content_type, tuple(headers))
    return _in_steps(pieces, form.content_type, tuple(headers))


async def _in_steps(pieces: Iterable[bytes], content_type: str, headers: tuple[tuple[str, str], ...]) -> Response:
    made = []
    for piece in pieces:
        made.append(piece)
        await asyncio.sleep(0)
    return Response(200, made, content_type, headers)


def render(obj: Json, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """A plain object as JSON."""
    return Response(status, orjson.dumps(obj), JSON_TYPE, tuple(headers))


def render_status(error: errors.StatusError, accept: str = "") -> Response:
    """A refusal as an answer, in the form the client accepts, or in JSON: the one place where errors become bytes."""
    headers: list[tuple[str, str]] = []
    if error.retry_after_seconds:
        headers.append(("Retry-After", str(error.retry_after_seconds)))
    if error.code == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="kubernetes"'))
    status = error.to_status()
    media = next((media for shape, media in _wanted(accept) if not shape), "json") if accept else "json"
    if media == "protobuf":
        raw = protobuf.encode(protobuf.message_of("v1", "Status"), status)
        return Response(error.code, protobuf.encode_envelope("v1", "Status", raw), PROTOBUF_TYPE, tuple(headers))
    if media == "yaml":
        return Response(error.code, to_yaml(status), YAML_TYPE, tuple(headers))
    return render(status, error.code, headers)
