"""Volume claims and volumes that are in use do not go: their finalizers come off when nobody uses them any more."""

from collections.abc import Iterable
from typing import Any

from kaa.kinds.views.base import Part, View
from kaa.kinds.views.core import Pod
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource
from kaa.runtime import Controller, For, Maps, Parts, Result, Session

__all__ = ["Claim", "ClaimProtectionController", "Volume", "VolumeProtectionController", "uses"]

CLAIM, VOLUME = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


class Claim(View, frozen=True):
    """A claim on a volume: its metadata are all that counts here."""

    resource = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, "persistentvolumeclaim")


class VolumeStatus(Part, frozen=True):
    """What a volume is doing."""

    phase: str = ""


class Volume(View, frozen=True):
    """A volume."""

    resource = Resource("", "v1", "persistentvolumes", "PersistentVolume", False, "persistentvolume")
    status: VolumeStatus = VolumeStatus()


def claims_of(pod: Pod) -> list[str]:
    """The names of the claims whose volumes a pod mounts, those made for it alone included."""
    found = []
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            found.append(str(volume.persistent_volume_claim.get("claimName", "")))
        elif volume.ephemeral is not None:
            found.append(f"{pod.name}-{volume.name}")
    return found


def uses(pod: Pod, claim: str) -> bool:
    """Whether a pod may still have a claim's volume mounted: it is on a node, and has not finished."""
    return bool(pod.spec.node_name) and not pod.finished and claim in claims_of(pod)


def _claims(pod: Pod, _controller: Any) -> Iterable[str]:
    return [f"{pod.namespace}/{name}" for name in claims_of(pod)]


def _lets_go(old: Pod | None, new: Pod | None) -> bool:
    return new is None or (old is not None and old.finished != new.finished)


def held_and_going(finalizer: str) -> Any:
    """The change that matters of what is protected: it is to go, and only the finalizer may hold it."""

    def matters(_old: View | None, new: View | None) -> bool:
        return new is not None and new.deleting and finalizer in new.metadata.finalizers

    return matters


async def let_go(io: Session, obj: View, finalizer: str) -> None:
    """Take the finalizer off; somebody else's change in between is looked at anew."""
    left = [each for each in obj.metadata.finalizers if each != finalizer]
    patch = {"metadata": {"uid": obj.uid, "resourceVersion": obj.metadata.resource_version, "finalizers": left}}
    try:
        await io.patch(obj.resource, obj.name, patch, namespace=obj.namespace)
    except StatusError as error:
        if error.code != 404:
            raise


class ClaimProtectionController(Controller[Claim]):
    """Let a PersistentVolumeClaim that is to go, go, once no pod uses it."""

    name, component = "persistentvolumeclaim-protection", "pvc-protection-controller"
    watches = (For(Claim, when=held_and_going(CLAIM)), Maps(Pod, _claims, when=_lets_go))

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.pods = parts.informers.of(Pod).lister
        self.pods.add_index("claims", claims_of)

    async def reconcile(self, obj: Claim, io: Session) -> Result | None:
        """Ask the cache, and where that knows no user, the server: a pod could just have come."""
        if not obj.deleting or CLAIM not in obj.metadata.finalizers:
            return None
        if any(uses(pod, obj.name) for pod in self.pods.by("claims", obj.name) if pod.namespace == obj.namespace):
            return None
        listed = await io.client.list(Pod, obj.namespace)
        if any(uses(pod, obj.name) for pod in listed.items):
            return None
        await let_go(io, obj, CLAIM)
        return None


class VolumeProtectionController(Controller[Volume]):
    """Let a PersistentVolume that is to go, go, once it is bound to no claim."""

    name, component = "persistentvolume-protection", "pv-protection-controller"
    watches = (For(Volume, when=held_and_going(VOLUME)),)

    async def reconcile(self, obj: Volume, io: Session) -> Result | None:
        if obj.deleting and VOLUME in obj.metadata.finalizers and obj.status.phase != "Bound":
            await let_go(io, obj, VOLUME)
        return None
