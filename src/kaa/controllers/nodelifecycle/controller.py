"""Watches heartbeats, writes conditions and taints, marks pods of lost nodes not ready."""

from collections.abc import Iterable
from typing import Any

from kaa.base.clock import format_seconds
from kaa.base.tasks import Scope
from kaa.controllers.nodelifecycle.health import Sign, silent_conditions, take_sign
from kaa.controllers.nodelifecycle.pace import Pacer, zone_of, zone_rates
from kaa.controllers.nodelifecycle.taints import is_sent_away, plan_taints, sends_away
from kaa.controllers.settings import settings_of
from kaa.controllers.shared.objects import condition_of
from kaa.controllers.shared.pods import PODS_BY_NODE, node_index
from kaa.http.api import CallError
from kaa.kinds.views.core import Node, Pod
from kaa.kinds.views.net import Lease
from kaa.meta.errors import StatusError
from kaa.runtime import Controller, For, Maps, Parts, Result, Session

__all__ = ["NodeLifecycleController"]

Json = dict[str, Any]

_LEASES = "kube-node-lease"
_NODES_PER_TURN = 500


def node_matters(old: Node | None, new: Node | None) -> bool:
    """Whether a change of a node is more than a heartbeat."""
    return (
        old is None
        or new is None
        or old.spec != new.spec
        or old.labels != new.labels
        or _statuses(old) != _statuses(new)
    )


def _statuses(node: Node) -> list[tuple[str, str]]:
    return [(each.type, each.status) for each in node.status.conditions]


def bound_ready(old: Pod | None, new: Pod | None) -> bool:
    """A pod says that it is ready, and did not before."""
    return new is not None and bool(new.spec.node_name) and new.ready and (old is None or not old.ready)


def lost_node(pod: Pod, controller: "NodeLifecycleController") -> Iterable[str]:
    """The node of a pod, if it is lost."""
    node = controller.nodes.get(pod.spec.node_name)
    return (node.name,) if node is not None and _ready(node) == "Unknown" else ()


