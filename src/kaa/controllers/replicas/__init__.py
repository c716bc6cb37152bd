"""As many pods as a set says: ReplicaSets and ReplicationControllers, one core.

- `plan`: how many to make, which to delete, what to say of it. Pure.
- `controller`: the two controllers.
"""

from kaa.controllers.replicas.controller import ReplicaSetController, ReplicationControllerController

__all__ = ["ReplicaSetController", "ReplicationControllerController"]
