"""Volume claims and volumes: their default class, their growth, and that nothing in use goes."""

from typing import Any

from kaa.kinds.spec import KindSpec
from kaa.meta import quantity
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.lookup import creates, kind
from kaa.server.objects import Objects

__all__ = ["DefaultStorageClass", "PersistentVolumeClaimResize", "StorageObjectInUseProtection", "newest_default"]

Json = dict[str, Any]

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
#: The annotation of before v1.6, which is still read.
DEFAULT_CLASS_BETA = "storageclass.beta.kubernetes.io/is-default-class"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def newest_default(objects: Objects, spec: KindSpec, *annotations: str) -> str | None:
    """The name of the class that is marked as default: of several the newest, of those the first by name."""
    found = []
    for entry in objects.of(spec).objects.values():
        if not any(each.encode() in entry.wire for each in annotations):
            continue
        meta = entry.decode()["metadata"]
        if any((meta.get("annotations") or {}).get(each) == "true" for each in annotations):
            found.append((meta.get("creationTimestamp") or "", meta["name"]))
    if not found:
        return None
    newest = max(found)[0]
    return str(min(name for made, name in found if made == newest))


class DefaultStorageClass(Plugin):
    """Gives claims that name no class the default one."""

    name = "DefaultStorageClass"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._classes = kind(objects, "storage.k8s.io", "v1", "storageclasses")

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates of claims."""
        return creates(spec, subresource, operation, "persistentvolumeclaims")

    def mutate(self, attributes: Attributes) -> None:
        """Fill in the class; a claim that says "" wants none."""
        assert attributes.object is not None
        spec = attributes.object.setdefault("spec", {})
        annotations = attributes.object["metadata"].get("annotations") or {}
        if spec.get("storageClassName") is not None or CLASS_ANNOTATION in annotations:
            return
        name = newest_default(self._objects, self._classes, DEFAULT_CLASS, DEFAULT_CLASS_BETA)
        if name is not None:
            spec["storageClassName"] = name


class StorageObjectInUseProtection(Plugin):
    """Puts on claims and volumes the finalizer that a controller takes off once nobody uses them."""

    name = "StorageObjectInUseProtection"
    finalizers = {
        "persistentvolumeclaims": "kubernetes.io/pvc-protection",
        "persistentvolumes": "kubernetes.io/pv-protection",
    }

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates of what can be in use."""
        return creates(spec, subresource, operation, *self.finalizers)

    def mutate(self, attributes: Attributes) -> None:
        """Add the finalizer."""
        assert attributes.object is not None
        meta, wanted = attributes.object["metadata"], self.finalizers[attributes.resource]
        if wanted not in (meta.get("finalizers") or ()):
            meta["finalizers"] = [*(meta.get("finalizers") or ()), wanted]


class PersistentVolumeClaimResize(Plugin):
    """Claims grow only where their class lets them."""

    name = "PersistentVolumeClaimResize"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._classes = kind(objects, "storage.k8s.io", "v1", "storageclasses")

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Updates of claims."""
        return spec.resource.qualified == "persistentvolumeclaims" and not subresource and operation == "UPDATE"

    def validate(self, attributes: Attributes) -> None:
        """Raise 403 for a claim that grows and may not."""
        new, old = attributes.object or {}, attributes.old or {}
        if _size(new) <= _size(old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise attributes.forbidden("Only bound persistent volume claims can be expanded")
        name, before = _class_of(new), _class_of(old)
        entry = self._objects.find(self._classes, "", name) if name and name == before else None
        if entry is None or not entry.decode().get("allowVolumeExpansion"):
            raise attributes.forbidden(
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                "support resize"
            )


def _size(claim: Json) -> quantity.Quantity:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return quantity.parse(requests.get("storage", "0"))


def _class_of(claim: Json) -> str:
    annotations = claim["metadata"].get("annotations") or {}
    return str(annotations.get(CLASS_ANNOTATION) or (claim.get("spec") or {}).get("storageClassName") or "")
