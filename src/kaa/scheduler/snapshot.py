"""What the scheduler knows of the cluster: nodes as columns, the pods on them, and the pods it assumes to be.

Kept up one object at a time, in time that does not depend on how many there are. Pods on nodes that are not known
(yet) are held by the node's name and counted when it appears.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kaa.base.log import Logger
from kaa.kinds.views.core import Node, Pod, Taint
from kaa.meta.selectors import SelectorError
from kaa.scheduler import requests
from kaa.scheduler.arrays import Rows, np
from kaa.scheduler.counts import Counts, Group, PodClass
from kaa.scheduler.framework import Change
from kaa.scheduler.shapes import Shape, Shapes
from kaa.scheduler.table import Column, LabelColumn, Table

__all__ = ["Placed", "Snapshot"]

_log = Logger("scheduler")
_NOTHING = Change(0)


@dataclass(eq=False, slots=True)
class Placed:
    """A pod on a node, really or by assumption."""

    pod: Pod
    shape: Shape
    node: str
    kind: PodClass
    groups: list[Group]
    #: Assumed: not seen bound yet.
    assumed: bool = False
    #: When an assumption is given up (monotonic seconds); set once the binding has been answered.
    expires: float | None = None


@dataclass(eq=False, slots=True)
class _Resource:
    allocatable: Column
    used: Column


@dataclass(eq=False, slots=True)
class _TaintTable:
    sets: list[tuple[Taint, ...]] = field(default_factory=lambda: [()])
    ids: dict[tuple[Taint, ...], int] = field(default_factory=lambda: {(): 0})
    answers: dict[Any, Any] = field(default_factory=dict)


class Snapshot:
    """The columns. Plugins read; the scheduler writes."""

    def __init__(self) -> None:
        self.table = Table()
        self.shapes = Shapes()
        self.nodes: dict[str, Node] = {}
        self.pods: dict[str, Placed] = {}  # by UID
        self.pods_on: dict[str, dict[str, Placed]] = {}  # by node name, then UID
        self.assumed: dict[str, Placed] = {}
        #: Pods by priority: whether preemption is worth a look at all.
        self.priorities: dict[int, int] = {}
        self.namespaces: dict[str, Mapping[str, str]] = {}
        self.counts = Counts(self.table, lambda name: self.namespaces.get(name, {}))
        self.counts.on_mention = self._mention
        self.unschedulable = self.table.column(np.bool_)
        self.resources: dict[str, _Resource] = {}
        for name in (requests.CPU, requests.MEMORY, requests.EPHEMERAL, requests.PODS):
            self.resource(name)
        self.nonzero_cpu = self.table.column()
        self.nonzero_memory = self.table.column()
        self._labels: dict[str, LabelColumn] = {}
        self._taint_column = self.table.column(np.int32)
        self._taints = _TaintTable()
        #: image name -> node name -> bytes.
        self.images: dict[str, dict[str, int]] = {}
        self.images_version = 0
        #: (protocol, port) -> node name -> addresses in use.
        self.ports: dict[tuple[str, int], dict[str, list[str]]] = {}
        #: Goes up when a service, replica set or stateful set changed: what default spreading derives from.
        self.owners_version = 0

    # --- reading -----------------------------------------------------------------------------------------------------

    def label(self, key: str) -> LabelColumn:
        """A label of every node, and with that the topology of that key. Made when first asked for."""
        column = self._labels.get(key)
        if column is None or column.stale:
            if column is not None:
                self.table.drop(column.column)
            column = self._labels[key] = LabelColumn(self.table, key)
            for name, row in self.table.rows.items():
                column.set(row, self.nodes[name].labels.get(key))
        return column

    def resource(self, name: str) -> _Resource:
        """Allocatable and used amounts of a resource. Made when first asked for."""
        found = self.resources.get(name)
        if found is None:
            found = self.resources[name] = _Resource(self.table.column(), self.table.column())
        return found

    def by_taints(self, token: Any, answer: Callable[[tuple[Taint, ...]], int], rows: Rows, dtype: Any) -> Any:
        """A number per node that depends on its taints alone; asked once per distinct set, kept under `token`."""
        taints = self._taints
        known = taints.answers.get(token)
        if known is None or len(known) < len(taints.sets):
            known = np.array([answer(each) for each in taints.sets], dtype)
            if len(taints.answers) > 1024:
                taints.answers.clear()
            taints.answers[token] = known
        return known[self._taint_column.at(rows)]

    # --- nodes -------------------------------------------------------------------------------------------------------

    def set_node(self, node: Node) -> Change:
        """A node is new or changed; says in what way that could matter."""
        old = self.nodes.get(node.name)
        self.nodes[node.name] = node
        if old is None:
            row = self.table.add(node.name)
            self._write_node(row, node, None)
            for placed in self.pods_on.get(node.name, {}).values():
                self._account(row, placed, 1)
            return Change.NODE_ADDED
        change = _difference(old, node)
        images = old.status.images != node.status.images
        if change or images:
            row = self.table.rows[node.name]
            self._write_node(row, node, old)
            self.table.touch(row, node=True)
        return change

    def remove_node(self, name: str) -> None:
        """A node is gone; the pods on it are known until they are gone, too."""
        node = self.nodes.pop(name, None)
        if node is None:
            return
        self._set_images(node, None)
        self.table.remove(name)

    def _write_node(self, row: int, node: Node, old: Node | None) -> None:
        if old is None or old.status.allocatable != node.status.allocatable:
            allocatable = {name: requests.amount(name, text) for name, text in node.status.allocatable.items()}
            for name in allocatable:
                self.resource(name)
            for name, resource in self.resources.items():
                resource.allocatable.array[row] = allocatable.get(name, 0)
        self.unschedulable.array[row] = node.spec.unschedulable
        if old is None or old.labels != node.labels:
            labels = node.labels
            for key, column in self._labels.items():
                column.set(row, labels.get(key))
        taints = _bare(node.spec.taints)
        number = self._taints.ids.get(taints)
        if number is None:
            if len(self._taints.sets) > 2 * self.table.size + 1024:
                self._rebuild_taints()
            number = self._taints.ids[taints] = len(self._taints.sets)
            self._taints.sets.append(taints)
        self._taint_column.array[row] = number
        if old is None or old.status.images != node.status.images:
            self._set_images(old, node)

    def _rebuild_taints(self) -> None:
        self._taints = _TaintTable()
        for name, row in self.table.rows.items():
            taints = _bare(self.nodes[name].spec.taints)
            number = self._taints.ids.setdefault(taints, len(self._taints.sets))
            if number == len(self._taints.sets):
                self._taints.sets.append(taints)
            self._taint_column.array[row] = number

    def _set_images(self, old: Node | None, new: Node | None) -> None:
        self.images_version += 1
        for image in old.status.images if old is not None else ():
            for name in image.names:
                nodes = self.images.get(name)
                if nodes is not None and old is not None:
                    nodes.pop(old.name, None)
                    if not nodes:
                        del self.images[name]
        for image in new.status.images if new is not None else ():
            for name in image.names:
                if new is not None:
                    self.images.setdefault(name, {})[new.name] = image.size_bytes

    # --- pods --------------------------------------------------------------------------------------------------------

    def set_pod(self, pod: Pod) -> None:
        """A pod is seen on its node. Confirms an assumption, or corrects it."""
        placed = self.pods.get(pod.uid)
        if placed is None:
            self._place(pod, self.shapes.of(pod), pod.spec.node_name)
            return
        if placed.assumed:
            self._confirm(placed)
        shape = self.shapes.of(pod)
        if (
            placed.node == pod.spec.node_name and placed.shape is shape and placed.kind.deleting == pod.deleting
            and placed.pod.spec.priority == pod.spec.priority
        ):  # fmt: skip
            placed.pod = pod
            return
        self.remove_pod(pod.uid)
        self._place(pod, shape, pod.spec.node_name)

    def assume(self, pod: Pod, shape: Shape, node: str) -> Placed:
        """Count a pod on a node before it is bound there."""
        placed = self._place(pod, shape, node)
        placed.assumed = True
        self.assumed[pod.uid] = placed
        return placed

    def forget(self, uid: str) -> bool:
        """Take an assumption back; False when there is none (it was confirmed meanwhile)."""
        if uid not in self.assumed:
            return False
        self.remove_pod(uid)
        return True

    def expired(self, now: float) -> list[Placed]:
        """Assumptions that should have been confirmed by now."""
        return [placed for placed in self.assumed.values() if placed.expires is not None and placed.expires < now]

    def remove_pod(self, uid: str) -> Placed | None:
        """A pod is gone from its node."""
        placed = self.pods.pop(uid, None)
        if placed is None:
            return None
        self.assumed.pop(uid, None)
        on_node = self.pods_on[placed.node]
        del on_node[uid]
        if not on_node:
            del self.pods_on[placed.node]
        row = self.table.rows.get(placed.node)
        if row is not None:
            self._account(row, placed, -1)
            self.table.touch(row)
        for address, protocol, port in placed.shape.ports:
            nodes = self.ports[protocol, port]
            nodes[placed.node].remove(address)
            if not nodes[placed.node]:
                del nodes[placed.node]
                if not nodes:
                    del self.ports[protocol, port]
        priority = placed.pod.spec.priority or 0
        self.priorities[priority] -= 1
        if not self.priorities[priority]:
            del self.priorities[priority]
        self.counts.went(placed.kind, placed.node)
        for group in placed.groups:
            self.counts.group_left(group)
        return placed

    def _confirm(self, placed: Placed) -> None:
        placed.assumed, placed.expires = False, None
        del self.assumed[placed.pod.uid]

    def _place(self, pod: Pod, shape: Shape, node: str) -> Placed:
        counts, left_out = self.counts, self.shapes.left_out
        try:
            groups = counts.groups_of(shape)
        except SelectorError as error:
            # Another server let it in; it cannot keep others away, but its resources count.
            _log.warning("pod has an affinity that cannot be read", pod=pod.key, error=str(error))
            groups = []
        for group in groups:
            group.pods += 1
        if self.shapes.left_out is not left_out:
            shape = self.shapes.of(pod)  # its own selector asks for a label that shapes left out until now
        kind = counts.class_of(shape, pod.deleting)
        counts.came(kind, node)
        placed = self.pods[pod.uid] = Placed(pod, shape, node, kind, groups)
        on_node = self.pods_on.get(node)
        if on_node is None:
            on_node = self.pods_on[node] = {}
        on_node[pod.uid] = placed
        priority = pod.spec.priority or 0
        self.priorities[priority] = self.priorities.get(priority, 0) + 1
        for address, protocol, port in shape.ports:
            self.ports.setdefault((protocol, port), {}).setdefault(node, []).append(address)
        row = self.table.rows.get(node)
        if row is not None:
            self._account(row, placed, 1)
            self.table.touch(row)
        return placed

    def _account(self, row: int, placed: Placed, by: int) -> None:
        resources = self.resources
        for name, value in placed.shape.requests.items():
            resource = resources.get(name)
            if resource is None:
                resource = self.resource(name)
            resource.used.array[row] += by * value
        resources[requests.PODS].used.array[row] += by
        cpu, memory = placed.shape.nonzero
        self.nonzero_cpu.array[row] += by * cpu
        self.nonzero_memory.array[row] += by * memory
        Counts.add_to_row(row, placed.kind, placed.groups, by)

    def _mention(self, keys: Iterable[str]) -> None:
        """A selector asks for labels; the pods whose shapes left one out are counted anew. Rare."""
        for key in keys:
            if self.shapes.mention(key):
                for placed in [p for p in self.pods.values() if key in p.pod.labels]:
                    was = placed.assumed, placed.expires
                    self.remove_pod(placed.pod.uid)
                    fresh = self._place(placed.pod, self.shapes.of(placed.pod), placed.node)
                    fresh.assumed, fresh.expires = was
                    if fresh.assumed:
                        self.assumed[placed.pod.uid] = fresh

    # --- namespaces --------------------------------------------------------------------------------------------------

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> bool:
        """The labels of a namespace; None when it is gone. Whether they changed."""
        if labels == self.namespaces.get(name):
            return False
        if labels is None:
            self.namespaces.pop(name, None)
        else:
            self.namespaces[name] = labels
        self.counts.namespaces_changed()
        return True


def _bare(taints: tuple[Taint, ...]) -> tuple[Taint, ...]:
    """Without the time they were added, which makes alike taints differ."""
    return tuple(Taint(key=each.key, value=each.value, effect=each.effect) for each in taints)


def _difference(old: Node, new: Node) -> Change:
    change = _NOTHING
    if old.status.allocatable != new.status.allocatable:
        change |= Change.NODE_ALLOCATABLE
    if old.metadata.labels != new.metadata.labels:
        change |= Change.NODE_LABELS
    if old.spec.unschedulable != new.spec.unschedulable or _bare(old.spec.taints) != _bare(new.spec.taints):
        change |= Change.NODE_TAINTS
    return change
