"""Policies and bindings as configured, compiled, and which of them are about a write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kaa.kinds.spec import KindSpec
from kaa.meta import errors, selectors
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.expressions import Conditions, Evaluator, variables_of
from kaa.server.admission.lookup import PerEntry, kind
from kaa.server.admission.matching import Match, Rules, Selectors, is_exempt, namespace_of
from kaa.server.cache import Cached, Change
from kaa.server.objects import Objects, served_form

__all__ = ["Binding", "Invocation", "Misconfigured", "Policy", "PolicyPlugin"]

Json = dict[str, Any]

GROUP = "admissionregistration.k8s.io"
#: Custom resources come and go, and with each change of a definition there are new ones to be known.
MATCHED_MAX = 4096
#: Questions that expressions are never asked about: a policy on them could break the cluster.
_EXCLUDED = frozenset({
    "selfsubjectreviews.authentication.k8s.io", "tokenreviews.authentication.k8s.io",
    "localsubjectaccessreviews.authorization.k8s.io", "selfsubjectaccessreviews.authorization.k8s.io",
    "selfsubjectrulesreviews.authorization.k8s.io", "subjectaccessreviews.authorization.k8s.io",
})  # fmt: skip


class Scope:
    """`matchConstraints` or `matchResources`: what a policy or binding is about."""

    def __init__(self, found: Json, objects: Objects) -> None:
        equivalent = found.get("matchPolicy") != "Exact"
        self._all = not found.get("resourceRules")
        self._rules = Rules(found.get("resourceRules") or (), equivalent=equivalent)
        self._excluded = Rules(found.get("excludeResourceRules") or (), equivalent=equivalent)
        self.selectors = Selectors(found, objects)

    def of(self, objects: Objects, spec: KindSpec, subresource: str, operation: str) -> Reach | None:
        """Whom it reaches among such writes; None for nobody."""
        excluded = self._excluded.of(objects.registry, spec, subresource, operation)
        if any(not each.names for each in excluded):
            return None
        found = (Match(spec),) if self._all else self._rules.of(objects.registry, spec, subresource, operation)
        return Reach(found, frozenset().union(*(each.names for each in excluded))) if found else None


@dataclass(frozen=True, slots=True)
class Reach:
    """What rules say of one resource, subresource and operation."""

    matches: tuple[Match, ...]
    excluded: frozenset[str]

    def spec(self, name: str) -> KindSpec | None:
        """The version in which an object of that name is looked at; None where it is not."""
        if name in self.excluded:
            return None
        return next((each.spec for each in self.matches if not each.names or name in each.names), None)


class Policy:
    """What both kinds of policies have. Subclasses compile their expressions from `spec`."""

    def __init__(self, found: Json, objects: Objects) -> None:
        self.name: str = found["metadata"]["name"]
        self.spec: Json = found["spec"]
        self.ignore = self.spec.get("failurePolicy") == "Ignore"
        self.scope = Scope(self.spec.get("matchConstraints") or {}, objects)
        self.param_kind: Json | None = self.spec.get("paramKind")
        params = self.param_kind is not None
        self.variables = variables_of(self.spec.get("variables") or (), params=params)
        self.conditions = Conditions(self.spec.get("matchConditions") or (), params=params,
                                     variables=self.variables, ignore=self.ignore)  # fmt: skip


class Binding:
    """Where a policy holds."""

    def __init__(self, found: Json, objects: Objects) -> None:
        self.name: str = found["metadata"]["name"]
        self.spec: Json = found["spec"]
        self.policy: str = self.spec["policyName"]
        self.scope = Scope(self.spec.get("matchResources") or {}, objects)
        self.param_ref: Json | None = self.spec.get("paramRef")
        self.actions: tuple[str, ...] = tuple(self.spec.get("validationActions") or ())


@dataclass(frozen=True, slots=True)
class _Bound:
    policy: Policy
    reach: Reach
    bindings: tuple[tuple[Binding, Reach], ...]


@dataclass(frozen=True, slots=True)
class Invocation:
    """A policy to be run on a write, in the version of `spec`, with one parameter or none."""

    policy: Policy
    binding: Binding
    spec: KindSpec
    param: Json | None


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """A policy, or its binding, that cannot be used for a write."""

    policy: Policy
    binding: Binding | None
    why: str

    @property
    def message(self) -> str:
        """With what is wrong: the policy or the binding."""
        return f"failed to configure {'policy' if self.binding is None else 'binding'}: {self.why}"


class _Unusable(Exception):
    """Why there are no parameters."""


class PolicyPlugin(Plugin):
    """What both kinds of policies share."""

    #: The plurals of policies and bindings, and what makes a policy.
    resource = bindings_resource = ""
    make: type[Policy] = Policy

    def __init__(self, objects: Objects, evaluator: Evaluator) -> None:
        self.objects = objects
        self.evaluator = evaluator
        self._policies = objects.of(kind(objects, GROUP, "v1", self.resource))
        self._bindings = objects.of(kind(objects, GROUP, "v1", self.bindings_resource))
        self._compiled = PerEntry(lambda entry: self.make(entry.decode(), objects))
        self._compiled_bindings = PerEntry(lambda entry: Binding(entry.decode(), objects))
        self._known: list[tuple[Policy, list[Binding]]] | None = None
        self._matched: dict[tuple[KindSpec, str, Operation], tuple[_Bound, ...]] = {}
        for cache in (self._policies, self._bindings):
            cache.on_change(self._configured)

    def _configured(self, change: Change) -> None:
        if change.new is not None and change.old is not None and _same_spec(change.new, change.old):
            return  # a status has been written
        self._known = None
        self._matched.clear()
        self.changed()

    def _all(self) -> Sequence[tuple[Policy, list[Binding]]]:
        """Policies that are bound, and their bindings, each in the order of their names."""
        if self._known is None:
            bound: dict[str, list[Binding]] = {}
            for entry in self._bindings.in_namespace(""):
                binding = self._compiled_bindings.of(entry)
                bound.setdefault(binding.policy, []).append(binding)
            self._known = [(self._compiled.of(entry), bound[entry.name])
                           for entry in self._policies.in_namespace("") if entry.name in bound]  # fmt: skip
        return self._known

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Where the rules of a bound policy and of its binding match."""
        if is_exempt(spec) or spec.resource.qualified in _EXCLUDED:
            return False
        found = []
        for policy, bindings in self._all():
            reach = policy.scope.of(self.objects, spec, subresource, operation)
            if reach is None:
                continue
            reached = [(binding, there) for binding in bindings
                       if (there := binding.scope.of(self.objects, spec, subresource, operation))]  # fmt: skip
            if reached:
                found.append(_Bound(policy, reach, tuple(reached)))
        if len(self._matched) > MATCHED_MAX:
            self._matched.clear()
        self._matched[(spec, subresource, operation)] = tuple(found)
        return bool(found)

    async def invocations(self, attributes: Attributes) -> list[Invocation | Misconfigured]:
        """What is to be run on a write, and what cannot be, in order."""
        key = (attributes.spec, attributes.subresource, attributes.operation)
        if key not in self._matched:
            self.handles(*key)  # a policy has changed since the chain asked
        found: list[Invocation | Misconfigured] = []
        for bound in self._matched[key]:
            policy = bound.policy
            spec = bound.reach.spec(attributes.name)
            try:
                if spec is None or not policy.scope.selectors.match(attributes):
                    continue
                kind_of_params = self._kind_of_params(policy)
            except (errors.StatusError, _Unusable) as error:
                found.append(Misconfigured(policy, None, str(error)))
                continue
            for binding, reach in bound.bindings:
                try:
                    if reach.spec(attributes.name) is None or not binding.scope.selectors.match(attributes):
                        continue
                    params = await self._collect(kind_of_params, binding, attributes)
                except (errors.StatusError, _Unusable) as error:
                    found.append(Misconfigured(policy, binding, str(error)))
                    continue
                found += [Invocation(policy, binding, spec, param) for param in params]
        return found

    # --- parameters

    def _kind_of_params(self, policy: Policy) -> KindSpec | None:
        wanted = policy.param_kind
        if wanted is None:
            return None
        spec = self.objects.registry.by_kind(wanted["apiVersion"], wanted["kind"])
        if spec is None or not spec.storable:
            version = wanted["apiVersion"] if "/" in wanted["apiVersion"] else f"/{wanted['apiVersion']}"
            raise _Unusable(f"failed to find resource referenced by paramKind: '{version}, Kind={wanted['kind']}'")
        return spec

    async def _collect(self, spec: KindSpec | None, binding: Binding, attributes: Attributes) -> list[Json | None]:
        """The parameters; [None] where the policy runs without one, [] where it does not run. Raises _Unusable."""
        reference = binding.param_ref
        if spec is None or reference is None:
            return [None]
        namespace = ""
        if spec.namespaced:
            namespace = reference.get("namespace") or namespace_of(attributes)
            if not namespace:
                raise _Unusable(
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                )
        elif reference.get("namespace"):
            raise _Unusable("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        entries: list[Cached] = []
        if reference.get("name"):
            entry = self.objects.find(spec, namespace, reference["name"])
            entries = [entry] if entry is not None else []
        elif reference.get("selector") is not None:
            wanted = selectors.from_object(reference["selector"])
            entries = [each for each in self.objects.of(spec).in_namespace(namespace) if wanted.matches(each.labels)]
        else:
            raise _Unusable("one of name or selector must be provided")
        if not entries and reference.get("parameterNotFoundAction") == "Deny":
            raise _Unusable("no params found for policy binding with `Deny` parameterNotFoundAction")
        if (coming := self.objects.ready(spec, entries)) is not None:
            await coming
        return [served_form(spec, each) for each in entries]


def _same_spec(new: Cached, old: Cached) -> bool:
    return bool(new.decode().get("spec") == old.decode().get("spec"))
