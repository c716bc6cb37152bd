"""Off unless asked for: where pods of a namespace may go, what they tolerate, and how their images are pulled."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kaa.kinds.core.resources import is_extended
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.lookup import PerEntry, kind, of_pods
from kaa.server.admission.tolerations import conflict, covers, merged
from kaa.server.cache import Cached
from kaa.server.objects import Objects

__all__ = [
    "AlwaysPullImages", "ExtendedResourceToleration", "LimitPodHardAntiAffinityTopology", "PodNodeSelector",
    "PodTolerationRestriction",
]  # fmt: skip

Json = dict[str, Any]

NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
DEFAULT_TOLERATIONS = "scheduler.alpha.kubernetes.io/defaultTolerations"
ALLOWED_TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
HOSTNAME = "kubernetes.io/hostname"
_PARTS = ("containers", "initContainers", "ephemeralContainers")


class AlwaysPullImages(Plugin):
    """Every start of a container asks the registry, so that nobody uses an image that another may pull and he not."""

    name = "AlwaysPullImages"

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Pods, and containers added to them."""
        return spec.resource.qualified == "pods" and subresource in ("", "ephemeralcontainers") and (
            operation in ("CREATE", "UPDATE")
        )  # fmt: skip

    def mutate(self, attributes: Attributes) -> None:
        """Set the pull policy. An update that brings no new image changes nothing."""
        obj = attributes.object or {}
        spec, old = obj.get("spec") or {}, (attributes.old or {}).get("spec") or {}
        known = {each.get("image") for part in _PARTS for each in old.get(part) or ()}
        images = {each.get("image") for part in _PARTS for each in spec.get(part) or ()}
        if attributes.old is not None and images <= known:
            return
        for part in _PARTS:
            for container in spec.get(part) or ():
                container["imagePullPolicy"] = "Always"
        for volume in spec.get("volumes") or ():
            if volume.get("image"):
                volume["image"]["pullPolicy"] = "Always"