class NodeLifecycleController(Controller[Node]):
    """Give each Node the conditions and taints that its silence, its state and its spec call for."""

    name, workers, component = "nodelifecycle", 4, "node-controller"
    watches = (For(Node, when=node_matters), Maps(Pod, lost_node, when=bound_ready))

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.settings = settings_of(parts.settings).node_lifecycle
        self.nodes = parts.informers.of(Node).lister
        self.leases = parts.informers.of(Lease, namespace=_LEASES).lister
        self.pods = parts.informers.of(Pod).lister
        self.pods.add_index(PODS_BY_NODE, node_index)
        self._reset()

    def _reset(self) -> None:
        self._signs: dict[str, Sign] = {}
        self._last_ready: dict[str, str] = {}
        self._pacer = Pacer(self.settings.eviction_rate)
        self._turn: set[str] = set()  # nodes whose turn it is to be emptied
        self._all_down = False

    async def start(self, scope: Scope) -> None:
        """Look at all heartbeats from now on."""
        self._reset()
        scope.spawn(self._monitor(), name="monitor", eternal=True)

    # --- heartbeats --------------------------------------------------------------------------------------------------

    async def _monitor(self) -> None:
        due = self.clock.monotonic()
        while True:
            now = self.clock.monotonic()
            if now >= due:
                await self.look()
                due = now + self.settings.monitor_period_seconds
            for name in self._pacer.take(self.clock.monotonic()):
                self._turn.add(name)
                self.enqueue(name)
            now = self.clock.monotonic()
            turn = self._pacer.next_seconds(now)
            await self.clock.sleep(max(0.05, min(due - now, turn if turn is not None else due - now)))

    async def look(self) -> None:
        """Look at every node once: turn the silent ones Unknown, and set the pace of each zone."""
        counts: dict[str, tuple[int, int]] = {}
        signs: dict[str, Sign] = {}
        for number, node in enumerate(self.nodes.all(), 1):
            if number % _NODES_PER_TURN == 0:
                await self.clock.sleep(0)
            # Monotonic for how long it has been silent: a step of the wall clock must not kill nodes.
            now = self.clock.monotonic()
            before = self._signs.get(node.name)
            sign = take_sign(before, node, self.leases.get(node.name, _LEASES), now)
            signs[node.name] = sign
            status = _ready(node)
            silent = self._silent(node, sign)
            if silent:
                status = "Unknown"
                await self._write_conditions(node, silent)
            zone = zone_of(node)
            ready, other = counts.get(zone, (0, 0))
            counts[zone] = (ready + 1, other) if status == "True" else (ready, other + 1)
        self._signs = signs
        rates, all_down = zone_rates(counts, self.settings)
        self._pacer.set_rates(rates, self.clock.monotonic())
        if all_down != self._all_down:
            self._all_down = all_down
            if all_down:
                self.log.warning("no node is ready; pods are not sent away until one is", nodes=len(signs))
            for name in signs:
                self.enqueue(name)

    def _silent(self, node: Node, sign: Sign) -> list[Json]:
        wall, mono = self.clock.now(), self.clock.monotonic()
        seen = Sign(sign.uid, sign.heartbeat, sign.renewed, wall - (mono - sign.seen_at))
        return silent_conditions(node, seen, wall, self.settings)

    async def _write_conditions(self, node: Node, conditions: list[Json]) -> None:
        patch = {"status": {"conditions": conditions}}
        try:
            await self.parts.client.patch(Node.resource, node.name, patch, kind="strategic", subresource="status")
        except (StatusError, CallError) as error:
            self.log.warning("cannot write the conditions of a silent node; trying again", node=node.name,
                             error=str(error))  # fmt: skip

    # --- one node ----------------------------------------------------------------------------------------------------

    async def reconcile(self, obj: Node, io: Session) -> Result | None:
        status = _ready(obj)
        self._tell(obj, status, io)
        asks = bool(sends_away(obj))
        if not asks or self._all_down:
            self._pacer.remove(obj.name)
            self._turn.discard(obj.name)
        elif not is_sent_away(obj) and obj.name not in self._turn:
            self._pacer.add(zone_of(obj), obj.name, io.clock.monotonic())
        send_away = asks and not self._all_down and (obj.name in self._turn or is_sent_away(obj))
        taints = plan_taints(obj, send_away=send_away, now=io.clock.now())
        if taints is not None:
            metadata = {"uid": obj.uid, "resourceVersion": obj.metadata.resource_version}
            await io.patch(Node.resource, obj.name, {"metadata": metadata, "spec": {"taints": taints}})
            if send_away:
                self._turn.discard(obj.name)
        if asks:
            await self._mark_pods(obj, io)
        return None

    async def reconcile_gone(self, key: str, io: Session) -> Result | None:
        self._pacer.remove(key)
        self._turn.discard(key)
        if self._last_ready.pop(key, None) is not None:
            about = {"apiVersion": "v1", "kind": "Node", "name": key, "uid": key}
            io.event(about, "Normal", "RemovingNode", f"Node {key} event: Removing Node {key} from Controller")
        return None

    def _tell(self, node: Node, status: str, io: Session) -> None:
        before = self._last_ready.get(node.name)
        self._last_ready[node.name] = status
        if before is None:
            text = f"Node {node.name} event: Registered Node {node.name} in Controller"
            io.event(node, "Normal", "RegisteredNode", text)
        elif before == "True" and status != "True":
            io.event(node, "Normal", "NodeNotReady", f"Node {node.name} status is now: NodeNotReady")

    async def _mark_pods(self, node: Node, io: Session) -> None:
        """Have traffic leave the pods of a node that nobody answers for."""
        for pod in self.pods.by(PODS_BY_NODE, node.name):
            if not pod.ready or pod.finished:
                continue
            ready: Json = {
                "type": "Ready", "status": "False", "lastTransitionTime": format_seconds(io.clock.now()),
            }  # fmt: skip
            patch = {"metadata": {"uid": pod.uid}, "status": {"conditions": [ready]}}
            try:
                await io.patch(
                    Pod.resource, pod.name, patch, namespace=pod.namespace, kind="strategic", subresource="status"
                )
            except StatusError as error:
                if error.code in (404, 409):
                    continue
                raise
            io.event(pod, "Warning", "NodeNotReady", "Node is not ready")


def _ready(node: Node) -> str:
    held = condition_of(node.status.conditions, "Ready")
    return held.status if held is not None else ""
