"""What has lost its owners goes.

- `graph`: every object with its owners and dependents, and which of them a change makes worth a look. Pure.
- `controller`: follows all resources, looks at what the graph names, deletes, unblocks and orphans.

Words: a *dependent* names *owners* by UID. A reference is *solid* while the owner lives, *dangling* when the owner does
not exist, *waiting* when the owner, deleted in the foreground, waits for its dependents; a dependent *blocks*
it while its reference says so (`blockOwnerDeletion`).
"""

from kaa.controllers.garbage.controller import GarbageCollector

__all__ = ["GarbageCollector"]
