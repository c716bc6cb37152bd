"""RuntimeClass: what a pod's runtime costs, and where it is."""

from collections.abc import Iterable
from typing import Any

from kaa.kinds.spec import KindSpec
from kaa.meta import quantity
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.lookup import kind, of_pods
from kaa.server.admission.tolerations import merged
from kaa.server.objects import Objects

__all__ = ["RuntimeClassAdmission"]

Json = dict[str, Any]


def _amounts(found: Json | None) -> dict[str, quantity.Quantity]:
    return {name: quantity.parse(amount) for name, amount in (found or {}).items()}


class RuntimeClassAdmission(Plugin):
    """Gives a pod the overhead and the scheduling constraints of its runtime class."""

    name = "RuntimeClass"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._classes = kind(objects, "node.k8s.io", "v1", "runtimeclasses")

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates of pods."""
        return of_pods(spec, subresource) and operation == "CREATE"

    def _class(self, attributes: Attributes) -> Json:
        name = ((attributes.object or {}).get("spec") or {}).get("runtimeClassName")
        if name is None:
            return {}
        entry = self._objects.find(self._classes, "", name)
        if entry is None:
            raise attributes.forbidden(f'pod rejected: RuntimeClass "{name}" not found')
        return entry.decode()

    def mutate(self, attributes: Attributes) -> None:
        """Fill in; raises 403 where the class is not there, or the pod says something else."""
        assert attributes.object is not None
        spec = attributes.object.get("spec") or {}
        if spec.get("runtimeClassName") is None:
            return
        found = self._class(attributes)
        fixed = (found.get("overhead") or {}).get("podFixed") if found.get("overhead") is not None else None
        if fixed is not None:
            if spec.get("overhead") is not None and _amounts(spec["overhead"]) != _amounts(fixed):
                raise attributes.forbidden("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            spec["overhead"] = fixed
        scheduling = found.get("scheduling")
        if scheduling is None:
            return
        selector = dict(spec.get("nodeSelector") or {})
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if selector.get(key, value) != value:
                raise attributes.forbidden(
                    f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                    f"pod.spec.nodeSelector[{key}] = {selector[key]}"
                )
            selector[key] = value
        if selector:
            spec["nodeSelector"] = selector
        more: Iterable[Json] = scheduling.get("tolerations") or ()
        if more:
            spec["tolerations"] = merged(spec.get("tolerations") or (), more)

    def validate(self, attributes: Attributes) -> None:
        """Raise 403 where a pod says an overhead that is not its class's."""
        spec = (attributes.object or {}).get("spec") or {}
        if spec.get("runtimeClassName") is None and spec.get("overhead") is None:
            return
        fixed = (self._class(attributes).get("overhead") or {}).get("podFixed")
        if fixed is not None and _amounts(fixed) != _amounts(spec.get("overhead")):
            raise attributes.forbidden("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        if fixed is None and spec.get("overhead") is not None:
            raise attributes.forbidden(
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )
