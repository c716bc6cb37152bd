"""NamespaceLifecycle: nothing is created where there is no namespace, or in one that is going."""

from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.objects import Objects

__all__ = ["NamespaceLifecycle"]

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
