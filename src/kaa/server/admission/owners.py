"""OwnerReferencesPermissionEnforcement: who gives an object owners could have it deleted, so must be allowed to."""

from collections.abc import Iterator
from typing import Any

from kaa.kinds.registry import Registry
from kaa.kinds.spec import KindSpec
from kaa.server.admission.api import Attributes, Authorizing, Operation, Plugin
from kaa.server.admission.certificates import may
from kaa.server.request import RequestInfo

__all__ = ["OwnerReferencesPermissionEnforcement"]

Json = dict[str, Any]


class OwnerReferencesPermissionEnforcement(Plugin):
    """Changing owners needs `delete` of the object; blocking an owner's deletion, its `finalizers`."""

    name = "OwnerReferencesPermissionEnforcement"

    def __init__(self, registry: Registry, authorize: Authorizing) -> None:
        self._registry = registry
        self._authorize = authorize

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates and updates, but of what kubelets and controllers tell of pods."""
        return operation in ("CREATE", "UPDATE") and (spec.resource.qualified, subresource) != ("pods", "status")

    async def validate(self, attributes: Attributes) -> None:
        """Raise 403."""
        new = (attributes.object or {}).get("metadata", {}).get("ownerReferences") or []
        old = (attributes.old or {}).get("metadata", {}).get("ownerReferences") or []
        if new == old:
            return
        resource = attributes.spec.resource
        name = attributes.name if attributes.operation == "UPDATE" else ""
        info = RequestInfo("delete", "", True, resource.group, resource.version, resource.plural,
                           attributes.subresource, attributes.namespace, name)  # fmt: skip
        if not await may(self._authorize, attributes.user, info):
            raise attributes.forbidden("cannot set an ownerRef on a resource you can't delete: , <nil>")
        for owner in _newly_blocking(new, old):
            api_version, owner_kind = owner.get("apiVersion", ""), owner.get("kind", "")
            spec = self._registry.by_kind(api_version, owner_kind)
            if spec is None:
                raise attributes.forbidden(
                    "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion "
                    f'{api_version} Kind {owner_kind}: no matches for kind "{owner_kind}" in version "{api_version}"'
                )
            theirs = spec.resource
            namespace = attributes.namespace if theirs.namespaced else ""
            info = RequestInfo("update", "", True, theirs.group, theirs.version, theirs.plural, "finalizers", namespace,
                               owner.get("name", ""))  # fmt: skip
            if not await may(self._authorize, attributes.user, info):
                raise attributes.forbidden(
                    "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers "
                    "on: , <nil>"
                )


def _newly_blocking(new: list[Json], old: list[Json]) -> Iterator[Json]:
    before = {each.get("uid") for each in old if each.get("blockOwnerDeletion")}
    for each in new:
        if each.get("blockOwnerDeletion") and each.get("uid") not in before:
            yield each
