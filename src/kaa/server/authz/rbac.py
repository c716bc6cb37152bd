"""RBAC, compiled: the rules that reach a set of subjects are gathered once, and kept until any role or binding changes.

A decision is then a few set lookups. `rules_for` gives the same rules to reviews and escalation checks.
"""

from collections.abc import Iterator
from typing import Any

from kaa.kinds.spec import KindSpec
from kaa.meta.resource import Resource
from kaa.server.app import Decision
from kaa.server.cache import Cached, Change, ResourceCache
from kaa.server.objects import Objects
from kaa.server.request import RequestInfo, User

__all__ = ["Grant", "Rbac"]

Json = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
SUBJECTS_KEPT_MAX = 2048


class Grant:
    """One rule, compiled: which verbs, on which resources and names, or on which paths."""

    __slots__ = ("groups", "names", "paths", "resources", "rule", "verbs")

    def __init__(self, rule: Json) -> None:
        self.rule = rule
        self.verbs = frozenset(rule.get("verbs") or ())
        self.groups = frozenset(rule.get("apiGroups") or ())
        self.resources = frozenset(rule.get("resources") or ())
        self.names = frozenset(rule.get("resourceNames") or ())
        self.paths = tuple(rule.get("nonResourceURLs") or ())

    def allows(self, info: RequestInfo) -> bool:
        """Whether this rule covers what is asked."""
        if info.verb not in self.verbs and "*" not in self.verbs:
            return False
        if not info.is_resource:
            return any(
                path == "*" or path == info.path or (path.endswith("*") and info.path.startswith(path[:-1]))
                for path in self.paths
            )
        if info.group not in self.groups and "*" not in self.groups:
            return False
        if self.names and info.name not in self.names:
            return False
        resources = self.resources
        if "*" in resources:
            return True
        if not info.subresource:
            return info.resource in resources
        return f"{info.resource}/{info.subresource}" in resources or f"*/{info.subresource}" in resources


class _Rules:
    """What reaches one set of subjects: cluster-wide grants, and those per namespace."""

    __slots__ = ("cluster", "namespaced")

    def __init__(self) -> None:
        self.cluster: list[Grant] = []
        self.namespaced: dict[str, list[Grant]] = {}


class Rbac:
    """Decides by the roles and bindings in the cache. An epoch that every RBAC write raises drops what was compiled."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._caches: dict[str, ResourceCache] = {}
        for plural in ("roles", "clusterroles", "rolebindings", "clusterrolebindings"):
            spec: KindSpec | None = objects.registry.get(GROUP, "v1", plural)
            assert spec is not None
            cache = self._caches[plural] = objects.of(spec)
            cache.on_change(self._changed)
        self._by_subject: dict[tuple[str, tuple[str, ...]], _Rules] = {}
        self._grants: dict[tuple[str, int], list[Grant]] = {}
        self._bindings: list[tuple[str, frozenset[str], frozenset[str], Json]] | None = None

    def __call__(self, user: User, info: RequestInfo) -> Decision:
        """Whether the user may; members of system:masters always may."""
        if "system:masters" in user.groups:
            return _ALLOWED
        rules = self._rules(user)
        for grant in rules.cluster:
            if grant.allows(info):
                return _ALLOWED
        if info.namespace:
            for grant in rules.namespaced.get(info.namespace, ()):
                if grant.allows(info):
                    return _ALLOWED
        return _DENIED

    def rules_for(self, user: User, namespace: str) -> Iterator[Grant]:
        """Every rule that reaches a user in a namespace, those of the whole cluster included."""
        rules = self._rules(user)
        yield from rules.cluster
        yield from rules.namespaced.get(namespace, ())

    def role_rules(self, namespace: str, reference: Json) -> list[Json] | None:
        """The rules of the role a binding refers to; None where there is no such role."""
        entry = self._role(namespace, reference)
        return None if entry is None else entry.decode().get("rules") or []

    def resource(self, plural: str) -> Resource:
        """One of the four resources that rules come from."""
        return self._caches[plural].spec.resource

    def _changed(self, change: Change) -> None:
        self._by_subject.clear()
        self._grants.clear()
        self._bindings = None

    def _rules(self, user: User) -> _Rules:
        key = (user.name, user.groups)
        rules = self._by_subject.get(key)
        if rules is None:
            if len(self._by_subject) >= SUBJECTS_KEPT_MAX:
                self._by_subject.clear()
            rules = self._by_subject[key] = self._compile(user)
        return rules

    def _compile(self, user: User) -> _Rules:
        rules = _Rules()
        groups = set(user.groups)
        for namespace, users, bound_groups, role in self._all_bindings():
            if user.name not in users and groups.isdisjoint(bound_groups):
                continue
            grants = self._of_role(namespace, role)
            if namespace:
                rules.namespaced.setdefault(namespace, []).extend(grants)
            else:
                rules.cluster.extend(grants)
        return rules

    def _all_bindings(self) -> list[tuple[str, frozenset[str], frozenset[str], Json]]:
        if self._bindings is None:
            self._bindings = []
            for plural in ("clusterrolebindings", "rolebindings"):
                for entry in self._caches[plural].objects.values():
                    binding = entry.decode()
                    users, groups = _subjects(binding)
                    self._bindings.append((entry.namespace, users, groups, binding.get("roleRef") or {}))
        return self._bindings

    def _of_role(self, namespace: str, reference: Json) -> list[Grant]:
        entry = self._role(namespace, reference)
        if entry is None:
            return []
        key = (entry.key, entry.revision)
        grants = self._grants.get(key)
        if grants is None:
            grants = self._grants[key] = [Grant(rule) for rule in entry.decode().get("rules") or ()]
        return grants

    def _role(self, namespace: str, reference: Json) -> Cached | None:
        if reference.get("kind") == "Role":
            return self._caches["roles"].get(f"{namespace}/{reference.get('name')}")
        return self._caches["clusterroles"].get(str(reference.get("name")))


_ALLOWED = Decision(True, "RBAC: allowed")
_DENIED = Decision(False)


def _subjects(binding: Json) -> tuple[frozenset[str], frozenset[str]]:
    """The user names and the groups of a binding; a service account is the user it appears as."""
    users, groups = set(), set()
    default_namespace = binding["metadata"].get("namespace", "")
    for subject in binding.get("subjects") or ():
        match subject.get("kind"):
            case "User":
                users.add(subject["name"])
            case "Group":
                groups.add(subject["name"])
            case "ServiceAccount":
                namespace = subject.get("namespace") or default_namespace
                users.add(f"system:serviceaccount:{namespace}:{subject['name']}")
    return frozenset(users), frozenset(groups)
