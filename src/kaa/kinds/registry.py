"""The kinds served: the built-in ones from the tables, and custom ones added and removed at run time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from kaa.kinds import conversion, rules, tables
from kaa.kinds.spec import KindSpec, SubresourceSpec
from kaa.kinds.storage import ACTED_ON, SHARED, storage_prefix
from kaa.meta.resource import Resource

__all__ = ["Group", "Registry", "builtin"]


@dataclass(frozen=True)
class Group:
    """One API group as discovery shows it: versions from the preferred one on."""

    name: str
    versions: tuple[str, ...]

    @property
    def preferred(self) -> str:
        """The version clients should use."""
        return self.versions[0]


class Registry:
    """The kinds served, by path and by kind. `generation` rises with every change, so that caches know."""

    def __init__(self) -> None:
        self.generation = 0
        self._by_path: dict[tuple[str, str, str], KindSpec] = {}
        self._by_kind: dict[tuple[str, str], KindSpec] = {}
        self._bodies: dict[tuple[str, str], KindSpec] = {}
        self._groups: dict[str, list[str]] = {}
        #: The order of preference that was given last, and the places in it: a definition may have very many versions.
        self._order: tuple[tuple[str, ...], dict[str, int]] = ((), {})

    def get(self, group: str, version: str, plural: str) -> KindSpec | None:
        """The kind served at a path."""
        return self._by_path.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> KindSpec | None:
        """The kind an object says it is: a served one, or the body of a subresource or of options
        (`autoscaling/v1 Scale`, `policy/v1 Eviction`, `v1 DeleteOptions`), which has no verbs."""
        return self._by_kind.get((api_version, kind)) or self._body(api_version, kind)

    def all(self) -> Iterator[KindSpec]:
        """Every kind served, in the order of discovery."""
        order = {group: place for place, group in enumerate(self._groups)}
        return iter(sorted(self._by_path.values(), key=lambda spec: order[spec.resource.group]))

    def of(self, group: str, version: str) -> list[KindSpec]:
        """What one group version serves, in the order of discovery."""
        return [
            spec for spec in self._by_path.values() if (spec.resource.group, spec.resource.version) == (group, version)
        ]

    def groups(self) -> list[Group]:
        """The groups in the order of discovery: the core group (named "") first, custom ones last."""
        return [Group(name, tuple(versions)) for name, versions in self._groups.items()]

    def add(self, spec: KindSpec, *, versions: tuple[str, ...] = ()) -> None:
        """Serve a kind, instead of the one that stood at its path. `versions` is the group's order of preference,
        where the caller knows it; otherwise a new version goes last."""
        resource = spec.resource
        self._by_path[(resource.group, resource.version, resource.plural)] = spec
        self._by_kind[(resource.api_version, resource.kind)] = spec
        known = self._groups.setdefault(resource.group, [])
        new = resource.version not in known
        if new:
            known.append(resource.version)
        if versions and (new or self._order[0] is not versions):
            if self._order[0] is not versions:
                self._order = versions, {version: at for at, version in enumerate(versions)}
            known.sort(key=lambda version: self._order[1].get(version, len(versions)))
        self.generation += 1

    def remove(self, group: str, version: str, plural: str) -> None:
        """Serve a kind no more; nothing happens where it was not served."""
        spec = self._by_path.pop((group, version, plural), None)
        if spec is None:
            return
        self._by_kind.pop((spec.resource.api_version, spec.resource.kind), None)
        left = {each.resource.version for each in self._by_path.values() if each.resource.group == group}
        self._groups[group] = [each for each in self._groups[group] if each in left]
        if not left:
            del self._groups[group]
        self.generation += 1

    def _body(self, api_version: str, kind: str) -> KindSpec | None:
        found = self._bodies.get((api_version, kind))
        if found is None:
            group, _, version = api_version.rpartition("/")
            definition = tables.definition_of(group, version, kind)
            if not definition:
                return None
            resource = Resource(group, version, kind.lower(), kind, namespaced=True, singular=kind.lower())
            found = KindSpec(
                resource,
                schema=partial(tables.schema, definition),
                rules=partial(rules.rules_of, group, version, kind),
                verbs=(),
                acted_on=True,
                protobuf=tables.protobuf_message(definition),
            )
            self._bodies[(api_version, kind)] = found
        return found


def builtin() -> Registry:
    """A registry of the stable groups of Kubernetes v1.36. Cheap: schemas, rules and closures come on first use."""
    registry = Registry()
    for entry in tables.groups():
        group: str = entry["group"]
        for served in entry["versions"]:
            version: str = served["version"]
            for row in served["resources"]:
                kind: str = row["kind"]
                definition = tables.definition_of(group, version, kind)
                resource = Resource(group, version, row["plural"], kind, row["namespaced"], row["singular"])
                subresources = {
                    name: SubresourceSpec(
                        name, (sub["kind"][0], sub["kind"][1], sub["kind"][2]), frozenset(sub["verbs"])
                    )
                    for name, sub in row.get("subresources", {}).items()
                }
                registry.add(
                    KindSpec(
                        resource,
                        schema=partial(tables.schema, definition),
                        rules=partial(rules.rules_of, group, version, kind),
                        short_names=row.get("short", ()),
                        categories=row.get("categories", ()),
                        verbs=row["verbs"],
                        subresources=subresources,
                        storage_prefix=storage_prefix(group, row["plural"]) if "get" in row["verbs"] else "",
                        conversion=conversion.of(group, version, kind) if (group, version, kind) in SHARED else None,
                        acted_on=(group, kind) in ACTED_ON,
                        protobuf=tables.protobuf_message(definition),
                    )
                )
    return registry
