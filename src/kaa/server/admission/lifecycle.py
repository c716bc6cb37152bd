"""NamespaceLifecycle: nothing is created where there is no namespace, or in one that is going."""

from typing import Any

from kaa.base import ids
from kaa.base.clock import REAL, Clock, format_seconds
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.lookup import kind
from kaa.server.objects import Objects

__all__ = ["NamespaceAutoProvision", "NamespaceExists", "NamespaceLifecycle"]

#: What a cluster cannot be without.
PROTECTED = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    """Refuses creates in namespaces that do not exist or are terminating, and deletion of the cluster's own."""

    name = "NamespaceLifecycle"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        spec = objects.registry.get("", "v1", "namespaces")
        assert spec is not None
        self._namespaces = spec

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates in namespaces, and deletions of namespaces."""
        if spec.resource.qualified == "namespaces":
            return operation == "DELETE"
        return spec.namespaced and operation == "CREATE" and spec.storable

    def mutate(self, attributes: Attributes) -> None:
        """Raise 404 or 403."""
        if attributes.operation == "DELETE":
            if attributes.name in PROTECTED:
                raise errors.forbidden(attributes.spec.resource, attributes.name, "this namespace may not be deleted")
            return
        entry = self._objects.find(self._namespaces, "", attributes.namespace)
        if entry is None:
            raise errors.not_found(self._namespaces.resource, attributes.namespace)
        if entry.fields.get("status.phase") == "Terminating":
            error = errors.forbidden(
                attributes.spec.resource,
                attributes.name,
                f"unable to create new content in namespace {attributes.namespace} because it is being terminated",
            )
            error.details["causes"] = [
                {
                    "reason": "NamespaceTerminating",
                    "message": f"namespace {attributes.namespace} is being terminated",
                    "field": "metadata.namespace",
                }
            ]
            raise error


class NamespaceExists(Plugin):
    """Refuses whatever is written into a namespace that is not there. Off by default: NamespaceLifecycle does more."""

    name = "NamespaceExists"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._namespaces = kind(objects, "", "v1", "namespaces")

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Writes of what lives in a namespace."""
        return spec.namespaced and operation != "CONNECT"

    def validate(self, attributes: Attributes) -> None:
        """Raise 404."""
        self._objects.get(self._namespaces, "", attributes.namespace)


class NamespaceAutoProvision(Plugin):
    """Makes the namespace that something is created in. Off by default: a slip of the keyboard makes one too."""

    name = "NamespaceAutoProvision"

    def __init__(self, objects: Objects, clock: Clock = REAL) -> None:
        self._objects = objects
        self._clock = clock
        self._namespaces = kind(objects, "", "v1", "namespaces")

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates in namespaces."""
        return spec.namespaced and operation == "CREATE" and spec.storable and not subresource

    async def mutate(self, attributes: Attributes) -> None:
        """Create it, unless it is there or somebody was quicker."""
        name = attributes.namespace
        if attributes.dry_run or self._objects.find(self._namespaces, "", name) is not None:
            return
        made: dict[str, Any] = {"kind": "Namespace", "apiVersion": "v1", "metadata": {
            "name": name, "uid": ids.uid(), "creationTimestamp": format_seconds(self._clock.now())}}  # fmt: skip
        self._namespaces.default(made)
        self._namespaces.prepare_create(made)
        problems = list(self._namespaces.validate_create(made))
        if problems:
            raise errors.invalid(self._namespaces.resource, name, problems)
        try:
            await self._objects.create(self._namespaces, made)
        except errors.StatusError as error:
            if error.reason != "AlreadyExists":
                raise
