"""ComponentStatus: nothing is stored of it; what is true is worked out when somebody asks.

The store says of itself whether its writes get through. The scheduler and the controller manager are known by the
leases they hold while they elect leaders; where they hold none (a single control plane needs no election), nothing is
known here, and that is what is said.
"""

from typing import Any

import orjson

from kaa.base.clock import Clock, parse_seconds
from kaa.kinds.registry import Registry
from kaa.server.cache import Cached
from kaa.server.objects import Objects

__all__ = ["Components"]

Json = dict[str, Any]

#: Component -> the lease of its leader, in kube-system.
_LEASES = {"controller-manager": "kube-controller-manager", "scheduler": "kube-scheduler"}
#: Of a lease that does not say how long it holds.
_LEASE_SECONDS = 15


class Components:
    """The control plane's parts by their names: `controller-manager`, `etcd-0` (the store), `scheduler`."""

    def __init__(self, objects: Objects, registry: Registry, clock: Clock) -> None:
        spec, leases = registry.get("", "v1", "componentstatuses"), registry.get("coordination.k8s.io", "v1", "leases")
        assert spec is not None
        assert leases is not None
        self._spec = spec
        self._leases = leases
        self._objects = objects
        self._clock = clock

    def entries(self) -> list[Cached]:
        """One entry each, without a revision: they have none."""
        trouble = self._objects.trouble
        found = {name: self._by_lease(lease) for name, lease in _LEASES.items()}
        found["etcd-0"] = ("False", trouble) if trouble else ("True", "ok")
        return [self._entry(name, *found[name]) for name in sorted(found)]

    def _by_lease(self, name: str) -> tuple[str, str]:
        entry = self._objects.find(self._leases, "kube-system", name)
        spec = entry.decode().get("spec") or {} if entry is not None else {}
        renewed = spec.get("renewTime")
        if not renewed or not spec.get("holderIdentity"):
            return "Unknown", f"nobody holds the lease kube-system/{name}: see the component's own health"
        seconds = self._clock.now() - parse_seconds(renewed)
        if seconds > (spec.get("leaseDurationSeconds") or _LEASE_SECONDS):
            return "False", f"{spec['holderIdentity']} renewed its lease last at {renewed}"
        return "True", "ok"

    def _entry(self, name: str, status: str, message: str) -> Cached:
        wire = orjson.dumps({
            "kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name},
            "conditions": [{"type": "Healthy", "status": status, "message": message}],
        })  # fmt: skip
        return Cached(self._spec, name, 0, wire, 0)
