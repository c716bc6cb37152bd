"""Nodes that fell silent, their taints, and the pods that must leave them.

- `health`: which conditions of a silent node turn Unknown. Pure.
- `taints`: the taints a node should have, and when a pod must leave for one. Pure.
- `pace`: how fast nodes may be emptied, zone by zone: when a whole zone seems dead, the fault is likelier ours. Pure.
- `controller`: watches heartbeats, writes conditions and taints, marks pods not ready.
- `eviction`: deletes pods that do not tolerate a NoExecute taint, or not any longer.
"""

from kaa.controllers.nodelifecycle.controller import NodeLifecycleController
from kaa.controllers.nodelifecycle.eviction import TaintEvictionController

__all__ = ["NodeLifecycleController", "TaintEvictionController"]
