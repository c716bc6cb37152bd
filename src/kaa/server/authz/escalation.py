"""Nobody grants what they do not have: a role is written, or bound, only by those who hold all it grants.

The way out is explicit: the verbs `escalate` (on a role) and `bind` (on the role that is bound). This is part of RBAC
rather than an admission plugin that can be switched off, and it runs in the chain because it must see what is written.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.authz.rbac import GROUP, Grant, Rbac
from kaa.server.request import RequestInfo, User

__all__ = ["EscalationCheck", "missing_rules"]

Json = dict[str, Any]

ROLES = ("roles", "clusterroles")
BINDINGS = ("rolebindings", "clusterrolebindings")
EVERYTHING = ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]})


class EscalationCheck(Plugin):
    """Refuses roles and bindings that would grant more than their writer holds."""

    name = "RBAC"

    def __init__(self, rbac: Rbac) -> None:
        self._rbac = rbac

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Writes of roles and bindings."""
        return spec.resource.group == GROUP and operation in ("CREATE", "UPDATE")

    def validate(self, attributes: Attributes) -> None:
        """Raise 403 with what is missing, or 404 where the bound role does not exist."""
        user, new, old = attributes.user, attributes.object, attributes.old
        assert new is not None
        if "system:masters" in user.groups:
            return
        plural = attributes.spec.resource.plural
        if plural in ROLES:
            if (
                old is not None
                and old.get("rules") == new.get("rules")
                and (old.get("aggregationRule") == new.get("aggregationRule"))
            ):
                return
            if self._may(user, "escalate", plural, attributes.namespace, attributes.name):
                return
            wanted: Iterable[Json] = new.get("rules") or ()
            if new.get("aggregationRule") and (old or {}).get("aggregationRule") != new["aggregationRule"]:
                wanted = EVERYTHING  # it may come to hold anything
        else:
            if old is not None and (old.get("subjects"), old.get("roleRef")) == (
                new.get("subjects"),
                new.get("roleRef"),
            ):
                return
            reference = new.get("roleRef") or {}
            bound = "roles" if reference.get("kind") == "Role" else "clusterroles"
            if self._may(user, "bind", bound, attributes.namespace, str(reference.get("name", ""))):
                return
            found = self._rbac.role_rules(attributes.namespace, reference)
            if found is None:
                resource = self._rbac.resource(bound)
                raise errors.not_found(resource, str(reference.get("name", "")))
            wanted = found
        missing = missing_rules(wanted, list(self._rbac.rules_for(user, attributes.namespace)))
        if missing:
            groups = " ".join(orjson.dumps(each).decode() for each in user.groups)
            listing = "\n".join(_compact(each) for each in missing)
            raise errors.forbidden(
                attributes.spec.resource, attributes.name,
                f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
                f"{listing}",
            )  # fmt: skip

    def _may(self, user: User, verb: str, plural: str, namespace: str, name: str) -> bool:
        info = RequestInfo(verb, "", True, GROUP, "v1", plural, "", namespace, name)
        return self._rbac(user, info).allowed


def missing_rules(wanted: Iterable[Json], held: list[Grant]) -> list[Json]:
    """What of `wanted` no held rule covers, one rule per resource (or path) with the verbs that are missing."""
    missing: dict[tuple[str, str, str, str], list[str]] = {}
    for rule in wanted:
        for at, verb in _pieces(rule):
            if not any(_covers(grant, at, verb) for grant in held):
                verbs = missing.setdefault(at, [])
                if verb not in verbs:
                    verbs.append(verb)
    found: list[Json] = []
    for (path, group, resource, name), verbs in missing.items():
        if path:
            found.append({"nonResourceURLs": [path], "verbs": verbs})
        else:
            found.append({"apiGroups": [group], "resources": [resource], **({"resourceNames": [name]} if name else {}),
                          "verbs": verbs})  # fmt: skip
    return found


def _pieces(rule: Json) -> Iterator[tuple[tuple[str, str, str, str], str]]:
    """A rule as (path, group, resource, name) and verb, one of each."""
    for verb in rule.get("verbs") or ():
        for path in rule.get("nonResourceURLs") or ():
            yield (path, "", "", ""), verb
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    yield ("", group, resource, name), verb


def _covers(grant: Grant, at: tuple[str, str, str, str], verb: str) -> bool:
    path, group, resource, name = at
    if verb not in grant.verbs and "*" not in grant.verbs:
        return False
    if path:
        return any(path == each or (each.endswith("*") and path.startswith(each.rstrip("*"))) for each in grant.paths)
    if group not in grant.groups and "*" not in grant.groups:
        return False
    if grant.names and name not in grant.names:
        return False
    if "*" in grant.resources or resource in grant.resources:
        return True
    return "/" in resource and f"*/{resource.partition('/')[2]}" in grant.resources


def _compact(rule: Json) -> str:
    names = {"apiGroups": "APIGroups", "resources": "Resources", "nonResourceURLs": "NonResourceURLs",
             "resourceNames": "ResourceNames", "verbs": "Verbs"}  # fmt: skip
    parts = []
    for name, shown in names.items():
        if rule.get(name):
            parts.append(f"{shown}:[{' '.join(orjson.dumps(each).decode() for each in rule[name])}]")
    return "{" + ", ".join(parts) + "}"
