"""What the server asks of a kind: names, structure, defaults, validation, strategy, selectable fields, table cells.

Every hook is pure and works on plain JSON objects in the kind's own version. The order of a write is

    create:  decode -> default -> [admission] -> prepare_create -> validate_create
    update:  decode -> default -> [admission] -> prepare_update -> validate -> validate_update
    status:  decode -> default -> [admission] -> prepare_status -> validate_status
    others:  decode -> default -> [admission] -> prepare_subresource -> validate_subresource

Before prepare_create the server has set what is the server's: name, namespace, uid, creationTimestamp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

from kaa.kinds import metadata
from kaa.kinds.columns import description_of
from kaa.kinds.structure import Structure
from kaa.meta import names
from kaa.meta.problems import Problem
from kaa.meta.resource import Resource
from kaa.meta.schema import Schema

__all__ = [
    "AGE_COLUMN",
    "ALL_VERBS",
    "NAME_COLUMN",
    "Column",
    "Conversion",
    "Json",
    "KindSpec",
    "Rules",
    "SubresourceSpec",
    "Subwrite",
]

Json = dict[str, Any]
Check = Callable[[str], Iterable[str]]

#: Headers hold 4,096 letters of warnings in all: nobody sees more than so many.
WARNINGS_MAX = 4096

ALL_VERBS = frozenset({"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"})


@dataclass(frozen=True)
class SubresourceSpec:
    """One subresource: its name, the group, version and kind of what is read and written there, and its verbs."""

    name: str
    kind: tuple[str, str, str]
    verbs: frozenset[str]


@dataclass(frozen=True)
class Column:
    """A column of the server-side table. Priority 0 is always shown, 1 only by `-o wide`."""

    name: str
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


NAME_COLUMN = Column("Name", format="name")
AGE_COLUMN = Column("Age")


@dataclass(frozen=True)
class Conversion:
    """How a served version becomes the stored one and back. Both may change their argument and return it."""

    #: group, version and kind that the store holds.
    stored: tuple[str, str, str]
    to_stored: Callable[[Json], Json]
    from_stored: Callable[[Json], Json]


@dataclass(frozen=True)
class Subwrite:
    """A write through a subresource whose body is the object itself (`ephemeralcontainers`, `finalize`, ...)."""

    #: Keep of the new object what this subresource may change, in place; all else becomes the old one's.
    prepare: Callable[[Json, Json], None]
    #: Problems of the change, instead of those of an update.
    validate: Callable[[Json, Json], Iterator[Problem]] | None = None


@dataclass(frozen=True)
class Rules:
    """What one kind says beyond its tables. Every hook is optional; the generic behaviour runs first where both act."""

    #: Defaults beyond the published ones, in place. Runs after these.
    default: Callable[[Json], None] | None = None
    #: Strategy, in place, after the generic one (status dropped or kept, generation).
    prepare_create: Callable[[Json], None] | None = None
    #: Who creates it (name, uid, groups, extra), for kinds that note it. Runs after `prepare_create`.
    asked_by: Callable[[Json, str, str, Sequence[str], Mapping[str, Sequence[str]]], None] | None = None
    prepare_update: Callable[[Json, Json], None] | None = None
    prepare_status: Callable[[Json, Json], None] | None = None
    #: Problems beyond metadata and required fields.
    validate: Callable[[Json], Iterator[Problem]] | None = None
    validate_create: Callable[[Json], Iterator[Problem]] | None = None
    validate_update: Callable[[Json, Json], Iterator[Problem]] | None = None
    validate_status: Callable[[Json, Json], Iterator[Problem]] | None = None
    #: Other subresources written with the whole object, by name.
    subwrites: Mapping[str, Subwrite] = field(default_factory=dict)
    #: `(object, old object or None)` -> texts of Warning headers.
    warnings: Callable[[Json, Json | None], Iterable[str]] | None = None
    #: `validate` looks at every required field itself: the tables' are not asked as well.
    complete: bool = False
    #: What is wrong with a name; sentences to follow the value.
    name_check: Check | None = None
    selectable: Mapping[str, Callable[[Json], str]] = field(default_factory=dict)
    columns: Sequence[Column] = ()
    cells: Callable[[Json, float], list[Any]] | None = None
    #: PUT of a name that does not exist creates it.
    allow_create_on_update: bool = False
    #: PUT without a resourceVersion overwrites.
    allow_unconditional_update: bool = True
    #: metadata.generation is kept: 1 at create, one more whenever anything but metadata and status changes.
    generation: bool = False
    #: A create keeps the status it came with (nodes).
    status_on_create: bool = False
    #: The default grace of a delete, from the object, in seconds; None where deletes have no grace.
    grace: Callable[[Json], int] | None = None
    #: What a delete begins with, in place, given the time as text: finalizers that the kind itself holds.
    going: Callable[[Json, str], None] | None = None


NO_RULES = Rules()


class KindSpec:
    """One served type. Closures are compiled, and rules loaded, on first use."""

    #: Custom kinds only: versions differ in more than their name, and a webhook converts between them.
    converted_by_webhook: bool = False
    #: What users of a deprecated version are told with every answer; "" where it is not.
    deprecation: str = ""

    def __init__(
        self,
        resource: Resource,
        *,
        schema: Schema | Callable[[], Schema],
        rules: Rules | Callable[[], Rules] = NO_RULES,
        short_names: Sequence[str] = (),
        categories: Sequence[str] = (),
        verbs: Iterable[str] = ALL_VERBS,
        subresources: Mapping[str, SubresourceSpec] | None = None,
        storage_prefix: str = "",
        conversion: Conversion | None = None,
        acted_on: bool = False,
        custom: bool = False,
        protobuf: str = "",
        response_kind: tuple[str, str, str] | None = None,
    ) -> None:
        self.resource = resource
        self.short_names = tuple(short_names)
        self.categories = tuple(categories)
        self.verbs = frozenset(verbs)
        self.subresources: Mapping[str, SubresourceSpec] = dict(subresources or {})
        #: Keys are `{storage_prefix}{namespace}/{name}`, or `{storage_prefix}{name}` where cluster-scoped.
        self.storage_prefix = storage_prefix
        self.conversion = conversion
        #: False: a write is answered with a Warning header (`not_acted_on`).
        self.acted_on = acted_on
        #: Built from a CustomResourceDefinition.
        self.custom = custom
        #: The full protobuf message name; "" where the kind has none.
        self.protobuf = protobuf
        #: Where the kind read and written there is another group's (Scale, Eviction), that kind.
        self.response_kind = response_kind or (resource.group, resource.version, resource.kind)
        self._schema = schema
        self._rules = rules

    # -- names

    @property
    def kind(self) -> str:
        """`Pod`."""
        return self.resource.kind

    @property
    def api_version(self) -> str:
        """`apps/v1`."""
        return self.resource.api_version

    @property
    def namespaced(self) -> bool:
        """Whether objects live in namespaces."""
        return self.resource.namespaced

    @property
    def storable(self) -> bool:
        """False for kinds that are questions (reviews, bindings): nothing is kept of them."""
        return "get" in self.verbs

    @property
    def storage_version(self) -> str:
        """The apiVersion of stored bytes."""
        if self.conversion is None:
            return self.resource.api_version
        group, version, _ = self.conversion.stored
        return f"{group}/{version}" if group else version

    def key(self, namespace: str, name: str = "") -> str:
        """The storage key of an object, or the prefix of a namespace's objects when the name is empty."""
        if not self.namespaced:
            return self.storage_prefix + name
        return f"{self.storage_prefix}{namespace}/{name}" if namespace else self.storage_prefix

    @property
    def not_acted_on(self) -> str:
        """The Warning header for kinds no controller acts on; "" where one does."""
        return "" if self.acted_on else f"no controller of this cluster acts on {self.kind} yet"

    # -- lazily made

    @cached_property
    def schema(self) -> Schema:
        """The root node."""
        return self._schema if isinstance(self._schema, Schema) else self._schema()

    @cached_property
    def rules(self) -> Rules:
        """What the kind says beyond its tables."""
        return self._rules if isinstance(self._rules, Rules) else self._rules()

    @cached_property
    def structure(self) -> Structure:
        """The compiled closures."""
        return Structure(self.schema, self.kind, self.resource.version)

    @cached_property
    def has_status(self) -> bool:
        """Whether status is written apart from the rest."""
        return "status" in self.subresources

    @cached_property
    def selectable(self) -> Mapping[str, Callable[[Json], str]]:
        """Field selectors: label -> the object's value, as text."""
        common: dict[str, Callable[[Json], str]] = {"metadata.name": _name}
        if self.namespaced:
            common["metadata.namespace"] = _namespace
        return {**common, **self.rules.selectable}

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The table's columns, each with what it is about."""
        found = tuple(self.rules.columns) or (NAME_COLUMN, AGE_COLUMN)
        return tuple(
            each
            if each.description or (self.custom and each not in (NAME_COLUMN, AGE_COLUMN))
            else replace(each, description=description_of(self.kind, each.name))
            for each in found
        )

    @cached_property
    def name_check(self) -> Check:
        """What is wrong with a name of this kind."""
        return self.rules.name_check or names.dns1123_subdomain

    @property
    def allow_create_on_update(self) -> bool:
        """PUT creates what is not there."""
        return self.rules.allow_create_on_update

    @property
    def allow_unconditional_update(self) -> bool:
        """PUT without a resourceVersion overwrites."""
        return self.rules.allow_unconditional_update

    def grace_seconds(self, obj: Json) -> int | None:
        """The grace a delete of this object has by default; None where it goes at once."""
        return self.rules.grace(obj) if self.rules.grace is not None else None

    # -- hooks

    def decode(self, obj: Json) -> tuple[Json, list[str]]:
        """Check types, canonicalise (quantities, times), drop nulls, prune what is unknown. In place.

        Answers the object and the texts of what a strict reader refuses (`unknown field "spec.foo"`). A wrong type
        raises `bad_request`.
        """
        return self.structure.decode(obj)

    def default(self, obj: Json) -> None:
        """Fill in published defaults, then the kind's own."""
        self.structure.default(obj)
        if self.rules.default is not None:
            self.rules.default(obj)

    def prepare_create(self, obj: Json) -> None:
        """What a create may not choose: status is dropped, generation starts."""
        rules = self.rules
        if self.has_status and not rules.status_on_create:
            obj.pop("status", None)
            self.structure.default_status(obj)
        if rules.generation:
            obj.setdefault("metadata", {})["generation"] = 1
        else:
            obj.setdefault("metadata", {}).pop("generation", None)
        if rules.prepare_create is not None:
            rules.prepare_create(obj)

    def prepare_update(self, new: Json, old: Json) -> None:
        """What an update may not change: status is the old one's, generation follows the rest."""
        rules = self.rules
        if self.has_status:
            _keep(new, old, "status")
        if rules.prepare_update is not None:
            rules.prepare_update(new, old)
        self._bump(new, old)

    def prepare_status(self, new: Json, old: Json) -> None:
        """A status update changes status and metadata only."""
        for name in [name for name in new if name not in ("status", "metadata")]:
            if name not in old:
                del new[name]
        for name in old:
            if name not in ("status", "metadata"):
                new[name] = old[name]
        metadata.keep_for_status(new, old, self.resource.qualified, custom=self.custom)
        if self.rules.prepare_status is not None:
            self.rules.prepare_status(new, old)
        _keep(new["metadata"], old["metadata"], "generation")

    def _bump(self, new: Json, old: Json) -> None:
        meta, was = new["metadata"], old["metadata"]
        _keep(meta, was, "generation")
        if self.rules.generation and _content(new) != _content(old):
            meta["generation"] = int(was.get("generation") or 0) + 1

    def validate(self, obj: Json) -> Iterator[Problem]:
        """Every problem of an object that is about to be stored, with its path."""
        yield from metadata.validate(obj, namespaced=self.namespaced, name_check=self.name_check, custom=self.custom)
        rules = self.rules.validate
        if rules is None:
            yield from self.structure.missing(obj)
            return
        if self.rules.complete:
            yield from rules(obj)
            return
        found = list(rules(obj))
        yield from found
        seen = {str(problem.path) for problem in found}
        for problem in self.structure.missing(obj):
            if str(problem.path) not in seen:
                yield problem

    def validate_create(self, obj: Json) -> Iterator[Problem]:
        """Every problem of an object about to be created: those of `validate`, and what may only be set later."""
        yield from self.validate(obj)
        if self.rules.validate_create is not None:
            yield from self.rules.validate_create(obj)

    def validate_update(self, new: Json, old: Json) -> Iterator[Problem]:
        """Every problem of the change, beyond those of the new object alone."""
        yield from metadata.validate_update(new, old)
        if self.rules.validate_update is not None:
            yield from self.rules.validate_update(new, old)

    def validate_status(self, new: Json, old: Json) -> Iterator[Problem]:
        """Every problem of a status update."""
        yield from metadata.validate_update(new, old)
        if self.rules.validate_status is not None:
            yield from self.rules.validate_status(new, old)

    def prepare_subresource(self, name: str, new: Json, old: Json) -> bool:
        """Prepare a write through another subresource; False where this kind knows no rules for it."""
        found = self.rules.subwrites.get(name)
        if found is None:
            return False
        found.prepare(new, old)
        self._bump(new, old)
        return True

    def validate_subresource(self, name: str, new: Json, old: Json) -> Iterator[Problem]:
        """Every problem of a write through another subresource; call after `prepare_subresource`."""
        yield from metadata.validate_update(new, old)
        found = self.rules.subwrites.get(name)
        if found is not None and found.validate is not None:
            yield from found.validate(new, old)

    def warnings(self, obj: Json, old: Json | None) -> list[str]:
        """Texts for Warning headers; of those that have millions to give, the first, which are more than is shown."""
        return list(islice(self.rules.warnings(obj, old), WARNINGS_MAX)) if self.rules.warnings is not None else []

    def cells(self, obj: Json, now: float) -> list[Any]:
        """The object's row, as many cells as there are columns. `now` is seconds since the epoch."""
        if self.rules.cells is not None:
            return self.rules.cells(obj, now)
        from kaa.kinds import printing

        return [_name(obj), printing.age(obj, now)]

    def __repr__(self) -> str:
        return f"KindSpec({self.resource.qualified}/{self.resource.version})"


def _name(obj: Json) -> str:
    return str(obj.get("metadata", {}).get("name", ""))


def _namespace(obj: Json) -> str:
    return str(obj.get("metadata", {}).get("namespace", ""))


def _keep(new: Json, old: Json, name: str) -> None:
    """The old value of a field, or its absence."""
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)


def _content(obj: Json) -> Json:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status", "apiVersion", "kind")}
