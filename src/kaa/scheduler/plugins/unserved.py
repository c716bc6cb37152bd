"""Refuses by name what this release does not place: pods with claims for volumes or devices."""

from collections.abc import Awaitable

from kaa.scheduler.arrays import Bools
from kaa.scheduler.framework import SKIP, Code, Cycle, Narrowed, Nomination, Plugin, Status

__all__ = ["DynamicResources", "VolumeBinding"]


class VolumeBinding(Plugin):
    """PreFilter: the pod uses no persistent volume claim."""

    name = "VolumeBinding"

    def pre_filter(self, cycle: Cycle) -> Status | Narrowed:
        """Refused everywhere: a pod without its volume would fail on the node, less clearly."""
        if any(v.persistent_volume_claim or v.ephemeral for v in cycle.shape.spec.volumes):
            return Status(Code.UNRESOLVABLE, "volume binding is not served by this release")
        return SKIP


class DynamicResources(Plugin):
    """PreFilter: the pod uses no resource claim. PostFilter: nothing it could give back."""

    name = "DynamicResources"

    def pre_filter(self, cycle: Cycle) -> Status | Narrowed:
        """Refused everywhere."""
        if cycle.shape.spec.resource_claims:
            return Status(Code.UNRESOLVABLE, "resource claims are not served by this release")
        return SKIP

    def post_filter(self, cycle: Cycle, helpable: Bools) -> Awaitable[Nomination]:
        """The words users know from the original."""

        async def nothing() -> Nomination:
            return Nomination(Status(Code.UNSCHEDULABLE, "no new claims to deallocate"))

        return nothing()
