"""Deployments: replica sets, one per template, rolled from one to the next.

- `history`: which replica set is the new one, revisions, annotations, names, what to clean up. Pure.
- `rollout`: how many pods each replica set should have next. Pure.
- `status`: counts and conditions. Pure.
- `controller`: claims, carries the plans out, reports.

Words: the *new* replica set has the deployment's present template, every other one is *old*; one is *active* when its
spec wants pods. A *fence* is how far a rolling update may stray from the wanted count: surge above, unavailable below.
"""

from kaa.controllers.deployment.controller import DeploymentController

__all__ = ["DeploymentController"]
