"""What default spreading and preemption look up in other objects: services, owners, disruption budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from kaa.client.informers import Informers
from kaa.kinds.views.apps import ReplicaSet, StatefulSet
from kaa.kinds.views.core import Service
from kaa.kinds.views.policy import PodDisruptionBudget
from kaa.meta import selectors
from kaa.scheduler.plugins.default_preemption import Budget
from kaa.scheduler.shapes import Shape

__all__ = ["Owners"]


class Owners:
    """Reads the shared caches. `on_change` is called when an answer of `selector_of` may be another now."""

    def __init__(self, informers: Informers, on_change: Callable[[], None]) -> None:
        self._services = informers.of(Service)
        self._sets: dict[str, Any] = {"ReplicaSet": informers.of(ReplicaSet), "StatefulSet": informers.of(StatefulSet)}
        self._budgets = informers.of(PodDisruptionBudget)

        def changed(old: Any, new: Any) -> None:
            # Their statuses change all the time; only selectors matter.
            if old is None or new is None or old.spec.selector != new.spec.selector:
                on_change()

        for informer in (self._services, *self._sets.values()):
            informer.on_change(changed)

    def selector_of(self, shape: Shape) -> selectors.LabelSelector:
        """What every service that selects the pod, and its owner, select; all conditions together."""
        found: dict[str, str] = {}
        for service in self._services.lister.in_namespace(shape.namespace):
            wanted = service.spec.selector
            if wanted and all(shape.labels.get(key) == value for key, value in wanted.items()):
                found.update(wanted)
        selector = selectors.from_map(found)
        if shape.owner is None or shape.owner[0] not in self._sets:
            return selector
        kind, name, uid = shape.owner
        owner = self._sets[kind].lister.get(name, shape.namespace)
        if owner is None or owner.uid != uid or owner.spec.selector is None:
            return selector
        own = selectors.from_object(msgspec.to_builtins(owner.spec.selector))
        return selectors.LabelSelector((*selector.requirements, *own.requirements))

    def budgets(self, namespace: str) -> Iterable[Budget]:
        """The disruption budgets of a namespace."""
        for each in self._budgets.lister.in_namespace(namespace):
            chosen = each.spec.selector
            selector = selectors.from_object(None if chosen is None else msgspec.to_builtins(chosen))
            yield Budget(selector, each.status.disruptions_allowed, frozenset(each.status.disrupted_pods))
