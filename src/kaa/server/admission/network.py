"""Ingresses and services: the default class, and external IPs where they are not wanted."""

from typing import Any

from kaa.kinds.spec import KindSpec
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.lookup import creates, kind
from kaa.server.admission.storage import newest_default
from kaa.server.objects import Objects

__all__ = ["DefaultIngressClass", "DenyServiceExternalIPs"]

Json = dict[str, Any]

DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
OLD_CLASS = "kubernetes.io/ingress.class"


class DefaultIngressClass(Plugin):
    """Gives ingresses that name no class the default one."""

    name = "DefaultIngressClass"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._classes = kind(objects, "networking.k8s.io", "v1", "ingressclasses")

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates of ingresses."""
        return creates(spec, subresource, operation, "ingresses.networking.k8s.io")

    def mutate(self, attributes: Attributes) -> None:
        """Fill in the class, unless the annotation of old says it."""
        assert attributes.object is not None
        spec = attributes.object.setdefault("spec", {})
        if spec.get("ingressClassName") is not None:
            return
        if OLD_CLASS in (attributes.object["metadata"].get("annotations") or {}):
            return
        name = newest_default(self._objects, self._classes, DEFAULT_CLASS)
        if name is not None:
            spec["ingressClassName"] = name


class DenyServiceExternalIPs(Plugin):
    """Lets services keep and drop external IPs, and take no new ones."""

    name = "DenyServiceExternalIPs"

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Services."""
        return spec.resource.qualified == "services" and not subresource and operation in ("CREATE", "UPDATE")

    def validate(self, attributes: Attributes) -> None:
        """Raise 403 for a new one."""
        wanted = set(((attributes.object or {}).get("spec") or {}).get("externalIPs") or ())
        if wanted - set(((attributes.old or {}).get("spec") or {}).get("externalIPs") or ()):
            raise attributes.forbidden("Use of external IPs is denied by admission control")
