"""The Node object and the node's lease: registered at start, kept alive, brought up to date.

The lease is renewed every ten seconds; the Node's status is written when it changes, and every five minutes.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kaa import GIT_VERSION
from kaa.base.clock import Clock, format_micro, format_seconds
from kaa.base.log import Logger
from kaa.base.retry import Backoff
from kaa.client.client import Client
from kaa.http.api import CallError
from kaa.kinds.views import Lease, Node
from kaa.kubelet import hardware
from kaa.kubelet.amounts import exact
from kaa.kubelet.cri import api
from kaa.kubelet.settings import Settings
from kaa.meta.errors import StatusError

__all__ = ["NodeAgent", "allocatable_of", "capacity_of"]

Json = dict[str, Any]
_log = Logger("kubelet")
LEASE_NAMESPACE = "kube-node-lease"
CHECK_SECONDS = 10.0
IMAGES_CHECK_SECONDS = 60.0
IMAGES_MAX = 50
MEMORY_LOW_BYTES = 100 * 1024 * 1024
DISK_LOW_FRACTION = 0.10
PIDS_LOW_FRACTION = 0.05


def capacity_of(machine: hardware.Machine, settings: Settings) -> dict[str, str]:
    """What the node has: measured, unless it is declared."""
    capacity = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "ephemeral-storage": f"{machine.storage_bytes // 1024}Ki",
        "pods": str(settings.pods_max),
    }
    capacity |= {f"hugepages-{size}": str(amount) for size, amount in machine.hugepages.items()}
    return capacity | dict(settings.capacity)


def allocatable_of(capacity: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """What of it pods may have."""
    result = dict(capacity)
    for name, amount in settings.reserved.items():
        if name in result:
            left = max(exact(result[name]) - exact(amount), exact("0"))
            result[name] = f"{int(left * 1000)}m" if name == "cpu" else str(int(left))
    return result


class NodeAgent:
    """Speaks for the node."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        runtime: api.Runtime,
        version: api.Version,
        machine: hardware.Machine,
        clock: Clock,
        event: Callable[[Json, str, str, str], None],
    ) -> None:
        self._settings, self._client, self._runtime, self._clock = settings, client, runtime, clock
        self._version, self._machine, self._event = version, machine, event
        self.capacity = capacity_of(machine, settings)
        self.allocatable = allocatable_of(self.capacity, settings)
        self.uid = ""
        self._lease: Json | None = None
        self._written: Json | None = None
        self._written_at = 0.0
        self._images: list[Json] = []
        self._images_at = float("-inf")

    @property
    def ref(self) -> Json:
        """The node as an event's involvedObject."""
        return {"kind": "Node", "apiVersion": "v1", "name": self._settings.node_name, "uid": self.uid}

    async def register(self) -> None:
        """Make the Node object, or take over the one that is there; until it works."""
        backoff = Backoff(first_seconds=0.2, seconds_max=7.0)
        while True:
            try:
                await self._register()
                return
            except (StatusError, CallError) as error:
                _log.warning("node not registered; trying again", error=str(error))
                await self._clock.sleep(backoff.next_seconds())

    async def _register(self) -> None:
        name = self._settings.node_name
        status = await self._status()
        if self._settings.register_node:
            try:
                obj = await self._client.create(Node.resource, self._object(status))
                self.uid = obj["metadata"]["uid"]
                self._written, self._written_at = status, self._clock.monotonic()
                _log.info("node registered", node=name)
                return
            except StatusError as error:
                if error.reason != "AlreadyExists":
                    raise
        obj = await self._client.get_json(Node.resource, name)
        self.uid = obj["metadata"]["uid"]
        self._written = dict(obj.get("status") or {})
        has = obj["metadata"].get("labels") or {}
        labels = {key: value for key, value in self._labels().items() if has.get(key) != value}
        if labels:
            await self._client.patch(Node.resource, name, {"metadata": {"labels": labels}})
        await self._report()

    async def keep_lease(self) -> None:
        """For ever: renew the lease."""
        every = self._settings.lease_seconds / 4
        while True:
            try:
                await self._renew()
            except (StatusError, CallError) as error:
                _log.warning("lease not renewed", error=str(error))
                self._lease = None
                await self._clock.sleep(min(every, 2.0))
                continue
            await self._clock.sleep(every)

    async def keep_status(self) -> None:
        """For ever: write the status when it changes, and from time to time."""
        self._event(self.ref, "Normal", "Starting", "Starting kubelet.")
        while True:
            try:
                await self._report()
            except (StatusError, CallError) as error:
                _log.warning("node status not written", error=str(error))
                if isinstance(error, StatusError) and error.code == 404:
                    await self.register()
            # Not ready yet (the network is being set up): look often.
            ready = _status_of(self._written, "Ready") == "True"
            await self._clock.sleep(CHECK_SECONDS if ready else 1.0)

    async def _renew(self) -> None:
        now = format_micro(self._clock.now())
        name = self._settings.node_name
        if self._lease is None:
            try:
                self._lease = await self._client.get_json(Lease.resource, name, LEASE_NAMESPACE)
            except StatusError as error:
                if error.code != 404:
                    raise
                owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": self.uid}
                spec = {"holderIdentity": name, "leaseDurationSeconds": self._settings.lease_seconds, "renewTime": now}
                metadata = {"name": name, "namespace": LEASE_NAMESPACE}
                if self.uid:
                    metadata["ownerReferences"] = [owner]  # type: ignore[assignment]
                self._lease = await self._client.create(Lease.resource, {"metadata": metadata, "spec": spec})
                return
        self._lease["spec"] = {
            **self._lease.get("spec", {}),
            "holderIdentity": name,
            "leaseDurationSeconds": self._settings.lease_seconds,
            "renewTime": now,
        }
        self._lease = await self._client.update(Lease.resource, self._lease)

    # What is said ---------------------------------------------------------------------------------------------------

    def _labels(self) -> dict[str, str]:
        arch = self._machine.architecture
        return {
            "kubernetes.io/hostname": self._settings.node_name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": arch,
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": arch,
            **self._settings.labels,
        }

    def _object(self, status: Json) -> Json:
        spec: Json = {}
        if self._settings.provider_id:
            spec["providerID"] = self._settings.provider_id
        if self._settings.pod_cidr:
            spec |= {"podCIDR": self._settings.pod_cidr, "podCIDRs": [self._settings.pod_cidr]}
        if self._settings.taints:
            spec["taints"] = [dict(each) for each in self._settings.taints]
        metadata = {
            "name": self._settings.node_name,
            "labels": self._labels(),
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        }
        return {"metadata": metadata, "spec": spec, "status": status}

    async def _report(self) -> None:
        now = self._clock.monotonic()
        status = await self._status()
        before = self._written
        changed = before is None or _comparable(before) != _comparable(status)
        if not changed and now - self._written_at < self._settings.status_report_seconds:
            return
        for condition in status["conditions"]:
            old = _status_of(before, condition["type"])
            if condition["type"] == "Ready" and old != condition["status"]:
                reason = "NodeReady" if condition["status"] == "True" else "NodeNotReady"
                self._event(self.ref, "Normal", reason, f"Node {self._settings.node_name} status is now: {reason}")
        patch = dict(status)
        patch["addresses"] = [{"$patch": "replace"}, *status["addresses"]]
        await self._client.patch(
            Node.resource, self._settings.node_name, {"status": patch}, kind="strategic", subresource="status"
        )
        self._written, self._written_at = status, now

    async def _status(self) -> Json:
        machine, version = self._machine, self._version
        return {
            "capacity": self.capacity,
            "allocatable": self.allocatable,
            "conditions": await self._conditions(),
            "addresses": [
                {"type": "InternalIP", "address": self._settings.node_ip},
                {"type": "Hostname", "address": self._settings.node_name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._settings.port}},
            "nodeInfo": {
                "machineID": machine.machine_id,
                "systemUUID": machine.system_uuid,
                "bootID": machine.boot_id,
                "kernelVersion": machine.kernel,
                "osImage": machine.os_image,
                "containerRuntimeVersion": f"{version.runtime_name}://{version.runtime_version}",
                "kubeletVersion": GIT_VERSION,
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": machine.architecture,
            },
            "images": await self._image_list(),
        }

    async def _image_list(self) -> list[Json]:
        now = self._clock.monotonic()
        if now - self._images_at >= IMAGES_CHECK_SECONDS:
            try:
                images = await self._runtime.list_images()
            except api.RuntimeFailed:
                return self._images
            images.sort(key=lambda image: (-image.size, image.id))
            self._images = [
                {"names": [*image.repo_digests, *image.repo_tags][:5], "sizeBytes": image.size}
                for image in images[:IMAGES_MAX]
                if image.repo_tags or image.repo_digests
            ]
            self._images_at = now
        return self._images

    async def _conditions(self) -> list[Json]:
        settings = self._settings
        ready, ready_reason, ready_message = True, "KubeletReady", "kubelet is posting ready status"
        try:
            runtime = await self._runtime.status()
            wrong = [
                f"container runtime {word} not ready: {_condition_text(runtime.condition(type_))}"
                for type_, word in (("RuntimeReady", "status check"), ("NetworkReady", "network"))
                if not runtime.condition(type_).status
            ]
        except api.RuntimeFailed as error:
            wrong = [f"container runtime is down: {error.message}"]
        if wrong:
            ready, ready_reason, ready_message = False, "KubeletNotReady", f"[{', '.join(wrong)}]"
            if len(wrong) == 1:
                ready_message = wrong[0]
        free, size = hardware.available_disk(settings.root_dir)
        pids, pids_max = hardware.available_pids()
        found = [
            _pressure("MemoryPressure", hardware.available_memory() < MEMORY_LOW_BYTES),
            _pressure("DiskPressure", free < size * DISK_LOW_FRACTION),
            _pressure("PIDPressure", pids < pids_max * PIDS_LOW_FRACTION),
            {"type": "Ready", "status": "True" if ready else "False", "reason": ready_reason,
             "message": ready_message},
        ]  # fmt: skip
        now = format_seconds(self._clock.now())
        before = {each["type"]: each for each in (self._written or {}).get("conditions") or ()}
        for condition in found:
            old = before.get(condition["type"])
            same = old is not None and old.get("status") == condition["status"] and old.get("lastTransitionTime")
            condition["lastHeartbeatTime"] = now
            condition["lastTransitionTime"] = old["lastTransitionTime"] if same and old else now
        return found


_PRESSURE = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
                       "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure",
                     "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available",
                    "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}  # fmt: skip


def _pressure(type_: str, under: bool) -> Json:
    reason, message = _PRESSURE[type_][0:2] if under else _PRESSURE[type_][2:4]
    return {"type": type_, "status": "True" if under else "False", "reason": reason, "message": message}


def _condition_text(condition: api.RuntimeCondition) -> str:
    status = "true" if condition.status else "false"
    return f"{condition.type}={status} reason:{condition.reason} message:{condition.message}"


def _comparable(status: Json) -> Json:
    conditions = [
        (each.get("type"), each.get("status"), each.get("reason"), each.get("message"))
        for each in status.get("conditions") or ()
        if each.get("type") in ("Ready", *_PRESSURE)
    ]
    kept = ("capacity", "allocatable", "addresses", "daemonEndpoints", "nodeInfo", "images")
    return {"conditions": sorted(conditions), **{key: status.get(key) for key in kept}}


def _status_of(status: Json | None, type_: str) -> str:
    return next((str(each["status"]) for each in (status or {}).get("conditions") or () if each["type"] == type_), "")
