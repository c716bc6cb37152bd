"""Priority: a pod's PriorityClass becomes the number that the scheduler and the kubelet go by."""

from typing import Any

from kaa.kinds.spec import KindSpec
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.lookup import PerEntry, kind
from kaa.server.cache import Cached
from kaa.server.objects import Objects

__all__ = ["Priority"]

Json = dict[str, Any]

DEFAULT_POLICY = "PreemptLowerPriority"


def _class_of(entry: Cached) -> tuple[str, int, str, bool]:
    """(name, value, preemption policy, whether it is the default)."""
    found = entry.decode()
    policy = found.get("preemptionPolicy") or DEFAULT_POLICY
    return entry.name, int(found.get("value", 0)), policy, bool(found.get("globalDefault"))


class Priority(Plugin):
    """Fills in `spec.priority` and `spec.preemptionPolicy` of pods; there is one default class at most."""

    name = "Priority"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._classes = kind(objects, "scheduling.k8s.io", "v1", "priorityclasses")
        self._read = PerEntry(_class_of)
        self._default: tuple[str, int, str, bool] | None = None
        self._default_known = False
        objects.of(self._classes).on_change(lambda _change: self._forget())

    def _forget(self) -> None:
        self._default_known = False

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Pods and priority classes."""
        return not subresource and operation in ("CREATE", "UPDATE") and (
            spec.resource.qualified in ("pods", "priorityclasses.scheduling.k8s.io")
        )  # fmt: skip

    def mutate(self, attributes: Attributes) -> None:
        """Fill in a pod's priority; raises 403 where its class is not there or it states another number."""
        if attributes.resource != "pods":
            return
        assert attributes.object is not None
        spec = attributes.object.setdefault("spec", {})
        if attributes.old is not None:
            # It was given when the pod was made; who writes it back without it means no other one.
            was = attributes.old.get("spec") or {}
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and was.get(field) is not None:
                    spec[field] = was[field]
            return
        name = spec.get("priorityClassName")
        if name:
            entry = self._objects.find(self._classes, "", name)
            if entry is None:
                raise attributes.forbidden(f"no PriorityClass with name {name} was found")
            chosen: tuple[str, int, str, bool] | None = self._read.of(entry)
        else:
            chosen = self._global_default()
        value, policy = (chosen[1], chosen[2]) if chosen is not None else (0, DEFAULT_POLICY)
        if chosen is not None and not name:
            spec["priorityClassName"] = chosen[0]
        stated = spec.get("priority")
        if stated is not None and stated != value:
            raise attributes.forbidden(
                f"the integer value of priority ({stated}) must not be provided in pod spec; priority admission "
                f"controller computed {value} from the given PriorityClass name"
            )
        spec["priority"] = value
        stated = spec.get("preemptionPolicy")
        if stated is not None and stated != policy:
            raise attributes.forbidden(
                f"the string value of PreemptionPolicy ({stated}) must not be provided in pod spec; priority admission "
                f"controller computed {policy} from the given PriorityClass name"
            )
        spec["preemptionPolicy"] = policy

    def validate(self, attributes: Attributes) -> None:
        """Raise 403 for a second default class."""
        if attributes.resource == "pods" or not (attributes.object or {}).get("globalDefault"):
            return
        standing = self._global_default()
        name = (attributes.object or {})["metadata"]["name"]
        if standing is not None and standing[0] != name:
            raise attributes.forbidden(
                f"PriorityClass {standing[0]} is already marked as default. Only one default can exist"
            )

    def _global_default(self) -> tuple[str, int, str, bool] | None:
        """The default class; of several (there should not be) the one with the lowest value."""
        if not self._default_known:
            cache = self._objects.of(self._classes)
            found = [each for entry in cache.objects.values() if (each := self._read.of(entry))[3]]
            self._default = min(found, key=lambda each: (each[1], each[0]), default=None)
            self._default_known = True
        return self._default
