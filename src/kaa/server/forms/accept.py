"""The Accept header, read: encodings, and shapes by their parameters (`as=Table;g=meta.k8s.io;v=v1`).

Source of the rules: the original's negotiation of output media types, and its tests.
"""

from functools import lru_cache
from typing import NamedTuple

__all__ = ["JSON_TYPE", "PROTOBUF_TYPE", "YAML_TYPE", "Clause", "clauses"]

JSON_TYPE = "application/json"
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
YAML_TYPE = "application/yaml"

_ENCODINGS = {JSON_TYPE: "json", YAML_TYPE: "yaml", PROTOBUF_TYPE: "protobuf", "application/*": "json", "*/*": "json"}
_SHAPES = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


class Clause(NamedTuple):
    """One way to answer that a client accepts."""

    #: "json", "yaml" or "protobuf".
    encoding: str
    #: "" for the object as it is.
    shape: str
    #: Of meta.k8s.io, where there is a shape.
    version: str
    #: With indents.
    pretty: bool


@lru_cache(maxsize=512)
def clauses(accept: str) -> tuple[Clause, ...]:
    """What a client accepts and some resource could serve, best first; what can't be served is passed over."""
    found: list[tuple[float, bool, bool, int, Clause]] = []
    for position, text in enumerate(accept.split(",")):
        media, *parameters = (part.strip() for part in text.split(";"))
        values = {name.strip(): value.strip() for name, _, value in (each.partition("=") for each in parameters)}
        try:
            quality = float(values.get("q") or "1")
        except ValueError:
            quality = 1.0
        encoding = _ENCODINGS.get(media.lower(), "")
        if not encoding or values.get("stream", "watch") not in ("", "watch"):
            continue
        shape, version = values.get("as", ""), values.get("v", "")
        if "as" in values or "g" in values or "v" in values:
            known = values.get("g") == "meta.k8s.io" and version in ("v1", "v1beta1") and shape in _SHAPES
            if not known or (shape == "Table" and encoding == "protobuf"):  # a table has no protobuf message
                continue
        clause = Clause(encoding, shape, version, values.get("pretty") == "1")
        found.append((-quality, media.startswith("*"), media.endswith("*"), position, clause))
    return tuple(each[-1] for each in sorted(found))
