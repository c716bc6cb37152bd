"""What stands around an object: its envelope, a list, a frame of a watch.

The envelope is four magic bytes and an `Unknown` message that says apiVersion and kind and holds the object's own
bytes.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

from kaa.kinds import tables
from kaa.kinds.protobuf.fields import META
from kaa.kinds.protobuf.wire import MalformedProtobuf, blob, fields, text
from kaa.kinds.protobuf.writing import encode

__all__ = ["MAGIC", "decode_envelope", "encode_envelope", "encode_list", "encode_watch_event", "message_of"]

Json = dict[str, Any]
MAGIC = b"k8s\x00"
#: Kinds of `meta.k8s.io/v1` that are answered and never stored.
_METADATA_ONLY = ("PartialObjectMetadata", "PartialObjectMetadataList")


def decode_envelope(body: bytes) -> tuple[str, str, bytes]:
    """apiVersion, kind and the object's own bytes. Raises MalformedProtobuf."""
    if not body:
        raise MalformedProtobuf("empty data")
    if not body.startswith(MAGIC):
        raise MalformedProtobuf(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    api_version = kind = ""
    raw = b""
    for number, wire, value in fields(body[len(MAGIC) :]):
        if wire != 2 or not isinstance(value, bytes):
            continue
        if number == 1:
            for inner, _, said in fields(value):
                if isinstance(said, bytes):
                    if inner == 1:
                        api_version = text(said)
                    elif inner == 2:
                        kind = text(said)
        elif number == 2:
            raw = value
    return api_version, kind, raw


def encode_envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    """An object's own bytes in their envelope."""
    return b"".join((_head(api_version, kind), blob(2, raw), b"\x1a\x00\x22\x00"))


@cache
def _head(api_version: str, kind: str) -> bytes:
    return MAGIC + blob(1, blob(1, api_version.encode()) + blob(2, kind.encode()))


def encode_list(metadata: Json, items: list[bytes]) -> bytes:
    """The bytes of any kind's list message: they all have metadata and items under the same numbers."""
    meta = encode(META + "ListMeta", metadata)
    return b"".join([blob(1, meta), *(blob(2, each) for each in items)])


def message_of(api_version: str, kind: str) -> str:
    """The message of a built-in kind; raises MalformedProtobuf for a kind that has none."""
    group, _, version = api_version.rpartition("/")
    if (api_version, kind) == ("v1", "Status"):
        return META + "Status"
    if api_version == "meta.k8s.io/v1" and kind in _METADATA_ONLY:
        return META + kind
    message = tables.protobuf_message(tables.definition_of(group, version, kind))
    if message not in tables.protobuf_fields():
        # What the original says of a kind without generated code, under code 406.
        raise MalformedProtobuf(
            f"object {kind} of {api_version} does not implement the protobuf marshalling interface and cannot be "
            "encoded to a protobuf message"
        )
    return message


def encode_watch_event(kind: str, enveloped: bytes) -> bytes:
    """A watch event as a length-delimited frame; its object is enveloped, the event itself is not."""
    event = blob(1, kind.encode()) + blob(2, blob(1, enveloped))
    return struct.pack(">I", len(event)) + event
