"""Nobody grants what they do not have: a role is written, or bound, only by those who hold all it grants.

The way out is explicit: the verbs `escalate` (on a role) and `bind` (on the role that is bound). This is part of RBAC
rather than an admission plugin that can be switched off, and it runs in the chain because it must see what is written.
"""

from collections.abc import Iterable
from typing import Any

from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.app import Authorize, Decision
from kaa.server.authz.rbac import GROUP, Rbac
from kaa.server.policy.rules import COMPARED_MAX, TooManyRules, missing_rules, shown
from kaa.server.request import RequestInfo, User

__all__ = ["EscalationCheck"]

Json = dict[str, Any]

ROLES = ("roles", "clusterroles")
BINDINGS = ("rolebindings", "clusterrolebindings")
EVERYTHING = ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]})


class EscalationCheck(Plugin):
    """Refuses roles and bindings that would grant more than their writer holds."""

    name = "RBAC"

    def __init__(self, rbac: Rbac, authorize: Authorize) -> None:
        self._rbac = rbac
        self._authorize = authorize

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Writes of roles and bindings."""
        return spec.resource.group == GROUP and operation in ("CREATE", "UPDATE")

    async def validate(self, attributes: Attributes) -> None:
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
            if await self._may(user, "escalate", plural, attributes.namespace, attributes.name):
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
            if await self._may(user, "bind", bound, attributes.namespace, str(reference.get("name", ""))):
                return
            found = self._rbac.role_rules(attributes.namespace, reference)
            if found is None:
                resource = self._rbac.resource(bound)
                raise errors.not_found(resource, str(reference.get("name", "")))
            wanted = found
        try:
            missing = missing_rules(wanted, self._rbac.rules_for(user, attributes.namespace), COMPARED_MAX)
        except TooManyRules as error:
            raise attributes.forbidden(str(error)) from error
        if missing:
            groups = " ".join(f'"{each}"' for each in user.groups)
            listing = "\n".join(map(shown, missing))
            lost = self._rbac.missing_roles(user, attributes.namespace)
            errors_found = f"; resolution errors: [{', '.join(lost)}]" if lost else ""
            raise errors.forbidden(
                attributes.spec.resource, attributes.name,
                f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
                f"{listing}{errors_found}",
            )  # fmt: skip

    async def _may(self, user: User, verb: str, plural: str, namespace: str, name: str) -> bool:
        info = RequestInfo(verb, "", True, GROUP, "v1", plural, "", namespace, name)
        decision = self._authorize(user, info)
        return (decision if isinstance(decision, Decision) else await decision).allowed
