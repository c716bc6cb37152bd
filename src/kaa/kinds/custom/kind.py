"""A KindSpec for each version of a CustomResourceDefinition: custom kinds take the same path as built-in ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import orjson

from kaa.kinds import printing, tables
from kaa.kinds.custom import embedded, paths
from kaa.kinds.custom.checked import Checked, Scale
from kaa.kinds.custom.definition import storage_version
from kaa.kinds.custom.schema import OBJECT_META, Node, compile_node, fill, merge_schema, prune
from kaa.kinds.metadata import finalizer_warnings
from kaa.kinds.spec import AGE_COLUMN, ALL_VERBS, NAME_COLUMN, Column, KindSpec, Rules, SubresourceSpec
from kaa.kinds.structure import Structure
from kaa.meta.errors import bad_request
from kaa.meta.problems import Path, Problem
from kaa.meta.resource import Resource
from kaa.meta.schema import Schema

__all__ = ["CustomKind", "Scale", "kinds_of", "storage_prefix"]

Json = dict[str, Any]


def storage_prefix(group: str, plural: str) -> str:
    """Below which key the objects of a custom kind are kept."""
    return f"/registry/{group}/{plural}/"


def kinds_of(definition: Json) -> list[CustomKind]:
    """The kinds a definition serves, one per served version, in the definition's order."""
    return [CustomKind(definition, each) for each in definition["spec"]["versions"] if each.get("served")]


class CustomKind(KindSpec):
    """One served version of a custom kind. `definition` is the CustomResourceDefinition, `version` its part in it."""

    def __init__(self, definition: Json, version: Json) -> None:
        spec = definition["spec"]
        names: Json = (definition.get("status") or {}).get("acceptedNames") or {}
        names = names if names.get("plural") else spec["names"]
        group, name, kind = spec["group"], version["name"], names["kind"]
        resource = Resource(
            group, name, names["plural"], kind, spec["scope"] == "Namespaced", names.get("singular", "")
        )
        offered: Json = version.get("subresources") or {}
        write = frozenset({"get", "patch", "update"})
        subresources = {}
        if offered.get("status") is not None:
            subresources["status"] = SubresourceSpec("status", (group, name, kind), write)
        if offered.get("scale") is not None:
            subresources["scale"] = SubresourceSpec("scale", ("autoscaling", "v1", "Scale"), write)
        self.definition = definition
        self.version = version
        self.raw_schema: Json | None = (version.get("schema") or {}).get("openAPIV3Schema")
        self.scale = Scale(offered["scale"]) if offered.get("scale") is not None else None
        self.list_kind = names.get("listKind") or kind + "List"
        #: Whether versions differ in more than their name: a webhook converts between them.
        self.converted_by_webhook = (spec.get("conversion") or {}).get("strategy") == "Webhook"
        if version.get("deprecated"):
            self.deprecation = version.get("deprecationWarning") or f"{group}/{name} {kind} is deprecated"
        self._stored_version = f"{group}/{storage_version(definition)}"
        # Nothing new may come while the definition is going.
        verbs = ALL_VERBS - {"create"} if "deletionTimestamp" in definition["metadata"] else ALL_VERBS
        super().__init__(
            resource,
            verbs=verbs,
            schema=lambda: merge_schema(self.raw_schema),
            rules=self._make_rules,
            short_names=names.get("shortNames") or (),
            categories=names.get("categories") or (),
            subresources=subresources,
            storage_prefix=storage_prefix(group, names["plural"]),
            acted_on=True,  # by whoever defined it
            custom=True,
        )

    @property
    def storage_version(self) -> str:
        """The apiVersion of stored bytes."""
        return self._stored_version

    @cached_property
    def root(self) -> Node:
        """The compiled schema."""
        return compile_node(self.raw_schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})

    @cached_property
    def structure(self) -> Structure:
        """The walks over an object."""
        return _CustomStructure(self.root, self.kind, self.resource.version)

    def _make_rules(self) -> Rules:
        checked = Checked(self.raw_schema, self.root, self.scale)
        return Rules(
            validate_create=lambda obj: checked.whole(obj, None),
            validate_update=checked.whole,
            validate_status=checked.status,
            warnings=finalizer_warnings,
            generation=True,
            selectable=_selectable(self.version),
            columns=_columns(self.version),
            cells=_cells(self.version),
            allow_unconditional_update=False,
        )


class _CustomStructure(Structure):
    """Decoding by a structural schema: types are a matter of validation, not of decoding."""

    def __init__(self, root: Node, kind: str, version: str) -> None:
        head = {
            "apiVersion": Schema(type="string"),
            "kind": Schema(type="string"),
            "metadata": tables.schema(OBJECT_META),
        }
        super().__init__(Schema(type="object", fields=head, preserve_unknown=True), kind, version)
        self._root = root
        self._embeds = embedded.has_embedded(root)

    def decode(self, obj: Any) -> tuple[Json, list[str]]:
        """See `KindSpec.decode`."""
        out, found = super().decode(obj)
        unknown: list[str] = []
        prune(self._root, out, "", unknown, root=True)
        unknown.sort()
        if self._embeds:
            try:
                embedded.coerce(self._root, out, Path(), unknown)
            except embedded.Misshapen as error:
                raise bad_request(
                    f'{self._kind} in version "{self._version}" cannot be handled as a {self._kind}: {error}'
                ) from error
        return out, [*found, *(f'unknown field "{name}"' for name in unknown)]

    def default(self, obj: Json) -> None:
        """Defaults of the schema, in place."""
        metadata = obj.pop("metadata", None)
        fill(self._root, obj)
        if metadata is not None:
            obj["metadata"] = metadata

    def default_status(self, obj: Json) -> None:
        """A status is not made where there is none."""

    def missing(self, obj: Json) -> Iterator[Problem]:
        """Required fields are the checker's concern."""
        return iter(())


# --- what is shown and selected


def _selectable(version: Json) -> Mapping[str, Callable[[Json], str]]:
    return {each["jsonPath"].removeprefix("."): _reader(paths.dotted(each["jsonPath"]))
            for each in version.get("selectableFields") or ()}  # fmt: skip


def _reader(fields: tuple[str, ...]) -> Callable[[Json], str]:
    def read(obj: Json) -> str:
        value = paths.find_dotted(obj, fields)
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)

    return read


def _columns(version: Json) -> tuple[Column, ...]:
    given = version.get("additionalPrinterColumns")
    if not given:
        return (NAME_COLUMN, AGE_COLUMN)
    return (NAME_COLUMN, *(Column(each["name"], each["type"], each.get("format", ""), each.get("priority", 0),
                                  each.get("description", "")) for each in given))  # fmt: skip


def _cells(version: Json) -> Callable[[Json, float], list[Any]]:
    given = version.get("additionalPrinterColumns")
    if not given:
        return lambda obj, now: [obj["metadata"]["name"], printing.age(obj, now)]
    columns = [(paths.compile_path(each["jsonPath"]), each["type"]) for each in given]

    def cells(obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], *(_cell(find(obj), kind, now) for find, kind in columns)]

    return cells


def _cell(found: list[Any], kind: str, now: float) -> Any:
    """The first value of a path, in the column's type; None where there is none or it has another type."""
    if not found:
        return None
    value = found[0]
    match kind:
        case "integer":
            return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return printing.since(value, now) if isinstance(value, str) and value else None
        case _:
            return value if isinstance(value, str) else orjson.dumps(value).decode()
