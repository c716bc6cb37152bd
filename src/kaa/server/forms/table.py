"""`Table`: what `kubectl get` prints."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import orjson

from kaa.kinds.spec import KindSpec
from kaa.server.cache import Cached
from kaa.server.forms.accept import JSON_TYPE
from kaa.server.forms.api import MADE_OBJECTS, Json, items, wire_of
from kaa.server.forms.plain import PARTIALS

__all__ = ["TableForm"]


class TableForm:
    """`Table`: the cells that `kubectl get` prints, worked out here so that every client prints the same.

    `include` says what comes with each row: "Metadata" (the default), "Object" or "None". Cells such as AGE depend on
    the time, so rows are made anew for each answer.
    """

    content_type = JSON_TYPE
    step = MADE_OBJECTS

    def __init__(self, include: str, now: Callable[[], float], version: str = "v1") -> None:
        self.include = include or "Metadata"
        self.api_version = f"meta.k8s.io/{version}"
        self.key: Any = ("table", self.include, version)
        self._partial = PARTIALS[version]
        self._now = now

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """A table of one row."""
        return b"".join(self._table(spec, [cached], {"resourceVersion": str(cached.revision)}, True, 1))

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json, step: int = 0) -> Iterable[bytes]:
        """A table of all rows."""
        return self._table(spec, objects, metadata, True, step or self.step)

    def event(self, spec: KindSpec, cached: Cached) -> bytes:
        """A table of one row without the column definitions: the watch sends those once, with its first event."""
        return b"".join(self._table(spec, [cached], {"resourceVersion": str(cached.revision)}, False, 1))

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """A table of one row, unless it is a Status."""
        if obj.get("kind") == "Status":
            return orjson.dumps(obj)
        row = {"cells": spec.cells(obj, self._now()), "object": self._object(obj)}
        return orjson.dumps(self._head(spec, {}, columns=True) | {"rows": [row]}, default=str)

    def mark(self, spec: KindSpec, obj: Json, *, columns: bool) -> bytes:
        """A bookmark: a row of no cells to speak of, whose object says how far the watch has seen."""
        row = {"cells": [""] * len(spec.columns), "object": self._object(obj)}
        revision = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        return orjson.dumps(self._head(spec, revision, columns=columns) | {"rows": [row]})

    def _object(self, obj: Json) -> Json | None:
        if self.include == "Object":
            return obj
        if self.include == "None":
            return None
        return {"kind": "PartialObjectMetadata", "apiVersion": self.api_version, "metadata": obj["metadata"]}

    def _head(self, spec: KindSpec, metadata: Json, *, columns: bool) -> Json:
        return {
            "kind": "Table", "apiVersion": self.api_version, "metadata": metadata,
            "columnDefinitions": column_definitions(spec) if columns else None,
        }  # fmt: skip

    def _table(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json, columns: bool,
               step: int) -> Iterator[bytes]:  # fmt: skip
        now = self._now()
        head = self._head(spec, metadata, columns=columns)
        return items(head, b"rows", objects, step, lambda each: self._row(spec, each, now))

    def _row(self, spec: KindSpec, cached: Cached, now: float) -> bytes:
        cells = orjson.dumps(spec.cells(orjson.loads(wire_of(spec, cached)), now), default=str)
        if self.include == "None":
            return b'{"cells":%b,"object":null}' % cells
        if self.include == "Object":
            return b'{"cells":%b,"object":%b}' % (cells, wire_of(spec, cached))
        return b'{"cells":%b,"object":%b}' % (cells, self._partial.one(spec, cached))


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
