"""RBAC, compiled: the rules that reach a set of subjects are gathered once, and kept until any role or binding changes.

A decision is then one look-up by verb and resource, and one at the names. `rules_for` gives the same rules to reviews
and escalation checks.
"""

from collections.abc import Iterator
from typing import Any

from kaa.kinds.spec import KindSpec
from kaa.meta.resource import Resource
from kaa.server.app import Decision
from kaa.server.cache import Cached, Change, ResourceCache
from kaa.server.objects import Objects
from kaa.server.policy.rules import Grant
from kaa.server.request import RequestInfo, User

__all__ = ["GROUP", "Grant", "Rbac"]

Json = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
SUBJECTS_KEPT_MAX = 2048
#: Questions remembered for each set of subjects: verbs by resources, whatever the namespace and the name.
QUESTIONS_KEPT_MAX = 512

Granted = tuple[Grant, Decision]
_NO_OPINION = Decision(False)


class _Binding:
    __slots__ = ("entry", "groups", "namespace", "role", "users")

    def __init__(self, entry: Cached) -> None:
        binding = entry.decode()
        self.entry = entry
        self.namespace = entry.namespace
        self.role: Json = binding.get("roleRef") or {}
        #: Which subject a user name or a group is, as reasons show it; a service account is the user it appears as.
        self.users: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        for subject in binding.get("subjects") or ():
            kind, name = subject.get("kind"), subject.get("name", "")
            if kind == "User":
                self.users[name] = f'User "{name}"'
            elif kind == "Group":
                self.groups[name] = f'Group "{name}"'
            elif kind == "ServiceAccount":
                namespace = subject.get("namespace") or self.namespace
                self.users[f"system:serviceaccount:{namespace}:{name}"] = f'ServiceAccount "{name}/{namespace}"'

    def subject(self, user: User) -> str:
        """The subject that is this user, or one of their groups; "" where none is."""
        found = self.users.get(user.name)
        if found is None:
            found = next((self.groups[group] for group in user.groups if group in self.groups), "")
        return found

    def allowed(self, subject: str) -> Decision:
        """The answer that names this binding."""
        where = f"{self.entry.name}/{self.namespace}" if self.namespace else self.entry.name
        kind = "RoleBinding" if self.namespace else "ClusterRoleBinding"
        role = f'{self.role.get("kind")} "{self.role.get("name")}"'
        return Decision(True, f'RBAC: allowed by {kind} "{where}" of {role} to {subject}')


class _Rules:
    """What reaches one set of subjects: cluster-wide grants, and those per namespace."""

    __slots__ = ("cluster", "missing", "namespaced", "questions")

    def __init__(self) -> None:
        self.cluster: list[Granted] = []
        self.namespaced: dict[str, list[Granted]] = {}
        #: By namespace: roles that bindings refer to and that are not there.
        self.missing: dict[str, list[str]] = {}
        self.questions: dict[tuple[str, str, str, str, str], tuple[Granted, ...]] = {}

    def about(self, info: RequestInfo) -> tuple[Granted, ...]:
        """The grants for this verb on this resource, or path, in a namespace."""
        namespace = info.namespace
        if namespace not in self.namespaced:
            namespace = ""
        if info.is_resource:
            key = (info.verb, info.group, info.resource, info.subresource, namespace)
        else:
            key = (info.verb, info.path, "", "/", "")
        found = self.questions.get(key)
        if found is None:
            grants = (*self.cluster, *self.namespaced[namespace]) if namespace else self.cluster
            found = tuple(each for each in grants if each[0].about(info))
            if len(self.questions) >= QUESTIONS_KEPT_MAX:
                self.questions.clear()
            self.questions[key] = found
        return found


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
        self.epoch = 0
        self._by_subject: dict[tuple[str, tuple[str, ...]], _Rules] = {}
        self._grants: dict[tuple[str, int], list[Grant]] = {}
        self._bindings: list[_Binding] | None = None

    def __call__(self, user: User, info: RequestInfo) -> Decision:
        """Whether the user may, by which binding; else no opinion."""
        rules = self._rules(user)
        for grant, decision in rules.about(info):
            if not grant.names or not info.is_resource or info.name in grant.names:
                return decision
        if rules.missing:
            lost = [*rules.missing.get("", ()), *(rules.missing.get(info.namespace, ()) if info.namespace else ())]
            if lost:
                return Decision(False, f"RBAC: {lost[0] if len(lost) == 1 else '[' + ', '.join(lost) + ']'}")
        return _NO_OPINION

    def rules_for(self, user: User, namespace: str) -> Iterator[Grant]:
        """Every rule that reaches a user in a namespace, those of the whole cluster included."""
        rules = self._rules(user)
        for grant, _ in rules.cluster:
            yield grant
        if namespace:
            for grant, _ in rules.namespaced.get(namespace, ()):
                yield grant

    def role_rules(self, namespace: str, reference: Json) -> list[Json] | None:
        """The rules of the role a binding refers to; None where there is no such role."""
        entry = self._role(namespace, reference)
        return None if entry is None else entry.decode().get("rules") or []

    def missing_roles(self, user: User, namespace: str) -> list[str]:
        """What could not be resolved for a user in a namespace."""
        missing = self._rules(user).missing
        return [*missing.get("", ()), *(missing.get(namespace, ()) if namespace else ())]

    def resource(self, plural: str) -> Resource:
        """One of the four resources that rules come from."""
        return self._caches[plural].spec.resource

    def _changed(self, change: Change) -> None:
        self.epoch += 1
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
        for binding in self._all_bindings():
            subject = binding.subject(user)
            if not subject:
                continue
            grants = self._of_role(binding.namespace, binding.role)
            if grants is None:
                kind = str(binding.role.get("kind", "")).lower()
                text = f'{kind}.{GROUP} "{binding.role.get("name", "")}" not found'
                rules.missing.setdefault(binding.namespace, []).append(text)
                continue
            decision = binding.allowed(subject)
            granted = [(grant, decision) for grant in grants]
            if binding.namespace:
                rules.namespaced.setdefault(binding.namespace, []).extend(granted)
            else:
                rules.cluster.extend(granted)
        return rules

    def _all_bindings(self) -> list[_Binding]:
        if self._bindings is None:
            self._bindings = [
                _Binding(entry)
                for plural in ("clusterrolebindings", "rolebindings")
                for entry in self._caches[plural].objects.values()
            ]
        return self._bindings

    def _of_role(self, namespace: str, reference: Json) -> list[Grant] | None:
        entry = self._role(namespace, reference)
        if entry is None:
            return None
        key = (entry.spec.resource.plural + entry.key, entry.revision)
        grants = self._grants.get(key)
        if grants is None:
            grants = self._grants[key] = [Grant(rule) for rule in entry.decode().get("rules") or ()]
        return grants

    def _role(self, namespace: str, reference: Json) -> Cached | None:
        if reference.get("kind") == "Role":
            return self._caches["roles"].get(f"{namespace}/{reference.get('name')}")
        return self._caches["clusterroles"].get(str(reference.get("name")))
