"""Protobuf, of objects and of their metadata alone."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from kaa.kinds import protobuf
from kaa.kinds.spec import KindSpec
from kaa.server.cache import Cached
from kaa.server.forms.accept import PROTOBUF_TYPE
from kaa.server.forms.api import MADE_OBJECTS, PIECE_OBJECTS, Json, wire_of

__all__ = ["PROTOBUF", "PROTOBUF_PARTIALS", "PartialProtobufForm", "ProtobufForm"]


class ProtobufForm:
    """Protobuf in its envelope, for built-in kinds: what clients in Go ask for. Made once per revision."""

    key: Any = "protobuf"
    content_type = PROTOBUF_TYPE
    step = MADE_OBJECTS

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """The object in its envelope."""
        return cached.form(
            (self.key, spec.resource), lambda entry: self._enveloped(spec, orjson.loads(wire_of(spec, entry)))
        )

    event = one

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json, step: int = 0) -> Iterable[bytes]:
        """The list message: its metadata, then each item without an envelope."""
        items: list[bytes] = []
        step = step or self.step
        for start in range(0, len(objects), step):
            items += [self._raw(spec, each) for each in objects[start : start + step]]
            yield b""
        raw = protobuf.encode_list(metadata, items)
        yield protobuf.encode_envelope(*self._list_type(spec), raw)

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """An object of any built-in kind, by what it says it is."""
        return self._enveloped(spec, obj)

    def _list_type(self, spec: KindSpec) -> tuple[str, str]:
        return spec.resource.api_version, spec.resource.list_kind

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

    step = PIECE_OBJECTS

    def __init__(self, version: str) -> None:
        self.api_version = f"meta.k8s.io/{version}"
        self.key = ("partial-protobuf", version)

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """The metadata in its envelope."""
        return protobuf.encode_envelope(self.api_version, "PartialObjectMetadata", self._raw(spec, cached))

    event = one

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """Cut down, unless it is a Status."""
        if obj.get("kind") == "Status":
            return self._enveloped(spec, obj)
        return protobuf.encode_envelope(
            self.api_version, "PartialObjectMetadata", _partial_message(obj.get("metadata") or {})
        )

    def _list_type(self, spec: KindSpec) -> tuple[str, str]:
        return self.api_version, "PartialObjectMetadataList"

    def _raw(self, spec: KindSpec, cached: Cached) -> bytes:
        return cached.form("partial-protobuf", lambda entry: _partial_message(orjson.loads(entry.metadata_wire)))


def _partial_message(metadata: Json) -> bytes:
    message = protobuf.message_of("meta.k8s.io/v1", "PartialObjectMetadata")
    return protobuf.encode(message, {"metadata": metadata})


PROTOBUF = ProtobufForm()
#: By the version of meta.k8s.io.
PROTOBUF_PARTIALS = {version: PartialProtobufForm(version) for version in ("v1", "v1beta1")}
