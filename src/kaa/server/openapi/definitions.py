"""A kind's schema as named definitions: each named part once, in the form of OpenAPI v2 or v3."""

from collections.abc import Iterable
from typing import Any

from kaa.kinds import tables
from kaa.kinds.custom.kind import CustomKind
from kaa.kinds.spec import KindSpec
from kaa.meta.schema import Schema
from kaa.server.openapi.custom import published
from kaa.server.openapi.descriptions import MISSING, Descriptions

__all__ = ["META", "Definitions", "list_name", "root_name"]

Json = dict[str, Any]

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
#: A kind whose descriptions of apiVersion, kind and metadata are those of every kind.
_ANY_KIND = "io.k8s.api.core.v1.Pod"
#: Scalars that have a name, by their format, and what they are in v2 and in v3.
NAMED: dict[str, tuple[str, Json, Json]] = {
    "quantity": ("io.k8s.apimachinery.pkg.api.resource.Quantity", {"type": "string"},
                 {"oneOf": [{"type": "string"}, {"type": "number"}]}),
    "int-or-string": ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", {"type": "string", "format": "int-or-string"},
                      {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
    "date-time": (META + "Time", {"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
    "micro-time": (META + "MicroTime", {"type": "string", "format": "date-time"},
                   {"type": "string", "format": "date-time"}),
}  # fmt: skip


def root_name(spec: KindSpec) -> str:
    """The name of a kind's definition."""
    if not spec.custom and spec.schema.ref:
        return spec.schema.ref
    resource = spec.resource
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def list_name(spec: KindSpec) -> str:
    """The name of the definition of a kind's list."""
    name = root_name(spec)
    return f"{name.rpartition('.')[0]}.{spec.resource.list_kind}"


class Definitions:
    """Gathers the definitions that a document needs, as they are referred to."""

    def __init__(self, descriptions: Descriptions, *, v3: bool) -> None:
        self.v3 = v3
        self._prefix = "#/components/schemas/" if v3 else "#/definitions/"
        self._descriptions = descriptions
        self._done: dict[str, Json] = {}
        self._pending: list[Schema] = []
        self._kinds: dict[str, list[Json]] = {}

    def ref(self, name: str) -> Json:
        """A reference to a definition that is, or will be, there."""
        return {"$ref": self._prefix + name}

    def kind(self, spec: KindSpec) -> Json:
        """A reference to a kind, whose definition says which kind it is."""
        name = root_name(spec)
        resource = spec.resource
        self._mark(name, resource.group, resource.version, resource.kind)
        if name not in self._done:
            if spec.custom:
                raw = spec.raw_schema if isinstance(spec, CustomKind) else None
                self._done[name] = published(raw, self._of_objects(), v3=self.v3)
            else:
                self._queue(spec.schema)
        return self.ref(name)

    def listing(self, spec: KindSpec) -> Json:
        """A reference to a kind's list."""
        name, resource = list_name(spec), spec.resource
        if name not in self._done:
            text, meta = {"type": "string"}, self.meta("ListMeta")
            self._done[name] = {
                "type": "object",
                "required": ["items"],
                "properties": {
                    "apiVersion": text, "kind": text, "metadata": {"allOf": [meta], "default": {}} if self.v3 else meta,
                    "items": {"type": "array", "items": self.kind(spec)},
                },
            }  # fmt: skip
            self._mark(name, resource.group, resource.version, resource.list_kind)
        return self.ref(name)

    def meta(self, name: str) -> Json:
        """A reference to one of the definitions of meta/v1: Status, DeleteOptions, Patch, ..."""
        if name == "Patch":
            self._done.setdefault(META + name, {"type": "object"})
            return self.ref(META + name)
        self._queue(tables.schema(META + name))
        if name in ("Status", "DeleteOptions"):
            self._mark(META + name, "", "v1", name)
        return self.ref(META + name)

    def body_kind(self, group: str, version: str, kind: str) -> Json:
        """A reference to the kind that a subresource reads or writes."""
        definition = tables.definition_of(group, version, kind)
        if not definition:
            return {"type": "object"}
        self._queue(tables.schema(definition))
        self._mark(definition, group, version, kind)
        return self.ref(definition)

    def finish(self) -> dict[str, Json]:
        """All definitions that were reached, by name."""
        while self._pending:
            schema = self._pending.pop()
            self._done[schema.ref] = self._named(schema)
        for name, marks in self._kinds.items():
            if name in self._done:
                self._done[name]["x-kubernetes-group-version-kind"] = marks
        return self._done

    def _mark(self, name: str, group: str, version: str, kind: str) -> None:
        marks = self._kinds.setdefault(name, [])
        mark = {"group": group, "version": version, "kind": kind}
        if mark not in marks:
            marks.append(mark)

    def _queue(self, schema: Schema) -> None:
        if schema.ref not in self._done:
            self._done[schema.ref] = {}
            # The definition's own node: a field's node of the same type also says how that field merges.
            self._pending.append(tables.schema(schema.ref))

    def _named(self, schema: Schema) -> Json:
        own, fields = self._descriptions.of(schema.ref)
        body = self._body(schema)
        if own:
            body["description"] = own
        elif schema.ref in self._kinds and not self._descriptions.installed:
            body["description"] = MISSING
        for name, text in fields.items():
            if name in body.get("properties", ()):
                field = body["properties"][name]
                # Beside a reference v3 says nothing, so there the reference is wrapped (see `_field`).
                field["description"] = text
        return body

    def _of_objects(self) -> dict[str, Json]:
        """What every object has, told as of any built-in kind."""
        told = self._descriptions.of(_ANY_KIND)[1]
        fields: dict[str, Json] = {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"},
            "metadata": self._field(tables.schema(META + "ObjectMeta")),
        }  # fmt: skip
        for name, field in fields.items():
            if told.get(name):
                field["description"] = told[name]
        return fields

    def _body(self, schema: Schema) -> Json:
        named = NAMED.get(schema.format)
        if named is not None:
            return self._scalar(*named)
        body: Json = {}
        if schema.type:
            body["type"] = schema.type
        if schema.format:
            body["format"] = schema.format
        if schema.fields:
            body["properties"] = {name: self._field(each) for name, each in sorted(schema.fields.items())}
        if schema.required:
            body["required"] = list(schema.required)
        if schema.items is not None:
            body["items"] = self._item(schema.items)
        if schema.values is not None:
            body["additionalProperties"] = self._item(schema.values)
        if schema.enum:
            body["enum"] = list(schema.enum)
        body.update(_merging(schema))
        return body

    def _scalar(self, name: str, v2: Json, v3: Json) -> Json:
        if name not in self._done:
            self._done[name] = dict(v3 if self.v3 else v2)
            text = self._descriptions.of(name)[0]
            if text:
                self._done[name]["description"] = text
        return self.ref(name)

    def _item(self, schema: Schema) -> Json:
        if schema.ref:
            self._queue(schema)
            return self.ref(schema.ref)
        return self._body(schema)

    def _field(self, schema: Schema) -> Json:
        """A field with what is said of it beside its type. In v3 nothing may stand beside a reference."""
        field = self._item(schema)
        if "$ref" in field:
            if self.v3:
                field = {"allOf": [field]}
            field.update(_merging(schema))
            if schema.ref and tables.schema(schema.ref).atomic_map:
                field.pop("x-kubernetes-map-type", None)  # the definition itself says so
        if self.v3 and schema.default is not None:
            field["default"] = schema.default
        return field


def _merging(schema: Schema) -> Iterable[tuple[str, Any]]:
    if schema.list_type:
        yield "x-kubernetes-list-type", schema.list_type
    if schema.list_map_keys:
        yield "x-kubernetes-list-map-keys", list(schema.list_map_keys)
    if schema.atomic_map:
        yield "x-kubernetes-map-type", "atomic"
    if schema.patch_merge_key:
        yield "x-kubernetes-patch-merge-key", schema.patch_merge_key
    if schema.patch_strategy:
        yield "x-kubernetes-patch-strategy", ",".join(schema.patch_strategy)
