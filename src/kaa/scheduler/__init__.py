"""Finds a node for each pod that has none.

- `scheduler`: `Scheduler`, the loop: informers in, bindings out.
- `queue`: the pods that wait: active, backing off, unschedulable, gated.
- `snapshot`: nodes as columns (`table`), pods counted by class (`counts`), parsed pods (`shapes`).
- `framework`: the moments at which plugins are asked; `runner` asks them, `kept` remembers; `registry` lists `plugins`.
- `binder`: what is written: bindings and conditions, so many at once.
- `arrays`: the one door to numpy.

A *cycle* is one pod's way through the moments. A *shape* is what matters about a pod, shared by all pods alike. An
*assumed* pod counts on its node before its binding has been seen. A *nominated* node is one where room is being made.

What does not belong here: anything about running pods, and any knowledge of the server but its API.
"""

from kaa.scheduler.scheduler import Scheduler
from kaa.scheduler.settings import SchedulerSettings

__all__ = ["Scheduler", "SchedulerSettings"]
