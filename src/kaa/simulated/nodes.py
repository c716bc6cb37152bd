"""Many nodes that are not there, in one process: a pure client of the API.

One informer of pods, indexed by node, one heap of moments, a bounded number of workers, no task per node or pod. What a
pod does next is decided in `pods`; leases are renewed a few at a time.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kaa import GIT_VERSION
from kaa.base.clock import REAL, Clock, format_micro, format_seconds
from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.http.api import CallError
from kaa.kinds.views import Lease, Node, Pod
from kaa.meta.errors import StatusError
from kaa.runtime.timers import Timers
from kaa.simulated.pods import Step, next_step

__all__ = ["LABEL", "NodeShape", "SimulatedNodes"]

Json = dict[str, Any]
LABEL = "simulated.kaa.dev/node"
"""On every simulated node."""
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 60
RENEW_SECONDS = 20.0
"""Each lease is renewed so often; the node lifecycle controller waits for 40 to 50 seconds."""
WORKERS = 16
WRITES_MAX = 32
RETRY_SECONDS = 1.0
_NODE_RANGE = ipaddress.IPv4Network("198.18.0.0/15")
_POD_RANGE = ipaddress.IPv4Network("100.64.0.0/10")

_log = Logger("simulated")


@dataclass(frozen=True)
class NodeShape:
    """What each of them says it is."""

    prefix: str = "sim"
    cpu: str = "8"
    memory: str = "32Gi"
    pods: int = 110


class SimulatedNodes:
    """`count` nodes, `PREFIX-0` and so on. `async with` registers them, keeps them alive, and runs their pods.

    At the end the nodes stay in the API, silent, for the next process to take over.
    """

    def __init__(
        self, client: Client, informers: Informers, count: int, shape: NodeShape | None = None, *, clock: Clock = REAL
    ) -> None:
        """Informers that are given may be shared; they are started if they have not been."""
        self.shape = shape or NodeShape()
        self.names = [f"{self.shape.prefix}-{number}" for number in range(count)]
        self._client, self._informers, self._clock = client, informers, clock
        self._ips = {name: str(_NODE_RANGE[number + 1]) for number, name in enumerate(self.names)}
        self._scope = Scope("simulated")
        self._timers = Timers(clock, "simulated")
        self._pods = informers.of(Pod)
        self._waiting: dict[str, None] = {}  # keys to look at, in order
        self._at_work: set[str] = set()
        self._again: set[str] = set()  # changed while at work
        self._wake = asyncio.Semaphore(0)
        self._next_ip = 1
        self._stop_listening: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Returns when every node is registered and its pods are being looked at."""
        try:
            await self._informers.start(self._scope)
            await self._register(self.names)
            await self._pods.wait_synced()
            used = [self._pod_number(pod) for pod in self._pods.lister.all()]
            self._next_ip = max(used, default=0) + 1
            for number in range(WORKERS):
                self._scope.spawn(self._work(), name=f"worker-{number}", eternal=True)
            self._stop_listening = self._pods.on_change(self._changed)
            self._scope.spawn(self._keep_leases(), name="leases", eternal=True)
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> None:
        """Until cancelled; raises when a task that must not end has ended."""
        await self._scope.wait()

    async def stop(self) -> None:
        """Fall silent. Safe to call twice."""
        self._stop_listening()
        self._timers.close()
        await self._scope.close()

    async def __aenter__(self) -> "SimulatedNodes":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def idle(self) -> bool:
        """Nothing is to be done before the next moment comes or the API changes."""
        return not self._waiting and not self._at_work

    # --- nodes --------------------------------------------------------------------------------------------------------

    async def _register(self, names: Iterable[str]) -> None:
        await _bounded(self._register_one(name) for name in names)

    async def _register_one(self, name: str) -> None:
        await self._insist(lambda: self._make_node(name), f"node {name}")
        await self._insist(lambda: self._make_lease(name), f"lease of {name}")

    async def _insist(self, call: Callable[[], Awaitable[None]], what: str) -> None:
        while True:
            try:
                await call()
                return
            except (CallError, StatusError) as error:
                _log.warning("not written; trying again", what=what, error=str(error))
                await self._clock.sleep(RETRY_SECONDS)

    async def _make_node(self, name: str) -> None:
        status = self._status(name)
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", LABEL: ""}
        try:
            await self._client.create(
                Node.resource, {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}
            )
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            # An earlier process made it, and may have been silent for long.
            await self._client.patch(Node.resource, name, {"status": status}, kind="strategic", subresource="status")

    async def _make_lease(self, name: str) -> None:
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": self._micro()}
        try:
            await self._client.create(
                Lease.resource, {"metadata": {"name": name, "namespace": LEASE_NAMESPACE}, "spec": spec}
            )
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            await self._client.patch(Lease.resource, name, {"spec": spec}, namespace=LEASE_NAMESPACE)

    def _status(self, name: str) -> Json:
        now = format_seconds(self._clock.now())
        shape = self.shape
        resources = {"cpu": shape.cpu, "memory": shape.memory, "pods": str(shape.pods), "ephemeral-storage": "100Gi"}
        conditions = [
            ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ]
        return {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [
                {"type": kind, "status": value, "reason": reason, "message": message, "lastHeartbeatTime": now,
                 "lastTransitionTime": now}
                for kind, value, reason, message in conditions
            ],
            "addresses": [
                {"type": "InternalIP", "address": self._ips[name]}, {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "machineID": name, "systemUUID": name, "bootID": name, "kernelVersion": "simulated",
                "osImage": "simulated", "containerRuntimeVersion": "simulated://1", "kubeletVersion": GIT_VERSION,
                "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64",
            },
        }  # fmt: skip

    async def _keep_leases(self) -> None:
        """All of them once in `RENEW_SECONDS`, spread evenly: a burst of them would hold up everyone else."""
        turn = 0
        while True:
            count = len(self.names)
            pause = max(0.25, RENEW_SECONDS / max(1, count))
            await self._clock.sleep(pause)
            batch = min(count, max(1, round(count * pause / RENEW_SECONDS)))
            names = [self.names[(turn + n) % count] for n in range(batch)] if count else []
            turn += batch
            await _bounded(self._renew(name) for name in names)

    async def _renew(self, name: str) -> None:
        try:
            spec = {"holderIdentity": name, "renewTime": self._micro()}
            await self._client.patch(Lease.resource, name, {"spec": spec}, namespace=LEASE_NAMESPACE)
        except StatusError as error:
            if error.code == 404:
                # Somebody deleted the node, and its lease with it: as a kubelet would, it comes back.
                await self._register_one(name)
            else:
                _log.warning("lease not renewed", node=name, error=str(error))
        except CallError as error:
            _log.warning("lease not renewed", node=name, error=str(error))

    def _micro(self) -> str:
        return format_micro(self._clock.now())

    # --- pods ---------------------------------------------------------------------------------------------------------

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and new.spec.node_name in self._ips:
            self._look(new.key)

    def _look(self, key: str) -> None:
        if key in self._at_work:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._wake.release()

    async def _work(self) -> None:
        while True:
            await self._wake.acquire()
            key = next(iter(self._waiting))
            del self._waiting[key]
            self._at_work.add(key)
            try:
                await self._act(key)
            finally:
                self._at_work.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self._look(key)

    async def _act(self, key: str) -> None:
        pod = self._pods.lister.get_key(key)
        if pod is None:
            return
        try:
            step = next_step(pod, self._clock.now(), self._ips[pod.spec.node_name], str(_POD_RANGE[self._next_ip]))
            await self._carry_out(pod, step)
        except StatusError as error:
            if error.code in (404, 409):
                return  # it changed or went: the informer will say so
            _log.warning("pod not brought where it should be; trying again", pod=key, error=str(error))
            self._timers.after(RETRY_SECONDS, lambda: self._look(key))
        except CallError as error:
            _log.warning("pod not brought where it should be; trying again", pod=key, error=str(error))
            self._timers.after(RETRY_SECONDS, lambda: self._look(key))
        except Exception as error:
            # One pod that is not understood must not take the other nodes' pods with it.
            _log.error("pod not understood; left alone until it changes", pod=key, exc=error)
        else:
            if step.again_seconds is not None:
                # The API's times are whole seconds: a little later, so that the moment has come by then.
                self._timers.after(step.again_seconds + 0.01, lambda: self._look(key))

    async def _carry_out(self, pod: Pod, step: Step) -> None:
        resource = Pod.resource
        if step.delete:
            await self._client.delete(resource, pod.name, namespace=pod.namespace, grace_seconds=0, uid=pod.uid)
        elif step.status is not None:
            if not pod.status.pod_ip and not pod.spec.host_network:
                self._next_ip = self._next_ip % (_POD_RANGE.num_addresses - 2) + 1
            body = {"metadata": {"uid": pod.uid}, "status": step.status}
            await self._client.patch(
                resource, pod.name, body, namespace=pod.namespace, kind="strategic", subresource="status"
            )

    def _pod_number(self, pod: Pod) -> int:
        try:
            address = ipaddress.IPv4Address(pod.status.pod_ip)
        except ValueError:
            return 0
        return int(address) - int(_POD_RANGE[0]) if address in _POD_RANGE else 0


async def _bounded(work: Iterable[Awaitable[None]]) -> None:
    """All of it, `WRITES_MAX` at a time."""
    pending = iter(work)

    async def some() -> None:
        for each in pending:
            await each

    await asyncio.gather(*(some() for _ in range(WRITES_MAX)))
