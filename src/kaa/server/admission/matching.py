"""Which writes a webhook or a policy is about: rules, versions that are as good, selectors.

What rules say depends on the resource, the subresource and the operation alone, never on the object: it is worked out
once for each of those (`Rules.of`). Selectors are asked for each write (`Selectors.match`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kaa.kinds.registry import Registry
from kaa.kinds.spec import KindSpec
from kaa.meta import errors, selectors
from kaa.server.admission.api import Attributes
from kaa.server.objects import Objects

__all__ = ["Match", "Rules", "Selectors", "is_exempt", "kind_of", "namespace_of"]

Json = dict[str, Any]

_GROUP = "admissionregistration.k8s.io"
#: What admission is made of is never subject to it: nobody locks himself out.
_EXEMPT = frozenset({
    "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies",
    "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
})  # fmt: skip


def is_exempt(spec: KindSpec) -> bool:
    """A configuration of a webhook or a policy."""
    return spec.resource.group == _GROUP and spec.resource.plural in _EXEMPT


def kind_of(spec: KindSpec, subresource: str) -> tuple[str, str, str]:
    """Group, version and kind of what is written: of a subresource, its own."""
    known = spec.subresources.get(subresource) if subresource else None
    if known is not None:
        return known.kind
    return (spec.resource.group, spec.resource.version, spec.kind)


def namespace_of(attributes: Attributes) -> str:
    """The namespace as admission sees it: a namespace is in itself."""
    return attributes.name if _is_namespaces(attributes.spec) else attributes.namespace


def _is_namespaces(spec: KindSpec) -> bool:
    return spec.resource.plural == "namespaces" and not spec.resource.group


@dataclass(frozen=True, slots=True)
class Match:
    """A rule is about the write, in the version that `spec` serves (the write's own, as a rule)."""

    spec: KindSpec
    #: Names the rule is limited to; empty for all.
    names: frozenset[str] = frozenset()


class Rules:
    """The rules of a webhook or policy. `equivalent`: a rule for one version is about all versions of the resource."""

    def __init__(self, rules: Iterable[Json], *, equivalent: bool) -> None:
        self._rules = tuple(rules)
        self._equivalent = equivalent

    def of(self, registry: Registry, spec: KindSpec, subresource: str, operation: str) -> tuple[Match, ...]:
        """How the rules match such writes, the first one that fits by name counts; () where they do not."""
        found: list[Match] = []
        if _collect(self._rules, spec, spec, subresource, operation, found):
            return tuple(found)
        if not self._equivalent:
            return tuple(found)
        others = _others(registry, spec, subresource)
        for rule in self._rules:
            for other in others:
                if _collect((rule,), spec, other, subresource, operation, found):
                    return tuple(found)
        return tuple(found)


def _collect(rules: Sequence[Json], asked: KindSpec, spec: KindSpec, subresource: str, operation: str,
             found: list[Match]) -> bool:  # fmt: skip
    """Add the matches; True when one is for every name, so that no other rule can matter."""
    for rule in rules:
        if _fits(rule, asked, spec, subresource, operation):
            named = rule.get("resourceNames")
            found.append(Match(spec, frozenset(named or ())))
            if not named:
                return True
    return False


def _others(registry: Registry, spec: KindSpec, subresource: str) -> list[KindSpec]:
    """The same resource in its other versions and groups: what is stored in the same place."""
    if not spec.storage_prefix:
        return []
    return [
        each for each in registry.all()
        if each.storage_prefix == spec.storage_prefix and each is not spec
        and (not subresource or subresource in each.subresources)
    ]  # fmt: skip


def _fits(rule: Json, asked: KindSpec, spec: KindSpec, subresource: str, operation: str) -> bool:
    # A namespace counts as having none, though requests for it are in it.
    scope = rule.get("scope") or "*"
    if scope != "*" and (scope == "Namespaced") != asked.namespaced:
        return False
    resource = spec.resource
    return (
        _has(rule.get("operations"), operation)
        and _has(rule.get("apiGroups"), resource.group)
        and _has(rule.get("apiVersions"), resource.version)
        and any(_names(each, resource.plural, subresource) for each in rule.get("resources") or ())
    )


def _has(values: Sequence[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)


def _names(pattern: str, plural: str, subresource: str) -> bool:
    resource, _, sub = pattern.partition("/")
    return resource in ("*", plural) and sub in ("*", subresource)


class Selectors:
    """`namespaceSelector` and `objectSelector`, compiled."""

    def __init__(self, found: Json, objects: Objects) -> None:
        # Absent is everything here; stored objects are defaulted to that anyway.
        self._namespaces = selectors.from_object(found.get("namespaceSelector") or {})
        self._objects = selectors.from_object(found.get("objectSelector") or {})
        self._all_namespaces = self._namespaces.empty
        self._all_objects = self._objects.empty
        self._cluster = objects

    def match(self, attributes: Attributes) -> bool:
        """Whether a write is selected. Raises 404 where its namespace is not there."""
        if not self._all_objects and not (
            self._selected(attributes.object) or self._selected(attributes.old)
        ):  # fmt: skip
            # Not asked first, but what does not match here is never told of a namespace that is missing.
            return False
        return self._all_namespaces or self._namespace_matches(attributes)

    def _selected(self, obj: Json | None) -> bool:
        if obj is None or type(obj.get("metadata")) is not dict:
            return False
        return self._objects.matches(obj["metadata"].get("labels") or {})

    def _namespace_matches(self, attributes: Attributes) -> bool:
        spec = attributes.spec
        if _is_namespaces(spec):
            if not attributes.subresource and attributes.operation in ("CREATE", "UPDATE"):
                assert attributes.object is not None
                return self._namespaces.matches(attributes.object["metadata"].get("labels") or {})
            name = attributes.name
        elif not spec.namespaced:
            return True  # what has no namespace is never exempted by one
        else:
            name = attributes.namespace
        namespaces = self._cluster.registry.get("", "v1", "namespaces")
        assert namespaces is not None
        entry = self._cluster.find(namespaces, "", name)
        if entry is None:
            raise errors.not_found(namespaces.resource, name)
        return self._namespaces.matches(entry.labels)
