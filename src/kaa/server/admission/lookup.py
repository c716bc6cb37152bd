"""How plugins find what they need in the watch cache: by name, or a namespace's few, compiled once per change."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from kaa.kinds.spec import KindSpec
from kaa.server.cache import Cached, Change, ResourceCache
from kaa.server.objects import Objects

__all__ = ["ByNamespace", "PerEntry", "creates", "kind", "of_pods"]

T = TypeVar("T")

#: Compiled forms kept; beyond it all are dropped and made again.
KEPT_MAX = 16384


def kind(objects: Objects, group: str, version: str, plural: str) -> KindSpec:
    """A kind that every server has."""
    spec = objects.registry.get(group, version, plural)
    assert spec is not None, plural
    return spec


def creates(spec: KindSpec, subresource: str, operation: str, *resources: str) -> bool:
    """Whether a write makes an object of one of these kinds."""
    return operation == "CREATE" and not subresource and spec.resource.qualified in resources


def of_pods(spec: KindSpec, subresource: str) -> bool:
    """Whether a write is of a pod itself, not of a part of it."""
    return not subresource and spec.resource.qualified == "pods"


class PerEntry(Generic[T]):
    """Something worked out of an entry, once per revision of it."""

    def __init__(self, work_out: Callable[[Cached], T]) -> None:
        self._work_out = work_out
        self._kept: dict[str, tuple[Cached, T]] = {}

    def of(self, entry: Cached) -> T:
        """What `work_out` made of this entry."""
        kept = self._kept.get(entry.key)
        if kept is not None and kept[0] is entry:
            return kept[1]
        if len(self._kept) > KEPT_MAX:
            self._kept.clear()
        made = self._work_out(entry)
        self._kept[entry.key] = (entry, made)
        return made


class ByNamespace(Generic[T]):
    """The objects of one kind in a namespace, decoded (and compiled) once after each change there.

    For kinds of which a namespace has few: limit ranges, quotas.
    """

    def __init__(self, cache: ResourceCache, compile_: Callable[[dict[str, Any]], T]) -> None:
        self._cache = cache
        self._compile = PerEntry(lambda entry: compile_(entry.decode()))
        self._kept: dict[str, tuple[T, ...]] = {}
        cache.on_change(self._changed)

    def of(self, namespace: str) -> tuple[T, ...]:
        """Those of a namespace, by name; empty at the price of two look-ups where there are none."""
        if not self._cache.objects:
            return ()
        found = self._kept.get(namespace)
        if found is None:
            if len(self._kept) > KEPT_MAX:
                self._kept.clear()
            found = tuple(self._compile.of(entry) for entry in self._cache.in_namespace(namespace))
            self._kept[namespace] = found
        return found

    def _changed(self, change: Change) -> None:
        entry = change.new or change.old
        if entry is not None:
            self._kept.pop(entry.namespace, None)
