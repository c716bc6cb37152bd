"""How many pods each replica set of a deployment should have next. Pure.

The numbers are the original's, to the pod: a rollout moves in the same steps.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kaa.controllers.shared.objects import at_seconds
from kaa.kinds.views.apps import Deployment, ReplicaSet

__all__ = [
    "Scale",
    "is_scaling_event",
    "max_surge",
    "max_unavailable",
    "new_set_replicas",
    "oldest_first",
    "plan_new",
    "plan_old",
    "plan_proportional",
    "resolve_fences",
]

_DESIRED = "deployment.kubernetes.io/desired-replicas"
_MAX = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Scale:
    """Have a replica set want so many pods."""

    set: ReplicaSet
    replicas: int


def resolve_fences(surge: int | str | None, unavailable: int | str | None, replicas: int) -> tuple[int, int]:
    """(surge, unavailable) as counts: surge is rounded up, unavailable down; both zero would never move, so one pod
    may be unavailable then."""
    above, below = _scaled(surge, replicas, up=True), _scaled(unavailable, replicas, up=False)
    return (above, 1) if above == 0 and below == 0 else (above, below)


def _scaled(value: int | str | None, total: int, *, up: bool) -> int:
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    percent = int(value.rstrip("%"))
    return -(-percent * total // 100) if up else percent * total // 100


def _rolling(deployment: Deployment) -> bool:
    return deployment.spec.strategy.type == "RollingUpdate"


def _fences(deployment: Deployment) -> tuple[int, int]:
    rolling = deployment.spec.strategy.rolling_update
    if rolling is None:
        return resolve_fences("25%", "25%", deployment.spec.replicas)
    return resolve_fences(rolling.max_surge, rolling.max_unavailable, deployment.spec.replicas)


def max_surge(deployment: Deployment) -> int:
    """How many pods beyond the wanted count a rolling update may have."""
    return _fences(deployment)[0] if _rolling(deployment) else 0


def max_unavailable(deployment: Deployment) -> int:
    """How many of the wanted pods may be unavailable during a rolling update."""
    if not _rolling(deployment) or deployment.spec.replicas == 0:
        return 0
    return min(_fences(deployment)[1], deployment.spec.replicas)


def _total(sets: Sequence[ReplicaSet]) -> int:
    return sum(each.spec.replicas for each in sets)


def oldest_first(sets: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    """By age; by name where time stamps are equal."""
    return sorted(sets, key=lambda each: (at_seconds(each.metadata.creation_timestamp), each.name))


def new_set_replicas(deployment: Deployment, sets: Sequence[ReplicaSet], present: int) -> int:
    """How many pods the new replica set should want: all of them, or as many more as the surge allows."""
    wanted = deployment.spec.replicas
    if not _rolling(deployment):
        return wanted
    rolling = deployment.spec.strategy.rolling_update
    surge = _scaled(rolling.max_surge if rolling is not None else "25%", wanted, up=True)
    room = wanted + surge - _total(sets)
    if room <= 0:
        return present
    return present + min(room, wanted - present)


def plan_new(deployment: Deployment, sets: Sequence[ReplicaSet], new: ReplicaSet) -> Scale | None:
    """The next size of the new replica set, if it differs. `sets` are all of them, the new one among them."""
    present, wanted = new.spec.replicas, deployment.spec.replicas
    if present == wanted:
        return None
    if present > wanted:
        return Scale(new, wanted)
    replicas = new_set_replicas(deployment, sets, present)
    return Scale(new, replicas) if replicas != present else None


def plan_old(deployment: Deployment, old: Sequence[ReplicaSet], new: ReplicaSet) -> list[Scale]:
    """How far the old replica sets of a rolling update can shrink: first their pods that are not available anyway."""
    if _total(old) == 0:
        return []
    least = deployment.spec.replicas - max_unavailable(deployment)
    new_unavailable = new.spec.replicas - new.status.available_replicas
    most = _total(old) + new.spec.replicas - least - new_unavailable
    if most <= 0:
        return []
    oldest = oldest_first(old)
    sizes = {each.uid: each.spec.replicas for each in oldest}

    given_up = 0
    for each in oldest:
        if given_up >= most:
            break
        unhealthy = min(most - given_up, sizes[each.uid] - each.status.available_replicas)
        if unhealthy > 0:
            sizes[each.uid] -= unhealthy
            given_up += unhealthy

    spare = sum(each.status.available_replicas for each in (*oldest, new)) - least
    for each in oldest:
        if spare <= 0:
            break
        less = min(sizes[each.uid], spare)
        sizes[each.uid] -= less
        spare -= less
    return [Scale(each, sizes[each.uid]) for each in oldest if sizes[each.uid] != each.spec.replicas]


# --- while several replica sets are active ----------------------------------------------------------------------


def is_scaling_event(deployment: Deployment, sets: Sequence[ReplicaSet]) -> bool:
    """The wanted count changed since an active replica set was last sized."""
    for each in sets:
        if each.spec.replicas > 0:
            desired = _number(each, _DESIRED)
            if desired is not None and desired != deployment.spec.replicas:
                return True
    return False


def _number(set_: ReplicaSet, annotation: str) -> int | None:
    try:
        return int(set_.annotations[annotation])
    except (KeyError, ValueError):
        return None


def plan_proportional(deployment: Deployment, old: Sequence[ReplicaSet], new: ReplicaSet | None) -> list[Scale]:
    """The sizes after a change of the wanted count, or of a paused deployment: one active replica set takes all of it,
    several share it in proportion. A size that stays is planned too: its annotations may have to change."""
    wanted = deployment.spec.replicas
    everyone = [*old, new] if new is not None else list(old)
    active = [each for each in everyone if each.spec.replicas > 0]
    only: ReplicaSet | None = None
    if not active:
        only = new if new is not None else (oldest_first(old)[-1] if old else None)
        if only is None:
            return []
    elif len(active) == 1:
        only = active[0]
    if only is not None:
        return [Scale(only, wanted)]
    if new is not None and _saturated(deployment, new):
        return [Scale(each, 0) for each in active if each.uid != new.uid]
    if not _rolling(deployment):
        return []
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    to_add = allowed - _total(active)
    newest_first = to_add > 0

    def rank(each: ReplicaSet) -> tuple[int, float, str]:
        age = at_seconds(each.metadata.creation_timestamp)
        return (-each.spec.replicas, -age if newest_first else age, each.name)

    ordered = sorted(active, key=rank)
    sizes: list[int] = []
    added = 0
    for each in ordered:
        share = _share(deployment, each, to_add, added)
        sizes.append(each.spec.replicas + share)
        added += share
    if to_add:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return [Scale(each, size) for each, size in zip(ordered, sizes, strict=True)]


def _saturated(deployment: Deployment, new: ReplicaSet) -> bool:
    wanted = deployment.spec.replicas
    return new.spec.replicas == wanted == _number(new, _DESIRED) == new.status.available_replicas


def _share(deployment: Deployment, set_: ReplicaSet, to_add: int, added: int) -> int:
    left = to_add - added
    if set_.spec.replicas == 0 or left == 0 or to_add == 0:
        return 0
    nearest: Callable[[int, int], int] = min if to_add > 0 else max
    return nearest(_fraction(deployment, set_), left)


def _fraction(deployment: Deployment, set_: ReplicaSet) -> int:
    """By how much a replica set would change alone, to keep its share of the whole."""
    if deployment.spec.replicas == 0:
        return -set_.spec.replicas
    before = _number(set_, _MAX) or deployment.status.replicas
    if before == 0:
        return 0
    size = set_.spec.replicas * (deployment.spec.replicas + max_surge(deployment)) / before
    return math.floor(size + 0.5) - set_.spec.replicas
