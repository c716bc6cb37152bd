"""JSON as it is stored, and its metadata alone."""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import orjson

from kaa.http.api import Pieces
from kaa.kinds.spec import KindSpec
from kaa.server.cache import Cached, Entries
from kaa.server.forms.accept import JSON_TYPE
from kaa.server.forms.api import PIECE_OBJECTS, Json, items, items_length, wire_of

__all__ = ["JSON", "PARTIALS", "JsonForm", "PartialForm"]


_WIRE: Callable[[Cached], bytes] = attrgetter("wire")


class JsonForm:
    """The stored bytes, passed on."""

    key: Any = "json"
    content_type = JSON_TYPE
    step = PIECE_OBJECTS

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """As it is held."""
        return wire_of(spec, cached)

    event = one

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json, step: int = 0) -> Iterable[bytes]:
        """As they are held, with commas between them."""
        head = {"kind": spec.resource.list_kind, "apiVersion": spec.resource.api_version, "metadata": metadata}
        step = step or self.step
        if spec.conversion is not None or spec.custom:  # each object is asked in which version it is
            return items(head, b"items", objects, step, lambda each: wire_of(spec, each))
        size = objects.wire_bytes if isinstance(objects, Entries) else sum([len(each.wire) for each in objects])
        length = items_length(head, b"items", len(objects), size)
        return Pieces(length, items(head, b"items", objects, step, _WIRE))

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """Encoded."""
        return orjson.dumps(obj)


class PartialForm:
    """`PartialObjectMetadata`: metadata and nothing else."""

    content_type = JSON_TYPE
    step = PIECE_OBJECTS

    def __init__(self, version: str) -> None:
        self.api_version = f"meta.k8s.io/{version}"
        self.key: Any = ("partial", version)
        self._one = b'{"kind":"PartialObjectMetadata","apiVersion":"%b","metadata":%%b}' % self.api_version.encode()

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """The metadata's bytes in their envelope."""
        return cached.form(self.key, lambda entry: self._one % entry.metadata_wire)

    event = one

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json, step: int = 0) -> Iterable[bytes]:
        """A `PartialObjectMetadataList`."""
        head = {"kind": "PartialObjectMetadataList", "apiVersion": self.api_version, "metadata": metadata}
        return items(head, b"items", objects, step or self.step, lambda each: self.one(spec, each))

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """Cut down, unless it is a Status."""
        if obj.get("kind") == "Status":
            return orjson.dumps(obj)
        return self._one % orjson.dumps(obj.get("metadata") or {})


JSON = JsonForm()
#: By the version of meta.k8s.io.
PARTIALS = {version: PartialForm(version) for version in ("v1", "v1beta1")}
