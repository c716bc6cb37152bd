"""The plugins of the default profile, in the order they are asked, with their weights."""

from collections.abc import Sequence

from kaa.client.client import Client
from kaa.scheduler.framework import Plugin
from kaa.scheduler.plugins.default_binder import DefaultBinder
from kaa.scheduler.plugins.default_preemption import Budgets, DefaultPreemption, Record
from kaa.scheduler.plugins.image_locality import ImageLocality
from kaa.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from kaa.scheduler.plugins.node_affinity import NodeAffinity
from kaa.scheduler.plugins.node_name import NodeName
from kaa.scheduler.plugins.node_ports import NodePorts
from kaa.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from kaa.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kaa.scheduler.plugins.node_unschedulable import NodeUnschedulable
from kaa.scheduler.plugins.pod_topology_spread import PodTopologySpread, SelectorOf
from kaa.scheduler.plugins.priority_sort import PrioritySort
from kaa.scheduler.plugins.scheduling_gates import SchedulingGates
from kaa.scheduler.plugins.taint_toleration import TaintToleration
from kaa.scheduler.plugins.unserved import DynamicResources, VolumeBinding

__all__ = ["WEIGHTS", "default_plugins"]

WEIGHTS = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "NodeResourcesFit": 1,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
}


def default_plugins(
    *,
    client: Client | None = None,
    selector_of: SelectorOf | None = None,
    budgets: Budgets | None = None,
    record: Record | None = None,
    disabled: Sequence[str] = (),
) -> list[Plugin]:
    """Everything the default profile does. `disabled` leaves plugins out by name; raises ValueError for others."""
    plugins: list[Plugin] = [
        SchedulingGates(),
        PrioritySort(),
        NodeUnschedulable(),
        NodeName(),
        TaintToleration(),
        NodeAffinity(),
        NodePorts(),
        NodeResourcesFit(),
        VolumeBinding(),
        PodTopologySpread(selector_of) if selector_of is not None else PodTopologySpread(),
        InterPodAffinity(),
        DynamicResources(),
        DefaultPreemption(client, budgets, record),
        NodeResourcesBalancedAllocation(),
        ImageLocality(),
        DefaultBinder(client),
    ]
    unknown = set(disabled) - {each.name for each in plugins}
    if unknown:
        raise ValueError(f"no such scheduler plugin: {', '.join(sorted(unknown))}")
    return [each for each in plugins if each.name not in disabled]