class ExtendedResourceToleration(Plugin):
    """Pods that ask for an extended resource tolerate the taint by which its nodes are kept for them."""

    name = "ExtendedResourceToleration"

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Pods."""
        return of_pods(spec, subresource) and operation in ("CREATE", "UPDATE")

    def mutate(self, attributes: Attributes) -> None:
        """Add the tolerations."""
        spec = (attributes.object or {}).get("spec") or {}
        asked = sorted({
            name
            for part in ("containers", "initContainers")
            for container in spec.get(part) or ()
            for name in (container.get("resources") or {}).get("requests") or ()
            if is_extended(name)
        })  # fmt: skip
        have = {(each.get("key"), each.get("operator")) for each in spec.get("tolerations") or ()}
        more = [{"key": name, "operator": "Exists"} for name in asked if (name, "Exists") not in have]
        if more:
            spec["tolerations"] = [*(spec.get("tolerations") or ()), *more]


class LimitPodHardAntiAffinityTopology(Plugin):
    """No pod keeps others out of more than its own node."""

    name = "LimitPodHardAntiAffinityTopology"

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Pods."""
        return of_pods(spec, subresource) and operation in ("CREATE", "UPDATE")

    def mutate(self, attributes: Attributes) -> None:
        """Raise 403."""
        affinity = ((attributes.object or {}).get("spec") or {}).get("affinity") or {}
        for term in (affinity.get("podAntiAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            key = term.get("topologyKey", "")
            if key != HOSTNAME:
                raise attributes.forbidden(
                    f"affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but only key {HOSTNAME} "
                    "is allowed"
                )


def _labels(text: str) -> dict[str, str]:
    """`a=b,c=d` as labels. Raises ValueError."""
    found = {}
    for piece in filter(None, (each.strip() for each in text.split(","))):
        key, equals, value = piece.partition("=")
        if not equals:
            raise ValueError(f"invalid selector: [{piece}]")
        found[key.strip()] = value.strip()
    return found


def _conflicts(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(other.get(key, value) != value for key, value in one.items())


class PodNodeSelector(Plugin):
    """Pods go only to the nodes that their namespace is for, by an annotation or by configuration."""

    name = "PodNodeSelector"

    def __init__(self, objects: Objects, configuration: Mapping[str, Any] | None = None) -> None:
        self._objects = objects
        self._namespaces = kind(objects, "", "v1", "namespaces")
        self._configured: Mapping[str, str] = (configuration or {}).get("podNodeSelectorPluginConfig") or {}
        self._stated = PerEntry(_annotations)

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates of pods."""
        return of_pods(spec, subresource) and operation == "CREATE"

    def _selector(self, namespace: str) -> dict[str, str]:
        stated = self._stated.of(self._objects.get(self._namespaces, "", namespace)).get(NODE_SELECTOR)
        text = stated if stated is not None else self._configured.get("clusterDefaultNodeSelector", "")
        try:
            return _labels(text)
        except ValueError as error:
            raise errors.internal(str(error)) from error

    def mutate(self, attributes: Attributes) -> None:
        """Add the namespace's selector to the pod's; raises 403 where they differ."""
        assert attributes.object is not None
        spec, selector = attributes.object.setdefault("spec", {}), self._selector(attributes.namespace)
        self._check(attributes, selector)
        if selector:
            spec["nodeSelector"] = {**selector, **(spec.get("nodeSelector") or {})}

    def _check(self, attributes: Attributes, selector: dict[str, str]) -> None:
        own = ((attributes.object or {}).get("spec") or {}).get("nodeSelector") or {}
        if _conflicts(selector, own):
            raise attributes.forbidden("pod node label selector conflicts with its namespace node label selector")

    def validate(self, attributes: Attributes) -> None:
        """Raise 403 for labels that the configuration does not allow the namespace."""
        self._check(attributes, self._selector(attributes.namespace))
        allowed = _labels(self._configured.get(attributes.namespace, ""))
        own = ((attributes.object or {}).get("spec") or {}).get("nodeSelector") or {}
        if allowed and any(allowed.get(key) != value for key, value in own.items()):
            raise attributes.forbidden("pod node label selector labels conflict with its namespace whitelist")


class PodTolerationRestriction(Plugin):
    """Pods get their namespace's tolerations, and may have only those it allows."""

    name = "PodTolerationRestriction"

    def __init__(self, objects: Objects, configuration: Mapping[str, Any] | None = None) -> None:
        self._objects = objects
        self._namespaces = kind(objects, "", "v1", "namespaces")
        self._default: Sequence[Json] = (configuration or {}).get("default") or ()
        self._allowed: Sequence[Json] = (configuration or {}).get("whitelist") or ()
        self._stated = PerEntry(_annotations)

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Pods."""
        return of_pods(spec, subresource) and operation in ("CREATE", "UPDATE")

    def _of(self, namespace: str, key: str, fallback: Sequence[Json]) -> Sequence[Json]:
        text = self._stated.of(self._objects.get(self._namespaces, "", namespace)).get(key)
        try:
            return (orjson.loads(text) if text else None) or fallback
        except orjson.JSONDecodeError as error:
            raise errors.internal(f"the annotation {key} of namespace {namespace} is no list: {error}") from error

    def mutate(self, attributes: Attributes) -> None:
        """Put the lists together; raises 403 where they contradict each other."""
        assert attributes.object is not None
        spec = attributes.object.setdefault("spec", {})
        if attributes.operation == "CREATE":
            given = self._of(attributes.namespace, DEFAULT_TOLERATIONS, self._default)
            own = spec.get("tolerations") or []
            if own and conflict(given, own):
                raise attributes.forbidden("namespace tolerations and pod tolerations conflict")
            if given:
                spec["tolerations"] = merged(given, own)
        self.validate(attributes)

    def validate(self, attributes: Attributes) -> None:
        """Raise 403 for what is not allowed here."""
        own = ((attributes.object or {}).get("spec") or {}).get("tolerations") or ()
        allowed = self._of(attributes.namespace, ALLOWED_TOLERATIONS, self._allowed) if own else ()
        if allowed and not all(any(covers(each, mine) for each in allowed) for mine in own):
            raise attributes.forbidden(
                "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace "
                "whitelist"
            )


def _annotations(entry: Cached) -> dict[str, str]:
    found: dict[str, str] = orjson.loads(entry.metadata_wire).get("annotations") or {}
    return found
