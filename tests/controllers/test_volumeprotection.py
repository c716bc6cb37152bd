"""Claims and volumes that are in use do not go."""

from tests.controllers.world import world

from kaa.controllers.volumeprotection import Claim, Volume
from kaa.kinds.views.core import Pod


async def test_a_claim_goes_when_its_last_pod_has() -> None:
    async with world() as here:
        client = here.client
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        for name in ("used", "free"):
            await client.create(Claim.resource, {"metadata": {"name": name}, "spec": spec}, namespace="default")
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "used"}}]
        pod = {"metadata": {"name": "p"}, "spec": {"volumes": volumes, "containers": [{"name": "c", "image": "x"}]}}
        await client.create(Pod.resource, pod, namespace="default")

        async def bound() -> bool:
            found = await here.get(Pod.resource, "p")
            return bool(found and found["spec"].get("nodeName"))

        await here.until(bound)
        for name in ("used", "free"):
            await client.delete(Claim.resource, name, namespace="default")

        async def gone(name: str) -> bool:
            return await here.get(Claim.resource, name) is None

        await here.until(lambda: gone("free"))
        held = await here.get(Claim.resource, "used")
        assert held is not None
        assert held["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
        await client.delete(Pod.resource, "p", namespace="default", grace_seconds=0)
        await here.until(lambda: gone("used"))


async def test_a_volume_goes_when_it_is_bound_no_more() -> None:
    async with world() as here:
        client = here.client
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
        await client.create(Volume.resource, {"metadata": {"name": "v"}, "spec": spec})
        await client.patch(Volume.resource, "v", {"status": {"phase": "Bound"}}, subresource="status")
        await client.delete(Volume.resource, "v")
        await here.until(lambda: here.manager.events.idle)
        held = await here.get(Volume.resource, "v", "")
        assert held is not None
        assert held["metadata"]["deletionTimestamp"]
        await client.patch(Volume.resource, "v", {"status": {"phase": "Released"}}, subresource="status")

        async def gone() -> bool:
            return await here.get(Volume.resource, "v", "") is None

        await here.until(gone)
